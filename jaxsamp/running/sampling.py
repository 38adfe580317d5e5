"""`sample`: one front door for every sampler and every denoiser."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxsamp import devices, grids
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import adopted
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree, Samples
from jaxsamp.denoisers import PosteriorDenoiser
from jaxsamp.mcmc import DensitySampler
from jaxsamp.running.engine import Row, execute, numbered, working_dtype
from jaxsamp.running.starts import check_pure, levels_of, warn_unless_drowned
from jaxsamp.running.trajectory import Trajectory
from jaxsamp.samplers import Sampler, UniPC


def sample(
    key: PRNGKey,
    denoiser: Denoiser,
    shape: tuple[int, ...],
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
    steps: int | None = None,
    *,
    grid: grids.Grid = "log_snr",
    init: Data | None = None,
    final_denoise: bool = True,
    cond: PyTree = None,
    first: int = 0,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    save_every: int = 0,
    progress: bool = False,
) -> Samples:
    """Draw samples: carry noise from the grid's first level to its last along the denoiser's flow.

    Sample i depends on fold_in(key, i), the denoiser, the sampler and the grid, and on nothing else: not on n, nor
    on `microbatch`, nor on the devices. The whole function can be used inside `jax.jit`, `jax.vmap` and
    `jax.grad`; called eagerly it syncs with the device once, at the end. Networks that couple the samples of a batch
    (BatchNorm in training mode) do not work.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        denoiser: E[x_0 | x_t]; see `jaxsamp.denoiser`, or `target.denoiser(schedule)` for a known law.
        shape: (n, *event).
        sampler: how to step; see `jaxsamp.samplers`.
        steps: number of intervals; the sampler's `default_steps`, mostly 32, unless `grid` is an array.
        grid: a rule ("log_snr", "karras", "sech", "uniform", or "calibrated" where `jaxsamp.calibrate(..., grid=True)`
            was measured), a function (schedule, steps) -> levels, or an array of steps + 1 levels of sigma / alpha from
            noisy to clean. The rules go from 80 to 0.02. A warning says so if the first is less than five times the
            root mean square of the data, where the law or calibration knows it. The first level may be infinite, alpha
            = 0, if the schedule reaches it and the sampler steps in the data frame: the step from there is
            x_t / alpha = D + (sigma / alpha) z.
        init: states at the grid's first level in the schedule's own scale, of the given shape; by default
            sigma * standard normal. Samples have its dtype if that is a floating one, and otherwise the default one.
        final_denoise: return D(x, last level), which takes one more evaluation; else x at the last level, in the scale
            of the schedule's x_t, whose law is that of the target at this level.
        cond: conditions for the denoiser, a pytree with leaves (n, ...).
        first: number of the first sample: of all the samples that belong to the key, these are number `first`,
            first + 1, ..., so that many samples can be drawn in parts.
        mesh: devices to run on, `jaxsamp.mesh()`; samples are divided over its axis "batch", and the nodes that
            parallel-in-time samplers evaluate at once over its axis "time". By default the one device that JAX prefers.
        microbatch: largest number of samples at a time on each device, to save memory.
        save_every: k > 0 also returns the states at grid[::k].
        progress: show a progress bar; splits the run into equal compiled pieces.

    Returns:
        `Samples(x, stats, path)`.

    Raises:
        ValueError: a shape, grid, number of steps or setting is wrong; or a network gave NaN or infinity.
        TypeError: a key, sampler or denoiser has the wrong type.
    """
    sampler = check_sampler(sampler)
    denoiser = checks.batch(key, denoiser, shape, cond, microbatch)
    start = checks.init(init, tuple(shape))
    checks.at_least("save_every", save_every, 0)
    checks.numbering(first, shape[0])
    devices.check_mesh(mesh)
    sampler.check()
    levels = levels_of(grid, denoiser, sampler, steps)
    pure = grids.starts_at_pure_noise(levels)
    if pure:
        check_pure(denoiser, jnp.size(levels) - 1)
    if start is None:
        warn_unless_drowned(denoiser, levels)
    if save_every and not sampler.stepwise:
        raise ValueError(f"save_every must be 0 for a sampler that does not go step by step; got {save_every}.")
    dtype = working_dtype(start)
    job = Trajectory(
        sampler, carrying(denoiser, sampler), -jnp.log(jnp.asarray(levels, dtype)), key, tuple(shape[1:]), dtype,
        final_denoise, save_every, pure, microbatch, mesh,
    )  # fmt: skip
    rows = Row(numbered(first, shape[0]), start, cond)
    out, eager = execute(job, rows, progress)
    x, path = out.x if eager or sampler.differentiable else _without_gradient(out.x, type(sampler).__name__), out.saved
    if start is not None:
        x, path = x.astype(start.dtype), None if path is None else path.astype(start.dtype)
    if eager:
        raise_if_bad(out.bad, jnp.size(levels) - 1)
        warn_unless_converged(sampler, out.stats, jnp.size(levels) - 1 - pure, int(final_denoise) + pure)
    return Samples(x, out.stats, path)


def _without_gradient(x: Array, sampler: str) -> Array:
    """x itself; raises TypeError if `jax.grad` comes back through it."""

    def refuse(*_: Any) -> Any:
        raise TypeError(
            f"sampler must be differentiable for jax.grad; {sampler} has a loop that stops when it is done, through "
            "which JAX has forward derivatives alone, jax.jvp and jax.jacfwd."
        )

    @jax.custom_jvp
    def same(x: Array) -> Array:
        return x

    @same.defjvp
    def along(primals: Any, tangents: Any) -> Any:
        return primals[0], jax.custom_derivatives.linear_call(lambda _, v: v, refuse, (), tangents[0])

    return same(x)


def carrying(denoiser: Denoiser, sampler: Sampler) -> Denoiser:
    """The denoiser, with its calibration as arrays if the sampler reads it, and with an observation if it takes one."""
    if sampler.takes_observation and not isinstance(denoiser, PosteriorDenoiser):
        raise TypeError(
            f"sampler {type(sampler).__name__} needs a denoiser made by jaxsamp.posterior, whose observation it uses "
            f"itself; got a {type(denoiser).__name__}."
        )
    if not sampler.reads_calibration:
        return denoiser
    calibration = getattr(denoiser, "calibration", None)
    if calibration is None:
        raise ValueError(
            f"sampler {type(sampler).__name__} needs a denoiser with a calibration and this one has none; measure it "
            "with denoiser.with_calibration(jaxsamp.calibrate(key, denoiser, data)), or choose another frame."
        )
    attach = getattr(denoiser, "with_calibration", None)  # a user's own denoiser may just have the attribute
    return denoiser if attach is None else attach(calibration)


def check_sampler(got: Any) -> Any:
    """Return `got` if it is a sampler of diffusion models, as a pytree, else raise."""
    if isinstance(got, DensitySampler):
        raise TypeError(
            f"sampler must be one of jaxsamp.samplers, such as UniPC(order=2); got {got!r}, "
            "which jaxsamp.sample_density(key, target, shape, sampler) takes."
        )
    if not isinstance(got, Sampler):
        raise TypeError(
            f"sampler must be one of jaxsamp.samplers, such as UniPC(order=2); got {got!r} of type "
            f"{type(got).__name__}."
        )
    return adopted("sampler", got)


def raise_if_bad(bad: Array, steps: int) -> None:
    """Raise if a sample was not finite: the only synchronization with the device."""
    count, first = (int(number) for number in _badness(bad))
    if count:
        raise ValueError(
            f"denoiser must return finite values; the states of {count} of {bad.size} samples became NaN "
            f"or infinite, first at step {first} of {steps} (counted from 0)."
        )


def warn_unless_converged(sampler: Sampler, stats: dict[str, Array], steps: int, others: int) -> None:
    """Say so once where a sampler that stops by itself was stopped by its largest number of rounds.

    Args:
        sampler, stats, steps: the sampler, what `sample` returns, and the sampler's number of steps.
        others: rounds beside the sampler's.
    """
    if sampler.differentiable:  # a fixed number of rounds, whatever they gave
        return
    limit = sampler.limit(steps) + others
    count, worst = (number.item() for number in _unsettled(stats, limit))
    if count:
        n = stats["converged"].size
        warnings.warn(
            f"{count:,} of {n:,} samples have not converged: the residual of {type(sampler).__name__} is up to "
            f'{worst:.2g} after its last round. stats["converged"] says which. {sampler.remedy}',
            stacklevel=3,
        )


@jax.jit
def _unsettled(stats: dict[str, Array], limit: Any) -> tuple[Array, Array]:
    """How many samples were stopped before they have converged, and the largest of their residuals."""
    stopped = ~stats["converged"] & (stats["rounds"] >= limit)
    return jnp.sum(stopped), jnp.max(jnp.where(stopped, stats["residual"], 0.0))


@jax.jit
def _badness(bad: Array) -> tuple[Array, Array]:
    """How many samples went bad, and the first step at which one did."""
    return jnp.sum(bad >= 0), jnp.min(jnp.where(bad >= 0, bad, jnp.iinfo(bad.dtype).max))
