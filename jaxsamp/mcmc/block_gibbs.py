"""Block Gibbs sweeps of restricted Boltzmann machines."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc.spins import SpinSampler
from jaxsamp_kernels import rbm as kernel

HIDDEN = 1  # the part of a chain's random numbers that draws hidden spins


@pytree
@dataclass(frozen=True)
class BlockGibbs(SpinSampler):
    """All hidden spins of an RBM given x at once, then all spins given these: two products with W per sweep.

    h_j = 1 with probability sigmoid(2 (c + x.W)_j), then x_i = 1 with probability sigmoid(2 (b + W h)_i). The memory of
    a chain is the h that its x was drawn from. Where weights are large it mixes slowly, and `Tempering` of
    `rbm.joint()` helps.

    Source: Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003.
    """

    def prepared(self, model: Any) -> "BlockGibbs":
        """Itself, if the model is an RBM.

        Raises:
            ValueError: the model has no `weights` (n, m), `visible` (n,) and `hidden` (m,).
        """
        shapes = [getattr(getattr(model, name, None), "shape", ()) for name in ("weights", "visible", "hidden")]
        if len(shapes[0]) != 2 or shapes[1:] != [shapes[0][:1], shapes[0][1:]]:
            raise ValueError(
                "model must be a jaxsamp.discrete.RBM for BlockGibbs, with weights (n, m), visible (n,) and hidden "
                f"(m,); got a {type(model).__name__}. HeatBath takes any."
            )
        return self

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        """The state of a chain at x; its hidden spins are drawn by the first sweep."""
        return State(x, jnp.ones(model.hidden.shape, jnp.int8))

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        """The state after sweep i."""
        w, b, c = model.weights, model.visible, model.hidden
        for_hidden = replace(rng.of(HIDDEN), shape=c.shape)
        x = state.x.astype(w.dtype)
        x, h = kernel.block_gibbs(x, w, b, c, for_hidden.uniforms(i), rng.uniforms(i))
        return State(x.astype(jnp.int8), h.astype(jnp.int8))
