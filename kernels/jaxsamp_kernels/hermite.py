"""Products of Hermite polynomials, products of spins, and moments against Hermite polynomials.

With He_m the polynomials that are orthogonal under the standard normal law, He_0 = 1, He_1 = x, He_2 = x^2 - 1, the
normalized ones h_m = He_m / sqrt(m!) have E[h_l(x) h_m(x)] = 1 if l = m, else 0.

A product of coordinates is a sorted tuple of their numbers: (), (0,), (0, 0), (0, 2), ...; () is the constant 1.

Source: Stein, "Estimation of the mean of a multivariate normal distribution", Ann. Statist. 9 (1981) (moments).
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array

Products = tuple[tuple[int, ...], ...]


def products(dim: int, degree: int, least: int = 0, distinct: bool = False) -> Products:
    """All products of `least` to `degree` of the coordinates 0, ..., dim - 1, by degree.

    With `distinct` no coordinate is in one twice. Those of a smaller degree come first, so that they nest. There are
    C(dim + degree, degree) of them from degree 0 on.
    """
    found, last = [], [()]
    for m in range(degree + 1):
        found += last if m >= least else []
        last = [(*made, i) for made in last for i in range(made[-1] + distinct if made else 0, dim)]
    return tuple(found)


def hermite(x: Array, degree: int) -> Array:
    """h_0(x), ..., h_degree(x), (degree + 1, *x.shape), by h_{m+1} = (x h_m - sqrt(m) h_{m-1}) / sqrt(m + 1)."""
    found = [jnp.ones_like(x), x]
    for m in range(1, degree):
        found.append((x * found[m] - math.sqrt(m) * found[m - 1]) / math.sqrt(m + 1))
    return jnp.stack(found[: degree + 1])


def hermite_features(x: Array, of: Products) -> Array:
    """prod_i h_{m_i}(x_i) for each product, where i is in it m_i times: (..., d) to (..., P).

    Orthonormal if x is standard normal. `of` must hold, with a product, also what is left of it without all copies of
    its last coordinate, as `products` does.
    """
    return _features(hermite(x, max((len(made) for made in of), default=0)), of)


def monomials(x: Array, of: Products) -> Array:
    """prod_{i in S} x_i for each product S, (..., d) to (..., P); for spins +1 and -1 an orthonormal basis."""
    highest = max((len(made) for made in of), default=0)
    return _features(jnp.stack([x**m for m in range(highest + 1)]), of)


def _features(table: Array, of: Products) -> Array:
    """Products of the entries of table (degree + 1, ..., d), each from the one without its last coordinate."""
    place = {made: p for p, made in enumerate(of)}
    found = table[0][..., :0]
    for m in sorted({len(made) for made in of}):
        here = [made for made in of if len(made) == m]
        if m == 0:
            found = jnp.ones((*table.shape[1:-1], 1), table.dtype)
            continue
        copies = np.array([made.count(made[-1]) for made in here])
        rest = np.array([place[made[: m - c]] for made, c in zip(here, copies, strict=True)])
        new = jnp.moveaxis(table[copies, ..., np.array([made[-1] for made in here])], 0, -1)
        found = jnp.concatenate([found, found[..., rest] * new], -1)
    return found


def stein_moments(x: Array, y: Array, order: int) -> Array:
    """The mean of y He_m(x), m = order from 1 to 3, for x (n, d) and y (n,): (d,), (d, d) or (d, d, d).

    He_1 = x, He_2 = x x^T - I, and He_3 = x x x less each of its coordinates times I. If x is standard normal and
    y = f(x), the mean is that of the derivatives of f of this order, by Stein's identity.
    """
    n, d = x.shape
    first = jnp.einsum("n,ni->i", y, x, precision="highest") / n
    if order == 1:
        return first
    eye = jnp.eye(d, dtype=x.dtype)
    if order == 2:
        return jnp.einsum("n,ni,nj->ij", y, x, x, precision="highest") / n - y.mean() * eye
    pairs = first[:, None, None] * eye
    cubes = jnp.einsum("n,ni,nj,nk->ijk", y, x, x, x, precision="highest") / n
    return cubes - pairs - pairs.transpose(1, 0, 2) - pairs.transpose(1, 2, 0)


def stein_moment4(x: Array, y: Array, g: Array) -> Array:
    """The mean of y He_4(x), contracted twice with a unit vector g (d,), for x (n, d) and y (n,): (d, d).

    With s = x.g it is the mean of y times (s^2 - 1)(x x^T - I) - 2 s (x g^T + g x^T) + 2 g g^T: d^4 numbers are never
    there at once.
    """
    n, d = x.shape
    s = jnp.einsum("ni,i->n", x, g, precision="highest")
    first = jnp.outer(jnp.einsum("n,n,ni->i", y, s, x, precision="highest") / n, g)
    return stein_moments(x, y * (s**2 - 1), 2) - 2 * (first + first.T) + 2 * y.mean() * jnp.outer(g, g)
