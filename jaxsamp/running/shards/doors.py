"""`sample_shards` and `sample_density_shards`: more samples than memory holds, streamed to disk."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxsamp import devices, grids
from jaxsamp.core import checks, laws
from jaxsamp.core.protocols import Denoiser, Density, Scored
from jaxsamp.core.random import is_key
from jaxsamp.core.types import Array, PRNGKey, PyTree
from jaxsamp.mcmc import DensitySampler, Underdamped
from jaxsamp.running.chains import check_chains, sample_density
from jaxsamp.running.sampling import carrying, check_sampler, sample
from jaxsamp.running.shards import identity as identities
from jaxsamp.running.shards.reader import Shards
from jaxsamp.running.shards.stream import Options, check_mesh, write
from jaxsamp.running.starts import levels_of
from jaxsamp.running.trajectory import evaluator
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
    """Draw samples into a folder, one shard at a time. If something stopped the job, the same call continues it.

    Shard k holds samples k * shard_size, ... of `jaxsamp.sample(key, denoiser, shape, ...)`. It is written under
    another name, and renamed when it is complete, while the next one is computed: memory holds two shards at most.
    The finished folder has the same bytes whatever interrupted the job and however many processes shared it, if all
    have equal meshes of equal devices. Every shard is drawn at the same size, so that one compilation serves all.

    Args:
        folder: a folder without samples, or that of the same job, whose shards with the right checksums are kept.
        key: as in `jaxsamp.sample`, and so are denoiser, shape, sampler, steps, grid, final_denoise and microbatch.
        cond: conditions for the denoiser, a pytree with leaves (n, ...), which stay on the host.
        transform: turns samples into what is written: a function of JAX arrays, (n, *event) -> (n, ...), that works on
            each row alone, such as a conversion to whole numbers.
        shard_size: samples in a shard; by default 16,384, or a smaller power of two that keeps a shard below 256 MiB.
        settings: further plain values that identify the job, such as the name of a data set.
        mesh: devices of this process that each shard is divided over, `jaxsamp.mesh(devices=jax.local_devices())`.
        process: (index, count): this process draws shards index, index + count, ...; by default those of
            `jax.distributed`. The processes share the folder, and need not wait for each other.
        progress: show a progress bar.

    Returns:
        `Shards`, whose `complete` says whether the shards of other processes are there too.

    Raises:
        ValueError: as in `jaxsamp.sample`; or the folder holds samples of other settings, and those that differ are
            named.
        TypeError: as in `jaxsamp.sample`.
        OSError: the disk is full; no part of a file is left.
    """
    sampler = check_sampler(sampler)
    denoiser = checks.batch(key, denoiser, shape, cond, microbatch)
    check_mesh(mesh)
    sampler.check()
    levels = np.asarray(levels_of(grid, denoiser, sampler, steps))
    denoiser, cond, last = carrying(denoiser, sampler), jax.tree.map(_on_host, cond), shape[0] - 1
    about = {"sampler": sampler, "steps": len(levels) - 1, "levels": levels.tolist(), "final_denoise": final_denoise}
    about |= {"denoiser": denoiser, "weights": identities.checksum(denoiser), "cond": cond, "microbatch": microbatch}
    about |= {"conditions": identities.checksum(cond)}  # those that `describe` cannot see into too
    programs = {"denoiser": _denoiser_program(denoiser, shape[1:], cond)}
    if identities.foreign(sampler):
        one = partial(_one_sample, sampler, levels, final_denoise, tuple(shape[1:]))
        row = jax.tree.map(lambda leaf: leaf[:1], cond)
        programs |= {"sampler": identities.program(one, key, denoiser, row)}
    denoiser = devices.replicate(denoiser, mesh)

    def draw(first: int, size: int) -> tuple[Array, dict[str, Array]]:
        given = jax.tree.map(lambda leaf: leaf[np.minimum(np.arange(first, first + size), last)], cond)
        out = sample(
            key, denoiser, (size, *shape[1:]), sampler, grid=levels, final_denoise=final_denoise, cond=given,
            first=first, mesh=mesh, microbatch=microbatch,
        )  # fmt: skip
        return out.x, out.stats

    return write(
        folder, key, shape, draw, about, programs, Options(transform, shard_size, settings, mesh, process, progress)
    )


def sample_density_shards(
    folder: str | Path,
    key: PRNGKey,
    target: Density | Scored,
    shape: tuple[int, ...],
    sampler: DensitySampler = Underdamped(step_size=0.5),  # noqa: B008  (frozen)
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
    """Write the last state of each chain into a folder, one shard at a time, of a density known up to a constant.

    The same call continues a job that was stopped. Shard k holds the states `x`, (shard_size, *event), of chains
    k * shard_size, ... of `jaxsamp.sample_density(key, target, shape, ...)`. Starts are standard normal. As of
    `sample_shards`, the finished folder has the same bytes whatever interrupted the job and however many processes
    shared it.

    Args:
        folder: a folder without samples, or that of the same job, whose shards with the right checksums are kept.
        key: a typed key, `jax.random.key(seed)`.
        target: as in `jaxsamp.sample_density`, and so are sampler, polish and microbatch.
        shape: (n_chains, *event).
        steps: steps of each chain after the warm-up.
        warmup: steps that are made first; only their sum with `steps` matters to the states.
        transform: as in `sample_shards`, and so are shard_size, settings, mesh, process and progress.

    Returns:
        `Shards`, whose `complete` says whether the shards of other processes are there too.

    Raises:
        ValueError: as in `jaxsamp.sample_density`; or the folder holds samples of other settings, and those that differ
            are named.
        TypeError: as in `jaxsamp.sample_density`.
        OSError: the disk is full; no part of a file is left.
    """
    sampler, target = check_chains(key, target, shape, sampler, steps, warmup, 0, polish, microbatch)
    check_mesh(mesh)
    about = {"sampler": sampler, "steps": steps, "warmup": warmup, "polish": polish, "target": target}
    about |= {"weights": identities.checksum(target), "microbatch": microbatch}
    programs = {"score": identities.program(laws.clean_score, target, _one((1, *shape[1:])))}
    if identities.foreign(sampler):
        programs |= {"sampler": identities.program(partial(_one_chain, sampler, tuple(shape[1:])), key, target)}
    target = devices.replicate(target, mesh)

    def draw(first: int, size: int) -> tuple[Array, dict[str, Array]]:
        out = sample_density(
            key, target, (size, *shape[1:]), sampler, steps, warmup=warmup, thin=0, polish=polish, first=first,
            mesh=mesh, microbatch=microbatch,
        )  # fmt: skip
        return out.x, out.stats

    return write(
        folder, key, shape, draw, about, programs, Options(transform, shard_size, settings, mesh, process, progress)
    )


def _on_host(leaf: Any) -> Any:
    """A leaf as a NumPy array, which keys cannot be."""
    return leaf if is_key(leaf) else np.asarray(leaf)


def _denoiser_program(denoiser: Denoiser, event: tuple[int, ...], cond: PyTree) -> str:
    """What the denoiser computes for one sample, at any level of its schedule."""

    def one(denoiser: Denoiser, cond: PyTree, x: Array, lam: Array) -> Array:
        return evaluator(denoiser, cond)(x, lam)

    row = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), cond)
    return identities.program(one, denoiser, row, _one(event), _one(()))


def _one_sample(
    sampler: Sampler, levels: np.ndarray, final_denoise: bool, event: tuple[int, ...], key: PRNGKey, *given: Any
) -> Array:
    denoiser, cond = given
    return sample(key, denoiser, (1, *event), sampler, grid=levels, final_denoise=final_denoise, cond=cond).x


def _one_chain(sampler: DensitySampler, event: tuple[int, ...], key: PRNGKey, target: Density | Scored) -> Array:
    return sample_density(key, target, (1, *event), sampler, steps=1, warmup=1, thin=0).x


def _one(event: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(event), jnp.result_type(float))
