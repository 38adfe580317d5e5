"""The state of training, and one step."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, PyTree
from jaxsamp.denoisers import NetworkDenoiser
from jaxsamp.training.optimizer import accumulated


@pytree
@dataclass(frozen=True)
class TrainState:
    """Weights, their average, the optimizer's memory, and the key: a pytree, made by `TrainState.create`.

    Attributes:
        batches: number of batches seen.
        params: weights, in float32.
        ema: moving average of the weights, the ones to sample with.
        opt_state: the optimizer's memory.
        key: the random numbers of batch i come from fold_in(key, i).
        model: the `jaxsamp.models.Model` whose weights these are.
        optimizer: an optax transformation.
        accumulate: number of batches per update.
        dropped: probability with which conditions are dropped; None without conditions, or if it is not known.
    """

    batches: Array
    params: PyTree
    ema: PyTree
    opt_state: PyTree
    key: Array
    model: Any = field(metadata={"static": True})
    optimizer: Any = field(metadata={"static": True})
    accumulate: int = field(default=1, metadata={"static": True})
    dropped: float | None = field(default=None, metadata={"static": True})

    @staticmethod
    def create(
        key: Array,
        model: Any,
        x: Array,
        cond: PyTree = None,
        optimizer: Any = None,
        accumulate: int = 1,
        params: PyTree = None,
    ) -> "TrainState":
        """The state before the first step, for data and conditions with the shapes of one batch (x, cond).

        Args:
            key: a typed key; draws the weights, and the noise of training.
            model: a `jaxsamp.models.Model`.
            x, cond: an example batch.
            optimizer: an optax transformation; by default optax.adam(1e-3).
            accumulate: number of batches per update.
            params: weights to start from, copied; None for fresh ones.

        Raises:
            ValueError: `params` has other arrays than the model's weights.
        """
        for_weights, for_training = jax.random.split(checks.typed_key(key))
        fresh = model.init(for_weights, x, cond)
        params = fresh if params is None else _like(params, fresh)
        chain = accumulated(optax.adam(1e-3) if optimizer is None else optimizer, accumulate)
        ema = jax.tree.map(jnp.copy, params)  # a step may reuse the memory of both
        memory = jax.jit(chain.init)(params)
        return TrainState(jnp.zeros((), jnp.int32), params, ema, memory, for_training, model, chain, accumulate)

    @property
    def step(self) -> Array:
        """Number of updates made."""
        return self.batches // self.accumulate

    def denoiser(self, ema: bool = True) -> Any:
        """The denoiser of the averaged weights, or of the last ones."""
        made = self.model.denoiser(self.ema if ema else self.params)
        knows = self.dropped is not None and isinstance(made, NetworkDenoiser)  # a model of your own makes others
        return replace(made, dropped=self.dropped) if knows else made


def _like(params: PyTree, fresh: PyTree) -> PyTree:
    """A copy of given weights, with the types of fresh ones, whose shapes they must have."""
    there, here = (
        {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (params, fresh)
    )
    for name in [*here, *there]:
        if there.get(name) != here.get(name):
            got, takes = (f"of shape {found[name]}" if name in found else "missing" for found in (there, here))
            raise ValueError(
                f"params must be weights of this model, such as the ema of a TrainState; {name} is {got} there and "
                f"{takes} in the model."
            )
    leaves, structure = jax.tree.leaves(params), jax.tree.structure(fresh)
    copies = [jnp.array(leaf, like.dtype) for leaf, like in zip(leaves, jax.tree.leaves(fresh), strict=True)]
    return jax.tree.unflatten(structure, copies)


def ema_decay(step: ArrayLike, decay: ArrayLike) -> Array:
    """min(decay, (1 + n) / (10 + n)) after n updates, so that the average forgets its random start quickly."""
    step = jnp.asarray(step, float)
    return jnp.minimum(decay, (1 + step) / (10 + step))


def train_step(
    state: TrainState,
    x: Array,
    cond: PyTree = None,
    *,
    loss: Callable[..., Array],
    ema: ArrayLike = 0.9999,
) -> tuple[TrainState, dict[str, Array]]:
    """One batch: its gradient; and after every `accumulate` batches an update of the weights and of their average.

    A pure function, for your own training loop: `jax.jit(partial(train_step, loss=loss), donate_argnums=0)`.

    Args:
        state: the state before.
        x: clean data, (batch, *event).
        cond: conditions, leaves (batch, ...).
        loss: (key, model, params, x, cond) -> losses (batch,); see `jaxsamp.training.denoising_loss`.
        ema: largest decay of the average.

    Returns:
        The state after, and the batch's "loss" and "grad_norm".
    """
    key = jax.random.fold_in(state.key, state.batches)

    def mean(params: PyTree) -> Array:
        return jnp.mean(loss(key, state.model, params, x, cond))

    value, gradient = jax.value_and_grad(mean)(state.params)
    updates, memory = state.optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    moved = replace(state, batches=state.batches + 1, params=params, opt_state=memory)
    keep = ema_decay(moved.step, ema)
    if state.accumulate > 1:
        keep = jnp.where(moved.batches % state.accumulate == 0, keep, 1.0)
    average = jax.tree.map(lambda e, p: e + (1 - keep).astype(e.dtype) * (p - e), state.ema, params)
    return replace(moved, ema=average), {"loss": value, "grad_norm": optax.tree.norm(gradient)}
