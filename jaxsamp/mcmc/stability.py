"""Up to which curvature the steps of a chain are stable."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array

STEPS, RUNS = 100, 64  # of the experiment
GROWN = 100.0  # times a start that grew more than this, in mean square, is not stable
CURVATURES = 2.0 ** -np.arange(0, 40, 0.25)  # so the limit is known to 19 %


def stable_up_to(sampler: Any, curvature: float) -> float:
    """The largest curvature L, in units of 1 / u, at which steps are stable; `curvature` itself if they are there.

    An experiment on the score -L x of one number: the derivative of the state after STEPS steps by its start, in mean
    square over RUNS draws of what is random in a step, must not grow. It is compiled once per kind of sampler.
    """
    if sampler.gentle(curvature):
        return curvature
    if getattr(sampler, "inverse_lipschitz", None) is not None:
        sampler = replace(sampler, inverse_lipschitz=jnp.ones(()))
    curvatures = curvature * CURVATURES
    grown = np.asarray(_growth(sampler, jnp.asarray(curvatures, float)))
    stable = curvatures[~(grown > GROWN) & np.isfinite(grown)]  # NaN: it overflowed
    return float(stable.max(initial=0.0))


@jax.jit
def _growth(sampler: Any, curvatures: Array) -> Array:
    """The mean square of the derivative of the last state by the first, for each curvature."""

    def one(curvature: Array, key: Array) -> Array:
        rng = Rng(key, (), curvature.dtype)

        def score(x: Array) -> Array:
            return -curvature * x

        def last(x: Array) -> Any:
            start = sampler.init(score, x, 0, rng)
            return jax.lax.fori_loop(0, STEPS, lambda i, state: sampler.step(score, state, i, rng), start)

        change = jax.jvp(last, (jnp.zeros_like(curvature),), (jnp.ones_like(curvature),))[1]
        return jnp.stack([jnp.square(leaf).sum() for leaf in jax.tree.leaves(change)]).sum()

    keys = jax.random.split(jax.random.key(0), RUNS)
    return jax.vmap(lambda curvature: jax.vmap(lambda key: one(curvature, key))(keys).mean())(curvatures)
