"""`sample_spins_shards`: more chains of spins than memory holds, streamed to disk."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxsamp import devices
from jaxsamp.core.protocols import SpinModel
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.mcmc import HeatBath, SpinSampler
from jaxsamp.running.shards import identity as identities
from jaxsamp.running.shards.reader import Shards
from jaxsamp.running.shards.stream import Options, check_mesh, write
from jaxsamp.running.spins import check_spins, sample_spins


def sample_spins_shards(
    folder: str | Path,
    key: PRNGKey,
    model: SpinModel,
    shape: tuple[int, ...],
    sampler: SpinSampler = HeatBath(),  # noqa: B008  (frozen)
    steps: int = 1000,
    *,
    warmup: int = 500,
    transform: Callable[[Array], Array] | None = None,
    shard_size: int | None = None,
    settings: dict[str, Any] | None = None,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    process: tuple[int, int] | None = None,
    progress: bool = False,
) -> Shards:
    """Write the last state of each chain of spins into a folder, one shard at a time; x in {-1, +1}^n of exp(S(x)) / Z.

    The same call continues a job that was stopped. Shard k holds the states `x`, (shard_size, n) of int8, of chains
    k * shard_size, ... of `jaxsamp.sample_spins(key, model, shape, ...)`. Starts are independent spins, both signs
    equally likely. As of `sample_shards`, the finished folder has the same bytes whatever interrupted the job and
    however many processes shared it; a ladder that `Tempering` tunes depends on the model alone.

    Args:
        folder: a folder without samples, or that of the same job, whose shards with the right checksums are kept.
        key: a typed key, `jax.random.key(seed)`.
        model: as in `jaxsamp.sample_spins`, and so are sampler and microbatch.
        shape: (n_chains, n).
        steps: sweeps of each chain after the warm-up.
        warmup: sweeps that are made first; only their sum with `steps` matters to the states.
        transform: turns states into what is written: a function of JAX arrays, (size, n) of int8 -> (size, ...), that
            works on each row alone, such as `(x + 1) // 2`.
        shard_size: as in `sample_shards`, and so are settings, mesh, process and progress; by default for states of
            one byte a spin.

    Returns:
        `Shards`, whose `complete` says whether the shards of other processes are there too.

    Raises:
        ValueError: as in `jaxsamp.sample_spins`; or the folder holds samples of other settings, and those that differ
            are named.
        TypeError: as in `jaxsamp.sample_spins`.
        OSError: the disk is full; no part of a file is left.
    """
    sampler, model = check_spins(key, model, shape, sampler, steps, warmup, 0, microbatch)
    check_mesh(mesh)
    about = {"sampler": sampler, "steps": steps, "warmup": warmup, "model": model}
    about |= {"weights": identities.checksum(model), "microbatch": microbatch}
    one = jax.ShapeDtypeStruct((1, *shape[1:]), jnp.result_type(float))
    programs = {"model": identities.program(_of_a_state, model, one)}
    if identities.foreign(sampler):
        programs |= {"sampler": identities.program(partial(_one_chain, sampler, tuple(shape[1:])), key, model)}
    ready = sampler.prepared(model)  # so that what is tuned is tuned once for all shards
    model = devices.replicate(model, mesh)

    def draw(first: int, size: int) -> tuple[Array, dict[str, Array]]:
        out = sample_spins(
            key, model, (size, *shape[1:]), ready, steps, warmup=warmup, thin=0, first=first, mesh=mesh,
            microbatch=microbatch,
        )  # fmt: skip
        return out.x, out.stats

    options = Options(transform, shard_size, settings, mesh, process, progress)
    return write(folder, key, shape, draw, about, programs, options, jnp.int8)


def _of_a_state(model: SpinModel, x: Array) -> tuple[Array, Array]:
    return model.exponent(x), model.local_fields(x)


def _one_chain(sampler: SpinSampler, event: tuple[int, ...], key: PRNGKey, model: SpinModel) -> Array:
    return sample_spins(key, model, (1, *event), sampler, steps=1, warmup=1, thin=0).x
