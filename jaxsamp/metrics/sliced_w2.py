"""Sliced Wasserstein distance: one-dimensional transport, averaged over directions."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core.checks import at_least
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import NULL_SETS, Metric, compare, judged
from jaxsamp.metrics.spec import MetricSpec
from jaxsamp.metrics.truth import DIRECTIONS, prepared


def sliced_w2(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array | None = None,
    level: Level | None = None,
    directions: int = 256,
    null_sets: int = NULL_SETS,
) -> Metric:
    """Squared sliced Wasserstein-2 distance between samples and truth, minus its mean for true samples.

    SW2^2(p, q) = E_theta W2^2(theta . X, theta . Y), theta uniform on the unit sphere; for a shift by mu it is
    |mu|^2 / d. Between finite sets it is positive even for true samples (often ten times its scatter), so the value is
    the debiased square: zero on average for true samples, and negative half of the time.

    Args:
        x: samples, (n, *event).
        reference: a law, a `NullBank` of one, or an array of true clean samples, (m, *event); m need not be n.
        key: draws the directions, the true samples and the null sets; None with a bank.
        level: the noise level of x; None for clean samples.
        directions: number of random directions; all null sets use the same ones.
        null_sets: number of null values, at least 20.

    Returns:
        The distance in the squared unit of x, with its null band.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.

    Bonneel, Rabin, Peyre and Pfister, Sliced and Radon Wasserstein Barycenters of Measures, 2015; for the rates
    Nadjahi et al., Statistical and Topological Properties of Sliced Probability Divergences, arXiv:2003.05783.
    """
    x, truth, key = prepared(x, reference, key, level)
    shape = (at_least("directions", directions, 1), max(x[0].size, 1))
    theta = jax.random.normal(jax.random.fold_in(key, DIRECTIONS), shape, x.dtype)
    theta /= jnp.linalg.norm(theta, axis=1, keepdims=True)
    distance_to = partial(_distance_to, theta=theta)
    value, nulls = compare(distance_to, x, truth, key, null_sets, name=("sliced_w2", directions))
    return judged(value - nulls.mean(), nulls - nulls.mean())


def sliced_wasserstein(
    x: Float[Array | np.ndarray, "n d"],
    y: Float[Array | np.ndarray, "m d"],
    theta: Float[Array | np.ndarray, "k d"],
) -> float:
    """Mean over the k unit directions of the squared W2 between the projections of x and of y.

    W2^2 = int_0^1 (F_x^-1(u) - F_y^-1(u))^2 du, where the quantile functions F^-1 are the step functions of the
    sorted projections: exact for unequal sizes, too. The unit is the squared unit of x.
    """
    return _distance_to(jnp.asarray(y), jnp.asarray(theta))(jnp.asarray(x))


def _distance_to(y: Array, theta: Array) -> Callable[[Array], float]:
    center = jnp.mean(y, axis=0)  # rounding errors of projections grow with the distance from the origin
    return partial(_distance, center, _sorted_projections(y - center, theta), theta)


def _distance(center: Array, sorted_y: np.ndarray, theta: Array, x: Array) -> float:
    i, j, width = _common_steps(len(x), sorted_y.shape[1])
    gap = _sorted_projections(x - center, theta)[:, i] - sorted_y[:, j]
    return float(np.square(gap).mean(axis=0) @ width)


def _sorted_projections(x: Array, theta: Array) -> np.ndarray:
    # NumPy sorts twenty times as fast as XLA on a CPU.
    return np.sort(np.asarray(_project(theta, x)), axis=1)


@jax.jit
def _project(theta: Array, x: Array) -> Array:
    return jnp.matmul(theta, x.T, precision="highest")


def _common_steps(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split [0, 1] at the steps of both quantile functions; return the index of each piece in both, and its width."""
    # In integers, units of 1 / (n m), so that no step is split by rounding.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    starts = np.concatenate([[0], ends[:-1]])
    return starts // m, starts // n, (ends - starts) / (n * m)


SPEC = MetricSpec(
    name="sliced_w2",
    label="sliced W2, squared",
    run=lambda c: sliced_w2(c.x, c.truth, c.key, null_sets=c.null_sets),
    sees="shifts, scales, lost modes",
)
