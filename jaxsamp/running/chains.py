"""`sample_density`: draw from a density known up to a constant, with many independent chains."""

import inspect
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.progress import bar
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng, sample_keys
from jaxsamp.core.types import Array
from jaxsamp.mcmc import Langevin, ParallelUnderdamped, Underdamped
from jaxsamp.mcmc.base import Score

PIECES = 20  # of a run with a progress bar


class Chains(NamedTuple):
    """What `jaxsamp.sample_density` returns.

    Attributes:
        x: the last state of each chain, (n, *event): n independent draws.
        draws: every `thin`-th state after the warm-up, (n, steps // thin, *event), or None with thin = 0.
        stats: arrays of shape (n,): `rounds` (gradients that waited for each other), `evaluations` (gradients in all),
            `finite` and `first_bad_step` (-1 if finite).
    """

    x: Array
    draws: Array | None
    stats: dict[str, Array]

    def effective_sample_size(self, method: str = "bulk") -> np.ndarray:
        """Effective number of independent draws in `draws`, all chains together, of shape (*event).

        `method` is one of arviz-stats: "bulk" (rank-normalized, split chains), "tail", "mean", "sd", ... Source:
        Vehtari et al., "Rank-normalization, folding, and localization: an improved R-hat for assessing convergence of
        MCMC", arXiv 1903.08008. It sees autocorrelation, not the bias of the step size.

        Raises:
            ImportError: arviz-stats is not installed. ValueError: there are no draws, or fewer than four a chain.
        """
        return self._diagnosed("ess", method)

    def rhat(self, method: str = "rank") -> np.ndarray:
        """Split R-hat of `draws`, of shape (*event): near 1 (below 1.01) if the chains agree; source as above.

        Raises:
            ImportError: arviz-stats is not installed. ValueError: there are no draws, or fewer than four a chain.
        """
        return self._diagnosed("rhat", method)

    def _diagnosed(self, function: str, method: str) -> np.ndarray:
        if self.draws is None or self.draws.shape[1] < 4:
            kept = 0 if self.draws is None else self.draws.shape[1]
            raise ValueError(
                f"diagnostics need at least 4 draws a chain; got {kept}: raise steps or lower thin (0 keeps none)."
            )
        try:
            from arviz_stats.base.array import array_stats
        except ImportError as error:
            raise ImportError('diagnostics need arviz-stats: pip install "jaxsamp[chains]".') from error
        draws = np.asarray(self.draws, float)
        return np.asarray(getattr(array_stats, function)(draws, chain_axis=0, draw_axis=1, method=method))


