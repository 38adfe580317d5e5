"""Well-known laws of spins: spin glasses, lattices, memories."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, Data
from jaxsamp.discrete.base import fits
from jaxsamp.discrete.ising import Ising
from jaxsamp.discrete.mrf import MRF, ORDER
from jaxsamp.discrete.sparse import SparseIsing


def sk(key: Array, n: int, beta: ArrayLike = 1.0) -> Ising:
    """The Sherrington-Kirkpatrick model: J_ij = N(0, beta^2 / n) for i < j, no fields; glassy above beta = 1.

    Source: Sherrington and Kirkpatrick, "Solvable model of a spin-glass", Phys. Rev. Lett. 35 (1975).

    Raises:
        ValueError: n is below 2, or couplings of n spins are larger than memory.
    """
    fits("couplings", checks.at_least("n", n, 2), n)
    upper = jnp.triu(jax.random.normal(checks.typed_key(key), (n, n)), 1)
    return Ising(beta / math.sqrt(n) * (upper + upper.T))


def p_spin(key: Array, n: int, beta: ArrayLike = 1.0, order: int = 3) -> MRF:
    """The pure p-spin model: every set of p = `order` spins has a weight N(0, p! beta^2 / (2 n^(p - 1))).

    Source: Gross and Mezard, "The simplest spin glass", Nucl. Phys. B 240 (1984).

    Raises:
        ValueError: order is below 2 or above 4, n is below it, or the terms are larger than memory.
    """
    if checks.at_least("order", order, 2) > ORDER:
        raise ValueError(f"order must be at most {ORDER}; got {order}.")
    count = math.comb(checks.at_least("n", n, order), order)
    fits("terms", count, order)
    members = np.array([*itertools.combinations(range(n), order)], np.int32)
    std = beta * math.sqrt(math.factorial(order) / (2 * n ** (order - 1)))
    return MRF.from_arrays(members, std * jax.random.normal(checks.typed_key(key), (count,)), n)


def lattice(size: int, dim: int = 2, beta: ArrayLike = 0.4, field: ArrayLike = 0.0) -> SparseIsing:
    """Spins on a torus of size^dim sites, each coupled to its 2 dim nearest by J = beta, in a field h = `field`.

    Site (i_1, ..., i_dim) has the number that NumPy gives it in an array of this shape. In two dimensions it is
    critical at beta = log(1 + sqrt 2) / 2 = 0.4407. A torus of two sites has one edge between them, not two.

    Source: Onsager, "Crystal statistics. I", Phys. Rev. 65 (1944).

    Raises:
        ValueError: size is below 2 or dim below 1.
    """
    n = checks.at_least("size", size, 2) ** checks.at_least("dim", dim, 1)
    return SparseIsing(_torus(size, dim), beta, jnp.full(n, field, float))


def edwards_anderson(key: Array, size: int, dim: int = 3, beta: ArrayLike = 1.0, law: str = "normal") -> SparseIsing:
    """A spin glass on a torus of size^dim sites: nearest ones are coupled by beta times N(0, 1), or +1 or -1.

    `law` is "normal" or "signs". Source: Edwards and Anderson, "Theory of spin glasses", J. Phys. F 5 (1975).

    Raises:
        ValueError: size is below 2, dim below 1, or `law` another word.
    """
    checks.one_of("law", law, ("normal", "signs"))
    n = checks.at_least("size", size, 2) ** checks.at_least("dim", dim, 1)
    edges = _torus(size, dim)
    draw = jax.random.normal if law == "normal" else jax.random.rademacher
    return SparseIsing(edges, beta * draw(checks.typed_key(key), (len(edges),), jnp.result_type(float)), n)


def curie_weiss(n: int, beta: ArrayLike = 1.0, field: ArrayLike = 0.0) -> Ising:
    """All pairs coupled by J = beta / n, in a field: above beta = 1 two modes, of opposite magnetization.

    Raises:
        ValueError: n is below 2, or couplings of n spins are larger than memory.
    """
    fits("couplings", checks.at_least("n", n, 2), n)
    return Ising(beta / n * (1 - jnp.eye(n)), jnp.full(n, field, float))


def hopfield(patterns: Data, beta: ArrayLike = 1.0) -> Ising:
    """J = (beta / n) sum_m xi_m xi_m^T off the diagonal, for patterns xi (m, n) of +1 and -1.

    Source: Hopfield, "Neural networks and physical systems with emergent collective computational abilities", PNAS 79
    (1982).

    Raises:
        ValueError: patterns are not (m, n) of +1 and -1, or couplings of n spins are larger than memory.
    """
    xi = checks.floating("patterns", patterns)
    if xi.ndim != 2 or (checks.is_concrete(xi) and not (np.abs(xi) == 1).all()):
        raise ValueError(f"patterns must be an array (m, n) of +1 and -1; got one of shape {xi.shape}.")
    n = xi.shape[1]
    fits("couplings", n, n)
    return Ising(beta / n * jnp.matmul(xi.T, xi, precision="highest") * (1 - jnp.eye(n)))


def _torus(size: int, dim: int) -> np.ndarray:
    """The edges between nearest sites, (E, 2), each once."""
    sites = np.arange(size**dim).reshape((size,) * dim)
    ahead = [np.stack([sites, np.roll(sites, -1, axis)], -1).reshape(-1, 2) for axis in range(dim)]
    return np.unique(np.sort(np.concatenate(ahead), 1), axis=0)
