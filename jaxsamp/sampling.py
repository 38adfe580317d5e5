"""`sample`: one front door for every sampler and every denoiser."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxsamp import checks, grids
from jaxsamp.bases import PLAIN
from jaxsamp.batching import each
from jaxsamp.denoisers import per_event
from jaxsamp.langevin import Langevin
from jaxsamp.progress import bar
from jaxsamp.pytrees import pytree
from jaxsamp.random import Draws, sample_keys
from jaxsamp.samplers import Sampler, UniPC
from jaxsamp.samplers.base import Cost, Problem
from jaxsamp.types import Array, ArrayLike, PyTree, Samples

LEAST_PIECE = 64  # samples at a time between two moves of a progress bar


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
    microbatch: int | None = None,
    save_every: int = 0,
    progress: bool = False,
) -> Samples:
    """Draw samples: carry noise from the grid's first level to its last along the denoiser's flow.

    Sample i depends on fold_in(key, i), the denoiser, the sampler and the grid, and on nothing else: not on n, nor
    on `microbatch`. The whole function can stand inside `jax.jit`, `jax.vmap` and `jax.grad`; called eagerly it
    syncs with the device once, at the end. Networks that couple a batch (BatchNorm in training mode) are out.

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
        microbatch: at most so many samples at a time, against running out of memory.
        save_every: k > 0 also returns the states at grid[::k].
        progress: show a progress bar; splits the run into equal compiled pieces.

    Returns:
        `Samples(x, stats, path)`.

    Raises:
        ValueError: a wrong shape, grid, step count or setting; or a network gave NaN or infinity.
        TypeError: a key, sampler or denoiser of the wrong type.
    """
    check_call(key, denoiser, shape, sampler, init, cond, microbatch, save_every)
    sampler.check()
    levels = grids.resolve(grid, denoiser.schedule, steps, sampler.default_steps)
    if save_every and sampler.pieces(jnp.size(levels) - 1) != jnp.size(levels) - 1:
        raise ValueError(f"save_every must be 0 for a sampler that does not go step by step; got {save_every}.")
    denoiser = carrying(denoiser, sampler)
    eager = checks.is_concrete(key, denoiser, sampler, levels, init, cond)
    dtype = jnp.result_type(float) if init is None else jnp.promote_types(init.dtype, jnp.float32)
    lam = -jnp.log(jnp.asarray(levels, dtype))
    plan = _Plan(sampler, tuple(shape[1:]), dtype, final_denoise, save_every)
    batch = (sample_keys(key, shape[0]), init, cond)
    if eager and progress:
        out = _with_progress(plan, microbatch, denoiser, lam, batch)
    else:
        out = (_compiled if eager else _run)(plan, microbatch, denoiser, lam, batch)
    x, path = out.x, out.path
    if init is not None:
        x, path = x.astype(init.dtype), None if path is None else path.astype(init.dtype)
    if eager:
        raise_if_bad(out.bad, lam.shape[0] - 1)
    return Samples(x, out.stats, path)


@pytree
@dataclass(frozen=True)
class _Plan:
    """What a run is, besides arrays: static, except for the sampler's number settings."""

    sampler: Sampler
    event: tuple[int, ...] = field(metadata={"static": True})
    dtype: Any = field(metadata={"static": True})
    final_denoise: bool = field(metadata={"static": True})
    save_every: int = field(metadata={"static": True})


class _Loop(NamedTuple):
    """One sample between two steps."""

    state: Any
    bad: Array  # first step with a non-finite state, -1 for none
    path: Array | None


class _End(NamedTuple):
    """One sample after its last step."""

    x: Array
    bad: Array
    path: Array | None
    stats: Any  # its Cost; of a batch, the dict that `sample` returns


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


def _basis(plan: _Plan, denoiser: Any) -> Any:
    """The coordinates that the steps are taken in: those of the calibration, where the sampler reads it."""
    return denoiser.calibration.basis if plan.sampler.reads_calibration else PLAIN


