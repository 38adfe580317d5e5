"""Training over a mesh of devices: on which devices batches, weights and gradients are."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from jaxsamp import devices
from jaxsamp.core.types import Array, PyTree
from jaxsamp.training.state import TrainState, train_step

# Numbers in an array that is divided: to gather a smaller one for each step takes longer than its memory is worth.
MIN_DIVIDED = 2**14


@dataclass(frozen=True)
class Layout:
    """Batches are divided over the mesh's axis "batch"; the state is on every device, or its large arrays divided too.

    Attributes:
        mesh: from `jaxsamp.mesh`; its axis "time" is not used: all devices along it hold the same.
        fsdp: divide each array of MIN_DIVIDED numbers or more along its largest axis that divides evenly.
    """

    mesh: Any
    fsdp: bool = False

    def check(self, part: int) -> None:
        """Raise ValueError unless `part` samples, those of one gradient, divide evenly over the devices."""
        devices.check_mesh(self.mesh)
        parts = self.mesh.shape[devices.BATCH]
        if part % parts:
            raise ValueError(
                f"batch_size / accumulate must be divisible by the devices along the mesh's axis 'batch', {parts}; "
                f"got {part}."
            )

    def arranged(self, tree: PyTree) -> PyTree:
        """Inside jit: each array where it belongs, so that a step does not move them."""
        return jax.tree.map(lambda leaf: devices.constrain(leaf, self.mesh, self._axis(leaf)), tree)

    def gathering(self, loss: Any) -> Any:
        """The loss, with a gradient that is divided like the weights."""
        return partial(_gathered, self, loss) if self.fsdp else loss

    def _axis(self, leaf: Array) -> int | None:
        axes = [axis for axis, size in enumerate(leaf.shape) if size % self.mesh.shape[devices.BATCH] == 0]
        return max(axes, key=lambda axis: leaf.shape[axis]) if self.fsdp and axes and leaf.size >= MIN_DIVIDED else None

    def gathered(self, leaf: Array) -> Array:
        """One array of weights, whole on every device; backward, the sum of the devices' gradients, divided again.

        Explicit, because the compiler, left to itself, divides the features of a layer like its weights, and moves
        activations back and forth between that and the division of the batch.
        """
        axis = self._axis(leaf)
        if axis is None:
            return leaf
        whole = jax.custom_vjp(lambda leaf: devices.constrain(leaf, self.mesh))
        whole.defvjp(lambda leaf: (whole(leaf), None), lambda _, got: (devices.constrain(got, self.mesh, axis),))
        return whole(leaf)


def _gathered(layout: Layout, loss: Any, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
    return loss(key, model, jax.tree.map(layout.gathered, params), x, cond)


def step(
    state: TrainState, x: Array, cond: PyTree, *, loss: Any, ema: Any, layout: Layout | None
) -> tuple[TrainState, dict[str, Array]]:
    """`train_step` with the state left on the devices where it is."""
    if layout is None:
        return train_step(state, x, cond, loss=loss, ema=ema)
    after, metrics = train_step(state, x, cond, loss=layout.gathering(loss), ema=ema)
    return layout.arranged(after), metrics


@partial(jax.jit, static_argnames=("model", "optimizer", "accumulate", "layout"))
def create(
    key: Array,
    x: Array,
    cond: PyTree,
    params: PyTree = None,
    *,
    model: Any,
    optimizer: Any,
    accumulate: int,
    layout: Layout,
) -> TrainState:
    """`TrainState.create`, with each array where it belongs from the start: divided ones are whole on no device."""
    return layout.arranged(TrainState.create(key, model, x, cond, optimizer, accumulate, params))
