"""Spins with terms of any order up to four."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Data
from jaxsamp.discrete.base import SpinLaw

ORDER = 4  # the largest number of spins in a term


@pytree
@dataclass(frozen=True, init=False)
class MRF(SpinLaw):
    """A Markov random field, p(x) proportional to exp(sum_T w_T prod_{i in T} x_i), x in {-1, +1}^n.

    Args:
        terms: weights by tuples of one to four different spins, such as {(0,): 0.1, (0, 1, 2): 0.3}, each set once.
        n: number of spins; by default the smallest that the terms need.

    Attributes:
        members: the spins of each term, (T, order); n fills up.
        weights: w of each term, (T,).

    Raises:
        ValueError: a term is empty, has more than four spins, names one twice or one that is not there, or comes
            twice; or a weight is not finite.
        TypeError: `terms` is not a mapping.
    """

    structure = "terms"

    members: Any
    weights: Any
    n: int = field(metadata={"static": True})

    def __init__(self, terms: Mapping[tuple[int, ...], Any], n: int | None = None) -> None:
        if not isinstance(terms, Mapping):
            raise TypeError(f"terms must be a mapping from tuples of spins to weights; got a {type(terms).__name__}.")
        sets = [tuple(sorted(term)) if isinstance(term, tuple | frozenset) else (term,) for term in terms]
        order = max((len(term) for term in sets), default=0)
        most = 1 + max((i for term in sets for i in term), default=0)
        n = most if n is None else checks.at_least("n", n, 1)
        members = np.full((len(sets), max(order, 1)), n, np.int32)
        for place, term in zip(members, sets, strict=True):
            place[: len(term)] = term
        self._fill(members, list(terms.values()), n)

    @classmethod
    def from_arrays(cls, members: Data, weights: Data, n: int) -> "MRF":
        """The law of terms given as an array of spins (T, order), filled up with n, and weights (T,) or one number."""
        made = object.__new__(cls)
        made._fill(np.asarray(members), weights, checks.at_least("n", n, 1))
        return made

    def _fill(self, members: np.ndarray, weights: Any, n: int) -> None:
        """Set the attributes if the arrays describe terms, each once, else raise ValueError."""
        if members.ndim != 2 or not np.issubdtype(members.dtype, np.integer):
            raise ValueError(
                f"members must be whole numbers of shape (T, order); got {members.dtype} of shape {members.shape}."
            )
        if members.shape[1] > ORDER:
            raise ValueError(f"terms must have at most {ORDER} spins; got one of {members.shape[1]}.")
        members = np.sort(members, 1).astype(np.int32)  # which brings n, that fills up, to the end
        used = members < n
        if (members < 0).any() or (members > n).any():
            got = int(members[(members < 0) | (members > n)][0])
            raise ValueError(f"terms must name spins 0, ..., {n - 1}; got {got}.")
        if not used.any(1).all():
            raise ValueError("terms must have at least one spin, because a constant changes no law; got an empty one.")
        twice = (members[:, 1:] == members[:, :-1]) & used[:, 1:]
        if twice.any():
            term = members[twice.any(1)][0]
            raise ValueError(
                f"terms must name a spin once, because x_i^2 = 1; got {tuple(int(i) for i in term[term < n])}."
            )
        known, counts = np.unique(members, axis=0, return_counts=True)
        if (counts > 1).any():
            term = known[counts.argmax()]
            raise ValueError(
                f"terms must be given once; got {tuple(int(i) for i in term[term < n])} {counts.max()} times."
            )
        w = checks.floating("weights", weights if not isinstance(weights, list) else jnp.asarray(weights, float))
        if w.shape not in ((), (len(members),)):
            raise ValueError(f"weights must be one number or of shape (T,) = ({len(members)},); got {w.shape}.")
        if checks.is_concrete(w):
            checks.finite("weights", w)
        for name, value in (
            ("members", jnp.asarray(members)),
            ("weights", jnp.broadcast_to(w, (len(members),))),
            ("n", n),
        ):
            object.__setattr__(self, name, value)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(n,)."""
        return (self.n,)

    @property
    def terms(self) -> dict[tuple[int, ...], float]:
        """Weights by tuples of spins, on the host."""
        members, weights = np.asarray(self.members), np.asarray(self.weights)
        return {tuple(int(i) for i in m if i < self.n): float(w) for m, w in zip(members, weights, strict=True)}

    @property
    def width(self) -> Array:
        """max_i 2 sum_{T with i} |w_T|, the largest sum of weights of a regression of one spin on the others."""
        return 2 * jnp.max(self._gathered(jnp.abs(self.weights)[:, None]))

    def exponent(self, x: Array) -> Array:
        """sum_T w_T prod_{i in T} x_i, (batch,)."""
        return jnp.sum(self._products(x) * self.weights, -1)

    def local_fields(self, x: Array) -> Array:
        """sum_{T with i} w_T prod_{j in T, j != i} x_j, (batch, n)."""
        x = x.astype(self.weights.dtype)
        return x * jnp.moveaxis(self._gathered((self._products(x) * self.weights).T), 0, -1)

    def scaled(self, beta: Any) -> "MRF":
        """The law with beta w."""
        made = object.__new__(MRF)
        for name, value in (("members", self.members), ("weights", beta * self.weights), ("n", self.n)):
            object.__setattr__(made, name, value)
        return made

    def _products(self, x: Array) -> Array:
        """prod_{i in T} x_i for each term, (batch, T)."""
        x = jnp.pad(x.astype(self.weights.dtype), ((0, 0), (0, 1)), constant_values=1)
        return jnp.prod(x[..., self.members], -1)

    def _gathered(self, of_terms: Array) -> Array:
        """The sum of values (T, batch) over the terms of each spin, (n, batch)."""
        spread = jnp.broadcast_to(of_terms[:, None], (*self.members.shape, of_terms.shape[1]))
        return jnp.zeros((self.n + 1, of_terms.shape[1]), of_terms.dtype).at[self.members].add(spread)[: self.n]
