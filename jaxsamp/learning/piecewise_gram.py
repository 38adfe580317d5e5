"""Ridge regression of the denoising target on features, level by level, from Gram matrices summed over the samples."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array, Level
from jaxsamp.learning.piecewise_features import PiecewiseDenoiser, correction_unit, pieces
from jaxsamp_kernels.empirical import empirical_posterior
from jaxsamp_kernels.hermite import Products
from jaxsamp_kernels.mixture import Mixture

CHUNK = 2048  # samples whose features are in memory at once
ROWS = 80_000  # rows of a regression that noise copies of few samples make
COPIES = 8  # most noise copies of a sample
KEYS = 8192  # data points at once in a posterior mean
PAIRS = 3e7  # of a noisy sample and a data point, in the posterior means of one level
HIGH = 0.5  # least level, in units of the data, from which targets are posterior means
RIDGES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # penalties, in units of the mean square of a feature
SLACK = 0.03  # share of the best gain that a lower degree or a larger penalty may miss


class Sums(NamedTuple):
    """Over rows: their number, features^T features (P, P), features^T targets (P, d), and targets^2, in float64."""

    count: float
    gram: np.ndarray
    back: np.ndarray
    square: float

    def __add__(self, other: "Sums") -> "Sums":  # type: ignore[override]
        gram, back = self.gram + other.gram, self.back + other.back
        return Sums(self.count + other.count, gram, back, self.square + other.square)


class Solution(NamedTuple):
    """Coefficients (P, d), their degree, and the mean squared error on held-out samples with and without them."""

    coefficients: np.ndarray
    degree: int
    loss: float
    crude_loss: float


def fit_level(
    model: PiecewiseDenoiser, degree: int, x: np.ndarray, held: np.ndarray, key: Array, sigma: float
) -> Solution:
    """The coefficients of one level from samples x (n, d); those that are held out choose degree and penalty.

    At high levels the coefficients come from x alone, because targets of the samples held out have more noise.
    """
    for_fit, for_held = jax.random.split(key)
    copies, scale = int(np.clip(ROWS // len(x), 1, COPIES)), float(model.scale)
    if sigma > HIGH * scale:
        known = jnp.asarray(x, jnp.result_type(float))
        fit = summed(model, for_fit, x[: max(1, int(PAIRS / len(x)))], sigma, 1, known)
    else:
        known, fit = None, summed(model, for_fit, x, sigma, copies)
    parts = len(model.cells.log_weights)
    sizes = [parts * sum(len(made) <= p for made in model.of) for p in range(1, degree + 1)]
    found = solve(fit, summed(model, for_held, held, sigma, copies), sizes, pooled=known is None)
    unit = float(correction_unit(1.0, sigma, scale)) ** 2
    return found._replace(loss=unit * found.loss, crude_loss=unit * found.crude_loss)


@partial(jax.jit, static_argnums=(6, 7))
def _chunk_sums(
    cells: Mixture,
    scale: Array,
    x0: Array,
    target: Array,
    z: Array,
    sigma: Array,
    of: Products,
    hard: bool,
    kept: Array,
) -> tuple[Array, ...]:
    """Sums over the rows that are kept."""
    level = Level(jnp.ones_like(sigma), sigma)
    found = jax.vmap(lambda x: pieces(cells, of, hard, scale, x, level))(x0 + sigma * z)
    phi = found.features * kept[:, None]
    rest = (target - found.crude) / found.unit[:, None] * kept[:, None]
    products = partial(jnp.matmul, precision="highest")
    return products(phi.T, phi), products(phi.T, rest), jnp.sum(rest**2)


def summed(
    model: PiecewiseDenoiser, key: Array, x: np.ndarray, sigma: float, copies: int, known: Array | None = None
) -> Sums:
    """The sums of one level over noise copies of samples x (n, d).

    The target is the sample itself; with `known`, data points (n', d), its posterior mean if it is one of them, which
    is what the mean over infinitely many copies of the target would be.
    """
    level, d = jnp.asarray(sigma, jnp.result_type(float)), x.shape[1]
    parts = len(model.of) * len(model.cells.log_weights)
    total = Sums(0.0, np.zeros((parts, parts)), np.zeros((parts, d)), 0.0)
    for number, (x0, kept) in enumerate(_chunks(x, copies)):
        z = jax.random.normal(jax.random.fold_in(key, number), x0.shape)
        target = x0 if known is None else empirical_posterior(x0 + level * z, 1.0, level, known, chunk=KEYS).mean
        gram, back, square = _chunk_sums(model.cells, model.scale, x0, target, z, level, model.of, model.hard, kept)
        total += Sums(float(kept.sum()), np.asarray(gram, float), np.asarray(back, float), float(square))
    return total


def _chunks(x: np.ndarray, copies: int) -> Iterator[tuple[Array, Array]]:
    """Parts of all copies of one size, so that one program serves all, and which of their rows count."""
    total = len(x) * copies
    size = min(CHUNK, total)
    for start in range(0, total, size):
        rows = np.arange(start, start + size)
        yield jnp.asarray(x[rows % len(x)], jnp.result_type(float)), jnp.asarray(rows < total)


def solve(fit: Sums, held: Sums, sizes: list[int], pooled: bool) -> Solution:
    """The smallest degree, and for it the largest penalty, with nearly the smallest held-out loss.

    `sizes` are the numbers of features of degrees 1, 2, ... With G and r the means of features^T features and of
    features^T targets, B = (G + ridge tr(G) / P)^-1 r. Its loss on other samples is a quadratic form in their own sums,
    so that no sample is read again. The largest penalty, because directions that hardly occur at one level may occur at
    the next. `pooled` says whether the coefficients of the choice are then computed from both.
    """
    crude, found = held.square / held.count, []
    for size in sizes:
        values, basis = _spectrum(fit, size)
        back, gram = basis.T @ fit.back[:size] / fit.count, basis.T @ held.gram[:size, :size] @ basis / held.count
        cross = basis.T @ held.back[:size] / held.count
        for ridge in RIDGES:
            b = back / (values + ridge * values.mean())[:, None]
            found.append(crude + np.sum(b * (gram @ b - 2 * cross)))
    coefficients, losses = np.zeros_like(fit.back), np.array([crude, *found])
    chosen = int(np.argmax(losses <= losses.min() + SLACK * (crude - losses.min())))
    degree, place = divmod(chosen - 1, len(RIDGES))
    if chosen:
        size, used = sizes[degree], fit + held if pooled else fit
        values, basis = _spectrum(used, size)
        shrunk = basis.T @ used.back[:size] / used.count / (values + RIDGES[place] * values.mean())[:, None]
        coefficients[:size] = basis @ shrunk
    return Solution(coefficients, degree + 1, float(losses[chosen]), float(crude))


def _spectrum(sums: Sums, size: int) -> tuple[np.ndarray, np.ndarray]:
    values, basis = np.linalg.eigh(sums.gram[:size, :size] / sums.count)
    return np.maximum(values, 0.0), basis
