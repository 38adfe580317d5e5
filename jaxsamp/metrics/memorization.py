"""Memorization: samples that are closer to one training point than chance explains."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.types import Array
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.pairs import differences
from jaxsamp.metrics.spec import Comparison, MetricSpec
from jaxsamp.metrics.truth import array_of, flat

CANDIDATES = 4  # number of nearest points by inner products; their distances are then computed exactly
ROUNDINGS = 8  # error of a squared distance by products, in roundings of the squared lengths of both points
ROWS = 256  # samples at a time
MIN_TRAINING, MAX_REAL_POINTS = 3, 4096


def memorization(
    x: Float[Array | np.ndarray, "n *event"],
    training: Float[Array | np.ndarray, "m *event"],
    held_out: Any = None,
    threshold: float = 0.5,
) -> Metric:
    """Fraction of samples that copy a training point: |x - y_(1)| < threshold |x - y_(2)|.

    y_(1) and y_(2) are the nearest and second-nearest training points. A sample equal to a training point is a
    copy even if that point occurs twice; other copies of such a point are missed, so remove duplicates first.
    Real points meet the condition by chance too, especially in few dimensions. The null band is that of their fraction:
    if k of N real points meet it, the number among n samples is beta-binomial(n, k + 1/2, N - k + 1/2) (Jeffreys
    prior).

    Args:
        x: clean samples, (n, *event).
        training: the data that the sampler learned from, (m, *event), m >= 3.
        held_out: real points that it did not learn from, (N, *event), which give the better null. None: up to 4096
            training points, each against all the others. They meet the condition in pairs, so both counts are halved.
        threshold: the ratio in (0, 1) below which a sample is a copy.

    Returns:
        The fraction, with its binomial standard error and the band of real points.

    Raises:
        TypeError, ValueError: an argument is not as above, or not finite.

    After Gu et al., On Memorization in Diffusion Models, arXiv:2310.02664, where the threshold is 1/3.
    """
    x, training = array_of("x", x), array_of("training", training)
    real = None if held_out is None else array_of("held_out", held_out)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be in (0, 1); got {threshold}.")
    if len(training) < MIN_TRAINING:
        raise ValueError(f"training must hold at least {MIN_TRAINING} samples; got {len(training)}.")
    for argument, points in (("x", x), ("held_out", real)):
        if points is not None and points.shape[1:] != training.shape[1:]:
            raise ValueError(
                f"{argument} must have the event shape of training, {training.shape[1:]}; got {points.shape[1:]}."
            )
    copied = _copies(x, training, threshold)
    if real is None:
        step = -(-len(training) // MAX_REAL_POINTS)
        own = np.arange(0, len(training), step)
        passed, count = _copies(training[::step], training, threshold, own).sum() / 2, len(own) / 2
    else:
        passed, count = _copies(real, training, threshold).sum(), len(real)

    n, copies, value = len(x), copied.sum(), copied.mean()
    null = stats.betabinom(n, passed + 0.5, count - passed + 0.5)
    low, high = null.ppf([TAIL, 1 - TAIL]) / n
    return Metric(
        value=float(value),
        stderr=float(np.sqrt(value * (1 - value) / n)),
        null_low=float(low),
        null_high=float(high),
        p_value=float(min(1, 2 * null.cdf(copies), 2 * null.sf(copies - 1))),
        z=standardized(copies, null.mean(), null.std()),
    )


def _copies(x: Array, training: Array, threshold: float, own: np.ndarray | None = None) -> np.ndarray:
    """Which points are copies, (n,); `own` holds their indices in the training set, which are left out."""
    own = np.full(len(x), -1) if own is None else own
    nearest, second = np.asarray(_two_nearest(flat(x), flat(training), jnp.asarray(own))).T
    return (nearest < threshold * second) | (nearest == 0)


@jax.jit
def _two_nearest(x: Array, training: Array, own: Array) -> Array:
    """Distances to the nearest and second-nearest training point, (n, 2), rows by rows to bound the memory.

    Those of the nearest by inner products are computed exactly. Where rounding of the products may have hidden a
    nearer point, all are sums over differences.
    """
    count = min(CANDIDATES, len(training) - 1)
    center = training.mean(0)  # keeps the rounding of inner products small
    centered = training - center
    square = jnp.sum(centered**2, axis=1)
    eps = jnp.finfo(x.dtype).eps

    def block(part: tuple[Array, Array]) -> Array:
        x_i, i = part
        from_center = x_i - center
        size = jnp.sum(from_center**2, axis=1)
        squared = size[:, None] + square - 2 * jnp.matmul(from_center, centered.T, precision="highest")
        itself = i[:, None] == jnp.arange(len(training))
        best, place = jax.lax.top_k(-jnp.where(itself, jnp.inf, squared), count)
        near = jnp.sort(jnp.sum((training[place] - x_i[:, None]) ** 2, axis=2))[:, :2]
        error = ROUNDINGS * eps * (size + square.max())
        # The least of `best`, not its last column: of a slice XLA sorts all, 50 times as long.
        sure = (near[:, 1] < -best.min(1) - error) | (count == len(training) - 1)

        def exact() -> Array:
            others = jnp.where(itself, jnp.inf, differences(x_i, training))
            first = jnp.arange(len(training)) == jnp.argmin(others, 1)[:, None]
            return jnp.stack([others.min(1), jnp.where(first, jnp.inf, others).min(1)], 1)

        return jnp.sqrt(jax.lax.cond(sure.all(), lambda: near, exact))

    n, rows = len(x), min(ROWS, len(x))
    blocks = -(-n // rows)
    taken = jnp.minimum(jnp.arange(blocks * rows), n - 1).reshape(blocks, rows)  # the last is repeated
    return jax.lax.map(lambda at: block((x[at], own[at])), taken).reshape(-1, 2)[:n]


def _needs(comparison: Comparison) -> str | None:
    truth = comparison.truth
    applies = truth.level is None and truth.samples is not None and len(truth.samples) >= MIN_TRAINING
    return None if applies else f"an array of {MIN_TRAINING} training samples or more, and no `level`"


SPEC = MetricSpec(
    name="memorization",
    label="copies",
    run=lambda c: memorization(c.x, c.truth.samples),
    needs=_needs,
    applies_to="an array (the training set), without `level`",
    sees="copied training points",
)
