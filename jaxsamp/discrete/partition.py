"""The partition function of a restricted Boltzmann machine, between two stochastic bounds."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.tree_util import Partial

from jaxsamp import running
from jaxsamp.core import checks, shown
from jaxsamp.core.types import Array, Data, PRNGKey
from jaxsamp.discrete.base import MOST
from jaxsamp.discrete.rbm import RBM
from jaxsamp_kernels import rbm as kernel

FORWARD, BACKWARD, WARMUP = range(3)  # what a key of a chain is for


class Bracket(NamedTuple):
    """What is known of log Z, in nats; every number has its standard error among the chains.

    Attributes:
        lower: mean log weight of the chains from independent spins to the law: at most log Z in expectation.
        upper: mean log weight of the chains from the law to independent spins: at least log Z in expectation if these
            start from the law itself. `lower` can be above `upper` by their errors.
        estimate: log of the mean weight of the forward chains, whose exponential has the expectation Z.
        ess: effective number of independent forward chains, (sum w)^2 / sum w^2; the estimate is worth nothing near 1.
        lower_error, upper_error, estimate_error: standard errors.
        start: where the backward chains start: "exact" draws, the end of a "chain", whose upper bound is only as good
            as the chain has converged, or "given" ones.
    """

    lower: float
    upper: float
    estimate: float
    ess: float
    lower_error: float
    upper_error: float
    estimate_error: float
    start: str

    def __repr__(self) -> str:
        return shown.line(self)


def log_partition(
    key: PRNGKey,
    rbm: RBM,
    temperatures: int | Data = 1000,
    chains: int = 500,
    *,
    start: Data | None = None,
    warmup: int = 1000,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    progress: bool = False,
) -> Bracket:
    """Bracket log Z of an RBM by annealed importance sampling, forward and backward.

    With W and c multiplied by beta the law is that of independent spins at beta = 0, where log Z is known, and the
    RBM's at beta = 1. A chain goes through 0 = beta_0 < ... < beta_K = 1 by block Gibbs sweeps, and its log weight is

        log Z_0 + sum_k S_k(x_k) - S_{k-1}(x_k),  S_k(x) = b.x + sum_j ln 2cosh(beta_k (c_j + (x.W)_j))

    with x_k drawn from the sweep at beta_{k-1}. Backward chains go the other way from a draw of the law. The gap
    between the two bounds falls like 1 / K, and is what more temperatures must close. Chain i depends on
    fold_in(key, i) and the law.

    Args:
        key: a typed key.
        rbm: an `RBM`.
        temperatures: K, evenly spaced; or all beta from 0 to 1, increasing.
        chains: number of chains in each direction.
        start: draws of the law for the backward chains, (chains, n), +1 and -1. By default they are exact where an RBM
            has at most 22 spins or hidden ones, and otherwise the forward chains go on for `warmup` sweeps at beta = 1.
        warmup: number of these sweeps.
        mesh, microbatch, progress: as for `jaxsamp.running.rows`.

    Raises:
        TypeError: `rbm` is not an RBM, or `key` not a typed key.
        ValueError: a count is below 1 (below 2 for chains), temperatures are not as above, or `start` has another shape
            or other numbers.

    Source: Neal, "Annealed importance sampling", Statistics and Computing 11 (2001); Burda, Grosse and Salakhutdinov,
    "Accurate and conservative estimates of MRF log-likelihood using reverse annealing", AISTATS 2015, arXiv 1412.8566.
    """
    checks.typed_key(key)
    if not isinstance(rbm, RBM):
        raise TypeError(f"rbm must be a jaxsamp.discrete.RBM; got a {type(rbm).__name__}.")
    checks.at_least("chains", chains, 2)
    checks.at_least("warmup", warmup, 0)
    beta = jnp.asarray(_ladder(temperatures), rbm.weights.dtype)
    for_start, for_chains = jax.random.split(key)
    of = "given" if start is not None else "exact" if min(rbm.weights.shape) <= MOST else "chain"
    drawn = rbm.sample(for_start, chains) if of == "exact" else None if start is None else _spins(start, rbm, chains)
    # A number of sweeps that is not part of the structure: another one does not compile anew.
    one = Partial(_both_ways, rbm, beta, jnp.asarray(warmup))
    forward, backward = running.rows(
        for_chains, one, chains, drawn, mesh=mesh, microbatch=microbatch, progress=progress
    )
    independent = kernel.log_2cosh(rbm.visible).sum() + rbm.weights.shape[1] * np.log(2)
    return _bracket(np.asarray(forward, float), np.asarray(backward, float), float(independent), of)


def _both_ways(rbm: RBM, beta: Array, warmup: Array, key: Array, drawn: Array | None) -> tuple[Array, Array]:
    """The log weights of one chain forward and one backward, less log Z_0."""
    last = len(beta) - 1

    def sweep(x: Array, k: Array, key: Array, at: Array) -> Array:
        u = jax.random.uniform(jax.random.fold_in(key, k), (sum(rbm.weights.shape),), x.dtype)
        part = rbm.annealed(at)
        return kernel.block_gibbs(x, part.weights, part.visible, part.hidden, u[len(x) :], u[: len(x)])[0]

    def gained(x: Array, k: Array) -> Array:
        return kernel.ais_increment(kernel.hidden_fields(x, rbm.weights, rbm.hidden), beta[k - 1], beta[k])

    def forward(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, log_weight = carry
        x = sweep(x, k, for_forward, beta[k - 1])
        return x, log_weight + gained(x, k)

    def backward(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, log_weight = carry
        log_weight = log_weight + gained(x, last - j)
        return sweep(x, j, for_backward, beta[last - j - 1]), log_weight

    for_forward, for_backward, for_warmup = (jax.random.fold_in(key, use) for use in (FORWARD, BACKWARD, WARMUP))
    zero = jnp.zeros_like(rbm.visible)
    x, up = lax.fori_loop(1, last + 1, forward, (zero, jnp.zeros((), zero.dtype)))  # at beta = 0 all x are forgotten
    if drawn is None:
        x = lax.fori_loop(0, warmup, lambda k, x: sweep(x, k, for_warmup, jnp.ones_like(beta[0])), x)
    else:
        x = drawn.astype(zero.dtype)
    _, down = lax.fori_loop(0, last, backward, (x, jnp.zeros((), zero.dtype)))
    return up, down


def _bracket(forward: np.ndarray, backward: np.ndarray, independent: float, start: str) -> Bracket:
    n = len(forward)
    w = np.exp(forward - forward.max())
    return Bracket(
        lower=independent + float(forward.mean()),
        upper=independent + float(backward.mean()),
        estimate=independent + float(forward.max() + np.log(w.mean())),
        ess=float(w.sum() ** 2 / np.sum(w**2)),
        lower_error=float(forward.std(ddof=1) / np.sqrt(n)),
        upper_error=float(backward.std(ddof=1) / np.sqrt(n)),
        estimate_error=float(w.std(ddof=1) / w.mean() / np.sqrt(n)),
        start=start,
    )


def _ladder(temperatures: Any) -> np.ndarray:
    """All beta, (K + 1,), else raise ValueError."""
    if isinstance(temperatures, int | np.integer):
        return np.linspace(0, 1, checks.at_least("temperatures", temperatures, 1) + 1)
    beta = checks.finite("temperatures", temperatures)
    if beta.ndim != 1 or len(beta) < 2 or beta[0] != 0 or beta[-1] != 1 or not (np.diff(beta) > 0).all():
        raise ValueError(f"temperatures must be a number, or increase from 0 to 1; got an array of shape {beta.shape}.")
    return beta


def _spins(start: Data, rbm: RBM, chains: int) -> Array:
    """`start` as int8 if it has spins for every chain, else raise ValueError."""
    made = np.asarray(start)
    if made.shape != (shape := (chains, *rbm.event_shape)):
        raise ValueError(f"start must have shape (chains, n) = {shape}; got {made.shape}.")
    if not np.isin(made, (-1, 1)).all():
        raise ValueError(f"start must be +1 and -1; got {made[~np.isin(made, (-1, 1))][0]}.")
    return jnp.asarray(made, jnp.int8)
