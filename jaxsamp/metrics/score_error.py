"""How far a denoiser is from the exact one of a known law, level by level."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from jaxsamp import grids
from jaxsamp.core import checks
from jaxsamp.core.batching import each
from jaxsamp.core.types import Array, Data

INTERVALS = 7  # between the levels that are looked at if none are given


class ScoreError(NamedTuple):
    """What `jaxsamp.score_error` returns: arrays of shape (levels,), from noisy to clean.

    Attributes:
        lam: lambda = log(alpha / sigma).
        mse: E|D - D*|^2, summed over the entries of a sample.
        bayes: E|x_0 - D*|^2, the least that the loss of any denoiser can be: the Bayes risk.
        relative: mse / bayes.
        stderr: standard error of `relative`.
        score: the same error as that of the score, E|s - s*|^2 / E|s*|^2, s = (alpha D - x_t) / sigma^2.
    """

    lam: Array
    mse: Array
    bayes: Array
    relative: Array
    stderr: Array
    score: Array


def score_error(
    key: Array,
    denoiser: Any,
    target: Any,
    levels: Data | None = None,
    samples: int = 4096,
    *,
    microbatch: int | None = None,
) -> ScoreError:
    """Mean squared error of a denoiser D against the exact D* = E[x_0 | x_t] of a known law, relative to Bayes risk.

    At x_t = alpha x_0 + sigma z, x_0 from the law,

        relative(lambda) = E|D(x_t) - D*(x_t)|^2 / E|x_0 - D*(x_t)|^2.

    It is the excess of the denoising loss over the least possible one, as a share of that, whatever D predicts:
    E|D - x_0|^2 is (1 + relative) E|D* - x_0|^2. It does not depend on the scale of the schedule. At both ends of the
    noise nearly any sensible D is good by this measure, for there x_0 cannot be told from its mean, or hardly differs
    from x_t / alpha: judge it next to that of a simple denoiser, such as the exact one of a Gaussian. `score` divides
    by the size of the score instead, E|x_t / alpha - D*|^2 in the scale of x_0, and is the sharper one at small noise.

    Args:
        key: a typed key; the same x_0 and z serve all levels.
        denoiser: D, under any schedule; it is asked at its own schedule's (alpha, sigma, t).
        target: the law of x_0, with `sample(key, n)` and `posterior_mean(x, level)`; see `jaxsamp.targets`.
        levels: sigma / alpha, (levels,); by default eight from 80 to 0.02, even in lambda, as far as the schedule goes.
            Under a schedule of discrete times, moved to trained levels.
        samples: n, number of samples at each level.
        microbatch: at most so many samples at a time, against running out of memory.

    Returns:
        `ScoreError(lam, mse, bayes, relative, stderr, score)`.

    Raises:
        ValueError: levels that are not positive and finite, or another argument out of range; or D was NaN or infinite.
        TypeError: a key, denoiser or target of the wrong type.
    """
    checks.typed_key(key)
    checks.denoiser(denoiser)
    if not (hasattr(target, "sample") and hasattr(target, "posterior_mean")):
        raise TypeError(f"target must have `sample` and `posterior_mean`; got a {type(target).__name__}.")
    checks.at_least("samples", samples, 2)
    if microbatch is not None:
        checks.at_least("microbatch", microbatch, 1)
    schedule = denoiser.schedule
    given = checks.finite("levels", grids.log_snr(schedule, INTERVALS) if levels is None else levels)
    if given.ndim != 1 or not given.size or (given <= 0).any():
        raise ValueError(f"levels must be a 1-D array of sigma / alpha above 0; got {np.array2string(given)}.")
    lam = schedule.trained(-jnp.log(jnp.asarray(given, float)))
    for_samples, for_noise = jax.random.split(key)
    x = target.sample(for_samples, samples)
    noise = jax.random.normal(for_noise, x.shape, x.dtype)
    found = _compiled(microbatch, denoiser, target, lam, x, noise)
    if not jnp.isfinite(found.mse).all():
        worst = float(jnp.exp(-lam[jnp.argmin(jnp.isfinite(found.mse))]))
        raise ValueError(f"denoiser must return finite values; it did not at sigma / alpha = {worst:.3g}.")
    return found


def _run(
    microbatch: int | None,
    denoiser: Any,
    target: Any,
    lam: Float[Array, "levels"],
    x: Float[Array, "n *event"],
    noise: Float[Array, "n *event"],
) -> ScoreError:
    """All levels of all samples, one sample a call as in `jaxsamp.sample`."""

    def one(pair: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        x, noise = pair

        def at(lam: Array) -> tuple[Array, Array, Array]:
            level = denoiser.schedule.level(lam)
            noisy = (level.alpha.astype(x.dtype) * x + level.sigma.astype(x.dtype) * noise)[None]
            exact = target.posterior_mean(noisy, level)
            s = jnp.exp(-lam).astype(x.dtype)  # x_t / alpha - D* = x - D* + s noise, without cancellation of x
            differences = denoiser(noisy, level) - exact, x - exact[0], x - exact[0] + s * noise
            error, risk, size = (jnp.sum(jnp.square(difference)) for difference in differences)
            return error, risk, size

        return lax.map(at, lam)

    n = x.shape[0]
    error, risk, size = each(one, (x, noise), microbatch)
    mse, bayes = error.mean(0), risk.mean(0)
    relative = mse / bayes
    scatter = jnp.std(error - relative * risk, axis=0, ddof=1)  # of a ratio of means, to first order
    return ScoreError(lam, mse, bayes, relative, scatter / (bayes * jnp.sqrt(n)), mse / size.mean(0))


_compiled = jax.jit(_run, static_argnums=0)
