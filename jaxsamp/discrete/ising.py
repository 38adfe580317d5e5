"""Spins with a dense matrix of couplings."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array
from jaxsamp.discrete.base import SpinLaw, fields_of


@pytree
@dataclass(frozen=True)
class Ising(SpinLaw):
    """p(x) proportional to exp(sum_{i<j} J_ij x_i x_j + sum_i h_i x_i), x in {-1, +1}^n, with a dense matrix J.

    It is the exponent that is given, not an energy, and no temperature apart: J and h hold it.

    Args:
        couplings: J, (n, n), symmetric, with a diagonal of zeros.
        fields: h, (n,); zero by default.

    Raises:
        ValueError: J is not square, not symmetric, not finite, or couples a spin to itself, or h does not fit.
    """

    structure = "pairs"

    couplings: Any
    fields: Any = None

    def __post_init__(self) -> None:
        couplings = checks.floating("couplings", self.couplings)
        if couplings.ndim != 2 or couplings.shape[0] != couplings.shape[1] or not len(couplings):
            raise ValueError(f"couplings must have shape (n, n); got {couplings.shape}.")
        n = len(couplings)
        if checks.is_concrete(couplings):
            known = checks.finite("couplings", couplings)
            if np.any(np.diagonal(known)):
                i = int(np.argmax(np.diagonal(known) != 0))
                raise ValueError(
                    f"couplings must be zero on the diagonal, because x_i^2 = 1; got {known[i, i]:g} for spin {i}."
                )
            if np.abs(known - known.T).max() > 1e-5 * np.abs(known).max():
                i, j = (int(k) for k in np.unravel_index(np.abs(known - known.T).argmax(), known.shape))
                raise ValueError(
                    f"couplings must be symmetric; got {known[i, j]:g} at {(i, j)} and {known[j, i]:g} at {(j, i)}."
                )
        object.__setattr__(self, "couplings", jnp.asarray(couplings))
        object.__setattr__(self, "fields", fields_of(self.fields, n))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(n,)."""
        return self.couplings.shape[:1]

    @property
    def width(self) -> Array:
        """max_i 2 (sum_j |J_ij| + |h_i|), the largest sum of weights of a regression of one spin on the others."""
        return 2 * jnp.max(jnp.abs(self.couplings).sum(1) + jnp.abs(self.fields))

    def exponent(self, x: Array) -> Array:
        """sum_{i<j} J_ij x_i x_j + sum_i h_i x_i, (batch,)."""
        x = x.astype(self.fields.dtype)
        return jnp.sum(x * (jnp.matmul(x, self.couplings, precision="highest") / 2 + self.fields), -1)

    def local_fields(self, x: Array) -> Array:
        """J x + h, (batch, n)."""
        return jnp.matmul(x.astype(self.fields.dtype), self.couplings, precision="highest") + self.fields

    def scaled(self, beta: Any) -> "Ising":
        """The law with beta J and beta h."""
        return replace(self, couplings=beta * self.couplings, fields=beta * self.fields)
