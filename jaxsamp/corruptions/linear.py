"""The linear operators A of observations y = A x_0 + noise n.

What a measurement knows of x_0 is the projection P x_0 with P = A^+ A, where A^+ is the pseudoinverse: the operators
here also have `pseudoinverse` and `projector`, which learning from corrupted data needs; `jaxsamp.posterior` does not.
Those whose law is the same for images that are mirrored or turned have `moved`, A F^-1 for such a move F of images.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
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

    def pseudoinverse(self, y: Array) -> Array:
        """A^+ y = A^T y."""
        return self.adjoint(y)

    def projector(self, x: Array) -> Array:
        """P x = A x."""
        return self(x)

    def diagonal(self, event: tuple[int, ...]) -> Array:
        """Diagonal of P: the mask as numbers."""
        return jnp.asarray(self.mask, float)

    def moved(self, move: Callable[[Array], Array]) -> "MaskOperator":
        """A F^-1 for a move F of images: the moved mask, for then y moves too."""
        return MaskOperator(move(jnp.asarray(self.mask)))

    def condition(self) -> dict[str, Array]:
        """What a network is told of P: the mask as channels."""
        return {"channels": jnp.asarray(self.mask, float)}


@pytree
@dataclass(frozen=True)
class DenseOperator:
    """(A x)_i = sum_j matrix[i, j] x[j], where j runs over the whole event: any linear operator with few measurements.

    Attributes:
        matrix: (m, *event) for m measurements; (n, m, *event) for n operators. Products are computed in the precision
            and type of x. The rows that are not zero must be linearly independent for `pseudoinverse` and `projector`.
    """

    matrix: ArrayLike

    def __call__(self, x: Array) -> Array:
        """The m measurements of x, (m,).

        Raises:
            ValueError: x is not of shape matrix.shape[1:].
        """
        _fits("x", x := checks.floating("x", x), jnp.shape(self.matrix)[1:], "an event of the matrix,")
        return jnp.tensordot(jnp.asarray(self.matrix, x.dtype), x, x.ndim, precision="highest")

    def adjoint(self, y: Array) -> Array:
        """sum_i y_i matrix[i], of the event's shape.

        Raises:
            ValueError: y is not of shape (m,).
        """
        _fits("y", y := checks.floating("y", y), jnp.shape(self.matrix)[:1], "a measurement by the matrix,")
        return jnp.tensordot(y, jnp.asarray(self.matrix, y.dtype), 1, precision="highest")

    def pseudoinverse(self, y: Array) -> Array:
        """A^T (A A^T)^-1 y, of the event's shape; rows of zeros are left out."""
        y = checks.floating("y", y)
        rows = self._rows().astype(wide := jnp.promote_types(y.dtype, jnp.float32))  # there is no Cholesky in half
        gram = jnp.matmul(rows, rows.T, precision="highest")
        gram += jnp.diag(jnp.where(jnp.diag(gram) > 0, 0, 1).astype(wide))
        return self.adjoint(jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram), y.astype(wide))).astype(
            y.dtype
        )

    def projector(self, x: Array) -> Array:
        """A^+ A x, the part of x that lies in the span of the rows."""
        return self.pseudoinverse(self(x))

    def diagonal(self, event: tuple[int, ...]) -> Array:
        """Diagonal of P, of the event's shape."""
        return jnp.diag(self._matrix_of_projector()).reshape(event)

    def moved(self, move: Callable[[Array], Array]) -> "DenseOperator":
        """A F^-1 for a move F of images: the images of the weights move, and y stays."""
        return DenseOperator(jax.vmap(move)(jnp.asarray(self.matrix)))

    def condition(self) -> dict[str, Array]:
        """What a network is told of P: all its numbers, as a vector. P is the same for all matrices with one span."""
        return {"vector": self._matrix_of_projector().reshape(-1)}

    def _rows(self) -> Array:
        matrix = jnp.asarray(self.matrix)
        return matrix.reshape(matrix.shape[0], -1)

    def _matrix_of_projector(self) -> Array:
        rows = self._rows()
        units = jnp.eye(rows.shape[1], dtype=rows.dtype).reshape(-1, *jnp.shape(self.matrix)[1:])
        return jax.vmap(self.projector)(units).reshape(rows.shape[1], -1)


