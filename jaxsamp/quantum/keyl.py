"""Keyl's measurement: the Young diagram of t copies, and a frame of the state's eigenvectors."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array
from jaxsamp.quantum.protocol import CopyProtocol
from jaxsamp.quantum.shapes import draw_partition
from jaxsamp.quantum.states import complex_dtype
from jaxsamp_kernels import flags, young

DIAGRAM, FRAME, MOVES = range(3)  # what a key of an outcome is for
SWEEPS, COPIES = 24, 4  # of a chain in d dimensions: SWEEPS + d^2 + t / COPIES, of d - 1 moves each


@pytree
@dataclass(frozen=True)
class Keyl(CopyProtocol):
    """Keyl's measurement of t copies at once: a diagram lambda, then a frame U with the density, in Haar's measure,

        prod_k pm_k(U^dag rho U)^(lambda_k - lambda_{k+1}),  pm_k the k-th leading principal minor

    The diagram has the exact law of `schur_weyl`, by RSK insertion of t letters. For d = 2 the frame is exact too. For
    d > 2 it is the last state of a Markov chain on U(d). A move draws column k anew in the plane of columns k and
    k + 1, from its exact law there, so that none is rejected for its density; a sweep makes these moves for
    k = d - 1, ..., 1. The chain is an approximation: `stats` has the difference of its halves, and a warning says if
    that is not 0.

    Attributes:
        copies: t, at least 1.
        sweeps: of the chain, at least 2; by default 24 + d^2 + t / 4.

    Source: Keyl, "Quantum state estimation and large deviations", arXiv quant-ph/0412053; of few copies at a time,
    Chen, Li and Liu, "An optimal tradeoff between entanglement and copy complexity for state tomography", arXiv
    2402.16353.
    """

    name: ClassVar[str] = "keyl"
    copies: Any
    sweeps: Any = None

    def check(self, d: int) -> None:
        """Raise ValueError or TypeError if a number is not an integer, or too small."""
        super().check(d)
        if self.sweeps is not None:
            checks.at_least("sweeps", self.sweeps, 2)

    def draw(self, key: Array, eigenvalues: Array) -> tuple[Array, Array, dict[str, Array]]:
        """The diagram and the frame."""
        d = len(eigenvalues)
        for_diagram, for_frame, for_moves = (jax.random.fold_in(key, use) for use in (DIAGRAM, FRAME, MOVES))
        partition = draw_partition(for_diagram, eigenvalues, self.copies)
        if d == 1:
            return partition, jnp.ones((1, 1), complex_dtype()), {}
        if d == 2:
            return partition, _qubit(for_frame, eigenvalues, partition), {}
        sweeps = SWEEPS + d**2 + self.copies // COPIES if self.sweeps is None else self.sweeps
        half = sweeps // 2 * (d - 1)

        def walk(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            frame, made, seen = carry
            frame, more = _walk(for_moves, eigenvalues, partition, frame, i * half, (i + 1) * half)
            return frame, made + more, seen.at[i].set(_overlap(eigenvalues, partition, frame))

        zeros = jnp.zeros(2, eigenvalues.dtype)
        start = _start(for_frame, eigenvalues, self.copies)
        frame, made, seen = lax.fori_loop(0, 2, walk, (start, zeros[0], zeros))
        return partition, frame, {"acceptance": made / (2 * half), "split_half": seen[1] - seen[0]}


def _qubit(key: Array, eigenvalues: Array, partition: Array) -> Array:
    """The exact frame for d = 2: the cosine z of the angle to rho's axis has density ((1 + r z) / 2)^(l_1 - l_2)."""
    u = jax.random.uniform(key, (2,), eigenvalues.dtype)
    log_ratio = jnp.log(eigenvalues[1]) - jnp.log(eigenvalues[0])
    z = flags.bloch_cosine(u[0], log_ratio, partition[0] - partition[1] + 1)
    return flags.completed(flags.direction(z, 2 * jnp.pi * u[1]))


def _start(key: Array, eigenvalues: Array, copies: Any) -> Array:
    """A frame to start from: of Haar's law for few copies, near the eigenvectors for many."""
    d = len(eigenvalues)
    g = jax.random.normal(key, (d, d), complex_dtype())
    return jnp.linalg.qr(jnp.sqrt(1 + copies * eigenvalues)[:, None] * g)[0]


def _walk(key: Array, p: Array, partition: Array, frame: Array, first: Any, last: Any) -> tuple[Array, Array]:
    """Moves first .. last - 1 of the chain: the frame, and how many of them gave finite numbers and were made."""
    d = len(p)
    weights = (partition[:-1] - partition[1:]).astype(p.dtype)

    def move(step: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        frame, triangle, made = carry
        k = d - 2 - step % (d - 1)
        u = jax.random.uniform(jax.random.fold_in(key, step), (2,), p.dtype)
        new, bent = flags.heat_bath_move(frame, triangle, k, weights[k], u)
        sound = jnp.isfinite(jnp.sum(jnp.abs(new)) + jnp.sum(jnp.abs(bent)))
        return jnp.where(sound, new, frame), jnp.where(sound, bent, triangle), made + sound

    triangle = jnp.linalg.qr(jnp.sqrt(p)[:, None] * frame, mode="r")
    frame, _, made = lax.fori_loop(first, last, move, (frame, triangle, jnp.zeros((), p.dtype)))
    return flags.orthonormal(frame), made


def _overlap(eigenvalues: Array, partition: Array, frame: Array) -> Array:
    """tr(rho D) of the debiased estimate D = U diag(donate(lambda) / t) U^dag."""
    weights = young.donate(partition) / partition.sum()
    return jnp.sum(eigenvalues[:, None] * jnp.abs(frame) ** 2 * weights)
