"""Crude cells: a Gaussian mixture by expectation-maximization, in float64, some samples at a time."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp, softmax

from jaxsamp.learning.start import k_means_start

TOLERANCE = 1e-5  # rise of the mean log density of a sample, in nats, below which iterations end
CHUNK = 8192  # samples at a time
SUBSET, FOR_NUMBERS, MOST_ROWS = 4000, 20, 50_000  # samples that starts are found from: least, for each number, most
SMALLEST = 0.2  # share of a cell, as a part of the mean share, below which it is merged with another
MOST = 20  # more cells than the least are tried when their number is not known


class Cells(NamedTuple):
    """Weights (J,), means (J, d) and covariances (J, d, d) of Gaussian cells."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def log_joint(cells: Cells, x: np.ndarray) -> np.ndarray:
    """log w_c + log N(x; m_c, S_c), (n, J)."""
    found = np.empty((len(x), len(cells.weights)))
    for c, (weight, mean, covariance) in enumerate(zip(*cells, strict=True)):
        root = np.linalg.cholesky(covariance)
        z = (x - mean) @ solve_triangular(root, np.eye(len(mean)), lower=True).T
        found[:, c] = np.log(weight) - 0.5 * np.sum(z**2, 1) - np.sum(np.log(np.diag(root)))
    return found - 0.5 * x.shape[1] * np.log(2 * np.pi)


def improved(cells: Cells, x: np.ndarray, floor: float) -> tuple[Cells, float]:
    """One iteration of expectation-maximization, `floor` added to variances, and the mean log density before it."""
    shares, sums = np.zeros(len(cells.weights)), np.zeros_like(cells.means)
    squares, total = np.zeros_like(cells.covariances), 0.0
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        joint = log_joint(cells, part)
        total += float(np.asarray(logsumexp(joint, 1)).sum())
        r = np.asarray(softmax(joint, 1))
        shares += r.sum(0)
        sums += r.T @ part
        for c in range(len(shares)):
            moved = part - cells.means[c]  # what is squared is small, so that nothing cancels
            squares[c] += (r[:, c, None] * moved).T @ moved
    shares = np.maximum(shares, 1e-10)
    means = sums / shares[:, None]
    moved = means - cells.means
    spread = squares / shares[:, None, None] - moved[:, :, None] * moved[:, None]
    made = Cells(shares / shares.sum(), means, spread + floor * np.eye(x.shape[1]))
    return made, total / len(x)


def climbed(cells: Cells, x: np.ndarray, iterations: int, tolerance: float, floor: float) -> tuple[Cells, float]:
    """Iterations until the mean log density rises by less than `tolerance`, in nats; and that density."""
    before = -np.inf
    for _ in range(iterations):
        cells, now = improved(cells, x, floor)
        if now - before < tolerance:
            break
        before = now
    return cells, float(before)


def part_for(dim: int) -> int:
    """How many samples are enough for starts: 4,000, and more where a Gaussian has many numbers."""
    return int(np.clip(FOR_NUMBERS * (1 + dim + dim * (dim + 1) // 2), SUBSET, MOST_ROWS))


def started(x: np.ndarray, components: int, seed: int, starts: int, floor: float) -> tuple[Cells, float]:
    """The best of several starts by k-means++ and expectation-maximization on a part of the samples."""
    part = x[: part_for(x.shape[1])]
    found = []
    for i in range(starts):
        centers = k_means_start(part, components, seed + i)
        nearest = np.argmin(np.square(centers).sum(1) - 2 * part @ centers.T, 1)
        within = np.cov((part - centers[nearest]).T).reshape(x.shape[1], -1) + floor * np.eye(x.shape[1])
        cells = Cells(np.full(components, 1 / components), centers, np.tile(within, (components, 1, 1)))
        found.append(climbed(cells, part, 100, 1e-3, floor))
    return max(found, key=lambda made: made[1])


def number_by_bic(x: np.ndarray, seed: int, floor: float, least: int = 1) -> int:
    """The number of Gaussians with the smallest -2 log likelihood + log(n) parameters, on a part of the samples."""
    n, d = x[: part_for(x.shape[1])].shape
    best, at = np.inf, least
    for k in range(least, min(least + MOST, n // (d + 1)) + 1):
        log_prob = started(x, k, seed, 2, floor)[1]
        bic = -2 * n * log_prob + np.log(n) * (k * (1 + d + d * (d + 1) / 2) - 1)
        if bic < best:
            best, at = bic, k
        elif k >= at + 2:
            break
    return at


def merged(cells: Cells) -> Cells:
    """The cells with every tiny one merged with the nearest other one, in the tiny one's own units."""
    weights, means, covariances = (part.copy() for part in cells)
    while len(weights) > 1 and weights.min() < SMALLEST / len(cells.weights):
        a = int(weights.argmin())
        moved = means - means[a]
        distance = np.einsum("kd,kd->k", moved, np.linalg.solve(covariances + covariances[a], moved[..., None])[..., 0])
        distance[a] = np.inf
        b = int(distance.argmin())
        share = weights[a] / (weights[a] + weights[b])
        covariances[b] = (
            share * covariances[a] + (1 - share) * covariances[b] + share * (1 - share) * np.outer(moved[b], moved[b])
        )
        means[b] = share * means[a] + (1 - share) * means[b]
        weights[b] += weights[a]
        weights, means, covariances = (np.delete(part, a, 0) for part in (weights, means, covariances))
    return Cells(weights, means, covariances)
