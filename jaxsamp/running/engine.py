"""One engine under all doors: rows, each a sample or a chain, carried through steps over devices and microbatches.

A job says how one row starts, advances and ends. What it holds is shared by all rows; tables of the grid are made once
per run, by `prepare`. No row depends on another one.
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

MIN_ROWS = 64  # between two moves of a progress bar that can move between rows only
PIECES = 20  # about as many moves does a progress bar make


class Row(NamedTuple):
    """The inputs of one row, or of many: its number, its state at the start (None: drawn), its condition."""

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
    """A static number of steps: the program is compiled for it, and its loop can be differentiated in reverse mode."""

    count: int = field(metadata={"static": True})


class Job(ABC):
    """How one row is run: a frozen dataclass, registered as a pytree, whose leaves all rows share."""

    mesh: Any
    microbatch: int | None

    @property
    @abstractmethod
    def count(self) -> Any:
        """Number of all steps, as `advance` takes it."""

    @abstractmethod
    def pieces(self) -> list[Any]:
        """`count` in about PIECES parts, between which a progress bar moves."""

    def prepare(self) -> PyTree:
        """Arrays that all rows need, made once per run."""
        return None

    @abstractmethod
    def start(self, tables: PyTree, row: Row) -> Loop:
        """The row before its first step."""

    @abstractmethod
    def advance(self, tables: PyTree, row: Row, loop: Loop, first: Any, count: Any) -> Loop:
        """The row after `count` more steps, the first of which is number `first`."""

    @abstractmethod
    def finish(self, tables: PyTree, row: Row, loop: Loop) -> End:
        """The output of one row."""

    def counted(self, ends: End) -> End:
        """The outputs of the rows of one device, with what each row cost as `stats`."""
        return ends


def size_of(count: Any) -> Any:
    """A number of steps as a number."""
    return count.count if isinstance(count, Exactly) else count


def first_bad(bad: Array, x: Array, step: Array) -> Array:
    """The first step at which a row was not finite, brought up to date after `step`."""
    return jnp.where((bad < 0) & ~jnp.isfinite(x).all(), step.astype(jnp.int32), bad)


def execute(job: Job, rows: Row, progress: bool) -> tuple[End, bool]:
    """Run a job: in one program, or in several with a progress bar; inside a JAX transformation, as a part of it.

    Returns:
        The output, and whether its values are concrete.
    """
    # Inside jit even an array that depends on no argument is a tracer.
    if not checks.is_concrete(job, rows, jnp.zeros(())):
        return run(job, rows), False
    mesh = job.mesh
    run_all = _with_progress if progress else _compiled
    return run_all(devices.replicate(job, mesh), devices.placed(rows, mesh)), True


def run(job: Job, rows: Row) -> End:
    """All steps of all rows; each device runs its own rows, `microbatch` at a time."""

    def whole(job: Job, rows: Row) -> End:
        tables = job.prepare()

        def one(row: Row) -> End:
            return job.finish(tables, row, job.advance(tables, row, job.start(tables, row), 0, job.count))

        return job.counted(each(one, rows, job.microbatch))

    return spread(whole, job, rows, job.mesh)


_compiled = jax.jit(run)


def spread(function: Any, shared: PyTree, rows: PyTree, mesh: Any) -> PyTree:
    """function(shared, rows) over the devices of a mesh; the last row is repeated if the rows do not divide evenly."""
    count = len(jax.tree.leaves(rows)[0])
    total = devices.padded(count, mesh)
    out = devices.on_batch(function, mesh)(shared, rows if total == count else taken(rows, 0, total))
    return out if total == count else jax.tree.map(lambda leaf: leaf[:count], out)


def taken(rows: PyTree, first: int, count: int) -> PyTree:
    """Rows first .. first + count - 1; past the end, the last row is repeated."""
    return jax.tree.map(lambda leaf: jnp.take(leaf, first + jnp.arange(count), axis=0, mode="clip"), rows)


def working_dtype(init: Any) -> Any:
    """The dtype of the steps: that of the initial state, as `checks.init` returns it, but at least float32."""
    return jnp.result_type(float) if init is None else jnp.promote_types(init.dtype, jnp.float32)


def numbered(first: int, n: int) -> np.ndarray:
    """The numbers first .. first + n - 1 of the rows, as uint32."""
    return np.arange(first, first + n).astype(np.uint32)


# The parts of a run in pieces; each is compiled once.
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
        size = n if len(pieces) > 1 else max(MIN_ROWS, -(-n // PIECES))
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
