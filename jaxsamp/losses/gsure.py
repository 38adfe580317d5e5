"""The error of a denoiser of noisy measurements, estimated without bias from their own noise."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, PyTree
from jaxsamp.corruptions import Corrupted
from jaxsamp.corruptions.condition import projected
from jaxsamp.denoisers import per_event
from jaxsamp.losses.corrupted import check, checked, probability, seen_of, unseen_of
from jaxsamp.losses.levels import NoiseLevelDistribution
from jaxsamp.losses.weightings import Weighting


def gsure(
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
    """An unbiased estimate of w(lambda) |P (h - x_0)|^2 / d of each sample, by Stein's identity; it may be negative.

    As in `ambient`, h = h(P~ x_t, A~) with P~ x_t / alpha = P~ (A^+ y + sqrt(s^2 - s_n^2) e) at s = sigma / alpha. The
    noise s_n n of A^+ y = P (x_0 + s_n n) is a part of that of x_t, so that E[(s_n n)^T P~ h] = s_n^2 E[tr P~ J] with
    the derivatives J of h in x_t / alpha, and

        |P~ (h - A^+ y)|^2 + 2 s_n^2 v^T J v - s_n^2 tr P~

    has the mean of |P~ (h - x_0)|^2, for v = P~ times independent signs: one probe, by one forward derivative. What A
    sees and A~ hides has noise that h does not depend on: |(P - P~) (h - A^+ y)|^2 - s_n^2 tr(P - P~).

    `ambient` divides by 1 - s_n^2 / s^2 instead, so that it needs levels s >= 2 s_n / sqrt(3). This one has a finite
    variance at all s >= s_n, and so trains the level of the measurements themselves, at which
    `jaxsamp.denoisers.restore` denoises. Levels s < s_n have no loss. Without noise it is `ambient`. A step costs about
    twice as much.

    Args, returns, raises: those of `jaxsamp.losses.ambient`.

    Source: Kawar, Elata, Michaeli and Elad, "GSURE-Based Diffusion Model Training with Corrupted Data", arXiv
    2305.13128; Eldar, "Generalized SURE for Exponential Families", IEEE Trans. Signal Processing 57 (2009).
    """
    check(apply, x, operator, further, cond)
    for_seen, for_probe = jax.random.split(checks.typed_key(key))
    seen = seen_of(for_seen, x, operator, law, schedule, levels, further)
    probe = projected(seen.hidden, jax.random.rademacher(for_probe, x.shape, x.dtype))
    alpha = per_event(seen.level.alpha, x).astype(x.dtype)

    def denoised(x_t: Array) -> Array:
        return apply(params, x_t, seen.t, Corrupted(seen.hidden, cond))

    mean, slope = (checked(v, x) for v in jax.jvp(denoised, (seen.x_t,), (alpha * probe,)))
    unseen = unseen_of(mean, x, operator, seen.hidden)
    known = projected(seen.hidden, mean - x)
    noise = [jax.vmap(lambda a: a.diagonal(x.shape[1:]))(a).astype(x.dtype) for a in (operator, seen.hidden)]
    hidden = unseen**2 - seen.floor**2 * (noise[0] - noise[1])
    if reweight:
        hidden /= probability(law, seen.hidden, further, x)
    errors = known**2 + seen.floor**2 * (2 * probe * slope - noise[1]) + hidden
    trained = jnp.exp(-seen.level.log_snr) >= law.noise
    squares = jnp.mean(errors.reshape(len(x), -1), -1)
    return seen.factor * weighting(seen.level.log_snr).astype(x.dtype) * jnp.where(trained, squares, 0)