def _problem(plan: _Plan, denoiser: Any, lam: Array, cond: PyTree) -> Problem:
    """One sample's problem in states divided by alpha, and in the coordinates of the calibration."""
    calibration = denoiser.calibration if plan.sampler.reads_calibration else None
    basis = _basis(plan, denoiser)
    plain = evaluator(denoiser, cond)

    def evaluate(x: Array, lam: Array) -> Array:
        return basis.into(plain(basis.out_of(x), lam))

    def evaluate_all(x: Array, lam: Array) -> Array:
        return jax.vmap(basis.into)(plain(jax.vmap(basis.out_of)(x), lam))

    tables = plan.sampler.prepare(lam, calibration)
    return Problem(evaluate, evaluate_all, lam, tables, denoiser.schedule.trained, calibration)


def evaluator(denoiser: Any, cond: PyTree) -> Callable[[Array, Array], Array]:
    """(x, lambda) -> D of one sample, x being the state divided by alpha; or of R places in one call, lambda (R,)."""

    def evaluate(x: Array, lam: Array) -> Array:
        level, many = denoiser.schedule.level(lam), jnp.ndim(lam) == 1
        batch = x if many else x[None]
        each = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(batch), *leaf.shape)), cond)
        out = denoiser(per_event(level.alpha, batch).astype(x.dtype) * batch, level, each)
        if out.shape != batch.shape:
            raise ValueError(f"denoiser must return an array of x's shape {batch.shape}; got {out.shape}.")
        return (out if many else out[0]).astype(x.dtype)

    return evaluate


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
    for leaf in jax.tree.leaves(cond):
        if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != shape[0]:
            raise ValueError(
                f"cond must have leaves of shape (n = {shape[0]}, ...); got a leaf of shape {jnp.shape(leaf)}."
            )
    if microbatch is not None:
        checks.at_least("microbatch", microbatch, 1)