def sample_density(
    key: Any,
    target: Any,
    shape: tuple[int, ...],
    sampler: Langevin = Underdamped(step_size=0.5),  # noqa: B008  (frozen)
    steps: int = 1000,
    *,
    init: Array | None = None,
    warmup: int = 500,
    thin: int = 10,
    polish: int = 0,
    progress: bool = False,
) -> Chains:
    """Run n independent chains that draw from a density known up to a constant.

    Chain i depends on fold_in(key, i), its start, the target and the settings, and on nothing else: not on n. New
    step sizes, frictions, parameters of the target and step counts do not recompile, as long as steps // thin, which
    is the shape of the draws, stays the same. The function can stand inside `jax.jit`, `jax.vmap` and `jax.grad`;
    called eagerly it syncs with the device once, at the end.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        target: a law with `score(x)` and `event_shape`: `jaxsamp.targets.from_log_density(f, event_shape)`, or one
            whose clean density is known and smooth, such as a GaussianMixture.
        shape: (n, *event).
        sampler: one of `jaxsamp.mcmc`. The default suits log densities of curvature about 1; otherwise
            `Underdamped.from_smoothness(L)`.
        steps: steps of each chain after the warm-up.
        init: starts, of the given shape; standard normal by default, which is right for curvature 1 only.
        warmup: steps before the first draw may be kept.
        thin: keep every thin-th state; 0 keeps the last only.
        polish: at the end, take so many frozen underdamped steps with a fresh velocity over a total time of
            2 / friction, for the states `x`. It turns a bound in Wasserstein distance into one in total variation:
            a device of proofs, which does not improve samples in practice. Source: Gupta, Cai and Chen, "Faster
            Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel", arXiv 2406.00924.
        progress: show a progress bar; splits the run into compiled pieces.

    Returns:
        `Chains(x, draws, stats)`.

    Raises:
        ValueError: a wrong shape, count or setting; or a chain became NaN or infinite.
        TypeError: a key, sampler or target of the wrong type; polish with an overdamped sampler.
    """
    _check_call(key, target, shape, sampler, init, steps, warmup, thin, polish)
    sampler.check(tuple(shape[1:]))
    dtype = jnp.result_type(float) if init is None else jnp.promote_types(init.dtype, jnp.float32)
    plan = _Plan(tuple(shape[1:]), dtype, steps // thin if thin else 0, bool(polish))
    counts = _Counts(warmup, steps, thin, polish)
    keys = sample_keys(key, shape[0])
    eager = checks.is_concrete(keys, target, sampler, init)
    run = (_with_progress if progress else _compiled) if eager else _run
    loop = run(plan, sampler, target, keys, init, counts)
    x, draws = loop.state[0], loop.draws
    if init is not None:
        x, draws = x.astype(init.dtype), None if draws is None else draws.astype(init.dtype)
    if eager:
        _raise_if_bad(loop.bad, warmup + steps + polish, sampler)
    cost = {"rounds": sampler.rounds(warmup + steps), "evaluations": sampler.evaluations(warmup + steps)}
    stats = {name: jnp.full(shape[:1], count + polish) for name, count in cost.items()}
    return Chains(x, draws, stats | {"finite": loop.bad < 0, "first_bad_step": loop.bad})


@pytree
@dataclass(frozen=True)
class _Plan:
    """The structure of a run: all static."""

    event: tuple[int, ...] = field(metadata={"static": True})
    dtype: Any = field(metadata={"static": True})
    kept: int = field(metadata={"static": True})
    polish: bool = field(metadata={"static": True})


class _Counts(NamedTuple):
    """Numbers of steps: before the draws, with them, of one draw, and of polish. Values, not structure."""

    warmup: Any
    steps: Any
    thin: Any
    polish: Any


class _Loop(NamedTuple):
    """One chain between two steps."""

    state: Any
    bad: Array  # first step with a non-finite state, -1 for none
    draws: Array | None


def _check_call(
    key: Any, target: Any, shape: Any, sampler: Any, init: Any, steps: Any, warmup: Any, thin: Any, polish: Any
) -> None:
    """Raise one sentence for the first argument that `sample_density` cannot take."""
    checks.typed_key(key)
    if not isinstance(sampler, Langevin):
        other = " jaxsamp.sample takes the samplers of jaxsamp.samplers." if hasattr(sampler, "prepare") else ""
        raise TypeError(
            f"sampler must be one of jaxsamp.mcmc, such as Underdamped(step_size=0.5); got {sampler!r} "
            f"of type {type(sampler).__name__}.{other}"
        )
    if not (hasattr(target, "event_shape") and _has_clean_score(target)):
        other = " jaxsamp.sample takes denoisers." if hasattr(target, "schedule") else ""
        raise TypeError(
            "target must have an event_shape and a score(x) of its density without noise, such as a GaussianMixture "
            f"or jaxsamp.targets.from_log_density(f, event_shape); got a {type(target).__name__}.{other}"
        )
    if not isinstance(shape, tuple | list) or not shape:
        raise TypeError(f"shape must be a tuple (n, *event); got {shape!r}.")
    for size in shape:
        checks.at_least("every entry of shape", size, 1)
    if tuple(shape[1:]) != tuple(target.event_shape):
        raise ValueError(
            f"shape must be (n, *event) with the target's event shape {tuple(target.event_shape)}; got {tuple(shape)}."
        )
    if init is not None and jnp.shape(init) != tuple(shape):
        raise ValueError(f"init must have the given shape {tuple(shape)}; got {jnp.shape(init)}.")
    checks.at_least("steps", steps, 1)
    for name, count in (("warmup", warmup), ("thin", thin), ("polish", polish)):
        checks.at_least(name, count, 0)
    if thin > steps:
        raise ValueError(f"thin must be at most steps = {steps}, or 0 to keep no draws; got {thin}.")
    if polish and not isinstance(sampler, Underdamped | ParallelUnderdamped):
        raise TypeError(f"polish needs an Underdamped sampler; got {type(sampler).__name__} (polish=0 turns it off).")


def _has_clean_score(target: Any) -> bool:
    """Whether `target.score` can be called with x alone."""
    if not callable(getattr(target, "score", None)):
        return False
    parameters = list(inspect.signature(target.score).parameters.values())
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters[1:])


