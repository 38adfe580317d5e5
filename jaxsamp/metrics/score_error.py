"""The error of a denoiser against the exact denoiser of a known law, level by level."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Float

from jaxsamp import devices, grids
from jaxsamp.core import checks, laws
from jaxsamp.core.batching import each
from jaxsamp.core.protocols import Denoiser, Law
from jaxsamp.core.types import Array, Data, PRNGKey
from jaxsamp.running.engine import spread

DEFAULT_INTERVALS = 7  # number of intervals between the default levels


class ScoreError(NamedTuple):
    """The result of `jaxsamp.score_error`: arrays of shape (levels,), from noisy to clean.

    Attributes:
        lam: lambda = log(alpha / sigma).
        mse: E|D - D*|^2, summed over the entries of one sample.
        bayes: E|x_0 - D*|^2, the Bayes risk: the smallest possible loss of any denoiser.
        relative: mse / bayes.
        stderr: standard error of `relative`.
        score: the same error for the score, E|s - s*|^2 / E|s*|^2, s = (alpha D - x_t) / sigma^2.
    """

    lam: Array
    mse: Array
    bayes: Array
    relative: Array
    stderr: Array
    score: Array


def score_error(
    key: PRNGKey,
    denoiser: Denoiser,
    target: Law,
    levels: Data | None = None,
    samples: int = 4096,
    *,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
) -> ScoreError:
    """Mean squared error of a denoiser D against the exact D* = E[x_0 | x_t] of a law, relative to the Bayes risk.

    At x_t = alpha x_0 + sigma z, with x_0 from the law,

        relative(lambda) = E|D(x_t) - D*(x_t)|^2 / E|x_0 - D*(x_t)|^2.

    It is the excess of the denoising loss over the smallest possible loss, as a fraction of the latter, whatever D
    predicts: E|D - x_0|^2 is (1 + relative) E|D* - x_0|^2. It does not depend on the scale of the schedule. At the
    largest and the smallest noise nearly any sensible D is good by this measure, because x_t says almost nothing, or
    almost everything, about x_0 there: compare it with the error of a simple denoiser, such as the exact one of a
    Gaussian. `score` divides by the size of the score instead, E|x_t / alpha - D*|^2 in the scale of x_0, and is
    sharper at small noise.

    Args:
        key: a typed key; the same x_0 and z serve all levels.
        denoiser: D, under any schedule; it is evaluated at its own schedule's (alpha, sigma, t).
        target: the law of x_0; see `jaxsamp.targets`. Its posterior mean is its own `posterior_mean(x, level)`, or
            follows from `log_prob(x, level)` by Tweedie's formula.
        levels: sigma / alpha, (levels,); by default eight from 80 to 0.02, evenly spaced in lambda, inside the range
            of the schedule. With a schedule of discrete times they are moved to trained levels.
        samples: n, the number of samples at each level.
        mesh: devices over which the samples are divided, `jaxsamp.mesh()`; None: one device. The results are equal
            up to rounding.
        microbatch: largest number of samples at a time on each device, to limit memory.

    Returns:
        `ScoreError(lam, mse, bayes, relative, stderr, score)`.

    Raises:
        ValueError: a level is not positive and finite or outside the schedule's range, another argument is out of
            range, or D was NaN or infinite.
        TypeError: the key, denoiser, target or mesh is of the wrong type.
    """
    checks.typed_key(key)
    denoiser, target = checks.denoiser(denoiser), checks.law("target", target)
    checks.at_least("samples", samples, 2)
    if microbatch is not None:
        checks.at_least("microbatch", microbatch, 1)
    devices.check_mesh(mesh)
    schedule = denoiser.schedule
    given = checks.finite("levels", grids.log_snr(schedule, DEFAULT_INTERVALS) if levels is None else levels)
    if given.ndim != 1 or not given.size or (given <= 0).any():
        raise ValueError(f"levels must be a 1-D array of sigma / alpha above 0; got {np.array2string(given)}.")
    grids.inside("levels", given, schedule)
    lam = schedule.trained(-jnp.log(jnp.asarray(given, float)))
    for_samples, for_noise = jax.random.split(key)
    x = target.sample(for_samples, samples)
    noise = jax.random.normal(for_noise, x.shape, x.dtype)
    shared, rows = devices.replicate(((denoiser, target, lam), (x, noise)), mesh)
    result = _compiled(microbatch, mesh, shared, rows)
    if not jnp.isfinite(result.mse).all():
        worst = float(jnp.exp(-lam[jnp.argmin(jnp.isfinite(result.mse))]))
        raise ValueError(f"denoiser must return finite values; it did not at sigma / alpha = {worst:.3g}.")
    return result


def _run(
    microbatch: int | None,
    mesh: Mesh | None,
    shared: tuple[Any, Any, Float[Array, "levels"]],
    rows: tuple[Float[Array, "n *event"], Float[Array, "n *event"]],
) -> ScoreError:
    """All levels of all samples; shared is (denoiser, target, lam), rows are (x_0, z)."""
    lam, n = shared[2], rows[0].shape[0]

    def whole(shared: tuple[Any, Any, Array], rows: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        return each(partial(_one, shared), rows, microbatch)

    error, risk, size = spread(whole, shared, rows, mesh)
    mse, bayes = error.mean(0), risk.mean(0)
    relative = mse / bayes
    scatter = jnp.std(error - relative * risk, axis=0, ddof=1)  # of a ratio of means, to first order
    return ScoreError(lam, mse, bayes, relative, scatter / (bayes * jnp.sqrt(n)), mse / size.mean(0))


_compiled = jax.jit(_run, static_argnums=(0, 1))


def _one(shared: tuple[Any, Any, Array], row: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """|D - D*|^2, |x_0 - D*|^2 and |x_t / alpha - D*|^2 of one sample at all levels, one per call of the denoiser."""
    (denoiser, target, lam), (x, noise) = shared, row

    def at(lam: Array) -> tuple[Array, Array, Array]:
        level = denoiser.schedule.level(lam)
        noisy = (level.alpha.astype(x.dtype) * x + level.sigma.astype(x.dtype) * noise)[None]
        exact = laws.posterior_mean(target, noisy, level)
        s = jnp.exp(-lam).astype(x.dtype)  # x_t / alpha - D* = x - D* + s noise, without cancellation of x
        differences = denoiser(noisy, level) - exact, x - exact[0], x - exact[0] + s * noise
        error, risk, size = (jnp.sum(jnp.square(difference)) for difference in differences)
        return error, risk, size

    return lax.map(at, lam)
