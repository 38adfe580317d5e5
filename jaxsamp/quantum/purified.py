"""Random purification and one measurement of the pure state: tomography of t copies at the cost of one."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike
from jaxsamp.quantum.protocol import CopyProtocol
from jaxsamp.quantum.states import haar


@pytree
@dataclass(frozen=True)
class Purified(CopyProtocol):
    """t copies of one random purification, measured at once by the uniform measurement of pure states.

    With D = d^2 the purification is psi = vec(sqrt(rho) V), V of Haar's law, and the outcome phi in C^D has the density
    |<phi, psi>|^(2 t), up to a constant:

        phi = sqrt(f) psi + sqrt(1 - f) g,  f ~ Beta(t + 1, D - 1),  g uniform among the unit vectors orthogonal to psi

    Its estimate is ((D + t) R - d I) / t with R the reduced state of phi on the first factor, without bias. Draws are
    exact and cost O(d^3) whatever t is; the partner has the dimension d for every t, more than is needed for t < d.

    For large t the squared error is twice that of `Keyl(copies=t)`, for small t more than that.

    Attributes:
        copies: t, at least 1.

    Source: the idea is that of "Mixed state tomography reduces to pure state tomography", arXiv 2511.15806; the
    estimator and its second moment are derived here, and circuits are not simulated.
    """

    name: ClassVar[str] = "purified"
    copies: Any

    def draw(self, key: Array, eigenvalues: Array) -> tuple[Array, Array, dict[str, Array]]:
        """The amplitudes of phi, (d, d)."""
        d = len(eigenvalues)
        for_partner, for_overlap, for_rest = jax.random.split(key, 3)
        psi = jnp.sqrt(eigenvalues)[:, None] * haar(for_partner, d)
        psi = psi / jnp.linalg.norm(psi)
        g = jax.random.normal(for_rest, (d, d), psi.dtype)  # E |g_ij|^2 = 1
        g = g - jnp.vdot(psi, g) * psi
        # |g|^2 is Gamma(D - 1), independent of the direction of g: with Gamma(t + 1) the share of psi is Beta.
        overlap = jax.random.gamma(for_overlap, jnp.asarray(self.copies, eigenvalues.dtype) + 1)
        phi = jnp.sqrt(overlap) * psi + g
        partition = jnp.zeros(d, jnp.int32).at[0].set(self.copies)
        return partition, phi / jnp.linalg.norm(phi), {}


def purified_error(d: int, t: int, purity: float | ArrayLike) -> Any:
    """E ||rho_hat - rho||_F^2 of one measurement of t copies by `Purified`, in closed form.

    With a = (D + t) / t, b = d / t, F = (t + 1) / (t + D), F_2 = F (t + 2) / (t + D + 1), X = F - F_2 and
    Y = 1 - 2 F + F_2 it is a^2 E tr R^2 - 2 a b + b^2 d - q, where

        E tr R^2 = F_2 q + 4 X (d - q) / (D - 1) + 2 Y (d^3 - 2 d + q) / (D (D - 1))

    Args:
        d: the dimension, at least 2; D = d^2.
        t: number of copies.
        purity: q = tr rho^2.

    Raises:
        ValueError: t is below 1, or d below 2.
    """
    checks.at_least("d", d, 2)
    checks.at_least("t", t, 1)
    size, q = d**2, purity
    f = (t + 1) / (t + size)
    f2 = f * (t + 2) / (t + size + 1)
    reduced = f2 * q + 4 * (f - f2) * (d - q) / (size - 1)
    reduced = reduced + 2 * (1 - 2 * f + f2) * (d**3 - 2 * d + q) / (size * (size - 1))
    a, b = (size + t) / t, d / t
    return a**2 * reduced - 2 * a * b + b**2 * d - q
