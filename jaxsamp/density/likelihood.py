"""`log_likelihood`: the log density that a denoiser's probability flow gives to data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Float

from jaxsamp import grids
from jaxsamp.core import checks, shown
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree
from jaxsamp.density.flows import MAX_EXACT_DIM, log_normal
from jaxsamp.running import rows
from jaxsamp.running.sampling import raise_if_bad
from jaxsamp.running.trajectory import evaluator

DEFAULT_PROBES = 4  # for events that are too large for the exact trace
# Classical Runge-Kutta: position of each stage in the step, and its weight.
STAGES, STAGE_WEIGHTS = (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
MAX_GAIN = 0.99  # of a denoiser's mean Jacobian at the first level, which is below 1 for every law


class LogLikelihood(NamedTuple):
    """What `jaxsamp.log_likelihood` returns.

    Attributes:
        log_prob: log densities in nats, (n,).
        stderr: standard error of each, from its probes, (n,): 0 for the exact trace, NaN for a single probe.
        latent: end of the flow, without the mean and in units of the standard deviation there, (n, *event); standard
            normal if the denoiser is exact.
        stats: arrays of shape (n,): `rounds`, `evaluations`, `evaluations_computed`, which counts each probe as one
            more evaluation, and `first_bad_step` (-1 if every step was finite).
    """

    log_prob: Array
    stderr: Array
    latent: Array
    stats: dict[str, Array]

    def __repr__(self) -> str:
        return shown.line(self)


def log_likelihood(
    key: PRNGKey,
    denoiser: Denoiser,
    x: Data,
    steps: int | None = None,
    *,
    grid: grids.Grid = "log_snr",
    probes: int | None = None,
    cond: PyTree = None,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
) -> LogLikelihood:
    """Log density of data under the law that a denoiser's probability flow draws from.

    With s = sigma / alpha, the flow of x_t / alpha is dx / dlog s = x - D(x, s). It is integrated from x at the grid's
    last level s_0 up to its first level s_1, where the law is N(m, C + s_1^2 I) with the mean m and the covariance C of
    x_0; on the way the log density changes by the divergence:

        log p(x) = log N(x(s_1); m, C + s_1^2 I) + int (d - tr dD/dx) dlog s,   from s_0 to s_1.

    The denoiser itself knows m and C at s_1: x - D = (I - J)(x - m) with J = dD/dx = C (C + s_1^2 I)^-1. In terms of
    r = x - D and g = tr J / d, to second order in J - g I (exactly, if all variances are equal),

        log N = -|e|^2 / 2 - (d / 2) log(2 pi s_1^2 / (1 - g)),   e = (r + (J r - g r) / (2 - 2 g)) / (s_1 sqrt(1 - g)).

    So if D is exact and noise drowns the law at s_1, this is the density of x_0 + s_0 z, up to the error of the steps.
    `sample` starts from N(0, s_1^2 I), so its law is this one only where m and C are small beside s_1. No noise is
    added to x; for pixels see `bits_per_dim`.
    The result is the same under every schedule, because the equation is solved in log s, by the classical Runge-Kutta
    method of order 4 for (x - c) / sqrt(1 + s^2) with c near m, which two evaluations at s_1 give, so that a normal law
    of variance 1 does not move and errors do not grow with the mean.

    The trace is exact, at the cost of d more evaluations, or Hutchinson's estimate: the mean of v^T (dD/dx) v over
    vectors v of random signs. New signs are drawn at every stage; this keeps the estimate unbiased and averages its
    error along the flow.

    Args:
        key: a typed key; sample i draws its signs from fold_in(key, i), so its result does not depend on the others.
        denoiser: E[x_0 | x_t], differentiable in x. With discrete times, the network gets the trained time nearest to
            each stage, which leaves an error that more steps do not remove.
        x: data in the scale of x_0, (n, *event).
        steps: number of intervals, with four evaluations each, two before and two at the end; 32 unless `grid` is an
            array.
        grid: as in `sample`; for another range pass levels, such as
            `jaxsamp.grids.log_snr(schedule, 64, sigma_min=0.002)`.
        probes: number of sign vectors at every stage; 0 for the exact trace. By default 0 for up to 32 numbers per
            event, otherwise 4.
        cond: a pytree for the denoiser, leaves (n, ...); the density is then conditional on `cond`.
        mesh: devices to divide the samples over, `jaxsamp.mesh()`.
        microbatch: the most samples computed at once on each device, to limit memory.

    Returns:
        `LogLikelihood(log_prob, stderr, latent, stats)`.

    Raises:
        ValueError: data are not finite, a grid or count is wrong, or a network returned NaN or infinity.
        TypeError: a key or denoiser of the wrong type.

    Source: Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", arXiv 2011.13456;
    Grathwohl et al., "FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models", arXiv
    1810.01367 (the trace by random vectors).
    """
    x = jnp.asarray(checks.floating("x", x))
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    denoiser = checks.batch(key, denoiser, x.shape, cond, microbatch)
    size = math.prod(x.shape[1:])
    if probes is None:
        probes = 0 if size <= MAX_EXACT_DIM else DEFAULT_PROBES
    checks.at_least("probes", probes, 0)
    levels = jnp.asarray(grids.resolve(grid, denoiser.schedule, steps, denoiser=denoiser), x.dtype)
    if checks.is_concrete(x):
        checks.finite("x", x)
    ascent = _Ascent(denoiser, levels, probes)
    log_prob, stderr, latent, bad = rows(key, ascent, x.shape[0], (x, cond), mesh=mesh, microbatch=microbatch)
    if checks.is_concrete(bad):
        raise_if_bad(bad, len(levels) - 1)
    # Two before, without a vector; at the end two more, the second one with a single vector.
    rounds, each = len(STAGES) * (len(levels) - 1) + 4, getattr(denoiser, "evaluations", 1)
    computed = each * ((rounds - 3) * (1 + (probes or size)) + 4)
    counts = {"rounds": rounds, "evaluations": rounds * each, "evaluations_computed": computed}
    stats = {name: jnp.full(x.shape[:1], count) for name, count in counts.items()}
    return LogLikelihood(log_prob, stderr, latent, stats | {"first_bad_step": bad})


def bits_per_dim(log_prob: Float[Array | np.ndarray, "*batch"], shape: tuple[int, ...], scale: float | int) -> Array:
    """Negative log probability of quantized data in bits per number: -(log_prob / d + log scale) / log 2.

    Data with gray levels k = 0, 1, ... at x = scale k + offset have no density: that of a sharp model grows without
    bound. So add uniform noise before `log_likelihood`: x + scale u with u in [0, 1). The density in units of gray
    levels is scale^d p(x), and by Jensen's inequality its mean log over u is at most the log probability of k: the bits
    are an upper bound of what the best code under the model needs. For 256 gray levels as read by `jaxsamp.datasets`,
    x = k / 127.5 - 1, scale is 2 / 255; for x = k / 128 - 1 it is 2 / 256, so that -log scale / log 2 is 7 bits.

    Args:
        log_prob: log densities in nats, any shape.
        shape: shape of one sample, d numbers in all.
        scale: distance of neighboring gray levels in x, above 0.

    Returns:
        Bits per number, in the shape of `log_prob`.

    Raises:
        ValueError: scale is not above 0, or an entry of shape is below 1.

    Source: Theis, van den Oord and Bethge, "A note on the evaluation of generative models", arXiv 1511.01844.
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0; got {scale}.")
    for size in shape:
        checks.at_least("every entry of shape", size, 1)
    return -(jnp.asarray(log_prob) / math.prod(shape) + math.log(scale)) / math.log(2)


