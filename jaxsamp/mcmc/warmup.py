"""The warm-up of chains with an accept step: when the step size and the scales of the coordinates are adapted."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp.core.types import Array
from jaxsamp.mcmc.blackjax_parts import parts

FAST, FIRST, LAST = 75, 25, 50  # steps of the first part, of the first window, and of the last part
LEAST = 20  # steps of a warm-up, of which fewer adapt the step size alone
DOUBLINGS = 24  # more windows than a warm-up of 2^32 steps has


class Adaptation(NamedTuple):
    """What has been adapted, and what it is adapted from."""

    step_size: Array
    inverse_mass: Array  # (d,), or (d, d) if it is dense
    averaging: Any
    moments: Any


def stages(i: Array, warmup: Any) -> tuple[Array, Array]:
    """Whether step i collects moments, and whether it is the last of a window, as in Stan's warm-up.

    After 75 steps, windows of 25, 50, 100, ... steps collect moments of the states, the last one up to 50 steps before
    the end; a short warm-up is divided as 15 : 75 : 10.

    Source: Stan Reference Manual, "Automatic parameter tuning".
    """
    short = warmup < FAST + FIRST + LAST
    # In whole numbers, and so that both products are exact: int(0.15 n) and int(0.1 n).
    start = jnp.where(short, 3 * warmup // 20, FAST)
    end = warmup - jnp.where(short, warmup // 10, LAST)
    sizes = jnp.where(short, end - start, FIRST) * 2 ** jnp.arange(DOUBLINGS)
    starts = start + sizes - sizes[0]
    stands = 3 * sizes <= end - starts  # the next window, twice as long, ends in time too
    closes = (i + 1 == end) | ((i + 1 == starts + sizes) & stands).any()
    collects = (i >= start) & (i < end) & (warmup >= LEAST)
    return collects, collects & closes


def begin(step_size: Any, size: int, dense: bool, dtype: Any) -> Adaptation:
    """The adaptation before the first step of a chain of `size` coordinates."""
    (start, _, _), (collected, _, _) = _averaging(0.8), _moments(dense)
    moments, step = collected(size), jnp.asarray(step_size, dtype)
    found = Adaptation(step, moments.inverse_mass_matrix, start(step), moments)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, _kind(leaf, dtype)), found)


def adapted(now: Adaptation, x: Array, acceptance: Array, aim: Any, dense: bool, i: Array, warmup: Any) -> Adaptation:
    """The adaptation after step i, of the first `warmup`, which arrived at x with this mean acceptance probability."""
    (start, averaged, mean), (_, collected, estimated) = _averaging(aim), _moments(dense)
    collects, closes = stages(i, warmup)

    def closed(now: Adaptation) -> Adaptation:
        moments = estimated(now.moments)
        averaging = start(mean(now.averaging))
        return Adaptation(jnp.exp(averaging.log_step_size), moments.inverse_mass_matrix, averaging, moments)

    averaging = averaged(now.averaging, acceptance)
    moments = lax.cond(collects, lambda: _as(collected(now.moments, x), now.moments), lambda: now.moments)
    new = _as(Adaptation(jnp.exp(averaging.log_step_size), now.inverse_mass, averaging, moments), now)
    new = lax.cond(closes, lambda: _as(closed(new), now), lambda: new)
    final = jnp.where(i + 1 == warmup, jnp.exp(new.averaging.log_step_size_avg), new.step_size)
    return new._replace(step_size=final)


def _as(new: Any, old: Any) -> Any:
    """`new` in the dtypes of `old`, which a loop must keep."""
    return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), new, old)


def _kind(leaf: Any, dtype: Any) -> Any:
    kind = jnp.result_type(leaf)
    return dtype if jnp.issubdtype(kind, jnp.floating) else kind


def _averaging(aim: Any) -> Any:
    return parts().step_size.dual_averaging_adaptation(aim)


def _moments(dense: bool) -> Any:
    return parts().mass_matrix.mass_matrix_adaptation(not dense)
