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
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree
from jaxsamp.density.flows import WIDEST, log_normal
from jaxsamp.running import rows
from jaxsamp.running.sampling import raise_if_bad
from jaxsamp.running.trajectory import evaluator

PROBES = 4  # where an event is too large for the exact trace
# Classical Runge-Kutta: place of each stage in the step, and its weight.
PLACES, WEIGHTS = (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)


class LogLikelihood(NamedTuple):
    """What `jaxsamp.log_likelihood` returns.

    Attributes:
        log_prob: log densities in nats, (n,).
        stderr: standard error of each, from its probes, (n,): 0 for the exact trace, NaN for a single probe.
        latent: where the flow ends, in units of sigma_max, (n, *event): standard normal if the denoiser is right.
        stats: arrays of shape (n,): `rounds`, `evaluations`, `evaluations_computed`, which counts each probe as one
            more, and `first_bad_step` (-1 where every step was finite).
    """

    log_prob: Array
    stderr: Array
    latent: Array
    stats: dict[str, Array]


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

    With s = sigma / alpha the flow of x_t / alpha is dx / dlog s = x - D(x, s). It is followed from x at the grid's
    last level s_0 up to its first, s_1, where the law is N(0, s_1^2 I); along it the log density changes by the
    divergence:

        log p(x) = log N(x(s_1); 0, s_1^2 I) + int (d - tr dD/dx) dlog s,   from s_0 to s_1.

    This is the density of what `sample(..., final_denoise=False)` over the same range tends to with many steps, at x
    and divided by alpha: that of x_0 + s_0 z if D is exact. x itself is taken as it is, without noise; for pixels see
    `bits_per_dim`. Under any schedule the numbers are the same, for the equation is solved by the classical Runge-Kutta
    method of order 4 in log s for x / sqrt(1 + s^2), where a standard normal law stands still.

    The trace is exact, at the cost of d more evaluations, or Hutchinson's: the mean of v^T (dD/dx) v over vectors v of
    random signs. They are drawn anew at every stage, which leaves the estimate unbiased and averages its error along
    the flow, too.

    Args:
        key: a typed key; sample i draws its signs from fold_in(key, i), so its result does not depend on the others.
        denoiser: E[x_0 | x_t], differentiable in x. Discrete times: the network is shown the trained time nearest to
            each stage, which leaves an error that more steps do not remove.
        x: data in the scale of x_0, (n, *event).
        steps: number of intervals, of four evaluations each; 32 unless `grid` is an array.
        grid: as in `sample`; give your own for another range, such as
            `jaxsamp.grids.log_snr(schedule, 64, sigma_min=0.002)`.
        probes: vectors of signs at every stage; 0 for the exact trace. By default 0 for at most 32 numbers an event,
            and else 4.
        cond: a pytree for the denoiser, leaves (n, ...); the density is then that given `cond`.
        mesh: devices that the samples are divided over, `jaxsamp.mesh()`.
        microbatch: the most samples at a time, on each device, against running out of memory.

    Returns:
        `LogLikelihood(log_prob, stderr, latent, stats)`.

    Raises:
        ValueError: data that are not finite, a wrong grid or count; or a network gave NaN or infinity.
        TypeError: a key or denoiser of the wrong type.

    Source: Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", arXiv 2011.13456;
    Grathwohl et al., "FFJORD", arXiv 1810.01367 (the trace by random vectors).
    """
    x = jnp.asarray(x)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else float)
    denoiser = checks.batch(key, denoiser, x.shape, cond, microbatch)
    size = math.prod(x.shape[1:])
    if probes is None:
        probes = 0 if size <= WIDEST else PROBES
    checks.at_least("probes", probes, 0)
    levels = jnp.asarray(grids.resolve(grid, denoiser.schedule, steps), x.dtype)
    ascent, eager = _Ascent(denoiser, levels, probes), checks.is_concrete(key, denoiser, x, levels, cond)
    if eager:
        checks.finite("x", x)
    log_prob, stderr, latent, bad = rows(key, ascent, x.shape[0], (x, cond), mesh=mesh, microbatch=microbatch)
    if eager:
        raise_if_bad(bad, len(levels) - 1)
    rounds = len(PLACES) * (len(levels) - 1)
    calls = rounds * getattr(denoiser, "evaluations", 1)
    counts = {"rounds": rounds, "evaluations": calls, "evaluations_computed": calls * (1 + (probes or size))}
    stats = {name: jnp.full(x.shape[:1], count) for name, count in counts.items()}
    return LogLikelihood(log_prob, stderr, latent, stats | {"first_bad_step": bad})


def bits_per_dim(log_prob: Float[Array | np.ndarray, "*batch"], shape: tuple[int, ...], scale: float | int) -> Array:
    """Negative log probability of quantized data in bits per number: -(log_prob / d + log scale) / log 2.

    Data with gray levels k = 0, 1, ... at x = scale k + offset have no density: a sharp model's grows without bound.
    Add uniform noise before `log_likelihood`, x + scale u with u in [0, 1). The density in units of gray levels is
    scale^d p(x), and by Jensen's inequality its mean log over u is at most the log probability of k: the bits are an
    upper bound of what the best code under the model needs. For 256 gray levels as `jaxsamp.datasets` reads them, x =
    k / 127.5 - 1, scale = 2 / 255; with 2 / 256, for x = k / 128 - 1, the offset is 7 bits.

    Args:
        log_prob: log densities in nats, of any shape.
        shape: of one sample, d numbers in all.
        scale: distance of neighboring gray levels in x.

    Raises:
        ValueError: scale is not above 0, or an entry of shape below 1.

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
    """One sample's way up the flow, from the last level to the first."""

    denoiser: Any
    levels: Array
    probes: int = field(metadata={"static": True})

    def __call__(self, key: Array, item: tuple[Array, PyTree]) -> tuple[Array, Array, Array, Array]:
        """Its log density and the standard error of that, where it ends, and the first bad step."""
        x, cond = item
        levels, probes = self.levels, self.probes
        scale = lax.rsqrt(1 + levels**2)  # between x and the state that is stepped
        y, traces, bad = _integrate(
            probes, evaluator(self.denoiser, cond), jnp.log(levels[::-1]), Rng(key, x.shape, x.dtype), scale[-1] * x
        )
        latent = y / (scale[0] * levels[0])
        volume = x.size * (jnp.log(scale[-1]) - jnp.log(scale[0] * levels[0]))
        stderr = jnp.std(traces, ddof=1) / math.sqrt(probes) if probes else jnp.zeros((), x.dtype)
        return log_normal(latent) + volume + traces.mean(), stderr, latent, bad


