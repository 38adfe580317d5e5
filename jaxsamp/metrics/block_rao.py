"""Rao's score test of a Gaussian mixture, one kind of parameter at a time."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.checks import at_least, one_of
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.truth import NULL, Truth, checked
from jaxsamp.targets.gaussian_mixture import GaussianMixture

BLOCKS = ("weights", "means", "cov_diag", "cov_off")
DRAWS, FOR_VARIANCE = 100_000, 10_000  # draws of the truth for F, and of these for Var |h|^2
ENTRIES = 2**22  # numbers held at once
SINGULAR = 1e-6  # of the correlations between scores, which are of float32 accuracy


def block_rao(
    x: Float[Array | np.ndarray, "n d"],
    law: Any,
    key: Array | None = None,
    level: Level | None = None,
    blocks: Sequence[str] | None = None,
    draws: int = DRAWS,
) -> dict[str, Metric]:
    """Do the samples want other weights, means or covariances than the mixture has? One test for each.

    With u = C_k^(-1/2) (x - alpha mu_k) in the eigenbasis of C_k = alpha^2 S_k + sigma^2 I and responsibilities r_k,
    the scores g = grad_theta log p(x) are, up to linear maps, which change nothing,

        weights   r_k - w_k          K - 1          cov_diag  r_k (u_i^2 - 1)   K d
        means     r_k u_i            K d            cov_off   r_k u_i u_j       K d (d - 1) / 2

    of mean zero and covariance F under the law. For each block of q scores the statistic is

        T = n gbar^T F^-1 gbar (N - q - 1) / N,

    F the mean of g g^T over N true draws. For true samples it has mean q and the variance 2 q + (Var |h|^2 - 2 q) / n,
    h = F^(-1/2) g, and is taken to be gamma-distributed with these moments: chi-square with q degrees of freedom
    once n is much larger than q. The most sensitive test of samples of a mixture, and of any sampler: it sees what
    distances between samples do not. The law is that of alpha x_0 + sigma z, whatever form its covariances have.

    Args:
        x: samples, (n, d).
        law: a `GaussianMixture` or a `NullBank` of one.
        key: draws the true samples; None with a bank.
        level: the noise level of x; None for clean samples.
        blocks: among "weights", "means", "cov_diag" and "cov_off"; None for all that have a parameter.
        draws: N, more than q + 1, and best 1,000 or more in every component: with 30 of one, true samples are
            rejected three times too often. F costs 2 N q^2 operations in float64.

    Returns:
        For each block T, its band and one-sided p-value, and z = (T - q) / sd(T). Scores that are linear functions of
        others (to a part in a million) are left out of q.

    Raises:
        TypeError, ValueError: an argument is not as above, x is not finite, or a covariance is singular.

    Rao, Large Sample Tests of Statistical Hypotheses Concerning Several Parameters, 1948.
    """
    x, truth, key = checked(x, law, key, level)
    if not isinstance(truth.law, GaussianMixture):
        raise TypeError(f"law must be a GaussianMixture for block_rao; got a {type(truth.law).__name__}.")
    sizes = parameters(truth)
    if not sizes["means"]:
        raise ValueError("law must have covariances that are not singular at this level for block_rao.")
    if blocks is None:
        blocks = [block for block in BLOCKS if sizes[block] > 0]
    for block in blocks:
        if sizes[one_of("blocks", block, BLOCKS)] < 1:
            raise ValueError(f"blocks must be some in which this law has parameters; got {block!r}, where it has none.")
        if at_least("draws", draws, 3) < sizes[block] + 2:
            raise ValueError(f"draws must be at least {sizes[block] + 2} for {block!r}; got {draws}.")
    components = _components(truth)
    return {block: _test(block, x, truth, components, key, draws) for block in blocks}


def parameters(truth: Truth) -> dict[str, int]:
    """The number of scores in each block; none of a law without them."""
    if not isinstance(truth.law, GaussianMixture) or not (np.asarray(_components(truth).variances) > 0).all():
        return dict.fromkeys(BLOCKS, 0)
    count, d = truth.law.means.shape
    return {"weights": count - 1, "means": count * d, "cov_diag": count * d, "cov_off": count * d * (d - 1) // 2}


class _Components(NamedTuple):
    """The noised law's components: C_k = U_k diag(variances_k) U_k^T, basis None for U_k = I."""

    log_weights: Array
    means: Array
    variances: Array  # (K, d)
    basis: Array | None  # (K, d, d)


