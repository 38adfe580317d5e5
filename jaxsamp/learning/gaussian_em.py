"""A Gaussian by maximum likelihood from partial, noisy observations, and exact draws of what was not observed."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.learning.observations import Observations, matrix, observations
from jaxsamp.targets import GaussianMixture
from jaxsamp.targets.components import dense

LARGEST = 4096  # entries of one sample, of which a covariance has the square
NUMBERS = 2**22  # at a time in the matrices of several observations
FLOOR = 1e-4  # least noise, as a share of the data's standard deviation, so that constant entries can be divided by


class Gaussian(NamedTuple):
    """N(mean, covariance), in float64."""

    mean: np.ndarray
    covariance: np.ndarray


class Chunk(NamedTuple):
    """Some observations y = A x + noise n, flattened: A (n, m, d), y and noise (n, m), in float64."""

    a: np.ndarray
    y: np.ndarray
    noise: np.ndarray


def fit_gaussian_em(
    measured: Any, *, rank: int | None = None, iterations: int = 100, tolerance: float = 1e-3
) -> GaussianMixture:
    """Fit N(mu, S) by maximum likelihood to observations y_i = A_i x_i + noise n_i, by expectation-maximization.

    With r_i = y_i - A_i mu, C_i = A_i S A_i^T + noise^2 I and G_i = S A_i^T C_i^-1 an iteration is

        mu <- mean(m_i),  S <- mean((m_i - mu) (m_i - mu)^T + S - G_i A_i S),  where m_i = mu + G_i r_i

    and the new mu are the mean and covariance of x_i given y_i. The likelihood of the observations never falls. The
    start is the least-squares mean, with the covariance of a sphere. An iteration costs O(n m d (m + d)) for m
    measurements of d entries, m = d for masks; it is computed by NumPy in float64, some samples at a time.

    Args:
        measured: `jaxsamp.corruptions.Measurements` of n samples, or any object with attributes y, operator and noise,
            such as a `jaxsamp.denoisers.Observed`; events of any shape are flattened to d entries. Noise of less than
            1e-4 of the data's standard deviation is taken as that much.
        rank: None for any S; r < d for S = F F^T + v I with F (d, r), which is better where n is not much above d.
        iterations: largest number of iterations.
        tolerance: it ends when the mean log likelihood of an observation has risen by less, in nats.

    Returns:
        A `GaussianMixture` of one component, with event shape (d,). Of what no observation depends on, the start is
        left.

    Raises:
        TypeError: `measured` has no such attributes, or the operator has no adjoint.
        ValueError: parts of `measured` do not fit each other, or do not vary; d is above 4,096; rank is not below d.

    Source: Dempster, Laird and Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", J. R. Stat. Soc.
    B 39 (1977); Tipping and Bishop, "Probabilistic Principal Component Analysis", J. R. Stat. Soc. B 61 (1999) (rank).
    """
    given = measured if isinstance(measured, Observations) else observations(measured)
    checks.at_least("iterations", iterations, 1)
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0; got {tolerance}.")
    check_size(given)
    if rank is not None and checks.at_least("rank", rank, 1) >= given.size:
        raise ValueError(f"rank must be below the number of entries of a sample, {given.size}; got {rank}.")
    law, floor = _start(given)
    before = -np.inf
    for _ in range(iterations):
        parts = zip(*(_expected(law, floor, chunk) for chunk in _chunks(given)), strict=True)
        moved, square, log = (np.sum(part, 0) / len(given) for part in parts)
        law = Gaussian(law.mean + moved, _lowered(law.covariance + square - np.outer(moved, moved), rank))
        if not log - before > tolerance:
            break
        before = log
    mean, covariance = law
    if rank is None:
        return GaussianMixture([1.0], mean[None], covariance[None])
    values, basis = np.linalg.eigh(covariance)
    noise = float(values[0])
    factor = basis[:, -rank:] * np.sqrt(values[-rank:] - noise)
    return GaussianMixture.low_rank([1.0], mean[None], factor[None], noise)


def complete(key: PRNGKey, law: GaussianMixture, given: Observations) -> np.ndarray:
    """One exact draw of each sample given its observation, under a Gaussian law: (n, *event), in float32.

    x = x' + S A^T C^-1 (y - A x' - noise n) with x' ~ N(mu, S) and C = A S A^T + noise^2 I. Sample i is drawn with
    fold_in(key, i). By NumPy, as the fit is: large batches of small systems are slow in XLA on processors, and two of
    them at a time have waited for each other for ever there.
    """
    _, (mean,), (covariance,) = dense(law.mixture)
    values, basis = np.linalg.eigh(covariance)
    root = basis * np.sqrt(np.maximum(values, 0))
    found, drawn = [], _normals(key, len(given), given.size, given.measured)
    for chunk, x, noise in zip(_chunks(given), *(_split(given, np.asarray(z, float)) for z in drawn), strict=True):
        x = mean + x @ root.T
        crossed = chunk.a @ (root @ root.T)
        spread = crossed @ chunk.a.swapaxes(1, 2)
        floor = FLOOR * np.sqrt(np.trace(spread, axis1=1, axis2=2) / spread.shape[1])[:, None]
        std = np.maximum(chunk.noise, np.where(floor > 0, floor, 1.0))  # 0: nothing was seen
        residual = chunk.y - np.einsum("nmd,nd->nm", chunk.a, x) - std * noise
        solved = np.linalg.solve(_plus(spread, std**2), residual[..., None])[..., 0]
        found.append(x + np.einsum("nmd,nm->nd", crossed, solved))
    return np.concatenate(found).astype(np.float32).reshape(len(given), *given.event)


def check_size(given: Observations) -> None:
    """Raise ValueError if a covariance would have too many entries."""
    if given.size > LARGEST:
        raise ValueError(
            f"measured must be of samples with at most {LARGEST:,} entries for a Gaussian, whose covariance has the "
            f"square of that; got {given.size:,}."
        )


def _start(given: Observations) -> tuple[Gaussian, float]:
    """The least-squares mean with the covariance of a sphere, and the least noise."""
    gram, back, square = np.zeros((given.size, given.size)), np.zeros(given.size), 0.0
    for a, y, _ in _chunks(given):
        rows = a.reshape(-1, given.size)
        gram, back, square = gram + rows.T @ rows, back + rows.T @ y.reshape(-1), square + np.sum(y**2)
    mean = np.linalg.pinv(gram, rcond=1e-12, hermitian=True) @ back
    rest = square - 2 * mean @ back + mean @ gram @ mean  # the sum of squared residuals
    if not rest > 1e-12 * square:
        raise ValueError("measured must vary, and depend on the samples; got observations with all entries the same.")
    floor = float(FLOOR * np.sqrt(rest / (len(given) * given.measured)))
    return Gaussian(mean, rest / np.trace(gram) * np.eye(given.size)), floor


def _expected(law: Gaussian, floor: float, chunk: Chunk) -> tuple[np.ndarray, np.ndarray, float]:
    """Of some observations the sums of m_i - mu, of its square less G_i A_i S, and of the log likelihood."""
    crossed = chunk.a @ law.covariance
    spread = _plus(crossed @ chunk.a.swapaxes(1, 2), np.maximum(chunk.noise, floor) ** 2)
    residual = chunk.y - chunk.a @ law.mean
    solved = np.linalg.solve(spread, np.concatenate([residual[..., None], crossed], -1))
    moved = np.einsum("nmd,nm->nd", crossed, solved[..., 0])
    lost = crossed.reshape(-1, crossed.shape[-1]).T @ solved[..., 1:].reshape(-1, crossed.shape[-1])
    log = -0.5 * (np.sum(residual * solved[..., 0]) + np.sum(np.linalg.slogdet(spread)[1]))
    return moved.sum(0), moved.T @ moved - lost, log


def _lowered(covariance: np.ndarray, rank: int | None) -> np.ndarray:
    """The covariance of rank r with a sphere added that is the most likely for samples of this covariance."""
    covariance = 0.5 * (covariance + covariance.T)
    if rank is None:
        return covariance
    values, basis = np.linalg.eigh(covariance)
    values[:-rank] = values[:-rank].mean()
    return (basis * values) @ basis.T


def _plus(matrices: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """The matrices with numbers added to their diagonals."""
    return matrices + diagonal[:, :, None] * np.eye(diagonal.shape[1])


def _chunks(given: Observations) -> Iterator[Chunk]:
    """The observations, as many at a time as there is memory for."""
    y, operator, noise = given.given[:3]
    y = np.asarray(y, float)
    noise = np.asarray(noise, float)
    noise = np.broadcast_to(noise.reshape(noise.shape + (1,) * (y.ndim - noise.ndim)), y.shape)
    units = jnp.eye(given.size).reshape(-1, *given.event)
    for rows in _slices(given):
        a = _matrices(jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], operator), units)
        yield Chunk(np.asarray(a, float), y[rows].reshape(len(a), -1), noise[rows].reshape(len(a), -1))


def _split(given: Observations, rows: np.ndarray) -> list[np.ndarray]:
    return [rows[part] for part in _slices(given)]


def _slices(given: Observations) -> list[slice]:
    size = max(1, NUMBERS // (max(given.measured, given.size) * given.size))
    return [slice(start, start + size) for start in range(0, len(given), size)]


@jax.jit
def _matrices(operators: Any, units: Array) -> Array:
    return jax.vmap(matrix, (0, None))(operators, units)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _normals(key: Array, n: int, size: int, measured: int) -> tuple[Array, Array]:
    """Standard normal numbers for the law and for the noise of each sample, (n, size) and (n, measured)."""

    def one(i: Array) -> tuple[Array, Array]:
        for_law, for_noise = jax.random.split(jax.random.fold_in(key, i))
        return jax.random.normal(for_law, (size,)), jax.random.normal(for_noise, (measured,))

    return jax.vmap(one)(jnp.arange(n))
