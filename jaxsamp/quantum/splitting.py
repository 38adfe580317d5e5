"""Quantum splitting: a state with large eigenvalues as one with small ones, in more dimensions, and back.

In the eigenbasis of a crude estimate with eigenvalues w, level i is split into b_i = 2^ceil(log2 max(1, d w_i)) copies:

    Phi(rho) = mean over s < max b of V_s rho V_s^dag,    V_s |i> = |i, s mod b_i>

A coherence <i| rho |j> comes out in the places (i, a), (j, b) with a = b mod min(b_i, b_j), each time divided by
max(b_i, b_j). Powers of two make these places exist for every pair, so that sums over them give rho back.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array, Data
from jaxsamp.quantum.states import complex_dtype


class Splitting(NamedTuple):
    """A splitting of d levels into d' of them, in a basis.

    Attributes:
        basis: eigenvectors of the crude estimate, as columns, (d, d).
        copies: b_i, powers of two, (d,); d' is their sum, at most 3 d.
    """

    basis: np.ndarray
    copies: np.ndarray

    @property
    def size(self) -> int:
        """d', the dimension of split states."""
        return int(self.copies.sum())

    def __call__(self, matrix: Data) -> Array:
        """Phi(rho) of a matrix (d, d), as (d', d') of complex numbers; the trace stays."""
        of, meets = self._places()
        inner = self.basis.conj().T @ np.asarray(matrix, complex) @ self.basis
        larger = np.maximum(self.copies[:, None], self.copies)
        return jnp.asarray(np.where(meets, (inner / larger)[np.ix_(of, of)], 0), complex_dtype())

    def inverse(self, matrix: Data) -> Array:
        """The matrix (..., d, d) of which Phi makes this one (..., d', d'); linear, for every matrix."""
        of, meets = self._places()
        gathers = jnp.asarray(of[:, None] == np.arange(len(self.copies)), complex_dtype())
        basis = jnp.asarray(self.basis, complex_dtype())
        kept = jnp.where(jnp.asarray(meets), jnp.asarray(matrix), 0)
        inner = jnp.einsum("ai,...ab,bj->...ij", gathers, kept, gathers, precision="highest")
        return jnp.einsum("ki,...ij,lj->...kl", basis, inner, basis.conj(), precision="highest")

    def _places(self) -> tuple[Any, Any]:
        """The level of each place, (d',), and whether two places hold a coherence, (d', d')."""
        of = np.repeat(np.arange(len(self.copies)), self.copies)
        number = np.concatenate([np.arange(b) for b in self.copies])
        smaller = np.minimum(self.copies[of][:, None], self.copies[of])
        return of, number[:, None] % smaller == number % smaller


def splitting(crude: Data) -> Splitting:
    """The splitting that a crude estimate of a state asks for, whose eigenvalues become at most 1 / d.

    Args:
        crude: a density matrix (d, d).
    """
    w, basis = np.linalg.eigh(np.asarray(crude, complex))
    # Eigenvalues of exactly 1 / d are not split by rounding.
    copies = 2 ** np.ceil(np.log2(np.maximum(1, len(w) * w)) - 1e-6).astype(int)
    return Splitting(basis, copies)
