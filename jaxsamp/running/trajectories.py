"""The pure core of `sample`: one sample's way from the first level to the last, and many of them over devices."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp import devices
from jaxsamp.calibration.bases import PLAIN
from jaxsamp.core.batching import each
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, ArrayLike, PyTree
from jaxsamp.denoisers import per_event
from jaxsamp.samplers import Sampler
from jaxsamp.samplers.base import Cost, Problem


@pytree
@dataclass(frozen=True)
class Plan:
    """What a run is, besides arrays: static, except for the sampler's number settings."""

    sampler: Sampler
    event: tuple[int, ...] = field(metadata={"static": True})
    dtype: Any = field(metadata={"static": True})
    final_denoise: bool = field(metadata={"static": True})
    save_every: int = field(metadata={"static": True})
    microbatch: int | None = field(metadata={"static": True})
    mesh: Any = field(metadata={"static": True})


class Shared(NamedTuple):
    """What is the same for all samples."""

    plan: Plan
    denoiser: Any
    lam: Array
    key: Array


class Row(NamedTuple):
    """What a sample, or each of many, is given: its number, its state at the first level, its condition."""

    index: ArrayLike
    init: Array | None
    cond: PyTree


class Loop(NamedTuple):
    """One sample between two steps."""

    state: Any
    bad: Array  # first step with a non-finite state, -1 for none
    path: Array | None


class End(NamedTuple):
    """One sample after its last step."""

    x: Array
    bad: Array
    path: Array | None
    stats: Any  # its Cost; of a batch, the dict that `sample` returns


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


def _basis(shared: Shared) -> Any:
    """The coordinates that the steps are taken in: those of the calibration, where the sampler reads it."""
    return shared.denoiser.calibration.basis if shared.plan.sampler.reads_calibration else PLAIN


def _problem(shared: Shared, cond: PyTree) -> Problem:
    """One sample's problem in states divided by alpha, and in the coordinates of the calibration."""
    plan, denoiser, lam, _ = shared
    calibration = denoiser.calibration if plan.sampler.reads_calibration else None
    basis, plain = _basis(shared), evaluator(denoiser, cond)

    def evaluate(x: Array, lam: Array) -> Array:
        return basis.into(plain(basis.out_of(x), lam))

    def denoise_all(x: Array, lam: Array) -> Array:
        return jax.vmap(basis.into)(plain(jax.vmap(basis.out_of)(x), lam))

    divided = devices.on_time(plan.mesh)
    tables = plan.sampler.prepare(lam, calibration)
    return Problem(evaluate, divided(denoise_all), lam, tables, denoiser.schedule.trained, calibration, divided)


def start(shared: Shared, row: Row) -> Loop:
    """Noise, or the given state, at the first level."""
    plan, denoiser, lam, key = shared
    level = denoiser.schedule.level(lam[0])
    if row.init is None:
        x = jnp.exp(-lam[0]) * Rng(jax.random.fold_in(key, row.index), plan.event, plan.dtype).prior()
    else:
        x = row.init.astype(plan.dtype) / level.alpha.astype(plan.dtype)
    path = None
    if plan.save_every:
        path = jnp.zeros(((lam.shape[0] - 1) // plan.save_every + 1, *plan.event), plan.dtype)
        path = path.at[0].set(level.alpha.astype(plan.dtype) * x)
    state = plan.sampler.init(_problem(shared, row.cond), _basis(shared).into(x))
    return Loop(state, jnp.full((), -1, jnp.int32), path)


def advance(shared: Shared, row: Row, loop: Loop, first: Any, length: int) -> Loop:
    """Steps first .. first + length - 1 of one sample."""
    plan, denoiser, lam, key = shared
    problem, basis = _problem(shared, row.cond), _basis(shared)
    draws = Rng(jax.random.fold_in(key, row.index), jnp.shape(loop.state[0]), plan.dtype)

    def body(loop: Loop, i: Array) -> tuple[Loop, None]:
        state = plan.sampler.step(problem, loop.state, i, draws)
        bad = jnp.where((loop.bad < 0) & ~jnp.isfinite(state[0]).all(), i.astype(jnp.int32), loop.bad)
        path = loop.path
        if path is not None:
            slot = jnp.where((i + 1) % plan.save_every == 0, (i + 1) // plan.save_every, path.shape[0])
            alpha = denoiser.schedule.level(lam[i + 1]).alpha.astype(plan.dtype)
            path = path.at[slot].set(alpha * basis.out_of(state[0]), mode="drop")
        return Loop(state, bad, path), None

    return lax.scan(body, loop, first + jnp.arange(length))[0]


def finish(shared: Shared, row: Row, loop: Loop) -> End:
    """The output in x_0 scale, or the state in the schedule's."""
    plan, denoiser, lam, _ = shared
    x, steps = _basis(shared).out_of(loop.state[0]), lam.shape[0] - 1
    if plan.final_denoise:
        x = evaluator(denoiser, row.cond)(x, lam[-1])
    else:
        x = denoiser.schedule.level(lam[-1]).alpha.astype(x.dtype) * x
    bad = jnp.where((loop.bad < 0) & ~jnp.isfinite(x).all(), jnp.asarray(steps, jnp.int32), loop.bad)
    kinds = (jnp.int32, jnp.int32, jnp.int32, plan.dtype, jnp.bool_)
    cost = Cost(*(jnp.asarray(v, d) for v, d in zip(plan.sampler.cost(loop.state, steps), kinds, strict=True)))
    return End(x, bad, loop.path, cost)


def run(shared: Shared, rows: Row) -> End:
    """All steps of all samples; on each device its own ones, `microbatch` at a time."""
    pieces = shared.plan.sampler.pieces(shared.lam.shape[0] - 1)

    def whole(shared: Shared, rows: Row) -> End:
        def one(row: Row) -> End:
            return finish(shared, row, advance(shared, row, start(shared, row), 0, pieces))

        return counted(shared, each(one, rows, shared.plan.microbatch))

    mesh, count = shared.plan.mesh, len(jax.tree.leaves(rows)[0])
    total = devices.rows(count, mesh)
    out = devices.on_batch(whole, mesh)(shared, rows if total == count else taken(rows, 0, total))
    return out if total == count else jax.tree.map(lambda leaf: leaf[:count], out)


def taken(rows: PyTree, first: int, count: int) -> PyTree:
    """Rows first .. first + count - 1; past the end the last one, again and again."""
    return jax.tree.map(lambda leaf: jnp.take(leaf, first + jnp.arange(count), axis=0, mode="clip"), rows)


run_compiled = jax.jit(run)


def counted(shared: Shared, out: End) -> End:
    """With what the run of these samples, on one device, cost each of them."""
    plan, cost, bad = shared.plan, out.stats, out.bad
    last, calls = int(plan.final_denoise), getattr(shared.denoiser, "evaluations", 1)
    stats = {
        "rounds": cost.rounds + last,
        "evaluations": (cost.evaluations + last) * calls,
        "evaluations_computed": (slowest(cost.computed, plan.microbatch) + last) * calls,
        "converged": cost.converged & (bad < 0),
        "residual": cost.residual,
        "first_bad_step": bad,
    }
    return out._replace(stats=stats)


def slowest(computed: Array, microbatch: int | None) -> Array:
    """What each sample's batch really computed: the loop of a batch runs until its slowest sample is done."""
    n = len(computed)
    size = min(microbatch or n, n)
    batch = jnp.arange(n) // size
    return jax.ops.segment_max(computed, batch, num_segments=-(-n // size))[batch]
