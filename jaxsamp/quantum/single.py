"""Single copies, each measured in a random basis of its own."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array
from jaxsamp.quantum.protocol import CopyProtocol
from jaxsamp.quantum.states import haar


@pytree
@dataclass(frozen=True)
class Single(CopyProtocol):
    """One copy, measured in a basis of Haar's law: |u_i> with probability <u_i| rho |u_i>.

    Its estimate (d + 1) |u><u| - I is linear inversion, and what all estimators of `Keyl(copies=1)` make of one copy:
    the same measurement, drawn exactly.
    """

    name: ClassVar[str] = "single"
    copies: ClassVar[int] = 1

    def draw(self, key: Array, eigenvalues: Array) -> tuple[Array, Array, dict[str, Array]]:
        """A basis whose first vector is the outcome."""
        d = len(eigenvalues)
        for_basis, for_outcome = jax.random.split(key)
        basis = haar(for_basis, d)
        edges = jnp.cumsum(jnp.sum(eigenvalues[:, None] * jnp.abs(basis) ** 2, 0))
        u = jax.random.uniform(for_outcome, (), edges.dtype) * edges[-1]
        frame = jnp.roll(basis, -jnp.sum(u >= edges[:-1]), 1)
        return jnp.zeros(d, jnp.int32).at[0].set(1), frame, {}
