"""`sample_shards` and `sample_density_shards`: more samples than memory holds, streamed to disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxsamp import devices, grids
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser, Density
from jaxsamp.core.types import Array, PRNGKey, PyTree
from jaxsamp.mcmc import Langevin, Underdamped
from jaxsamp.running.chains import check_chains, sample_density
from jaxsamp.running.sampling import carrying, check_sampler, sample
from jaxsamp.running.shards import identity as identities
from jaxsamp.running.shards.reader import Shards
from jaxsamp.running.shards.stream import Options, check_mesh, write
from jaxsamp.samplers import Sampler, UniPC


def sample_shards(
    folder: str | Path,
    key: PRNGKey,
    denoiser: Denoiser,
    shape: tuple[int, ...],
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
    steps: int | None = None,
    *,
    grid: grids.Grid = "log_snr",
    final_denoise: bool = True,
    cond: PyTree = None,
    transform: Callable[[Array], Array] | None = None,
    shard_size: int | None = None,
    settings: dict[str, Any] | None = None,
    mesh: Mesh | None = None,
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
    sampler = check_sampler(sampler)
    denoiser = checks.batch(key, denoiser, shape, cond, microbatch)
    check_mesh(mesh)
    sampler.check()
    levels = np.asarray(grids.resolve(grid, denoiser.schedule, steps, sampler.default_steps))
    denoiser, cond, last = carrying(denoiser, sampler), jax.tree.map(np.asarray, cond), shape[0] - 1
    about = {"sampler": sampler, "steps": len(levels) - 1, "levels": levels.tolist(), "final_denoise": final_denoise}
    about |= {"denoiser": denoiser, "weights": identities.checksum(denoiser), "cond": cond, "microbatch": microbatch}
    denoiser = devices.replicate(denoiser, mesh)

    def draw(first: int, size: int) -> tuple[Array, dict[str, Array]]:
        given = jax.tree.map(lambda leaf: leaf[np.minimum(np.arange(first, first + size), last)], cond)
        out = sample(
            key, denoiser, (size, *shape[1:]), sampler, grid=levels, final_denoise=final_denoise, cond=given,
            first=first, mesh=mesh, microbatch=microbatch,
        )  # fmt: skip
        return out.x, out.stats

    return write(folder, key, shape, draw, about, Options(transform, shard_size, settings, mesh, process, progress))


def sample_density_shards(
    folder: str | Path,
    key: PRNGKey,
    target: Density,
    shape: tuple[int, ...],
    sampler: Langevin = Underdamped(step_size=0.5),  # noqa: B008  (frozen)
    steps: int = 1000,
    *,
    warmup: int = 500,
    polish: int = 0,
    transform: Callable[[Array], Array] | None = None,
    shard_size: int | None = None,
    settings: dict[str, Any] | None = None,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    process: tuple[int, int] | None = None,
    progress: bool = False,
) -> Shards:
    """Run chains into a folder, the last state of each, a shard at a time; called again, it goes on.

    Shard k holds the states `x` of chains k * shard_size, ... of `jaxsamp.sample_density(key, target, shape, ...)`.
    All else is as in `sample_shards`.

    Args:
        folder: a folder without samples, or that of the same job.
        key: as for `jaxsamp.sample_density`, like the target, shape, sampler, steps, warmup, polish and microbatch.
        transform: as in `sample_shards`, like shard_size, settings, mesh, process and progress.

    Returns:
        `Shards`.

    Raises:
        ValueError: as `jaxsamp.sample_density`; or the folder holds samples of other settings, which it names.
        TypeError: as `jaxsamp.sample_density`.
    """
    sampler, target = check_chains(key, target, shape, sampler, steps, warmup, 0, polish, microbatch)
    check_mesh(mesh)
    about = {"sampler": sampler, "steps": steps, "warmup": warmup, "polish": polish, "target": target}
    about |= {"weights": identities.checksum(target), "microbatch": microbatch}
    target = devices.replicate(target, mesh)

    def draw(first: int, size: int) -> tuple[Array, dict[str, Array]]:
        out = sample_density(
            key, target, (size, *shape[1:]), sampler, steps, warmup=warmup, thin=0, polish=polish, first=first,
            mesh=mesh, microbatch=microbatch,
        )  # fmt: skip
        return out.x, out.stats

    return write(folder, key, shape, draw, about, Options(transform, shard_size, settings, mesh, process, progress))
