"""What the jobs of all chains share: counting their steps, going through them, and keeping states on the way."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, PyTree, State
from jaxsamp.running.engine import PIECES, Job, Loop, Row, first_bad


class Counts(NamedTuple):
    """Numbers of steps: before the draws, during them, from one draw to the next, of polish. They do not recompile."""

    warmup: Any
    steps: Any
    thin: Any
    polish: Any = 0


class Saved(NamedTuple):
    """States that are kept; None if none are."""

    draws: Array | None
    path: Array | None


@pytree
@dataclass(frozen=True)
class Walk(Job):
    """The steps of one chain; `kept` is the number of its draws, `places` that of the states of its path."""

    key: Array
    counts: Counts
    event: tuple[int, ...] = field(metadata={"static": True})
    dtype: Any = field(metadata={"static": True})
    kept: int = field(metadata={"static": True})
    places: int = field(metadata={"static": True})
    save_every: int = field(metadata={"static": True})
    microbatch: int | None = field(metadata={"static": True})
    mesh: Any = field(metadata={"static": True})

    @abstractmethod
    def begun(self, row: Row, rng: Rng) -> State:
        """The state before the first step."""

    @abstractmethod
    def moved(self, state: State, i: Array, rng: Rng) -> State:
        """The state after step i."""

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
        state = self.begun(row, self._rng(row))
        draws = jnp.zeros((self.kept, *self.event), self.dtype) if self.kept else None
        path = jnp.zeros((self.places, *self.event), self.dtype).at[0].set(state.x) if self.places else None
        return Loop(state, jnp.full((), -1, jnp.int32), Saved(draws, path))

    def advance(self, tables: PyTree, row: Row, loop: Loop, first: Any, count: Any) -> Loop:
        """`count` more steps. If the count is a plain number, the loop can be differentiated in reverse mode."""
        rng = self._rng(row)
        return self._steps(lambda state, i: self.moved(state, i, rng), loop, first, count)

    def _steps(self, step: Callable[[State, Array], State], loop: Loop, first: Any, count: Any) -> Loop:
        def body(j: Array, loop: Loop) -> Loop:
            i = jnp.asarray(first + j, jnp.int32)
            state = step(loop.state, i)
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


def places(counts: Counts, save_every: int) -> dict[str, int]:
    """The numbers of draws and of states of the path that are kept, for `Walk`."""
    kept = counts.steps // counts.thin if counts.thin else 0
    return {"kept": kept, "places": (counts.warmup + counts.steps) // save_every + 1 if save_every else 0}


def check_counts(steps: Any, warmup: Any, thin: Any, microbatch: Any) -> None:
    """Raise unless the numbers of steps, and of chains at a time, are possible."""
    checks.at_least("steps", steps, 1)
    for name, count in (("warmup", warmup), ("thin", thin)):
        checks.at_least(name, count, 0)
    if thin > steps:
        raise ValueError(f"thin must be at most steps = {steps}, or 0 to keep no draws; got {thin}.")
    if microbatch is not None:
        checks.at_least("microbatch", microbatch, 1)
