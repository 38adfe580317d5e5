"""`sample_shards`: more samples than memory holds, streamed to disk."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import devices, grids
from jaxsamp.core import checks
from jaxsamp.core.progress import bar
from jaxsamp.core.types import Array, ArrayLike, PyTree
from jaxsamp.running.sampling import MOST, carrying, check_call, sample
from jaxsamp.running.shards import identity as identities
from jaxsamp.running.shards.ledger import Ledger
from jaxsamp.running.shards.reader import Shards
from jaxsamp.samplers import Sampler, UniPC

LARGEST, LARGEST_BYTES = 16_384, 2**28  # of a shard, where no other size is asked for


def sample_shards(
    folder: str | Path,
    key: Any,
    denoiser: Any,
    shape: tuple[int, ...],
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
    steps: int | None = None,
    *,
    grid: str | ArrayLike | Callable[..., Array] = "log_snr",
    final_denoise: bool = True,
    cond: PyTree = None,
    transform: Callable[[Array], Array] | None = None,
    shard_size: int | None = None,
    settings: dict[str, Any] | None = None,
    mesh: Any = None,
    microbatch: int | None = None,
    process: tuple[int, int] | None = None,
    progress: bool = False,
) -> Shards:
    """Draw samples into a folder, a shard at a time; called again after whatever stopped it, it goes on.

    Shard k holds samples k * shard_size, ... of `jaxsamp.sample(key, denoiser, shape, ...)`. It is written under
    another name, and renamed when it is whole, while the next one is computed: memory holds two, however many there
    are. The finished folder has the same bytes whatever interrupted the job and however many processes shared it, on
    equal meshes of equal devices. Every shard is drawn at the same size, so that one compilation serves all.

    Args:
        folder: a folder without samples, or that of the same job: its shards are kept where their checksums are right.
        key: as for `jaxsamp.sample`, like the denoiser, shape, sampler, steps, grid, final_denoise and microbatch.
        cond: a pytree for the denoiser, leaves (n, ...), which stay on the host.
        transform: what is written of the samples: a function of JAX arrays, (n, *event) -> (n, ...), of each row alone,
            such as one to whole numbers.
        shard_size: samples in a shard; by default 16,384, or a smaller power of two that keeps a shard below 256 MiB.
        settings: plain values that the job also is known by, such as the name of a data set.
        mesh: devices of this process that each shard is divided over, `jaxsamp.mesh(devices=jax.local_devices())`.
        process: (index, count): this process draws shards index, index + count, ...; by default those of
            `jax.distributed`. The processes share the folder, and need not wait for each other.
        progress: show a progress bar.

    Returns:
        `Shards`, whose `complete` says whether the shards of other processes are there too.

    Raises:
        ValueError: as `jaxsamp.sample`; or the folder holds samples of other settings, naming those that differ.
        TypeError: as `jaxsamp.sample`.
    """
    check_call(key, denoiser, shape, sampler, None, cond, microbatch, 0)
    _check_mesh(mesh)
    sampler.check()
    index, processes = identities.process(process)
    levels = np.asarray(grids.resolve(grid, denoiser.schedule, steps, sampler.default_steps))
    denoiser, cond = carrying(denoiser, sampler), jax.tree.map(np.asarray, cond)
    n, event = checks.at_least("every entry of shape", shape[0], 1), tuple(shape[1:])
    size = min(n, default_size(event) if shard_size is None else checks.at_least("shard_size", shard_size, 1))
    shards = -(-n // size)
    if shards * size > MOST:
        raise ValueError(f"shape must be of at most 2^32 samples in whole shards, which a key has; got {n}.")
    last, dtype = n - 1, jnp.result_type(float)
    change = None if transform is None else jax.jit(transform)
    written = jax.ShapeDtypeStruct((size, *event), dtype)
    written = written if change is None else jax.eval_shape(change, written)
    if written.shape[:1] != (size,):
        raise ValueError(f"transform must keep the number of samples, {size}; got the shape {written.shape}.")

    def draw(shard: int) -> Drawn:
        first = shard * size
        count = min(size, n - first)
        # The last one too is drawn whole, and then cut: another size would be another program.
        given = jax.tree.map(lambda leaf: leaf[np.minimum(np.arange(first, first + size), last)], cond)
        out = sample(
            key, denoiser, (size, *event), sampler, grid=levels, final_denoise=final_denoise, cond=given, first=first,
            mesh=mesh, microbatch=microbatch,
        )  # fmt: skip
        return Drawn(shard, first, count, out.x if change is None else change(out.x), _costs(out.stats, count))

    told = {"sampler": sampler, "steps": len(levels) - 1, "levels": levels.tolist(), "final_denoise": final_denoise}
    told |= {"denoiser": denoiser, "weights": identities.checksum(denoiser), "cond": cond, "transform": transform}
    told |= {"microbatch": microbatch, "devices": identities.devices(mesh)}
    about = identities.identity(n, size, written, key, {**(settings or {}), **told})
    denoiser = devices.replicate(denoiser, mesh)
    with closing(Ledger(_made(folder), about, identities.versions(), index)) as ledger:
        mine = range(index, shards, processes)
        left = [shard for shard in mine if not ledger.has(shard)]
        total, to_draw = (sum(min(size, n - shard * size) for shard in some) for some in (mine, left))
        with bar("sampling", total, progress) as advance:
            _stream(map(draw, left), ledger, advance, total - to_draw)
        ledger.finish(shards)
    return Shards(folder)


def default_size(event: tuple[int, ...]) -> int:
    """Samples in a shard where no number is asked for: 16,384, or the power of two that makes up to 256 MiB."""
    fitting = LARGEST_BYTES // (jnp.result_type(float).itemsize * math.prod(event))
    return min(LARGEST, 1 << max(0, fitting.bit_length() - 1))


class Drawn(NamedTuple):
    """A shard that is not on disk yet; `x` may have more than its `count` samples."""

    shard: int
    first: int
    count: int
    x: Array
    costs: dict[str, int]


def _stream(drawn: Iterator[Drawn], ledger: Ledger, advance: Callable[..., None], before: int) -> None:
    """Write each shard while the next one is computed; no third one is begun before the first is on disk."""
    began, done, writing = 0.0, 0, None

    def write(one: Drawn) -> int:
        ledger.write(one.shard, one.first, np.ascontiguousarray(np.asarray(one.x)[: one.count]), one.costs)
        return one.count

    def wait(writing: Future[int]) -> None:
        nonlocal began, done
        count, now = writing.result(), time.perf_counter()
        if not began:  # the first one also took time to compile, which says nothing about the others
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
            del one  # the writer holds it, until it is on disk
        if writing is not None:
            wait(writing)


def _costs(stats: dict[str, Array], count: int) -> dict[str, int]:
    """What so many samples cost in all, and at most: whole numbers, whose sums do not depend on their order."""
    found = {}
    for cost in ("evaluations", "rounds"):
        values = np.asarray(stats[cost])[:count]
        found |= {cost: int(values.sum(dtype=np.int64)), f"{cost}_most": int(values.max())}
    return found | {"converged": int(np.asarray(stats["converged"])[:count].sum())}


def _check_mesh(mesh: Any) -> None:
    devices.check_mesh(mesh)
    if mesh is not None and len(mesh.local_devices) != mesh.size:
        raise ValueError(
            "mesh must have devices of this process alone, jaxsamp.mesh(devices=jax.local_devices()), for each shard "
            f"is drawn by one process; got {mesh.size} devices, {len(mesh.local_devices)} of this process."
        )


def _made(folder: str | Path) -> Path:
    path = Path(folder).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"folder must be one that can be made; got {folder} ({error.strerror}).") from error
    return path
