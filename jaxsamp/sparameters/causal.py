"""A Gaussian process on impulse responses: S(f) = sum_k h_k exp(-2 pi i f k dt), h real and zero before time 0.

h_k ~ N(0, s^2 (e^{-k dt / tau} / sum_j e^{-j dt / tau} + a [k = 0])), each independent; the measured S have noise of
variance r s^2 in the real and in the imaginary part, with s^2 scaled so that the mean variance of the samples is s^2.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

OVERSAMPLING = 2.5  # 1 / dt over twice the highest frequency; at 1.15 responses between two lags are out of reach
DECAYS = 16  # values of tau, from dt to the duration
FEEDTHROUGHS = (0.0, 0.3, 3.0)  # values of a
NOISES = np.geomspace(1e-10, 1e-2, 13)  # values of r
RATIOS = np.geomspace(1e-13, 1e2, 151)  # values of r for known noise; below, eigenvalues are rounded by more
QUIET = 1e-5  # least known noise over the root mean square of the samples, as the least of NOISES
FORGOTTEN = 37.0  # lags beyond so many tau have variances below 1e-16
LARGEST = 2**29  # frequencies times lags: 8 GiB of cosines and sines
NOTHING = 1e-40  # a variance for entries that are zero
KEPT = 1e-13  # share of the largest variance, below which directions of the posterior are left out


class Response(NamedTuple):
    """The posterior of one entry of S on a grid of frequencies.

    Attributes:
        mean: (2 f,), real parts and then imaginary parts.
        factor: G, (2 f, q), with orthogonal columns: the covariance of the posterior is G G^T.
        log_evidence: of the samples, up to a constant, in nats.
        decay: tau, in seconds if frequencies are in Hz.
        feedthrough: a.
        noise: standard deviation of the noise in a complex sample.
        shortest: whether tau is the shortest that was tried, so that the prior does not fit.
    """

    mean: np.ndarray
    factor: np.ndarray
    log_evidence: float
    decay: float
    feedthrough: float
    noise: float
    shortest: bool


def basis(f: np.ndarray, dt: float, lags: int) -> np.ndarray:
    """cos(2 pi f k dt) above -sin(2 pi f k dt): the response of h_k = 1 at f, (2 f, lags)."""
    angle = 2 * np.pi * np.outer(f, dt * np.arange(lags))
    return np.concatenate([np.cos(angle), -np.sin(angle)])


def duration(f: np.ndarray, grid: np.ndarray) -> float:
    """The longest response that is told apart: half the inverse of the spacing of the grid, or of the samples.

    Of spacings that differ it is their median: the smallest one of a logarithmic sweep would ask for millions of lags.
    """
    spacings = [float(np.median(np.diff(points))) for points in (f, grid) if len(points) > 1]
    return 1 / (2 * min([*spacings, max(f.max(), grid.max())]))


def fit_response(f: np.ndarray, z: np.ndarray, grid: np.ndarray, noise: float | None = None) -> Response:
    """The posterior of one entry of S on a grid, with tau, a and r of the largest evidence.

    With C the covariance of the samples under the prior, of unit mean variance, and C = U diag(l) U^T: for each tau
    and a, every r costs O(m), with s^2 = mean((U^T z)^2 / (l + r)), and the log evidence is
    -(sum log(l + r) + 2 m log s^2) / 2 up to a constant. The noise is sought within 1e-5 and .1 of the scale of S.

    Args:
        f: frequencies of the samples, (m,), in any unit.
        z: samples of that entry, (m,), complex.
        grid: frequencies to predict.
        noise: standard deviation of the noise in a complex sample if it is known; then s^2 is sought instead of r.
            Below 1e-5 of the root mean square of the samples it counts as that.
    """
    dt = 1 / (2 * OVERSAMPLING * max(grid.max(), f.max()))
    longest = duration(f, grid)
    lags = int(np.ceil(longest / dt))
    if lags * (len(f) + len(grid)) > LARGEST:
        raise ValueError(
            f"grid must not be so fine that responses have more than {LARGEST // (len(f) + len(grid)):,} lags; got "
            f'{lags:,}, of a spacing of {OVERSAMPLING * dt / longest:.3g} of the highest frequency. method="aaa" has '
            "no such limit."
        )
    decays = np.geomspace(dt, longest, DECAYS)
    measured = np.concatenate([np.real(z), np.imag(z)])
    if noise is not None:
        noise = max(noise, QUIET * float(np.sqrt(np.mean(np.abs(z) ** 2))), float(np.sqrt(NOTHING)))
    whole = basis(f, dt, lags)
    best = (-np.inf, 0.0, 0.0, 0.0, 1.0, np.empty(0))
    for decay in decays:
        for feedthrough in FEEDTHROUGHS:
            prior = _prior(decay / dt, feedthrough, whole.shape[1])
            gram = (whole[:, : len(prior)] * prior) @ whole[:, : len(prior)].T
            scale = np.trace(gram) / len(gram)
            values, vectors = np.linalg.eigh(gram / scale)
            squares = (vectors.T @ measured) ** 2
            evidence, ratio, variance = _evidence(np.maximum(values, 0), squares, noise)
            if evidence > best[0]:
                best = (evidence, decay, feedthrough, ratio, variance, prior / scale)
    evidence, decay, feedthrough, ratio, variance, prior = best
    mean, factor = _posterior(whole[:, : len(prior)], basis(grid, dt, len(prior)), prior, ratio, measured)
    return Response(
        mean, np.sqrt(variance) * factor, float(evidence), float(decay), feedthrough,
        float(np.sqrt(2 * ratio * variance)), decay == decays[0],
    )  # fmt: skip


def _prior(decay: float, feedthrough: float, lags: int) -> np.ndarray:
    """Variances of h over s^2, without lags that are of none."""
    prior = np.exp(-np.arange(min(lags, int(np.ceil(FORGOTTEN * decay)) + 1)) / decay)
    prior /= prior.sum()
    prior[0] += feedthrough
    return prior


def _evidence(values: np.ndarray, squares: np.ndarray, noise: float | None) -> tuple[float, float, float]:
    """The largest log evidence over r, that r, and s^2."""
    ratios = NOISES[:, None]
    if noise is None:
        variance = np.maximum(np.mean(squares / (values + ratios), 1, keepdims=True), NOTHING)
    else:  # r s^2 is half of noise^2, so that s^2 follows from r: more of them, to find its best value
        ratios = RATIOS[:, None]
        variance = noise**2 / 2 / ratios
    evidence = -0.5 * np.sum(np.log((values + ratios) * variance) + squares / ((values + ratios) * variance), 1)
    best = int(np.argmax(evidence))
    return float(evidence[best]), float(ratios[best, 0]), float(variance[best, 0])


def _posterior(
    known: np.ndarray, wanted: np.ndarray, prior: np.ndarray, ratio: float, measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and factor of the covariance, over s^2, of wanted h given known h + noise = measured."""
    x, target = known * np.sqrt(prior), wanted * np.sqrt(prior)
    # With h = sqrt(prior) u, u has the precision I + x^T x / r: along the right singular vectors of x the variance is
    # r / (r + value^2), and all that is orthogonal to them keeps its prior.
    _, values, rows = scipy.linalg.svd(x, full_matrices=False)
    seen = target @ rows.T
    left = values**2 + ratio
    mean = seen @ (rows @ (x.T @ measured) / left)
    return mean, _orthogonal(np.concatenate([target - seen @ rows, seen * np.sqrt(ratio / left)], 1))


def _orthogonal(factor: np.ndarray) -> np.ndarray:
    """A factor of the same F F^T with orthogonal columns, without directions of hardly any variance."""
    if factor.shape[0] <= factor.shape[1]:
        values, vectors = np.linalg.eigh(factor @ factor.T)
        columns = vectors * np.sqrt(np.maximum(values, 0))
    else:
        values, vectors = np.linalg.eigh(factor.T @ factor)
        columns = factor @ vectors
    return columns[:, values > KEPT * max(values.max(), 1e-300)]
