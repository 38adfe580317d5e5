"""Samples streamed to disk, of whatever kind: a function of their numbers draws them."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import devices
from jaxsamp.core import checks
from jaxsamp.core.progress import bar
from jaxsamp.core.types import Array
from jaxsamp.running.shards import identity as identities
from jaxsamp.running.shards.ledger import Ledger
from jaxsamp.running.shards.reader import Shards

MAX_SAMPLES, MAX_BYTES = 16_384, 2**28  # of a shard of default size

# (first, size) -> (samples (size, *event), their stats)
Draw = Callable[[int, int], tuple[Array, dict[str, Array]]]


class Options(NamedTuple):
    """How samples are written; see `sample_shards`."""

    transform: Callable[[Array], Array] | None
    shard_size: int | None
    settings: dict[str, Any] | None
    mesh: Any
    process: tuple[int, int] | None
    progress: bool


def write(
    folder: str | Path,
    key: Any,
    shape: tuple[int, ...],
    draw: Draw,
    about: dict[str, Any],
    programs: dict[str, str],
    options: Options,
    dtype: Any = float,
) -> Shards:
    """Write the samples that `draw` gives, one shard at a time; shards that are there already are kept.

    Args:
        folder: where the shards are written.
        key: the key of all samples.
        shape: (n, *event).
        draw: gives samples by their numbers; always called with the same size, so that one compilation serves all.
        about: what the samples depend on besides the key and their numbers, by name; see `identity.identity`.
        programs: what `draw` computes, by name; see `identity.program`.
        options: how the samples are written.
        dtype: that of the samples that `draw` gives; `float` is JAX's default one.
    """
    index, processes = identities.process(options.process)
    n, event, mesh = shape[0], tuple(shape[1:]), options.mesh
    chosen = options.shard_size
    size = min(n, default_size(event, dtype) if chosen is None else checks.at_least("shard_size", chosen, 1))
    shards = -(-n // size)
    if shards * size > checks.SAMPLES_PER_KEY:
        raise ValueError(f"shape must have at most 2^32 samples in whole shards, all that a key can number; got {n}.")
    change, warned = None if options.transform is None else jax.jit(options.transform), set()
    written = jax.ShapeDtypeStruct((size, *event), jnp.result_type(dtype))
    written = written if change is None else jax.eval_shape(change, written)
    if not isinstance(written, jax.ShapeDtypeStruct) or written.shape[:1] != (size,):
        got = getattr(written, "shape", written)
        raise ValueError(f"transform must keep the number of samples, {size}; got the shape {got}.")

    def drawn(shard: int) -> Drawn:
        first = shard * size
        count = min(size, n - first)
        # The last shard too is drawn whole, and then cut: another size would need another compilation.
        with _warning_once(warned):
            x, stats = draw(first, size)
        return Drawn(shard, first, count, x if change is None else change(x), _costs(stats, count))

    about |= {"transform": options.transform, "devices": identities.devices(mesh)}
    about = _settings(options.settings, about) | about
    if options.transform is not None:
        one = jax.ShapeDtypeStruct((1, *event), jnp.result_type(dtype))
        programs = programs | {"transform": identities.program(options.transform, one)}
    job = identities.identity(n, size, written, key, about, programs)
    with closing(Ledger(_made(folder), job, identities.versions(), index)) as ledger:
        mine = range(index, shards, processes)
        left = [shard for shard in mine if not ledger.has(shard)]
        total, to_draw = (sum(min(size, n - shard * size) for shard in some) for some in (mine, left))
        if left:
            ledger.lock()
        with bar("sampling", total, options.progress) as advance:
            _stream(map(drawn, left), ledger, advance, total - to_draw)
        ledger.finish()
    return Shards(folder, job)  # a process without shards may be here before the others have written any


def default_size(event: tuple[int, ...], dtype: Any = float) -> int:
    """Default number of samples per shard: 16,384, or the largest power of two that fits in 256 MiB if that is less."""
    fitting = MAX_BYTES // (jnp.result_type(dtype).itemsize * math.prod(event))
    return min(MAX_SAMPLES, 1 << max(0, fitting.bit_length() - 1))


class Drawn(NamedTuple):
    """A shard that is not on disk yet; `x` may have more than its `count` samples."""

    shard: int
    first: int
    count: int
    x: Array
    costs: dict[str, int]


def _stream(drawn: Iterator[Drawn], ledger: Ledger, advance: Callable[..., None], before: int) -> None:
    """Write each shard while the next one is computed; a third one is begun only when the first is on disk."""
    began, done, writing = 0.0, 0, None

    def write(one: Drawn) -> int:
        ledger.write(one.shard, one.first, np.ascontiguousarray(np.asarray(one.x)[: one.count]), one.costs)
        return one.count

    def wait(writing: Future[int]) -> None:
        nonlocal began, done
        count, now = writing.result(), time.perf_counter()
        if not began:  # the first shard also took time to compile, so its speed says nothing about the others
            began = now
            advance(before + count)
        else:
            done += count
            advance(count, note=f"{done / (now - began):,.0f} samples/s")

    # On any exception, Ctrl-C included, leaving the pool waits for the shard that is being written.
    with ThreadPoolExecutor(1) as pool:
        for one in drawn:
            if writing is not None:
                wait(writing)
            writing = pool.submit(write, one)
            del one  # now only the writer holds it, until it is on disk
        if writing is not None:
            wait(writing)


@contextmanager
def _warning_once(known: set[tuple[Any, ...]]) -> Iterator[None]:
    """Show the warnings of the block, except those from a place that is in `known`, whatever numbers they hold."""
    found = []
    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            yield
    finally:
        for one in found:
            place = one.category, one.filename, one.lineno
            if place not in known:
                known.add(place)
                warnings.warn_explicit(one.message, *place)


def _costs(stats: dict[str, Array], count: int) -> dict[str, int]:
    """The total and the largest cost of the first `count` samples: integers, exact in any order of summing."""
    costs = {}
    for cost in ("evaluations", "rounds"):
        if cost not in stats:  # chains of spins make no calls of a network
            continue
        values = np.asarray(stats[cost])[:count]
        costs |= {cost: int(values.sum(dtype=np.int64)), f"{cost}_most": int(values.max())}
    converged = stats["converged" if "converged" in stats else "finite"]
    return costs | {"converged": int(np.asarray(converged)[:count].sum())}


def _settings(given: Any, taken: dict[str, Any]) -> dict[str, Any]:
    """The settings of the caller, which must be plain values under names of their own."""

    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(isinstance(name, str) and plain(part) for name, part in value.items())
        if isinstance(value, list | tuple):
            return all(map(plain, value))
        return value is None or isinstance(value, str | bool | int | float | np.generic | np.ndarray | jax.Array)

    given = {} if given is None else given
    if not isinstance(given, dict) or not plain(given):
        raise ValueError(f"settings must be a dict of numbers, strings, arrays, lists and dicts; got {given}.")
    if both := sorted(given.keys() & taken.keys()):
        raise ValueError(f"settings must not have the name {both[0]!r}, which jaxsamp writes down by itself.")
    return given


def check_mesh(mesh: Any) -> None:
    """Raise unless `mesh` is None or a mesh of devices of this process alone."""
    devices.check_mesh(mesh)
    if mesh is not None and len(mesh.local_devices) != mesh.size:
        raise ValueError(
            "mesh must have devices of this process alone, jaxsamp.mesh(devices=jax.local_devices()), because each "
            f"shard is drawn by one process; got {mesh.size} devices, {len(mesh.local_devices)} of this process."
        )


def _made(folder: str | Path) -> Path:
    if not isinstance(folder, str | Path):
        raise ValueError(f"folder must be a path; got {folder!r}.")
    path = Path(folder).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"folder must be one that can be made; got {folder} ({error.strerror}).") from error
    return path
