"""The job of `sample_density`: how one chain gets from its start to its last step."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp.core import laws
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, PyTree, State
from jaxsamp.mcmc import Langevin
from jaxsamp.mcmc.base import Score
from jaxsamp.mcmc.curvature import curvature_along
from jaxsamp.running.engine import PIECES, End, Job, Loop, Row, first_bad

ENDS, ITERATIONS = 4, 10  # last states of a device at which the curvature is looked at, and products with the Hessian


class Counts(NamedTuple):
    """Numbers of steps: before the draws, during them, from one draw to the next, of polish. They do not recompile."""

    warmup: Any
    steps: Any
    thin: Any
    polish: Any


class Saved(NamedTuple):
    """States that are kept; None if none are."""

    draws: Array | None
    path: Array | None


@pytree
@dataclass(frozen=True)
class Chain(Job):
    """The steps of one chain; `kept` is the number of its draws, `places` that of the states of its path."""

    sampler: Langevin
    target: Any
    key: Array
    counts: Counts
    event: tuple[int, ...] = field(metadata={"static": True})
    dtype: Any = field(metadata={"static": True})
    kept: int = field(metadata={"static": True})
    places: int = field(metadata={"static": True})
    save_every: int = field(metadata={"static": True})
    polish: bool = field(metadata={"static": True})
    microbatch: int | None = field(metadata={"static": True})
    mesh: Any = field(metadata={"static": True})

    @property
    def count(self) -> Any:
        """A number that is not part of the structure: other numbers of steps do not recompile."""
        return self.counts.warmup + self.counts.steps

    def pieces(self) -> list[Any]:
        """Pieces of one length, and a last one with the rest."""
        total = self.count
        length = max(1, total // PIECES)
        return [min(length, total - first) for first in range(0, total, length)]

    def start(self, tables: PyTree, row: Row) -> Loop:
        """The chain before its first step."""
        rng = self._rng(row)
        x = rng.prior() if row.init is None else row.init.astype(self.dtype)
        draws = jnp.zeros((self.kept, *self.event), self.dtype) if self.kept else None
        path = jnp.zeros((self.places, *self.event), self.dtype).at[0].set(x) if self.places else None
        state = self.sampler.init(self._score(), x, 0, rng)
        return Loop(state, jnp.full((), -1, jnp.int32), Saved(draws, path))

    def advance(self, tables: PyTree, row: Row, loop: Loop, first: Any, count: Any) -> Loop:
        """`count` more steps. If the count is a plain number, the loop can be differentiated in reverse mode."""
        return self._steps(self.sampler, row, loop, first, count)

    def finish(self, tables: PyTree, row: Row, loop: Loop) -> End:
        """The last state, after the frozen steps at the end, if any."""
        if self.polish:
            first, frozen = self.count, self.sampler.polishing(self.counts.polish)
            assert frozen is not None  # the door has refused samplers without it
            state = frozen.init(self._score(), loop.state.x, first, self._rng(row))
            bare = Loop(state, loop.bad, Saved(None, None))
            loop = self._steps(frozen, row, bare, first, self.counts.polish)._replace(saved=loop.saved)
        x = lax.stop_gradient(loop.state.x)[None]
        return End(loop.state.x, loop.bad, loop.saved, laws.clean_log_density(self._constant, x))

    def counted(self, ends: End) -> End:
        """The outputs, with whether each chain ended where the density is positive, and the curvature at those ends."""
        n = len(ends.bad)
        if ends.stats is None:  # nothing is known but a score
            return ends._replace(stats={"inside": jnp.ones(n, bool), "curvature": jnp.full(n, jnp.nan, self.dtype)})
        density = ends.stats[:, 0]
        inside = density > -jnp.inf  # and so is infinity, at a pole
        # The likeliest states: a chain that was thrown far away says nothing about where the law lives.
        _, best = lax.top_k(jnp.where(inside, density, -jnp.inf), min(n, ENDS))
        x = lax.stop_gradient(ends.x[best])
        target = self._constant
        found = laws.traced(target, lambda: curvature_along(target, x, self._scale, ITERATIONS))
        curvature = jnp.full(len(x), jnp.nan) if found is None else found
        most = jnp.max(curvature, where=inside[best] & jnp.isfinite(curvature), initial=-jnp.inf)
        return ends._replace(stats={"inside": inside, "curvature": jnp.full(n, most, self.dtype)})

    @property
    def _constant(self) -> Any:
        """The target, through which no derivative flows: checks are not part of what is differentiated."""
        return jax.tree.map(lax.stop_gradient, self.target)

    @property
    def _scale(self) -> Array:
        """The root of the inertia: steps feel the curvature of the density of x / scale."""
        inertia = getattr(self.sampler, "inverse_lipschitz", None)
        return jnp.sqrt(lax.stop_gradient(jnp.asarray(1.0 if inertia is None else inertia, self.dtype)))

    def _steps(self, sampler: Any, row: Row, loop: Loop, first: Any, count: Any) -> Loop:
        rng, score = self._rng(row), self._score()

        def body(j: Array, loop: Loop) -> Loop:
            i = jnp.asarray(first + j, jnp.int32)
            state = sampler.step(score, loop.state, i, rng)
            return Loop(state, first_bad(loop.bad, state.x, i), self._save(loop.saved, state, i + 1))

        return lax.fori_loop(0, count, body, loop)

    def _save(self, saved: Saved, state: State, done: Array) -> Saved:
        """What is kept after `done` steps: with this state, if it is one to keep."""
        draws, path = saved
        if draws is not None:
            after = done - self.counts.warmup
            slot = jnp.where((after > 0) & (after % self.counts.thin == 0), after // self.counts.thin - 1, self.kept)
            draws = draws.at[slot].set(state.x, mode="drop")
        if path is not None:
            slot = jnp.where(done % self.save_every == 0, done // self.save_every, self.places)
            path = path.at[slot].set(state.x, mode="drop")
        return Saved(draws, path)

    def _rng(self, row: Row) -> Rng:
        return Rng(jax.random.fold_in(self.key, row.index), self.event, self.dtype)

    def _score(self) -> Score:
        """The target's score at one place of one chain, or at R places in one call."""

        def score(x: Array) -> Array:
            many = x.ndim > len(self.event)
            out = laws.clean_score(self.target, x if many else x[None])
            return (out if many else out[0]).astype(x.dtype)

        return score
