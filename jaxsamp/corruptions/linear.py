"""The linear operators A of observations y = A x_0 + noise n."""

from dataclasses import dataclass

import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike


@pytree
@dataclass(frozen=True)
class MaskOperator:
    """A x = x where `mask` is True, and 0 elsewhere: A = A^T = A^2, the identity without some of its ones.

    Attributes:
        mask: boolean, of the event's shape; (n, *event) for n operators.
    """

    mask: ArrayLike

    def __call__(self, x: Array) -> Array:
        """The seen entries of x, and 0 elsewhere, of the shape of x.

        Raises:
            ValueError: x is not of the mask's shape.
        """
        _fits("x", x, jnp.shape(self.mask), "the mask's")
        return jnp.multiply(self.mask, x)  # x is finite, and a product fuses with other products

    def adjoint(self, y: Array) -> Array:
        """y where `mask` is True, and 0 elsewhere, whatever the value of y there.

        Raises:
            ValueError: y is not of the mask's shape.
        """
        _fits("y", y, jnp.shape(self.mask), "the mask's")
        return jnp.where(jnp.asarray(self.mask), y, 0)


@pytree
@dataclass(frozen=True)
class DenseOperator:
    """(A x)_i = sum_j matrix[i, j] x[j], where j runs over the whole event: any linear operator with few measurements.

    Attributes:
        matrix: (m, *event) for m measurements; (n, m, *event) for n operators. Products are computed in the precision
            and type of x.
    """

    matrix: ArrayLike

    def __call__(self, x: Array) -> Array:
        """The m measurements of x, (m,).

        Raises:
            ValueError: x is not of shape matrix.shape[1:].
        """
        _fits("x", x, jnp.shape(self.matrix)[1:], "an event of the matrix,")
        return jnp.tensordot(jnp.asarray(self.matrix, x.dtype), x, x.ndim, precision="highest")

    def adjoint(self, y: Array) -> Array:
        """sum_i y_i matrix[i], of the event's shape.

        Raises:
            ValueError: y is not of shape (m,).
        """
        _fits("y", y, jnp.shape(self.matrix)[:1], "a measurement by the matrix,")
        return jnp.tensordot(y, jnp.asarray(self.matrix, y.dtype), 1, precision="highest")


def _fits(name: str, got: Array, shape: tuple[int, ...], whose: str) -> None:
    if jnp.shape(got) != shape:
        raise ValueError(f"{name} must be of {whose} shape {shape}, without a batch; got {jnp.shape(got)}.")