@pytree
@dataclass(frozen=True)
class _Ascent:
    """The integration of one sample along the flow, from the last level to the first."""

    denoiser: Denoiser
    levels: Array
    probes: int = field(metadata={"static": True})

    def __call__(self, key: Array, item: tuple[Array, PyTree]) -> tuple[Array, Array, Array, Array]:
        """Its log density, the standard error of it, the end of the flow, and the first bad step."""
        x, cond = item
        levels, rng, denoise = self.levels, Rng(key, x.shape, x.dtype), evaluator(self.denoiser, cond)
        scale = lax.rsqrt(1 + levels**2)  # the integrated state is scale (x - center)
        center = lax.stop_gradient(_center(denoise, x, -jnp.log(levels[0])))

        def about(z: Array, lam: Array) -> Array:
            return denoise(center + z, lam) - center

        y, traces, bad = _integrate(self.probes, about, jnp.log(levels[::-1]), rng, scale[-1] * (x - center))
        latent, gains = _ending(self.probes, about, levels[0], rng, y / scale[0], len(STAGES) * (len(levels) - 1))
        traces += 0.5 * x.size * jnp.log1p(-gains)
        volume = x.size * (jnp.log(scale[-1]) - jnp.log(scale[0] * levels[0]))
        bad = jnp.where((bad < 0) & ~jnp.isfinite(latent).all(), len(levels) - 2, bad)
        stderr = jnp.std(traces, ddof=1) / math.sqrt(self.probes) if self.probes else jnp.zeros((), x.dtype)
        return log_normal(latent) + volume + traces.mean(), stderr, latent, bad


