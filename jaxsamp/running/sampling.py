"""`sample`: one front door for every sampler and every denoiser."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import devices, grids
from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, PyTree, Samples
from jaxsamp.mcmc import Langevin
from jaxsamp.running.pieces import run_with_progress
from jaxsamp.running.trajectories import Plan, Row, Shared, run, run_compiled
from jaxsamp.samplers import Sampler, UniPC

MOST = 2**32  # numbers that can be folded into a key


def sample(
    key: Any,
    denoiser: Any,
    shape: tuple[int, ...],
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
    steps: int | None = None,
    *,
    grid: str | ArrayLike | Callable[..., Array] = "log_snr",
    init: Array | None = None,
    final_denoise: bool = True,
    cond: PyTree = None,
    first: int = 0,
    mesh: Any = None,
    microbatch: int | None = None,
    save_every: int = 0,
    progress: bool = False,
) -> Samples:
    """Draw samples: carry noise from the grid's first level to its last along the denoiser's flow.

    Sample i depends on fold_in(key, i), the denoiser, the sampler and the grid, and on nothing else: not on n, nor
    on `microbatch`, nor on the devices. The whole function can stand inside `jax.jit`, `jax.vmap` and `jax.grad`;
    called eagerly it syncs with the device once, at the end. Networks that couple a batch (BatchNorm in training mode)
    are out.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        denoiser: E[x_0 | x_t]; see `jaxsamp.denoiser`, or `target.denoiser(schedule)` for a known law.
        shape: (n, *event).
        sampler: how to step; see `jaxsamp.samplers`.
        steps: number of intervals; the sampler's `default_steps`, mostly 32, unless `grid` is an array.
        grid: a rule ("log_snr", "karras", "uniform"), a function (schedule, steps) -> levels, or an array of
            steps + 1 levels of sigma / alpha from noisy to clean. Rules go from 80 to 0.02.
        init: states at the grid's first level in the schedule's own scale, of the given shape; by default
            sigma * standard normal.
        final_denoise: return D(x, last level), at one more evaluation; else x at the last level, in the scale of
            the schedule's x_t, whose law is the target's at that level.
        cond: a pytree for the denoiser, leaves (n, ...).
        first: number of the first sample: the n samples are `first`, first + 1, ... of all that the key stands for, so
            that many can be drawn in parts.
        mesh: devices to run on, `jaxsamp.mesh()`; samples are divided over its axis "batch", and the nodes that
            parallel-in-time samplers evaluate at once over its axis "time". By default the one that JAX prefers.
        microbatch: at most so many samples at a time, on each device, against running out of memory.
        save_every: k > 0 also returns the states at grid[::k].
        progress: show a progress bar; splits the run into equal compiled pieces.

    Returns:
        `Samples(x, stats, path)`.

    Raises:
        ValueError: a wrong shape, grid, step count or setting; or a network gave NaN or infinity.
        TypeError: a key, sampler or denoiser of the wrong type.
    """
    check_call(key, denoiser, shape, sampler, init, cond, microbatch, save_every)
    if checks.at_least("first", first, 0) + shape[0] > MOST:
        raise ValueError(f"first must be at most 2^32 - n, for a key has 2^32 samples; got {first} for n = {shape[0]}.")
    devices.check_mesh(mesh)
    sampler.check()
    levels = grids.resolve(grid, denoiser.schedule, steps, sampler.default_steps)
    if save_every and sampler.pieces(jnp.size(levels) - 1) != jnp.size(levels) - 1:
        raise ValueError(f"save_every must be 0 for a sampler that does not go step by step; got {save_every}.")
    denoiser = carrying(denoiser, sampler)
    eager = checks.is_concrete(key, denoiser, sampler, levels, init, cond)
    dtype = jnp.result_type(float) if init is None else jnp.promote_types(init.dtype, jnp.float32)
    plan = Plan(sampler, tuple(shape[1:]), dtype, final_denoise, save_every, microbatch, mesh)
    shared = Shared(plan, denoiser, -jnp.log(jnp.asarray(levels, dtype)), key)
    rows = Row(np.arange(first, first + shape[0]).astype(np.uint32), init, cond)
    if eager:
        shared = devices.replicate(shared, mesh)
        rows = (devices.divide if shape[0] == devices.rows(shape[0], mesh) else devices.replicate)(rows, mesh)
    out = (run if not eager else run_with_progress if progress else run_compiled)(shared, rows)
    x, path = out.x, out.path
    if init is not None:
        x, path = x.astype(init.dtype), None if path is None else path.astype(init.dtype)
    if eager:
        raise_if_bad(out.bad, jnp.size(levels) - 1)
    return Samples(x, out.stats, path)


def carrying(denoiser: Any, sampler: Sampler) -> Any:
    """The denoiser, holding its calibration as arrays where the sampler reads it; targets measure theirs here."""
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


def check_call(
    key: Any,
    denoiser: Any,
    shape: Any,
    sampler: Any,
    init: Any,
    cond: Any,
    microbatch: Any,
    save_every: Any,
) -> None:
    """Raise one sentence for the first argument that `sample` cannot take."""
    if isinstance(sampler, Langevin):
        raise TypeError(
            f"sampler must be one of jaxsamp.samplers, such as UniPC(order=2); got {sampler!r}, "
            "which jaxsamp.sample_density(key, target, shape, sampler) takes."
        )
    if not isinstance(sampler, Sampler):
        raise TypeError(
            f"sampler must be one of jaxsamp.samplers, such as UniPC(order=2); got {sampler!r} "
            f"of type {type(sampler).__name__}."
        )
    check_batch(key, denoiser, shape, cond, microbatch)
    if init is not None and jnp.shape(init) != tuple(shape):
        raise ValueError(f"init must have the given shape {tuple(shape)}; got {jnp.shape(init)}.")
    checks.at_least("save_every", save_every, 0)


def check_batch(key: Any, denoiser: Any, shape: Any, cond: Any, microbatch: Any) -> None:
    """The part that does not depend on a sampler."""
    checks.typed_key(key)
    checks.denoiser(denoiser)
    if not isinstance(shape, tuple | list) or not shape:
        raise TypeError(f"shape must be a tuple (n, *event); got {shape!r}.")
    for size in shape:
        checks.at_least("every entry of shape", size, 1)
    event = getattr(denoiser, "event_shape", None)
    if event is not None and tuple(shape[1:]) != tuple(event):
        raise ValueError(
            f"shape must be (n, *event) with the denoiser's event shape {tuple(event)}; got {tuple(shape)}."
        )
    check = getattr(denoiser, "check_cond", None)  # a user's own denoiser need not have one
    if check is not None:
        check(cond, shape[0])
    for leaf in jax.tree.leaves(cond):
        if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != shape[0]:
            raise ValueError(
                f"cond must have leaves of shape (n = {shape[0]}, ...); got a leaf of shape {jnp.shape(leaf)}."
            )
    if microbatch is not None:
        checks.at_least("microbatch", microbatch, 1)


def raise_if_bad(bad: Array, steps: int) -> None:
    """The one sync with the device."""
    count, first = (int(number) for number in _badness(bad))
    if count:
        raise ValueError(
            f"denoiser must return finite values; the states of {count} of {bad.size} samples became NaN "
            f"or infinite, first at step {first} of {steps} (counted from 0)."
        )


@jax.jit
def _badness(bad: Array) -> tuple[Array, Array]:
    """How many samples went bad, and the first step at which one did."""
    return jnp.sum(bad >= 0), jnp.min(jnp.where(bad >= 0, bad, jnp.iinfo(bad.dtype).max))
