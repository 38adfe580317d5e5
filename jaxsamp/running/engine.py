"""One engine under all doors: rows, each a sample or a chain, carried through steps over devices and microbatches.

A job says how one row starts, advances and ends. What it holds is shared by all rows; what the grid needs is made once
per run, by `prepare`. A row never sees another one.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import devices
from jaxsamp.core import checks
from jaxsamp.core.batching import each
from jaxsamp.core.progress import bar
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, PyTree, State

LEAST = 64  # rows at a time between two moves of a bar that cannot move between steps
PIECES = 20  # moves of a bar, about


class Row(NamedTuple):
    """What one row, or each of many, is given: its number, its state at the start, its condition."""

    index: ArrayLike
    init: Array | None = None
    cond: PyTree = None


class Loop(NamedTuple):
    """One row between two steps."""

    state: State
    bad: Array  # first step with a non-finite state, -1 for none
    saved: PyTree  # states that are kept


class End(NamedTuple):
    """One row after its last step."""

    x: Array
    bad: Array
    saved: PyTree
    stats: Any = None


@pytree
@dataclass(frozen=True)
class Exactly:
    """A number of steps that a program is compiled for; its loop can then be differentiated in reverse."""

    count: int = field(metadata={"static": True})


class Job(ABC):
    """How one row is run: a frozen registered dataclass, whose leaves all rows share."""

    mesh: Any
    microbatch: int | None

    @property
    @abstractmethod
    def count(self) -> Any:
        """Number of steps: what `advance` takes for all of them."""

    @abstractmethod
    def pieces(self) -> list[Any]:
        """The same in some twenty parts, for a progress bar to move between them."""

    def prepare(self) -> PyTree:
        """Arrays that all rows need, made once per run."""
        return None

    @abstractmethod
    def start(self, tables: PyTree, row: Row) -> Loop:
        """The row before its first step."""

    @abstractmethod
    def advance(self, tables: PyTree, row: Row, loop: Loop, first: Any, count: Any) -> Loop:
        """The row after `count` more steps, of which `first` is the first."""

    @abstractmethod
    def finish(self, tables: PyTree, row: Row, loop: Loop) -> End:
        """What comes out."""

    def counted(self, ends: End) -> End:
        """With what the run of these rows, on one device, cost each of them."""
        return ends


def size_of(count: Any) -> Any:
    """A number of steps as a number."""
    return count.count if isinstance(count, Exactly) else count


def first_bad(bad: Array, x: Array, step: Array) -> Array:
    """The first step at which a row was not finite, after `step`."""
    return jnp.where((bad < 0) & ~jnp.isfinite(x).all(), step.astype(jnp.int32), bad)


def execute(job: Job, rows: Row, progress: bool) -> End:
    """Run a job: in one program, or with a progress bar in several; inside a transformation, as part of its own."""
    if not checks.is_concrete(job, rows):
        return run(job, rows)
    job, mesh = devices.replicate(job, job.mesh), job.mesh
    count = len(jax.tree.leaves(rows)[0])
    rows = (devices.divide if count == devices.padded(count, mesh) else devices.replicate)(rows, mesh)
    return (_with_progress if progress else _compiled)(job, rows)


def run(job: Job, rows: Row) -> End:
    """All steps of all rows; on each device its own ones, `microbatch` at a time."""

    def whole(job: Job, rows: Row) -> End:
        tables = job.prepare()

        def one(row: Row) -> End:
            return job.finish(tables, row, job.advance(tables, row, job.start(tables, row), 0, job.count))

        return job.counted(each(one, rows, job.microbatch))

    return spread(whole, job, rows, job.mesh)


_compiled = jax.jit(run)


def spread(function: Any, shared: PyTree, rows: PyTree, mesh: Any) -> PyTree:
    """function(shared, rows) over the devices of a mesh; the last row is repeated where rows do not divide."""
    count = len(jax.tree.leaves(rows)[0])
    total = devices.padded(count, mesh)
    out = devices.on_batch(function, mesh)(shared, rows if total == count else taken(rows, 0, total))
    return out if total == count else jax.tree.map(lambda leaf: leaf[:count], out)


def taken(rows: PyTree, first: int, count: int) -> PyTree:
    """Rows first .. first + count - 1; past the end the last one, again and again."""
    return jax.tree.map(lambda leaf: jnp.take(leaf, first + jnp.arange(count), axis=0, mode="clip"), rows)


def working_dtype(init: Any) -> Any:
    """The precision that steps are taken in: that of the start, float32 at least."""
    return jnp.result_type(float) if init is None else jnp.promote_types(init.dtype, jnp.float32)


def numbered(first: int, n: int) -> np.ndarray:
    """The numbers of the rows."""
    return np.arange(first, first + n).astype(np.uint32)


# The run in pieces: one compilation of each.
@jax.jit
def _prepare(job: Job) -> PyTree:
    return job.prepare()


@jax.jit
def _start(shared: tuple[Job, PyTree], rows: Row) -> Loop:
    def part(shared: tuple[Job, PyTree], rows: Row) -> Loop:
        job, tables = shared
        return jax.vmap(partial(job.start, tables))(rows)

    return devices.on_batch(part, shared[0].mesh)(shared, rows)


@jax.jit
def _advance(shared: tuple[Job, PyTree], rows: Row, loop: Loop, first: Array, count: Any) -> Loop:
    def part(shared: tuple[Any, ...], rows: tuple[Row, Loop]) -> Loop:
        job, tables, first, count = shared
        return jax.vmap(lambda row, loop: job.advance(tables, row, loop, first, count))(*rows)

    return devices.on_batch(part, shared[0].mesh)((*shared, first, count), (rows, loop))


@jax.jit
def _finish(shared: tuple[Job, PyTree], rows: Row, loop: Loop) -> End:
    def part(shared: tuple[Job, PyTree], rows: tuple[Row, Loop]) -> End:
        job, tables = shared
        return job.counted(jax.vmap(partial(job.finish, tables))(*rows))

    return devices.on_batch(part, shared[0].mesh)(shared, (rows, loop))


def _with_progress(job: Job, rows: Row) -> End:
    """The same numbers as `run`, in equal pieces of steps and rows with a progress bar between them."""
    n, pieces, mesh = len(jax.tree.leaves(rows)[0]), job.pieces(), job.mesh
    if job.microbatch:
        size = job.microbatch * devices.padded(1, mesh)
    else:
        size = n if len(pieces) > 1 else max(LEAST, -(-n // PIECES))
    size = devices.padded(min(size, n), mesh)
    starts, steps = range(0, n, size), sum(size_of(piece) for piece in pieces)
    shared, done = (job, _prepare(job)), []
    with bar("sampling", len(starts) * steps, devices.leads(mesh)) as move:
        for place in starts:
            some = devices.divide(taken(rows, place, size), mesh)
            loop, first = _start(shared, some), 0
            for piece in pieces:
                loop = _advance(shared, some, loop, first, piece)
                first += size_of(piece)
                move(size_of(piece), wait_for=loop.bad)
            done.append(_finish(shared, some, loop))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[:n], *done)
