"""The denoising loss of samples that are used only where noise hides their damage, with the damage noised too."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.denoisers import per_event
from jaxsamp.losses.denoising import at_level
from jaxsamp.losses.weightings import EDMWeighting, Weighting

TARGETS = ("x_tn", "x0")


def ambient_omni(
    key: Array,
    apply: Callable[..., Array],
    params: PyTree,
    x: Float[Array, "batch *event"],
    schedule: Any,
    prediction: str = "epsilon",
    *,
    level: Level,
    sigma_n: ArrayLike = 0.0,
    own: Float[Array, "batch *event"] | None = None,
    target: str = "x_tn",
    weighting: Weighting | None = EDMWeighting(),  # noqa: B008  (frozen)
    cond: PyTree = None,
) -> Float[Array, "batch"]:
    """The loss of samples x at levels s = sigma / alpha > sigma_n, of which only x_tn = x + sigma_n z is ever used.

    z is a noise of each sample's own, the same whenever it returns, so that the network does not see x itself. It gets
    x_t / alpha = x_tn + sqrt(s^2 - sigma_n^2) e with fresh noise e, and with r = (sigma_n / s)^2 the loss is

        w(lambda) |D - (x_tn - r x_t / alpha) / (1 - r)|^2 / d,

    that is, w / (1 - r)^2 times the squared error of (1 - r) D + r x_t / alpha as the mean of x_tn. Over many samples
    the target is x and a noise of variance sigma_n^2 / (1 - r), independent of x_t given x. So the minimizer is the
    posterior mean of the law of x, as it is for `denoising`. All of it is written for x_t / alpha, so that it is one
    loss under every schedule. Where sigma_n = 0 it is that of `denoising`.

    Args:
        key: a typed key; draws e.
        apply: (params, x_t, t, cond) -> output of x's shape, as for `jaxsamp.denoiser`.
        params: the weights.
        x: clean or damaged data, (batch, *event).
        schedule: how noise grows.
        prediction: what the network predicts.
        level: the level of each sample, with arrays (batch,).
        sigma_n: the noise sigma / alpha of each sample's own, (batch,) or a number, below s.
        own: z, standard normal, (batch, *event); None if sigma_n = 0 for all samples, or if target="x0".
        target: "x_tn"; or "x0" for `denoising` of x itself, whose minimizer over all functions is the same, but which
            shows the network x.
        weighting: w(lambda), the same weight of D at all sigma_n; None for the plain squared error of the network's own
            output.
        cond: the condition passed to `apply`.

    Returns:
        (batch,), the mean over the entries of each sample.

    Raises:
        ValueError: prediction or target is unknown, the output has another shape, or sigma_n is not below s.

    Source: Daras et al., "Consistent Diffusion Meets Tweedie: Training Exact Ambient Diffusion Models with Noisy Data",
    arXiv 2404.10177; "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv 2506.10038.
    """
    checks.typed_key(key)
    checks.one_of("target", target, TARGETS)
    fresh = jax.random.normal(key, x.shape, x.dtype)
    if target == "x0" or own is None:
        return at_level(apply, params, x, fresh, level, schedule, prediction, weighting, cond)
    ratio = jnp.asarray(sigma_n) * jnp.exp(level.log_snr)  # sigma_n / s
    if checks.is_concrete(ratio) and not (ratio < 1).all():
        s = np.exp(-np.broadcast_to(level.log_snr, ratio.shape))
        worst = np.unravel_index(np.argmax(ratio), ratio.shape)
        noise = float(np.broadcast_to(sigma_n, ratio.shape)[worst])
        raise ValueError(f"sigma_n must be below sigma / alpha, {s[worst]:g}; got {noise:g}.")
    ratio = per_event(ratio, x).astype(x.dtype)
    rest = jnp.sqrt(1 - jnp.square(ratio))
    size = per_event(jnp.asarray(sigma_n), x).astype(x.dtype)
    noise, shift = ratio * own + rest * fresh, size * (own - ratio / rest * fresh)
    return at_level(apply, params, x, noise, level, schedule, prediction, weighting, cond, shift)
