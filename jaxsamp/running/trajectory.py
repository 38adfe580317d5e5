"""The job of `sample`: how one sample gets from the first level to the last."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp import devices
from jaxsamp.calibration.bases import PLAIN
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, PyTree
from jaxsamp.denoisers import per_event
from jaxsamp.running.engine import PIECES, End, Exactly, Job, Loop, Row, first_bad
from jaxsamp.samplers import Sampler
from jaxsamp.samplers.base import Cost, Problem


@pytree
@dataclass(frozen=True)
class Trajectory(Job):
    """A sampler's steps along the levels `lam`, of shape (steps + 1,); states are divided by alpha.

    If the first level is `pure` noise, alpha = 0, its state is divided by sigma, and the step from there is that of the
    data frame, x_1 = D + s_1 z, which is exact if D is constant; the sampler takes the others.
    """

    sampler: Sampler
    denoiser: Denoiser
    lam: Array
    key: Array
    event: tuple[int, ...] = field(metadata={"static": True})
    dtype: Any = field(metadata={"static": True})
    final_denoise: bool = field(metadata={"static": True})
    save_every: int = field(metadata={"static": True})
    pure: bool = field(metadata={"static": True})
    microbatch: int | None = field(metadata={"static": True})
    mesh: Any = field(metadata={"static": True})

    @property
    def steps(self) -> int:
        """Number of intervals of the grid."""
        return self.lam.shape[0] - 1

    @property
    def solved(self) -> Array:
        """The levels between which the sampler steps."""
        return self.lam[1:] if self.pure else self.lam

    @property
    def count(self) -> Exactly:
        """One call per interval, or one call for all of them if the sampler does not go step by step."""
        return Exactly(self.steps - self.pure if self.sampler.stepwise else 1)

    def pieces(self) -> list[Any]:
        """Pieces of equal length, so that one compilation serves all."""
        steps = self.count.count
        length = max(k for k in range(1, max(1, steps // PIECES) + 1) if steps % k == 0)
        return [Exactly(length)] * (steps // length)

    @property
    def _calibration(self) -> Any:
        """That of the denoiser, if the sampler reads it, in no wider dtype than that of the steps."""
        if not self.sampler.reads_calibration:
            return None

        def narrowed(leaf: Any) -> Any:
            kind = jnp.result_type(leaf)
            wider = jnp.issubdtype(kind, jnp.floating) and jnp.promote_types(kind, self.dtype) != self.dtype
            return jnp.asarray(leaf, self.dtype) if wider else leaf

        return jax.tree.map(narrowed, getattr(self.denoiser, "calibration", None))

    @property
    def _basis(self) -> Any:
        """The coordinates in which steps are taken: those of the calibration, if the sampler reads it."""
        return self._calibration.basis if self.sampler.reads_calibration else PLAIN

    def prepare(self) -> PyTree:
        """The sampler's tables of the grid."""
        return self.sampler.prepare(self.solved, self._calibration)

    def start(self, tables: PyTree, row: Row) -> Loop:
        """Noise at the first level, or the given state."""
        level = self.denoiser.schedule.level(self.lam[0])
        unit = (level.sigma if self.pure else level.alpha).astype(self.dtype)
        if row.init is not None:
            x = row.init.astype(self.dtype) / unit
        else:
            z = self._rng(row, self.event).prior()
            x = z if self.pure else jnp.exp(-self.lam[0]) * z
        path, bad = None, jnp.full((), -1, jnp.int32)
        if self.save_every:
            path = jnp.zeros((self.steps // self.save_every + 1, *self.event), self.dtype)
            path = path.at[0].set(unit * x)
        if self.pure:
            denoiser, cond, _ = self._apart(row.cond)
            x = evaluator(denoiser, cond, pure=True)(x, self.lam[0]) + jnp.exp(-self.lam[1]) * x
            path, bad = self._saved(path, x, 1), first_bad(bad, x, jnp.asarray(0))
        state = self.sampler.init(self._problem(tables, row.cond), self._basis.into(x))
        return Loop(state, bad, path)

    def advance(self, tables: PyTree, row: Row, loop: Loop, first: Any, count: Exactly) -> Loop:
        """`count` more steps of one sample."""
        problem, basis = self._problem(tables, row.cond), self._basis
        rng = self._rng(row, jnp.shape(loop.state.x))

        def body(loop: Loop, i: Array) -> tuple[Loop, None]:
            state = self.sampler.step(problem, loop.state, i, rng)
            interval = i + 1 if self.pure else i
            path = loop.saved if loop.saved is None else self._saved(loop.saved, basis.out_of(state.x), interval + 1)
            return Loop(state, first_bad(loop.bad, state.x, interval), path), None

        return lax.scan(body, loop, first + jnp.arange(count.count))[0]

    def _saved(self, path: Any, x: Array, done: Any) -> Any:
        """The path with the state after `done` intervals, if it is one to keep."""
        if path is None:
            return None
        slot = jnp.where(done % self.save_every == 0, done // self.save_every, path.shape[0])
        alpha = self.denoiser.schedule.level(self.lam[done]).alpha.astype(self.dtype)
        return path.at[slot].set(alpha * x, mode="drop")

    def finish(self, tables: PyTree, row: Row, loop: Loop) -> End:
        """The denoised output in the scale of x_0, or the state in the scale of x_t."""
        x = self._basis.out_of(loop.state.x)
        if self.final_denoise:
            denoiser, cond, _ = self._apart(row.cond)
            x = evaluator(denoiser, cond)(x, self.lam[-1])
        else:
            x = self.denoiser.schedule.level(self.lam[-1]).alpha.astype(x.dtype) * x
        bad = first_bad(loop.bad, x, jnp.asarray(self.steps))
        kinds = (jnp.int32, jnp.int32, jnp.int32, self.dtype, jnp.bool_, jnp.int32)
        cost = self.sampler.cost(loop.state, self.steps - self.pure)
        return End(x, bad, loop.saved, Cost(*(jnp.asarray(v, d) for v, d in zip(cost, kinds, strict=True))))

    def counted(self, ends: End) -> End:
        """With the stats that `sample` returns."""
        cost, bad, last = ends.stats, ends.bad, int(self.final_denoise) + self.pure
        called: Any = self.denoiser.denoiser if self.sampler.takes_observation else self.denoiser  # type: ignore
        calls = getattr(called, "evaluations", 1)
        stats = {
            "rounds": cost.rounds + last,
            "evaluations": (cost.evaluations + last) * calls,
            "evaluations_computed": (slowest(cost.computed, self.microbatch) + last) * calls,
            "surrogate_evaluations": cost.surrogate,
            "converged": cost.converged & (bad < 0),
            "residual": cost.residual,
            "first_bad_step": bad,
        }
        return ends._replace(stats=stats)

    def _rng(self, row: Row, shape: tuple[int, ...]) -> Rng:
        return Rng(jax.random.fold_in(self.key, row.index), shape, self.dtype)

    def _apart(self, cond: PyTree) -> tuple[Denoiser, PyTree, Any]:
        """The denoiser that the sampler calls, its `cond`, and the sample's observation if the sampler takes it."""
        if not self.sampler.takes_observation:
            return self.denoiser, cond, None
        given: Any = self.denoiser
        observation, cond = given.apart(cond)
        return given.denoiser, cond, observation

    def _problem(self, tables: PyTree, cond: PyTree) -> Problem:
        """The problem of one sample, whose states are divided by alpha and in the coordinates of the calibration."""
        denoiser, cond, observation = self._apart(cond)
        basis, plain = self._basis, evaluator(denoiser, cond)

        def denoise(x: Array, lam: Array) -> Array:
            return basis.into(plain(basis.out_of(x), lam))

        def surrogate(other: Denoiser) -> Callable[[Array, Array], Array]:
            event = getattr(other, "event_shape", None)
            if event is not None and tuple(event) != self.event:
                raise ValueError(f"surrogate must take samples of shape {self.event}; its event shape is {event}.")
            call = evaluator(other, cond, argument="surrogate")
            return lambda x, lam: basis.into(call(basis.out_of(x), lam))

        def denoise_all(x: Array, lam: Array) -> Array:
            return jax.vmap(basis.into)(plain(jax.vmap(basis.out_of)(x), lam))

        divided, trained = devices.on_time(self.mesh), self.denoiser.schedule.trained
        return Problem(
            denoise,
            divided(denoise_all),
            self.solved,
            tables,
            trained,
            self._calibration,
            divided,
            surrogate,
            observation,
        )


def evaluator(
    denoiser: Denoiser, cond: PyTree, pure: bool = False, argument: str = "denoiser"
) -> Callable[[Array, Array], Array]:
    """(x, lambda) -> D for one sample, x being its state divided by alpha; or for R states in one call, lambda (R,).

    For `pure` noise, alpha = 0, x is the state divided by sigma. `argument` is what an error calls the denoiser.
    """

    def denoise(x: Array, lam: Array) -> Array:
        level, many = denoiser.schedule.level(lam), jnp.ndim(lam) == 1
        batch = x if many else x[None]
        each = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(batch), *leaf.shape)), cond)
        unit = level.sigma if pure else level.alpha
        out = denoiser(per_event(unit, batch).astype(x.dtype) * batch, level, each)
        if out.shape != batch.shape:
            raise ValueError(f"{argument} must return an array of x's shape {batch.shape}; got {out.shape}.")
        return (out if many else out[0]).astype(x.dtype)

    return denoise


def slowest(computed: Array, microbatch: int | None) -> Array:
    """Evaluations that each sample's batch computed: the loop of a batch runs until its slowest sample is done."""
    n = len(computed)
    size = min(microbatch or n, n)
    batch = jnp.arange(n) // size
    return jax.ops.segment_max(computed, batch, num_segments=-(-n // size))[batch]
