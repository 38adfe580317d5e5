"""The ambient loss: E[x_0 | A~ x_t, A~] from measurements of x_0 that are themselves corrupted."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.corruptions import Corrupted
from jaxsamp.corruptions.condition import projected
from jaxsamp.denoisers import per_event
from jaxsamp.losses.levels import NoiseLevelDistribution
from jaxsamp.losses.weightings import Weighting

BUFFER = 2 / 3**0.5  # times the noise of the measurements: levels below are not trained, and weights are at most 16


def ambient(
    key: Array,
    apply: Callable[..., Array],
    params: PyTree,
    x: Float[Array, "batch *event"],
    operator: Any,
    law: Any,
    schedule: Any,
    *,
    levels: NoiseLevelDistribution,
    weighting: Weighting,
    further: ArrayLike = 0.1,
    reweight: bool = False,
    cond: PyTree = None,
) -> Float[Array, "batch"]:
    """The loss w(lambda) |P (h - x_0)|^2 / d of each sample, with h = h(P~ x_t, A~) and P x_0 = A^+ y; training
    minimizes the mean.

    P = A^+ A projects on what A sees, and P~ on what A~ = B A sees, with B drawn anew for every call. Its minimizer is
    E[x_0 | A~ x_t, A~], because given A~ and A~ x_t the operator A is independent of x_0, and E[P | A~] has no zero
    eigenvalue.

    If y has noise of standard deviation s_n, the noise level s = sigma / alpha starts from there: P~ x_t / alpha =
    P~ (A^+ y + sqrt(s^2 - s_n^2) z); the target of what A~ sees is (A^+ y - r P~ x_t / alpha) / (1 - r), r = s_n^2 /
    s^2, whose mean given x_t is that of x_0; and levels s < 2 s_n / sqrt(3) have no loss. For
    this A^+ n must be P times white noise: the singular values of A must be 0 and 1.

    Args:
        key: a typed key; draws levels, noise and further corruptions.
        apply: (params, x_t, t, cond) -> h, of x's shape; `cond` is a `jaxsamp.corruptions.Corrupted`.
        params: the weights.
        x: what is known of the data, A^+ y, (batch, *event); see `Measurements.back_projection`.
        operator: A of each sample.
        law: the law of A, one of `jaxsamp.corruptions`; `jaxsamp.corruptions.laws.least_seen` raises an error for one
            that cannot be learned from, as `jaxsamp.fit` does.
        schedule: how noise grows.
        levels: the law from which each sample's noise level is drawn.
        weighting: w(lambda).
        further: rate of the further corruption, in (0, 1).
        reweight: divide the error of what A sees and A~ hides by its probability, so that all directions count alike.
        cond: other conditions of the network.

    Returns:
        (batch,), the mean over the entries of each sample.

    Raises:
        ValueError: further is not in (0, 1), there is not one operator per sample, the output has another shape, or
            `apply` is a `jaxsamp.models.Model` whose network does not read what it is told of the operators.

    Source: Daras et al., "Ambient Diffusion: Learning Clean Distributions from Corrupted Data", arXiv 2305.19256; for
    noise in y, Daras, Dimakis and Daskalakis, "Consistent Diffusion Meets Tweedie", arXiv 2404.10177.
    """
    check(apply, x, operator, further, cond)
    seen = seen_of(key, x, operator, law, schedule, levels, further)
    mean = checked(apply(params, seen.x_t, seen.t, Corrupted(seen.hidden, cond)), x)
    share = jnp.minimum((seen.floor / seen.s) ** 2, 1 / BUFFER**2)
    known = projected(seen.hidden, mean - (x - share * seen.noisy) / (1 - share))
    unseen = unseen_of(mean, x, operator, seen.hidden)
    if reweight:
        unseen /= jnp.sqrt(probability(law, seen.hidden, further, x))
    squares = jnp.mean((known**2 + unseen**2).reshape(len(x), -1), -1)
    trained = jnp.exp(-seen.level.log_snr) > BUFFER * law.noise
    return seen.factor * weighting(seen.level.log_snr).astype(x.dtype) * jnp.where(trained, squares, 0)


def check(apply: Any, x: Array, operator: Any, further: ArrayLike, cond: PyTree) -> None:
    """Raise ValueError unless these arguments of `ambient` fit each other."""
    check_further(further)
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(operator)]
    if any(shape[:1] != x.shape[:1] for shape in shapes):
        raise ValueError(f"operator must have one entry per sample of x, {len(x)}; got arrays of shapes {shapes}.")
    if hasattr(apply, "check_reads"):
        apply.check_reads(x, operator, cond, "apply")


def check_further(further: ArrayLike) -> None:
    """Raise ValueError unless the rate of the further corruption is one to learn from."""
    if checks.is_concrete(further) and not 0 < float(np.asarray(further)) < 1:
        raise ValueError(
            f"further must be in (0, 1), because what is hidden from the network teaches it the rest; got {further}."
        )


class Seen(NamedTuple):
    """What a network sees of measurements at the levels that are drawn for them.

    Attributes:
        level, factor: the level of each sample, and the factor of its loss.
        hidden: A~ of each sample.
        s, floor: sigma / alpha, and the noise of y; of the event's number of axes.
        noisy, x_t: P~ x_t / alpha and P~ x_t.
        t: time of each sample.
    """

    level: Level
    factor: Array
    hidden: Any
    s: Array
    floor: Array
    noisy: Array
    x_t: Array
    t: Array


def seen_of(key: Array, x: Array, operator: Any, law: Any, schedule: Any, levels: Any, further: ArrayLike) -> Seen:
    """Draw a level, a further corruption and noise beside that of y for each sample."""
    checks.typed_key(key)
    for_levels, for_noise, for_further = jax.random.split(key, 3)
    level, factor = levels.draw(for_levels, x.shape[0], schedule)
    hidden = jax.vmap(law.thinned, (0, 0, None))(jax.random.split(for_further, len(x)), operator, further)
    alpha, s, floor = (per_event(v, x).astype(x.dtype) for v in (level.alpha, jnp.exp(-level.log_snr), law.noise))
    added = jnp.sqrt(jnp.maximum(s**2 - floor**2, 0))
    noisy = projected(hidden, x + added * jax.random.normal(for_noise, x.shape, x.dtype))
    t = jnp.broadcast_to(schedule.level(level.log_snr).t if level.t is None else level.t, x.shape[:1])
    return Seen(level, factor.astype(x.dtype), hidden, s, floor, noisy, alpha * noisy, t)


def checked(mean: Array, x: Array) -> Array:
    """What the network returned, in x's type; raises ValueError unless it is of x's shape."""
    if mean.shape != x.shape:
        raise ValueError(f"apply must return an array of x's shape {x.shape}; got {mean.shape}.")
    return mean.astype(x.dtype)


def unseen_of(mean: Array, x: Array, operator: Any, hidden: Any) -> Array:
    """(P - P~) h - (P - P~) A^+ y, the error of what A sees and A~ hides."""
    error = projected(operator, mean) - x
    return error - projected(hidden, error)


def probability(law: Any, hidden: Any, further: ArrayLike, x: Array) -> Array:
    """q, with which A sees what A~ hides, of a shape that divides x."""
    gram = jax.vmap(law.gram, (0, None))(hidden, further)
    return per_event(gram, x) if gram.ndim == 1 else gram