def _integrate(
    probes: int, denoise: Callable[[Array, Array], Array], log_s: Array, rng: Rng, y: Array
) -> tuple[Array, Array, Array]:
    """The state at the last of the increasing levels, the integral by each probe, and the first bad step.

    For y = x / sqrt(1 + s^2), dy / dlog s = (x / (1 + s^2) - D) / sqrt(1 + s^2); its divergence is
    d / (1 + s^2) - tr dD/dx.
    """
    basis = None if probes else jnp.eye(y.size, dtype=y.dtype).reshape(-1, *y.shape)

    def slope(y: Array, log_s: Array, stage: Array) -> tuple[Array, Array]:
        scale = lax.rsqrt(1 + jnp.exp(2 * log_s))
        v = rng.signs(stage, probes) if basis is None else basis
        along = jax.vmap(lambda v: jax.jvp(lambda x: denoise(x, -log_s), (y / scale,), (v,)), out_axes=(None, 0))
        denoised, moved = along(v)
        divergence = jnp.sum((v * (scale**2 * v - moved)).reshape(len(v), -1), -1)
        return scale * (scale * y - denoised), divergence if probes else divergence.sum(keepdims=True)

    def step(carry: tuple[Array, Array, Array], i: Array) -> tuple[tuple[Array, Array, Array], None]:
        y, total, bad = carry
        h = log_s[i + 1] - log_s[i]

        def stage(sums: tuple[Array, Array, Array], at: tuple[Array, Array, Array]) -> tuple[Any, None]:
            moved, change, dy = sums
            number, place, weight = at
            dy, divergence = slope(y + place * h * dy, log_s[i] + place * h, len(PLACES) * i + number)
            return (moved + weight * h * dy, change + weight * h * divergence, dy), None

        sums = (y, jnp.zeros_like(total), jnp.zeros_like(y))
        (moved, change, _), _ = lax.scan(stage, sums, stages)  # the network is compiled once
        finite = jnp.isfinite(moved).all() & jnp.isfinite(change).all()
        return (moved, total + change, jnp.where((bad < 0) & ~finite, i.astype(jnp.int32), bad)), None

    places, weights = (jnp.asarray(numbers, y.dtype) for numbers in (PLACES, WEIGHTS))
    stages = (jnp.arange(len(PLACES)), places, weights)
    start = (y, jnp.zeros(probes or 1, y.dtype), jnp.full((), -1, jnp.int32))
    return lax.scan(step, start, jnp.arange(len(log_s) - 1))[0]
