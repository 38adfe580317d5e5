"""Quantum states as density matrices: checked, random, compared, and the nearest one to a matrix that is none."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Array, Data, PRNGKey

TOLERANCE = 1e-4  # of Hermitian, of positive and of trace 1: above the rounding of float32 in 32 dimensions


def complex_dtype() -> Any:
    """complex64, or complex128 under x64."""
    return jnp.result_type(complex)


def check_state(argument: str, got: Any) -> np.ndarray:
    """Return `got` as (d, d) of complex128 if it is a density matrix, else raise ValueError.

    It is Hermitian, positive and of trace 1 to the last bits afterward, if it was to 1e-4.
    """
    rho = checks.finite(argument, got).astype(complex)
    if rho.ndim != 2 or rho.shape[0] != rho.shape[1] or not len(rho):
        raise ValueError(f"{argument} must be a density matrix (d, d); got shape {rho.shape}.")
    apart = np.abs(rho - rho.conj().T).max()
    if apart > TOLERANCE:
        raise ValueError(f"{argument} must be Hermitian; got entries that are {apart:.3g} from those across.")
    rho = (rho + rho.conj().T) / 2
    trace = float(np.trace(rho).real)
    if abs(trace - 1) > TOLERANCE:
        raise ValueError(f"{argument} must have trace 1; got {trace:.6g}.")
    least = float(np.linalg.eigvalsh(rho)[0])
    if least < -TOLERANCE:
        raise ValueError(f"{argument} must be positive; got the eigenvalue {least:.3g}.")
    return rho / trace if least >= 0 else _nearest(rho)


def spectrum(rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a state, from the largest, (d,) with sum 1, and its eigenvectors as columns (d, d)."""
    values, vectors = np.linalg.eigh(rho)
    values = np.maximum(values[::-1], 0)
    return values / values.sum(), vectors[:, ::-1]


def haar(key: PRNGKey, d: int) -> Array:
    """A unitary matrix (d, d) of Haar's law, for which U and W U have the same law for every unitary W.

    It is the Q of a Gaussian matrix, with phases that make the diagonal of R positive; see Mezzadri, "How to generate
    random matrices from the classical compact groups", arXiv math-ph/0609050.

    Args:
        key: a typed key.
        d: the dimension.
    """
    q, r = jnp.linalg.qr(jax.random.normal(key, (d, d), complex_dtype()))
    diagonal = jnp.diagonal(r)
    return q * (diagonal / jnp.abs(diagonal))


def random_state(key: PRNGKey, d: int, eigenvalues: Data | None = None) -> Array:
    """A random density matrix (d, d): rho = U diag(p) U^dag with U of Haar's law.

    Args:
        key: a typed key.
        d: the dimension.
        eigenvalues: p, (d,), not negative with sum 1. By default those of G G^dag / tr G G^dag for a Gaussian matrix G,
            the law that the Hilbert-Schmidt distance induces.

    Raises:
        ValueError: d is below 1, or the eigenvalues are not as above.
        TypeError: the key is not a typed key.

    Source: Zyczkowski and Sommers, "Induced measures in the space of mixed quantum states", arXiv quant-ph/0012101.
    """
    checks.typed_key(key)
    checks.at_least("d", d, 1)
    if eigenvalues is None:
        g = jax.random.normal(key, (d, d), complex_dtype())
        rho = jnp.matmul(g, g.conj().T, precision="highest")
    else:
        p = checks.finite("eigenvalues", eigenvalues).astype(float)
        if p.shape != (d,) or p.min() < 0 or abs(p.sum() - 1) > TOLERANCE:
            raise ValueError(
                f"eigenvalues must be {d} numbers that are not negative with sum 1; got shape {p.shape}, least "
                f"{p.min(initial=0):.3g}, sum {p.sum():.6g}."
            )
        u = haar(key, d)
        rho = jnp.matmul(u * jnp.asarray(p, u.real.dtype), u.conj().T, precision="highest")
    return rho / jnp.trace(rho).real


def nearest_state(matrix: Data) -> Array:
    """The density matrix at the least Frobenius distance from a Hermitian one, (d, d).

    Its eigenvalues are projected on the simplex of p >= 0 with sum 1; eigenvectors stay.

    Raises:
        ValueError: the matrix is not square, not finite or not Hermitian.

    Source: Smolin, Gambetta and Smith, "Efficient method for computing the maximum-likelihood quantum state from
    measurements with additive Gaussian noise", arXiv 1106.5458.
    """
    made = checks.finite("matrix", matrix).astype(complex)
    if made.ndim != 2 or made.shape[0] != made.shape[1]:
        raise ValueError(f"matrix must be square; got shape {made.shape}.")
    if np.abs(made - made.conj().T).max() > TOLERANCE * max(1.0, np.abs(made).max()):
        raise ValueError("matrix must be Hermitian; got entries that are not the conjugates of those across.")
    return jnp.asarray(_nearest((made + made.conj().T) / 2), complex_dtype())


def _nearest(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    down = values[::-1]
    shifts = (np.cumsum(down) - 1) / np.arange(1, len(down) + 1)
    p = np.maximum(values - shifts[np.flatnonzero(down > shifts)[-1]], 0)
    return (vectors * p) @ vectors.conj().T


def trace_distance(a: Data, b: Data) -> float:
    """Half the sum of |eigenvalues| of a - b, two Hermitian matrices (d, d); between states it is from 0 to 1."""
    return float(np.abs(np.linalg.eigvalsh(np.asarray(a, complex) - np.asarray(b, complex))).sum() / 2)
