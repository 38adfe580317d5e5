"""`sample_spins`: draw states of n spins, +1 or -1, with many independent chains."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxsamp import devices
from jaxsamp.core import checks
from jaxsamp.core.protocols import SpinModel
from jaxsamp.core.pytrees import adopted
from jaxsamp.core.types import Array, Data, PRNGKey
from jaxsamp.mcmc import HeatBath, SpinSampler
from jaxsamp.running.diagnostics import Diagnosed
from jaxsamp.running.engine import Row, execute, numbered
from jaxsamp.running.spin_chain import SpinChain
from jaxsamp.running.walk import Counts, check_counts, places


class _SpinChains(NamedTuple):
    x: Array
    draws: Array | None
    exponent: Array | None
    stats: dict[str, Array]
    path: Array | None = None


class SpinChains(Diagnosed, _SpinChains):
    """What `jaxsamp.sample_spins` returns.

    Attributes:
        x: the last state of each chain, (n_chains, n) of int8, +1 or -1: n_chains independent draws.
        draws: every `thin`-th state after the warm-up, (n_chains, steps // thin, n) of int8; None if thin = 0.
        exponent: S of each draw, (n_chains, steps // thin); None if thin = 0. How a chain forgets its start shows here,
            in `effective_sample_size(of="exponent")` and `rhat(of="exponent")`.
        stats: arrays of shape (n_chains,): `rounds`, the number of sweeps, `exponent`, S of the last state, `finite`,
            whether that is a finite number, and what the sampler says, as `largest_cluster`.
        path: None; with `save_every=k` the start and every k-th state, (n_chains, (warmup + steps) // k + 1, n).
    """

    traced = ("draws", "exponent")


def sample_spins(
    key: PRNGKey,
    model: SpinModel,
    shape: tuple[int, ...],
    sampler: SpinSampler = HeatBath(),  # noqa: B008  (frozen)
    steps: int = 1000,
    *,
    init: Data | None = None,
    warmup: int = 500,
    thin: int = 10,
    first: int = 0,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    save_every: int = 0,
    progress: bool = False,
) -> SpinChains:
    """Run independent chains over the states of n spins, x in {-1, +1}^n, of the law p(x) = exp(S(x)) / Z.

    Chain i depends on fold_in(key, i), its start, the model and the settings, and on nothing else: not on the number of
    chains, nor on `microbatch`, nor on the devices. New couplings and step counts do not recompile, as long as
    steps // thin, which sets the shape of the draws, stays the same. The function can be used inside `jax.jit` and
    `jax.vmap`; called eagerly it syncs with the device once, at the end.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        model: one of `jaxsamp.discrete`, such as `Ising(couplings, fields)`, or an object of your own class with
            `event_shape`, `exponent(x)` and `local_fields(x)`.
        shape: (n_chains, n).
        sampler: one of `jaxsamp.mcmc` for spins.
        steps: sweeps of each chain after the warm-up; a sweep visits every spin once.
        init: starting states, +1 or -1, of the given shape; by default independent spins, each sign equally likely.
        warmup: sweeps that are made first, of which no draws are kept.
        thin: keep every thin-th state as a draw; with 0 only the last state is kept, as `x`.
        first: number of the first chain: of all chains that belong to the key, these are number `first`, first + 1, ...
        mesh: devices to run on, `jaxsamp.mesh()`; chains are divided over its axis "batch".
        microbatch: largest number of chains at a time on each device, to save memory.
        save_every: k > 0 also returns the start and every k-th state, including the warm-up.
        progress: show a progress bar; splits the run into compiled pieces.

    Returns:
        `SpinChains(x, draws, exponent, stats, path)`.

    Raises:
        ValueError: a shape, count, start or setting is wrong, or the sampler does not take this model; or the exponent
            of a last state is NaN or infinite.
        TypeError: a key, sampler or model has the wrong type.
    """
    sampler, model = check_spins(key, model, shape, sampler, steps, warmup, thin, microbatch)
    start = _start(init, tuple(shape))
    checks.numbering(first, shape[0])
    checks.at_least("save_every", save_every, 0)
    devices.check_mesh(mesh)
    counts = Counts(warmup, steps, thin)
    job = SpinChain(
        key, counts, tuple(shape[1:]), jnp.int8, save_every=save_every, microbatch=microbatch, mesh=mesh,
        sampler=adopted("sampler", sampler.prepared(model)), model=model, **places(counts, save_every),
    )  # fmt: skip
    out, eager = execute(job, Row(numbered(first, shape[0]), start), progress)
    exponents, own = out.stats
    last = exponents["exponent"]
    stats = {"rounds": jnp.full(shape[:1], warmup + steps), "exponent": last, "finite": jnp.isfinite(last), **own}
    if eager:
        _judge(stats, sampler)
    draws, path = out.saved
    return SpinChains(out.x, draws, exponents["exponents"], stats, path)


def check_spins(
    key: Any, model: Any, shape: Any, sampler: Any, steps: Any, warmup: Any, thin: Any, microbatch: Any
) -> tuple[Any, Any]:
    """The sampler and the model as pytrees, if all arguments fit each other; else raise an error of one sentence."""
    checks.typed_key(key)
    sampler, model = _check_sampler(sampler), checks.spin_model("model", model)
    checks.shape_of(shape, model.event_shape, "model")
    check_counts(steps, warmup, thin, microbatch)
    return sampler, model


def _check_sampler(got: Any) -> Any:
    """Return `got` if it is a sampler of spins, as a pytree, else raise."""
    if not isinstance(got, SpinSampler):
        raise TypeError(
            f"sampler must be one of jaxsamp.mcmc for spins, such as HeatBath(); got {got!r} of type "
            f"{type(got).__name__}. jaxsamp.sample and jaxsamp.sample_density take other samplers."
        )
    return adopted("sampler", got)


def _start(init: Any, like: tuple[int, ...]) -> Array | None:
    """The starting states as int8, or None, if they are spins of this shape, else raise."""
    init = checks.init(init, like)
    if init is None:
        return None
    if checks.is_readable(init):
        wrong = np.abs(np.asarray(init)) != 1
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(f"init must be +1 or -1; got {np.asarray(init)[place]:g} at index {place}.")
    return jnp.asarray(init, jnp.int8)


def _judge(stats: dict[str, Array], sampler: SpinSampler) -> None:
    """Raise if an exponent is not finite, and let the sampler warn: the only synchronization."""
    bad, n = int(_count(stats["finite"])), len(stats["finite"])
    if bad:
        raise ValueError(
            f"model must have a finite exponent and finite local fields; the exponent of the last states of {bad} of "
            f"{n} chains is NaN or infinite."
        )
    sampler.judge(stats)


@jax.jit
def _count(finite: Array) -> Array:
    return jnp.sum(~finite)