def _score(plan: _Plan, target: Any) -> Score:
    """The target's score at one place of one chain, or at R places in one call."""

    def score(x: Array) -> Array:
        out = target.score(x) if x.ndim > len(plan.event) else target.score(x[None])[0]
        return out.astype(x.dtype)

    return score


def _start(plan: _Plan, sampler: Any, target: Any, key: Array, init: Array | None) -> _Loop:
    """The chain before its first step."""
    draws = Rng(key, plan.event, plan.dtype)
    x = draws.prior() if init is None else init.astype(plan.dtype)
    kept = jnp.zeros((plan.kept, *plan.event), plan.dtype) if plan.kept else None
    return _Loop(sampler.init(_score(plan, target), x, 0, draws), jnp.full((), -1, jnp.int32), kept)


def _advance(
    plan: _Plan, sampler: Any, target: Any, key: Array, loop: _Loop, counts: _Counts, first: Any, count: Any
) -> _Loop:
    """`count` steps from step `first` on. A count that is a plain number leaves the loop differentiable in reverse."""
    draws, score = Rng(key, plan.event, plan.dtype), _score(plan, target)

    def body(j: Array, loop: _Loop) -> _Loop:
        i = jnp.asarray(first + j, jnp.int32)
        state = sampler.step(score, loop.state, i, draws)
        bad = jnp.where((loop.bad < 0) & ~jnp.isfinite(state[0]).all(), i, loop.bad)
        kept, after = loop.draws, i + 1 - counts.warmup
        if kept is not None:
            slot = jnp.where((after > 0) & (after % counts.thin == 0), after // counts.thin - 1, plan.kept)
            kept = kept.at[slot].set(state[0], mode="drop")
        return _Loop(state, bad, kept)

    return lax.fori_loop(0, count, body, loop)


def _polish(plan: _Plan, sampler: Any, target: Any, key: Array, loop: _Loop, counts: _Counts) -> _Loop:
    """The frozen steps at the end, if any."""
    if not plan.polish:
        return loop
    first, frozen = counts.warmup + counts.steps, sampler.polishing(counts.polish)
    state = frozen.init(_score(plan, target), loop.state[0], first, Rng(key, plan.event, plan.dtype))
    short = _Plan(plan.event, plan.dtype, 0, True)
    end = _advance(short, frozen, target, key, _Loop(state, loop.bad, None), counts, first, counts.polish)
    return end._replace(draws=loop.draws)


def _run(plan: _Plan, sampler: Any, target: Any, keys: Array, init: Array | None, counts: _Counts) -> _Loop:
    """All steps of all chains."""

    def one(key: Array, init: Array | None) -> _Loop:
        loop = _start(plan, sampler, target, key, init)
        loop = _advance(plan, sampler, target, key, loop, counts, 0, counts.warmup + counts.steps)
        return _polish(plan, sampler, target, key, loop, counts)

    return jax.vmap(one)(keys, init)


_compiled = jax.jit(_run)
# The same run in pieces, for the progress bar: one compilation of each.
_start_all = jax.jit(jax.vmap(_start, (None, None, None, 0, 0)))
_advance_all = jax.jit(jax.vmap(_advance, (None, None, None, 0, 0, None, None, None)))
_polish_all = jax.jit(jax.vmap(_polish, (None, None, None, 0, 0, None)))


def _with_progress(plan: _Plan, sampler: Any, target: Any, keys: Array, init: Array | None, counts: _Counts) -> _Loop:
    """The same numbers as `_run`, in pieces with a progress bar between them."""
    total = counts.warmup + counts.steps
    length = max(1, total // PIECES)
    with bar("sampling", total + counts.polish) as advance:
        loop = _start_all(plan, sampler, target, keys, init)
        for first in range(0, total, length):
            count = min(length, total - first)
            loop = _advance_all(plan, sampler, target, keys, loop, counts, first, count)
            advance(count, wait_for=loop.bad)
        loop = _polish_all(plan, sampler, target, keys, loop, counts)
        advance(counts.polish, wait_for=loop.bad)
    return loop


def _raise_if_bad(bad: Array, steps: int, sampler: Langevin) -> None:
    """The one sync with the device."""
    host = np.asarray(bad)
    if (host >= 0).any():
        raise ValueError(
            f"step_size must be small enough for the chains to stay finite; with {np.asarray(sampler.step_size):g} "
            f"{(host >= 0).sum()} of {host.size} chains became NaN or infinite, first at step "
            f"{host[host >= 0].min()} of {steps} (a score that is not finite at the start does that too)."
        )
