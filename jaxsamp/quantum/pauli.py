"""Pauli channels: random Pauli errors, by their rates and by their eigenvalues."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.tree_util import Partial
from jaxtyping import Int32

from jaxsamp import running
from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.quantum.pauli_strings import check_table, index_of, indices_of, labels_of
from jaxsamp_kernels.pauli import symplectic

ROUNDING = 1e-5  # by which sums of single-precision numbers may miss one, and rates of them zero


@pytree
@dataclass(frozen=True)
class PauliChannel:
    """rho -> sum_a p_a P_a rho P_a on n qubits: the error P_a, one of the 4^n Pauli strings, happens at the rate p_a.

    Its eigenvectors are the Pauli strings themselves, P_b -> lambda_b P_b with

        lambda_b = sum_a p_a (-1)^<a,b>,   p_a = 4^-n sum_b lambda_b (-1)^<a,b>,

    <a,b> = 1 where P_a and P_b anticommute: a Walsh-Hadamard transform, O(n 4^n). Tables are in the order of indices:
    the 2n bits x_1 ... x_n z_1 ... z_n, the first the highest, with I = 00, X = 10, Y = 11 and Z = 01.

    Args:
        probabilities: the error rates p, (4^n,), or
        eigenvalues: lambda, (4^n,); one of the two is given, and both are attributes.

    Raises:
        ValueError: both or neither are given, the shape is not (4^n,) with n from 1 to 15, a rate is negative, rates do
            not sum to one, or the eigenvalues are not those of a channel.
    """

    probabilities: Any = None
    eigenvalues: Any = None

    def __post_init__(self) -> None:
        if (self.probabilities is None) == (self.eigenvalues is None):
            said = "neither" if self.probabilities is None else "both"
            raise ValueError(f"probabilities or eigenvalues must be given, one of the two; got {said}.")
        name = "eigenvalues" if self.probabilities is None else "probabilities"
        table = jnp.asarray(_table(name, getattr(self, name)))
        if name == "eigenvalues":
            p, values = transformed(table) / table.size, table
        else:
            p, values = table, transformed(table)
        if checks.is_concrete(table):
            _check(name, np.asarray(table), np.asarray(p))
        object.__setattr__(self, "probabilities", jnp.maximum(p, 0))
        object.__setattr__(self, "eigenvalues", values)

    @classmethod
    def from_labels(cls, rates: Mapping[str, Any]) -> "PauliChannel":
        """The channel of some errors by label, `{"II": 0.7, "XX": 0.3}`; others have the rate zero.

        Raises:
            TypeError: a label is not a string.
            ValueError: a label has other letters than I, X, Y and Z, labels differ in length, a rate is negative, or
                the rates do not sum to one.
        """
        indices = indices_of(rates)
        n = check_table("labels", len(next(iter(rates))))
        p = np.zeros(4**n)
        p[indices] = checks.finite("rates", [float(rate) for rate in rates.values()])
        return cls(p)

    @property
    def qubits(self) -> int:
        """n."""
        return int(math.log2(self.probabilities.shape[0])) // 2

    def rate(self, label: str) -> Array:
        """The rate of one error, such as "XZ"; raises ValueError for a label that does not fit."""
        return self.probabilities[self._at(label)]

    def eigenvalue(self, label: str) -> Array:
        """The eigenvalue of one Pauli string, such as "XZ"; raises ValueError for a label that does not fit."""
        return self.eigenvalues[self._at(label)]

    def labels(self, least: float = 0.0) -> dict[str, float]:
        """The rates above `least` by label, the largest first."""
        p = np.asarray(self.probabilities)
        found = np.flatnonzero(p > least)
        found = found[np.argsort(-p[found], kind="stable")]
        return dict(zip(labels_of(found, self.qubits), p[found].tolist(), strict=True))

    def compose(self, other: "PauliChannel") -> "PauliChannel":
        """This channel and another one, one after the other: eigenvalues multiply, so the order does not matter.

        Raises:
            ValueError: the other acts on another number of qubits.
        """
        if self.qubits != other.qubits:
            raise ValueError(f"other must act on {self.qubits} qubits, as this channel; got {other.qubits}.")
        product = self.eigenvalues * other.eigenvalues
        return PauliChannel(eigenvalues=product / product[0])  # whose rounding would grow from product to product

    def sample(
        self,
        key: PRNGKey,
        shape: tuple[int, ...],
        *,
        mesh: Mesh | None = None,
        microbatch: int | None = None,
        progress: bool = False,
    ) -> Int32[Array, "..."]:
        """Independent errors, as indices of their Pauli strings, of this shape.

        Draw i, in the order of rows, depends on fold_in(key, i) and the rates alone. `js.quantum.labels_of(errors,
        qubits)` gives the labels.

        Args:
            key: a typed key.
            shape: of what is drawn, such as (1000,).
            mesh, microbatch, progress: as for `jaxsamp.running.rows`.

        Raises:
            TypeError: `key` is not a typed key, or `shape` not a tuple.
            ValueError: an entry of `shape` or `microbatch` is below 1.
        """
        shape = checks.shape_of(shape, None, "channel")
        draws = running.rows(
            key, Partial(drawn, cumulative(self.probabilities)), math.prod(shape),
            mesh=mesh, microbatch=microbatch, progress=progress,
        )  # fmt: skip
        return draws.reshape(shape)

    def _at(self, label: str) -> int:
        return int(indices_of([label], self.qubits)[0]) if isinstance(label, str) else index_of(label)


@jax.jit
def cumulative(p: Array) -> tuple[Array, Array]:
    """Sums of the rates of all strings before and with each: over the x parts, and within each x part over z parts."""
    side = math.isqrt(p.shape[0])
    table = p.reshape(side, side)
    return _sums(table.sum(1)), _sums(table)


def drawn(sums: tuple[Array, Array], key: Array, _: None = None) -> Array:
    """The index of one error. Two numbers choose it: one has too few bits for many strings."""
    rows, within = sums
    u = jax.random.uniform(key, (2,), rows.dtype)
    x = _found(lambda i: rows[i], rows.shape[0], u[0])
    return x * rows.shape[0] + _found(lambda i: within[x, i], rows.shape[0], u[1])


def _sums(p: Array) -> Array:
    """Cumulative sums that do not fall, and stay as they are where p is zero, whatever rounding there is."""
    return jax.lax.cummax(jnp.where(p > 0, jnp.cumsum(p, -1), 0), p.ndim - 1)


def _found(sums: Any, size: int, u: Array) -> Array:
    """The first of `size` places, a power of two, whose sum is above u times the last one, bit by bit."""
    aim, place = u * sums(size - 1), jnp.zeros((), jnp.int32)
    for bit in reversed(range(int(math.log2(size)))):
        place = jnp.where(sums(place + 2**bit - 1) <= aim, place + 2**bit, place)
    return place


transformed = jax.jit(symplectic)


def _table(name: str, got: Any) -> Any:
    table = checks.floating(name, got)
    n = int(math.log2(table.size)) // 2 if table.ndim == 1 and table.size else 0
    if n < 1 or table.shape != (4**n,):
        raise ValueError(f"{name} must have shape (4^n,), one for each Pauli string on n qubits; got {table.shape}.")
    check_table(name, n)
    return table


def _check(name: str, table: np.ndarray, p: np.ndarray) -> None:
    """Raise ValueError unless the table, whose rates are p, is that of a channel."""
    checks.finite(name, table)
    n, total = int(math.log2(p.size)) // 2, p.sum(dtype=float)
    least = int(p.argmin())
    if p[least] < (-ROUNDING if name == "eigenvalues" else 0):
        label = labels_of(least, n)[0]
        of = "eigenvalues must be those of a channel, whose rates are not negative;"
        begin = of if name == "eigenvalues" else "probabilities must not be negative;"
        raise ValueError(f"{begin} got {p[least]:g} for {label}.")
    if abs(total - 1) > ROUNDING:
        begin = "eigenvalues must be 1 for the identity" if name == "eigenvalues" else "probabilities must sum to one"
        raise ValueError(f"{begin}; got {total:g}.")