class _Information(NamedTuple):
    """What the truth says about a block: h = whiten^T g has mean zero and covariance one."""

    whiten: np.ndarray  # (q, rank)
    variance: float  # of |h|^2


def _components(truth: Truth) -> _Components:
    mixture = truth.law.mixture
    alpha, sigma = (1.0, 0.0) if truth.level is None else (truth.level.alpha, truth.level.sigma)
    eigenvalues, basis = mixture.eigenvalues, mixture.basis
    if basis is None:
        eigenvalues = jnp.broadcast_to(eigenvalues, mixture.means.shape)
    elif mixture.floor is not None:  # complete the basis; off the factors all directions are alike
        basis = jnp.asarray(np.linalg.qr(np.asarray(basis, float), mode="complete")[0], basis.dtype)
        off = basis.shape[2] - eigenvalues.shape[1]
        eigenvalues = jnp.concatenate([eigenvalues, jnp.repeat(mixture.floor, off, axis=1)], axis=1)
    variances = jnp.asarray(alpha**2 * eigenvalues + sigma**2)
    return _Components(mixture.log_weights, alpha * mixture.means, variances, basis)


def _test(block: str, x: Array, truth: Truth, components: _Components, key: Array, draws: int) -> Metric:
    information = truth.recall(("block_rao", block, draws), lambda: _information(block, truth, components, key, draws))
    n, rank = len(x), information.whiten.shape[1]
    mean = sum(g.sum(0) for g in _scores(block, components, x)) / n @ information.whiten
    shrink = (draws - rank - 1) / draws  # the inverse of an estimated F is too large on average
    statistic = n * shrink * float(mean @ mean)
    sd = np.sqrt(2 * rank + (information.variance - 2 * rank) / n)
    null = stats.gamma(rank**2 / sd**2, scale=sd**2 / rank)
    low, high = null.ppf([TAIL, 1 - TAIL])
    return Metric(
        statistic, None, float(low), float(high), float(null.sf(statistic)), standardized(statistic, rank, sd)
    )


def _information(block: str, truth: Truth, components: _Components, key: Array, draws: int) -> _Information:
    true = truth.draw(jax.random.fold_in(key, NULL), 0, draws)
    fisher = sum(g.T @ g for g in _scores(block, components, true)) / draws
    scale = 1 / np.sqrt(np.maximum(np.diag(fisher), 1e-300))
    values, vectors = np.linalg.eigh(fisher * scale * scale[:, None])
    kept = values > SINGULAR
    whiten = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    squares = np.concatenate([np.square(g @ whiten).sum(1) for g in _scores(block, components, true[:FOR_VARIANCE])])
    return _Information(whiten, float(squares.var()))


def _scores(block: str, components: _Components, x: Array) -> Any:
    """The scores of x in float64, some rows at a time."""
    count, d = components.means.shape
    rows = max(1, ENTRIES // (count * d * (d if block == "cov_off" else 1)))
    for start in range(0, len(x), rows):
        yield np.asarray(_score(block, components, x[start : start + rows]), float)


@partial(jax.jit, static_argnums=0)
def _score(block: str, components: _Components, x: Array) -> Array:
    """(n, q)."""
    log_weights, means, variances, basis = components
    u = x[:, None] - means
    if basis is not None:
        u = jnp.einsum("kdm,nkd->nkm", basis, u, precision="highest")
    u = u / jnp.sqrt(variances)
    r = jax.nn.softmax(log_weights - 0.5 * jnp.sum(u**2 + jnp.log(variances), axis=2))
    if block == "weights":
        return (r - jnp.exp(log_weights))[:, :-1]
    if block == "means":
        scores = u
    elif block == "cov_diag":
        scores = u**2 - 1
    else:
        i, j = np.triu_indices(u.shape[2], 1)
        scores = u[:, :, i] * u[:, :, j]
    return (r[:, :, None] * scores).reshape(len(x), -1)