def _start(plan: _Plan, denoiser: Any, lam: Array, key: Array, init: Array | None, cond: PyTree) -> _Loop:
    """Noise, or the given state, at the first level."""
    level = denoiser.schedule.level(lam[0])
    if init is None:
        x = jnp.exp(-lam[0]) * Draws(key, plan.event, plan.dtype).prior()
    else:
        x = init.astype(plan.dtype) / level.alpha.astype(plan.dtype)
    path = None
    if plan.save_every:
        path = jnp.zeros(((lam.shape[0] - 1) // plan.save_every + 1, *plan.event), plan.dtype)
        path = path.at[0].set(level.alpha.astype(plan.dtype) * x)
    state = plan.sampler.init(_problem(plan, denoiser, lam, cond), _basis(plan, denoiser).into(x))
    return _Loop(state, jnp.full((), -1, jnp.int32), path)


def _advance(
    plan: _Plan, length: int, denoiser: Any, lam: Array, key: Array, loop: _Loop, cond: PyTree, first: Any
) -> _Loop:
    """Steps first .. first + length - 1 of one sample."""
    problem, basis = _problem(plan, denoiser, lam, cond), _basis(plan, denoiser)

    def body(loop: _Loop, i: Array) -> tuple[_Loop, None]:
        state = plan.sampler.step(problem, loop.state, i, Draws(key, jnp.shape(loop.state[0]), plan.dtype))
        bad = jnp.where((loop.bad < 0) & ~jnp.isfinite(state[0]).all(), i.astype(jnp.int32), loop.bad)
        path = loop.path
        if path is not None:
            slot = jnp.where((i + 1) % plan.save_every == 0, (i + 1) // plan.save_every, path.shape[0])
            alpha = denoiser.schedule.level(lam[i + 1]).alpha.astype(plan.dtype)
            path = path.at[slot].set(alpha * basis.out_of(state[0]), mode="drop")
        return _Loop(state, bad, path), None

    return lax.scan(body, loop, first + jnp.arange(length))[0]


def _finish(plan: _Plan, denoiser: Any, lam: Array, loop: _Loop, cond: PyTree) -> _End:
    """The output in x_0 scale, or the state in the schedule's."""
    x, steps = _basis(plan, denoiser).out_of(loop.state[0]), lam.shape[0] - 1
    if plan.final_denoise:
        x = evaluator(denoiser, cond)(x, lam[-1])
    else:
        x = denoiser.schedule.level(lam[-1]).alpha.astype(x.dtype) * x
    bad = jnp.where((loop.bad < 0) & ~jnp.isfinite(x).all(), jnp.asarray(steps, jnp.int32), loop.bad)
    kinds = (jnp.int32, jnp.int32, jnp.int32, plan.dtype, jnp.bool_)
    cost = Cost(*(jnp.asarray(v, d) for v, d in zip(plan.sampler.cost(loop.state, steps), kinds, strict=True)))
    return _End(x, bad, loop.path, cost)


def _run(plan: _Plan, microbatch: int | None, denoiser: Any, lam: Array, batch: Any) -> _End:
    """All steps of all samples, `microbatch` at a time; batch is (keys, init, cond)."""

    def one(item: Any) -> _End:
        key, init, cond = item
        loop = _start(plan, denoiser, lam, key, init, cond)
        loop = _advance(plan, plan.sampler.pieces(lam.shape[0] - 1), denoiser, lam, key, loop, cond, 0)
        return _finish(plan, denoiser, lam, loop, cond)

    out = each(one, batch, microbatch)
    return out._replace(stats=_stats(plan, denoiser, out.stats, out.bad, microbatch))


_compiled = jax.jit(_run, static_argnums=1)
# The same run in pieces, for the progress bar: one compilation of each.
_start_all = jax.jit(jax.vmap(_start, (None, None, None, 0, 0, 0)))
_advance_all = jax.jit(jax.vmap(_advance, (None, None, None, None, 0, 0, 0, None)), static_argnums=1)
_finish_all = jax.jit(jax.vmap(_finish, (None, None, None, 0, 0)))


def _with_progress(plan: _Plan, microbatch: int | None, denoiser: Any, lam: Array, batch: Any) -> _End:
    """The same numbers as `_run`, in equal pieces of steps and samples with a progress bar between them."""
    n, steps = batch[0].shape[0], plan.sampler.pieces(lam.shape[0] - 1)
    size = microbatch or (n if steps > 1 else max(LEAST_PIECE, -(-n // 20)))
    length = max(k for k in range(1, max(1, steps // 20) + 1) if steps % k == 0)
    starts = range(0, n, size)
    done = []
    with bar("sampling", len(starts) * steps) as advance:
        for start in starts:
            rows = jnp.minimum(start + jnp.arange(min(size, n)), n - 1)  # the last piece is padded
            keys, init, cond = jax.tree.map(lambda leaf: leaf[rows], batch)  # noqa: B023
            loop = _start_all(plan, denoiser, lam, keys, init, cond)
            for first in range(0, steps, length):
                loop = _advance_all(plan, length, denoiser, lam, keys, loop, cond, first)
                advance(length, wait_for=loop.bad)
            done.append(_finish_all(plan, denoiser, lam, loop, cond))
    out = jax.tree.map(lambda *pieces: jnp.concatenate(pieces)[:n], *done)
    return out._replace(stats=_stats(plan, denoiser, out.stats, out.bad, size))


def _stats(plan: _Plan, denoiser: Any, cost: Cost, bad: Array, microbatch: int | None) -> dict[str, Array]:
    """What the run cost, sample by sample."""
    last, calls = int(plan.final_denoise), getattr(denoiser, "evaluations", 1)
    return {
        "rounds": cost.rounds + last,
        "evaluations": (cost.evaluations + last) * calls,
        "evaluations_computed": (slowest(cost.computed, microbatch) + last) * calls,
        "converged": cost.converged & (bad < 0),
        "residual": cost.residual,
        "first_bad_step": bad,
    }


def slowest(computed: Array, microbatch: int | None) -> Array:
    """What each sample's batch really computed: the loop of a batch runs until its slowest sample is done."""
    n = len(computed)
    size = min(microbatch or n, n)
    batch = jnp.arange(n) // size
    return jax.ops.segment_max(computed, batch, num_segments=-(-n // size))[batch]


def raise_if_bad(bad: Array, steps: int) -> None:
    """The one sync with the device."""
    host = np.asarray(bad)
    if (host >= 0).any():
        raise ValueError(
            f"denoiser must return finite values; the states of {(host >= 0).sum()} of {host.size} samples became NaN "
            f"or infinite, first at step {host[host >= 0].min()} of {steps} (counted from 0)."
        )