def _center(denoise: Callable[[Array, Array], Array], x: Array, lam: Array) -> Array:
    """A point near the mean m, which it is if all variances are equal: D - m = g (x - m) then, at D too.

    Any constant leaves the flow right, and this one its states of the size of the standard deviation.
    """
    once = denoise(x, lam)
    moved, again = once - x, denoise(once, lam) - once
    gain = jnp.clip(jnp.sum(again * moved) / jnp.maximum(jnp.sum(moved**2), jnp.finfo(x.dtype).tiny), 0, MAX_GAIN)
    return once + again / (1 - gain)


def _ending(
    probes: int, denoise: Callable[[Array, Array], Array], s: Array, rng: Rng, x: Array, stage: int
) -> tuple[Array, Array]:
    """The latent of the state at the first level, and from each probe the mean g of the Jacobian's diagonal."""
    v = _vectors(probes, rng, x, stage)
    denoised, moved = _along(denoise, x, -jnp.log(s), v)
    diagonal = jnp.sum((v * moved).reshape(len(v), -1), -1)
    gains = jnp.minimum((diagonal if probes else diagonal.sum(keepdims=True)) / x.size, MAX_GAIN)
    r, g = x - denoised, gains.mean()
    shrunk = _along(denoise, x, -jnp.log(s), r[None])[1][0]
    return (r + 0.5 * (shrunk - g * r) / (1 - g)) / (s * jnp.sqrt(1 - g)), gains


def _along(denoise: Callable[[Array, Array], Array], x: Array, lam: Array, vectors: Array) -> tuple[Array, Array]:
    """D at x, and the products of its Jacobian with each of the vectors."""
    return jax.vmap(lambda v: jax.jvp(lambda x: denoise(x, lam), (x,), (v,)), out_axes=(None, 0))(vectors)


def _vectors(probes: int, rng: Rng, x: Array, stage: Array | int) -> Array:
    """The random signs of one evaluation, or all unit vectors for the exact trace."""
    return rng.signs(stage, probes) if probes else jnp.eye(x.size, dtype=x.dtype).reshape(-1, *x.shape)


def _integrate(
    probes: int, denoise: Callable[[Array, Array], Array], log_s: Array, rng: Rng, y: Array
) -> tuple[Array, Array, Array]:
    """The state at the last of the increasing levels, the integral from each probe, and the first bad step.

    For y = x / sqrt(1 + s^2), dy / dlog s = (x / (1 + s^2) - D) / sqrt(1 + s^2); its divergence is
    d / (1 + s^2) - tr dD/dx.
    """

    def slope(y: Array, log_s: Array, stage: Array) -> tuple[Array, Array]:
        scale = lax.rsqrt(1 + jnp.exp(2 * log_s))
        v = _vectors(probes, rng, y, stage)
        denoised, moved = _along(denoise, y / scale, -log_s, v)
        divergence = jnp.sum((v * (scale**2 * v - moved)).reshape(len(v), -1), -1)
        return scale * (scale * y - denoised), divergence if probes else divergence.sum(keepdims=True)

    def step(carry: tuple[Array, Array, Array], i: Array) -> tuple[tuple[Array, Array, Array], None]:
        y, total, bad = carry
        h = log_s[i + 1] - log_s[i]

        def stage(sums: tuple[Array, Array, Array], at: tuple[Array, Array, Array]) -> tuple[Any, None]:
            moved, change, dy = sums
            number, place, weight = at
            dy, divergence = slope(y + place * h * dy, log_s[i] + place * h, len(STAGES) * i + number)
            return (moved + weight * h * dy, change + weight * h * divergence, dy), None

        sums = (y, jnp.zeros_like(total), jnp.zeros_like(y))
        (moved, change, _), _ = lax.scan(stage, sums, stages)  # the network is compiled once
        finite = jnp.isfinite(moved).all() & jnp.isfinite(change).all()
        return (moved, total + change, jnp.where((bad < 0) & ~finite, i.astype(jnp.int32), bad)), None

    places, weights = (jnp.asarray(numbers, y.dtype) for numbers in (STAGES, STAGE_WEIGHTS))
    stages = (jnp.arange(len(STAGES)), places, weights)
    start = (y, jnp.zeros(probes or 1, y.dtype), jnp.full((), -1, jnp.int32))
    return lax.scan(step, start, jnp.arange(len(log_s) - 1))[0]
