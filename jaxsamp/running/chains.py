"""`sample_density`: draw from a density known up to a constant, with many independent chains."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxsamp import devices
from jaxsamp.core import checks, laws
from jaxsamp.core.protocols import Density, Scored
from jaxsamp.core.pytrees import adopted
from jaxsamp.core.types import Array, Data, PRNGKey
from jaxsamp.mcmc import DensitySampler, SpinSampler, Underdamped
from jaxsamp.mcmc.base import Adaptive
from jaxsamp.mcmc.stability import stable_up_to
from jaxsamp.running.chain import Chain
from jaxsamp.running.diagnostics import Diagnosed
from jaxsamp.running.engine import Row, execute, numbered, working_dtype
from jaxsamp.running.walk import Counts, check_counts, places


class _Chains(NamedTuple):
    x: Array
    draws: Array | None
    stats: dict[str, Array]
    path: Array | None = None


class Chains(Diagnosed, _Chains):
    """What `jaxsamp.sample_density` returns.

    Attributes:
        x: the last state of each chain, (n, *event): n independent draws.
        draws: every `thin`-th state after the warm-up, (n, steps // thin, *event); None if thin = 0.
        stats: arrays of shape (n,): `rounds` (gradients that had to wait for one another), `evaluations`
            (all gradients), `finite` and `first_bad_step` (-1 if finite), `inside` (whether the log density of the last
            state is above -inf), and `curvature`, the largest at a few last states, a lower estimate in units of
            1 / inverse_lipschitz (the same for all chains of a device; NaN if the target has a score alone). Samplers
            that adapt themselves have `step_size` instead; `NUTS` and `MALA` also `acceptance`, the mean acceptance
            probability after the warm-up, and `divergences`.
        path: None; with `save_every=k` the start and every k-th state, (n, (warmup + steps) // k + 1, *event).
    """


def sample_density(
    key: PRNGKey,
    target: Density | Scored,
    shape: tuple[int, ...],
    sampler: DensitySampler = Underdamped(step_size=0.5),  # noqa: B008  (frozen)
    steps: int = 1000,
    *,
    init: Data | None = None,
    warmup: int = 500,
    thin: int = 10,
    polish: int = 0,
    first: int = 0,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    save_every: int = 0,
    progress: bool = False,
) -> Chains:
    """Run n independent chains that draw from a density known up to a constant.

    Chain i depends on fold_in(key, i), its start, the target and the settings, and on nothing else: not on n, nor on
    `microbatch`, nor on the devices. This holds up to rounding, which trajectories of `NUTS` enlarge until after some
    dozens of steps the path is another one, of the same law. New step sizes, frictions, parameters of the target and
    step counts do not recompile, as long as steps // thin, which sets the shape of the draws, stays the same. The
    function can be used inside `jax.jit`, `jax.vmap` and `jax.grad`; called eagerly it syncs with the device once, at
    the end, and warns if the log density is more curved where the chains ended than steps of this size are stable for.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        target: a density with `event_shape` and `log_prob(x)`, or `score(x)` instead of the latter:
            `jaxsamp.targets.from_log_density(f, event_shape)`, a law whose clean density is known and smooth, such as
            a GaussianMixture, or an object of your own class.
        shape: (n, *event).
        sampler: one of `jaxsamp.mcmc`. The default suits log densities of curvature about 1; otherwise `NUTS()`, which
            adapts itself, `Underdamped("auto")` or `Underdamped.from_smoothness(L)`.
        steps: steps of each chain after the warm-up.
        init: starting points, of the given shape; standard normal by default, which suits curvature 1 only. States
            have its dtype if that is a floating one, and otherwise the default one.
        warmup: steps that are made first, of which no draws are kept.
        thin: keep every thin-th state as a draw; with 0 only the last state is kept, as `x`.
        polish: number of frozen underdamped steps at the end, with a fresh velocity, over a total time of
            2 / friction; they change the states `x` alone. They turn a bound in Wasserstein distance into one in total
            variation: a device of proofs, which does not improve samples in practice. Source: Gupta, Cai and Chen,
            "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel", arXiv 2406.00924.
        first: number of the first chain: of all chains that belong to the key, these are number `first`, first + 1, ...
        mesh: devices to run on, `jaxsamp.mesh()`; chains are divided over its axis "batch".
        microbatch: largest number of chains at a time on each device, to save memory.
        save_every: k > 0 also returns the start and every k-th state, including the warm-up.
        progress: show a progress bar; splits the run into compiled pieces.

    Returns:
        `Chains(x, draws, stats, path)`.

    Raises:
        ValueError: a shape, count or setting is wrong; or a chain became NaN or infinite; or it ended where the log
            density is -inf or NaN.
        TypeError: a key, sampler or target has the wrong type; or polish is used with a sampler that has none; or one
            that accepts or rejects has a target without `log_prob`.
        ModuleNotFoundError: `NUTS` or `MALA` without blackjax.
    """
    chosen, target = check_chains(key, target, shape, sampler, steps, warmup, thin, polish, microbatch)
    start = checks.init(init, tuple(shape))
    checks.numbering(first, shape[0])
    checks.at_least("save_every", save_every, 0)
    devices.check_mesh(mesh)
    counts = Counts(warmup, steps, thin, polish)
    dtype = working_dtype(start)
    if isinstance(chosen, Adaptive) and chosen.follows == "log_prob":  # steps of blackjax are in the default one
        dtype = jnp.promote_types(dtype, jnp.result_type(float))
    job = Chain(
        key, counts, tuple(shape[1:]), dtype, save_every=save_every, microbatch=microbatch, mesh=mesh,
        sampler=chosen, target=target, polish=bool(polish), **places(counts, save_every),
    )  # fmt: skip
    rows = Row(numbered(first, shape[0]), start)
    out, eager = execute(job, rows, progress)
    x, draws, path = out.x, *out.saved
    if start is not None:
        x = x.astype(start.dtype)
        draws, path = (None if kept is None else kept.astype(start.dtype) for kept in (draws, path))
    if eager:
        _judge(out, warmup + steps + polish, chosen, start)
    cost = {"rounds": chosen.rounds, "evaluations": chosen.evaluations}
    if not isinstance(chosen, Adaptive):  # which counts for itself
        out.stats.update({name: jnp.full(shape[:1], count(warmup + steps) + polish) for name, count in cost.items()})
    return Chains(x, draws, {"finite": out.bad < 0, "first_bad_step": out.bad, **out.stats}, path)


def check_chains(
    key: Any, target: Any, shape: Any, sampler: Any, steps: Any, warmup: Any, thin: Any, polish: Any, microbatch: Any
) -> tuple[Any, Any]:
    """The sampler and the target as pytrees, if all arguments fit each other; else raise an error of one sentence."""
    checks.typed_key(key)
    given, sampler, target = sampler, _check_sampler(sampler), _check_target(target)
    if isinstance(sampler, Adaptive) and sampler.follows == "log_prob" and not hasattr(target, "log_prob"):
        raise TypeError(
            f"target must have log_prob(x) for {type(sampler).__name__}, which accepts or rejects by it; got a "
            f"{type(target).__name__}, which has a score alone."
        )
    checks.shape_of(shape, target.event_shape, "target")
    check_counts(steps, warmup, thin, microbatch)
    if checks.at_least("polish", polish, 0) and sampler.polishing(polish) is None:
        raise TypeError(
            f"polish needs an Underdamped sampler whose step_size is a number; got {given!r} (polish=0 turns it off)."
        )
    sampler.check(tuple(shape[1:]))
    return sampler, target


def _check_sampler(got: Any) -> Any:
    """Return `got` if it is a sampler of densities, as a pytree, else raise."""
    if not isinstance(got, DensitySampler):
        other = " jaxsamp.sample takes the samplers of jaxsamp.samplers." if hasattr(got, "prepare") else ""
        other = " jaxsamp.sample_spins takes the samplers of spins." if isinstance(got, SpinSampler) else other
        raise TypeError(
            f"sampler must be one of jaxsamp.mcmc, such as Underdamped(step_size=0.5); got {got!r} "
            f"of type {type(got).__name__}.{other}"
        )
    return adopted("sampler", got.chosen())


def _check_target(got: Any) -> Any:
    """Return `got` if it has a density without noise, as a pytree, else raise."""
    got = checks.density("target", got)
    if not laws.has_clean_density(got):
        raise TypeError(
            "target must have a score of its density without noise, score(x), as a GaussianMixture has; "
            f"got a {type(got).__name__}, whose score takes a level."
        )
    return got


def _judge(out: Any, steps: int, sampler: DensitySampler, start: Data | None) -> None:
    """Raise if a chain did not stay finite and inside, warn of unstable steps: the only synchronization."""
    bad, first, outside, curvature, divergences = (float(number) for number in _summary(out.bad, out.stats))
    n, h = out.bad.size, sampler.step_size if isinstance(sampler.step_size, str) else f"{float(sampler.step_size):g}"
    if bad and start is not None and getattr(start, "is_fully_addressable", True):
        checks.finite("init", start)
    if bad:
        raise ValueError(
            f"step_size must be small enough for the chains to stay finite; with {h} {bad:.0f} of {n} chains became "
            f"NaN or infinite, first at step {first:.0f} of {steps} (a score that is not finite at the start does that "
            "too)."
        )
    if outside:
        raise ValueError(
            "target must have a positive density wherever chains go; its log density is -inf or NaN at the last states "
            f"of {outside:.0f} of {n} chains. For positive, bounded or simplex parameters use "
            "jaxsamp.targets.transformed(target, bijection)."
        )
    if divergences:
        warnings.warn(
            f"sampler diverged in {divergences:.0f} of its trajectories, where the curvature is larger than its steps "
            "take, so that those places are seen too seldom: raise target_acceptance, such as to 0.95, or change the "
            "parameters.",
            stacklevel=3,
        )
    if curvature > 0 and (limit := stable_up_to(sampler, curvature)) < curvature:
        unit = "" if getattr(sampler, "inverse_lipschitz", None) is None else " (in units of 1 / inverse_lipschitz)"
        warnings.warn(
            f"step_size must be smaller: steps of {h} are stable up to a curvature of about {limit:.2g}{unit}, and "
            f"the log density has one of {curvature:.2g} where the chains ended, so they do not have its law; see "
            "jaxsamp.mcmc.smoothness.",
            stacklevel=3,
        )


@jax.jit
def _summary(bad: Array, stats: dict[str, Array]) -> tuple[Array, ...]:
    """How many chains went bad, the first step at which one did, how many ended outside, curvature, divergences."""
    nothing = jnp.full(1, -1.0)
    first = jnp.min(jnp.where(bad >= 0, bad, jnp.iinfo(bad.dtype).max))
    curvature = stats.get("curvature", nothing)
    most = jnp.max(curvature, where=jnp.isfinite(curvature), initial=-1.0)
    return jnp.sum(bad >= 0), first, jnp.sum(~stats["inside"]), most, stats.get("divergences", jnp.zeros(1)).sum()
