"""What a linear operator is."""

from typing import Protocol, runtime_checkable

from jaxsamp.core.types import Array


@runtime_checkable
class LinearOperator(Protocol):
    """A linear map A of one event, with its adjoint: <A x, y> = <x, A^T y> for all x and y.

    Pure functions of one event and of one observation; `jax.vmap` makes those of many. An operator is a registered
    pytree whose arrays are leaves, so that the operators of n samples are one object of the same class whose leaves
    have a leading axis n, and travel, are sliced and are divided over devices like any other array of a sample.
    """

    def __call__(self, x: Array) -> Array:
        """A x, for x of the event's shape."""
        ...

    def adjoint(self, y: Array) -> Array:
        """A^T y, of the event's shape, for y of an observation's shape."""
        ...