@pytree
@dataclass(frozen=True)
class AveragingOperator:
    """A x = the means of blocks of factor x factor pixels, in the place of the pixels; or x itself.

    An orthogonal projection: A = A^T = A^2.

    Attributes:
        averaged: boolean, whether it averages; (n,) for n operators.
        factor: side of a block, which divides the height and width of images (h, w) or (h, w, c).
    """

    averaged: ArrayLike
    factor: int = field(metadata={"static": True})

    def __call__(self, x: Array) -> Array:
        """The block means, of the shape of x; x if it does not average."""
        h, w = x.shape[0] // self.factor, x.shape[1] // self.factor
        blocks = x.reshape(h, self.factor, w, self.factor, *x.shape[2:])
        means = jnp.broadcast_to(blocks.mean((1, 3), keepdims=True), blocks.shape).reshape(x.shape)
        return jnp.where(self.averaged, means, x)

    def adjoint(self, y: Array) -> Array:
        """A y."""
        return self(y)

    def pseudoinverse(self, y: Array) -> Array:
        """A^+ y = A y."""
        return self(y)

    def projector(self, x: Array) -> Array:
        """P x = A x."""
        return self(x)

    def diagonal(self, event: tuple[int, ...]) -> Array:
        """Diagonal of P: 1 / factor^2, or 1."""
        return jnp.broadcast_to(jnp.where(self.averaged, 1 / self.factor**2, 1.0), event)

    def moved(self, move: Callable[[Array], Array]) -> "AveragingOperator":
        """A, as P F x = F P x for the moves F of images."""
        return self

    def condition(self) -> dict[str, Array]:
        """What a network is told of P: whether it averages, as a vector of one number."""
        return {"vector": jnp.asarray(self.averaged, float).reshape(1)}


@pytree
@dataclass(frozen=True)
class FourierMaskOperator:
    """A x = the seen columns of the two-dimensional Fourier transform of x: accelerated magnetic resonance imaging.

    Images are complex: (h, w, 2) with real and imaginary part as channels. The transform is unitary, with frequency 0
    at [0, 0], and y is (h, w, 2), zero in columns that are not seen.

    Attributes:
        columns: boolean, (w,), in the order of `jnp.fft.fft`; (n, w) for n operators.
    """

    columns: ArrayLike

    def __call__(self, x: Array) -> Array:
        """The seen frequencies of x, (h, w, 2).

        Raises:
            ValueError: x is not (h, w, 2) with as many columns.
        """
        width = jnp.shape(self.columns)[0]
        if x.ndim != 3 or x.shape[1:] != (width, 2):
            raise ValueError(f"x must be a complex image of shape (h, {width}, 2); got {x.shape}.")
        return self._seen(_pair(jnp.fft.fft2(x[..., 0] + 1j * x[..., 1], norm="ortho")))

    def adjoint(self, y: Array) -> Array:
        """The image of the seen frequencies, (h, w, 2)."""
        y = self._seen(y)
        return _pair(jnp.fft.ifft2(y[..., 0] + 1j * y[..., 1], norm="ortho"))

    def pseudoinverse(self, y: Array) -> Array:
        """A^+ y = A^T y."""
        return self.adjoint(y)

    def projector(self, x: Array) -> Array:
        """A^T A x."""
        return self.adjoint(self(x))

    def diagonal(self, event: tuple[int, ...]) -> Array:
        """Diagonal of P: the share of the columns that are seen."""
        return jnp.broadcast_to(jnp.mean(jnp.asarray(self.columns, float)), event)

    def condition(self) -> dict[str, Array]:
        """What a network is told of P: the columns, as a vector."""
        return {"vector": jnp.asarray(self.columns, float)}

    def _seen(self, y: Array) -> Array:
        return jnp.where(jnp.asarray(self.columns)[None, :, None], y, 0)


@pytree
@dataclass(frozen=True)
class BlurOperator:
    """A x = rows x columns^T: one matrix along the height and one along the width of images (h, w) or (h, w, c).

    Attributes:
        rows, columns: (h, h) and (w, w); with a leading axis n for n operators.
    """

    rows: ArrayLike
    columns: ArrayLike

    def __call__(self, x: Array) -> Array:
        """The blurred image, of the shape of x."""
        return self._product("hi,wj,ij...->hw...", x)

    def adjoint(self, y: Array) -> Array:
        """rows^T y columns, of the shape of y."""
        return self._product("ih,jw,ij...->hw...", y)

    def _product(self, sums: str, x: Array) -> Array:
        x = checks.floating("x", x)
        matrices = (jnp.asarray(m, x.dtype) for m in (self.rows, self.columns))
        return jnp.einsum(sums, *matrices, x, precision="highest")


def stretches(operator: Any, event: tuple[int, ...]) -> bool:
    """Whether an operator has singular values other than 0 and 1, A^T A being another map than P, as a probe shows.

    The noise of A^+ y has one size in all directions that A sees only if it has not.
    """
    return bool(_stretch(operator, event) > 1e-3)


@partial(jax.jit, static_argnums=1)
def _stretch(operator: Any, event: tuple[int, ...]) -> Array:
    x = jax.random.normal(jax.random.key(0), event)
    return jnp.max(jnp.abs(operator.adjoint(operator(x)) - operator.projector(x)))


def _pair(image: Array) -> Array:
    return jnp.stack([image.real, image.imag], -1)


def _fits(name: str, got: Array, shape: tuple[int, ...], whose: str) -> None:
    if jnp.shape(got) != shape:
        raise ValueError(f"{name} must be of {whose} shape {shape}, without a batch; got {jnp.shape(got)}.")
