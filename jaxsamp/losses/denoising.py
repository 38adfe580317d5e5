"""The denoising loss, w(lambda) |D - x_0|^2 / d, of a network with any prediction."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree, wide
from jaxsamp.denoisers import per_event
from jaxsamp.losses.levels import LogNormal, NoiseLevelDistribution
from jaxsamp.losses.weightings import EDMWeighting, Weighting
from jaxsamp_kernels import prediction as predictions


def denoising(
    key: Array,
    apply: Callable[..., Array],
    params: PyTree,
    x: Float[Array, "batch *event"],
    schedule: Any,
    prediction: str = "epsilon",
    *,
    levels: NoiseLevelDistribution = LogNormal(),  # noqa: B008  (frozen)
    weighting: Weighting | None = EDMWeighting(),  # noqa: B008
    cond: PyTree = None,
    sigma_data: ArrayLike | None = None,
) -> Float[Array, "batch"]:
    """The denoising loss of each sample at its own level; training minimizes the mean.

    Its minimizer over all functions is the posterior mean E[x_0 | x_t], whatever the law of levels, the weighting
    and the prediction.

    Args:
        key: a typed key; draws the levels and the noise.
        apply: (params, x_t, t, cond) -> output of x's shape, as for `jaxsamp.denoiser`.
        params: the weights.
        x: clean data, (batch, *event).
        schedule: how noise grows.
        prediction: what the network predicts.
        levels: the law from which each sample's noise level is drawn.
        weighting: w(lambda); None for the plain squared error of the network's own output.
        cond: the condition passed to `apply`; see `drop` for training with guidance.
        sigma_data: standard deviation of the data, for a law of levels that depends on it, such as `LogNormal()`; by
            default that of the weighting, if it has one.

    Returns:
        (batch,), the mean over the entries of each sample.

    Raises:
        ValueError: the prediction is unknown, the output has another shape, or the law of levels needs sigma_data.
        TypeError: "velocity" under a schedule without a derivative.

    Source: Vincent, "A Connection Between Score Matching and Denoising Autoencoders", Neural Computation 23 (2011);
    Kingma and Gao, "Understanding Diffusion Objectives as the ELBO with Simple Data Augmentation", arXiv 2303.00848.
    """
    checks.typed_key(key)
    for_levels, for_noise = jax.random.split(key)
    if not levels.is_resolved:
        sigma_data = getattr(weighting, "sigma_data", None) if sigma_data is None else sigma_data
        if sigma_data is None:
            raise ValueError(f"sigma_data must be given for levels that are scaled by it, {levels}; got None.")
        levels = levels.resolved(sigma_data, x.shape[1:])
    level, factor = levels.draw(for_levels, x.shape[0], schedule)
    noise = jax.random.normal(for_noise, x.shape, x.dtype)
    return factor.astype(x.dtype) * at_level(apply, params, x, noise, level, schedule, prediction, weighting, cond)


def at_level(
    apply: Callable[..., Array],
    params: PyTree,
    x: Float[Array, "batch *event"],
    noise: Float[Array, "batch *event"],
    level: Level,
    schedule: Any,
    prediction: str = "epsilon",
    weighting: Weighting | None = EDMWeighting(),  # noqa: B008  (frozen)
    cond: PyTree = None,
    shift: Float[Array, "batch *event"] | None = None,
) -> Float[Array, "batch"]:
    """The same loss for given noise and level: w(lambda) |D - x|^2 / d at x_t = alpha x + sigma noise.

    Computed as w c^2 |output - true output|^2, where D = (...) x_t + c output, so that small errors at small noise
    are not differences of large numbers. With a `shift`, D is compared with x + shift at the same x_t.
    """
    checks.one_of("prediction", prediction, predictions.NAMES)
    t = schedule.level(level.log_snr).t if level.t is None else level.t
    rates = schedule.rates(t) if prediction == "velocity" else ()
    coefficients = [per_event(c, x).astype(x.dtype) for c in (level.alpha, level.sigma, *rates)]
    noisy = coefficients[0] * x + coefficients[1] * noise
    out = apply(params, noisy, jnp.broadcast_to(t, x.shape[:1]), cond)
    if out.shape != x.shape:
        raise ValueError(f"apply must return an array of x's shape {x.shape}; got {out.shape}.")
    error = out.astype(x.dtype) - predictions.from_noise(prediction, x, noise, *coefficients)
    per_output = predictions.coefficients(prediction, *coefficients)[1]
    if shift is not None:
        error -= shift / per_output
    if weighting is not None:
        weight = jnp.asarray(weighting(level.log_snr), x.dtype)
        error *= per_event(jnp.sqrt(weight), x) * per_output
    return jnp.mean(jnp.square(error).reshape(x.shape[0], -1), -1)


def drop(key: Array, cond: PyTree, null: PyTree, rate: ArrayLike) -> PyTree:
    """Replace the condition of each sample by `null` with probability `rate`, so that one network learns both laws.

    Args:
        key: a typed key.
        cond: a pytree with leaves (batch, ...).
        null: the `cond` of "no condition" for one sample, as for `jaxsamp.guide`; None for a leaf that is kept.
        rate: probability in [0, 1]; 0.1 to 0.2 is usual.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598.
    """
    batch = jax.tree.leaves(cond)[0].shape[0]
    dropped = jax.random.bernoulli(key, rate, (batch,))

    def choose(null: ArrayLike | None, leaf: Any) -> Any:
        if null is None:
            return leaf
        leaf = wide(leaf)
        return jnp.where(per_event(dropped, leaf), jnp.asarray(null, leaf.dtype), leaf)

    return jax.tree.map(choose, null, cond, is_leaf=lambda leaf: leaf is None)
