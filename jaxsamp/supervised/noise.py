"""The noise that concepts are asked to withstand: Gaussian, or spins that flip."""

from dataclasses import dataclass
from math import comb, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom, norm

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array
from jaxsamp_kernels.hermite import Products


@pytree
@dataclass(frozen=True)
class Gaussian:
    """x + sigma z with z standard normal."""

    sigma: Any

    def draw(self, key: Array, x: Array, draws: int) -> Array:
        """Noisy copies of one x (d,), (draws, d)."""
        return x + self.sigma * jax.random.normal(key, (draws, *x.shape), x.dtype)

    def radius(self, likely: np.ndarray, dim: int) -> np.ndarray:
        """The distance within which a label of this probability stays the likelier one, where that is above 1/2."""
        return self.sigma * norm.ppf(np.maximum(likely, 0.5))

    def averaged(self, of: Products, coefficients: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Coefficients (P,) of T p, for a polynomial p of coordinates that were divided by `scale` (d,).

        E (u + s z)^m = sum_k C(m, 2 k) (2 k - 1)!! s^(2 k) u^(m - 2 k), for each coordinate of a product by itself.
        """
        place, found = {made: p for p, made in enumerate(of)}, np.zeros(len(coefficients))
        shares = (self.sigma / scale) ** 2
        for made, coefficient in zip(of, coefficients, strict=True):
            terms = [((), 1.0)]
            for i in dict.fromkeys(made):
                m = made.count(i)
                lowered = [
                    ((i,) * (m - 2 * k), comb(m, 2 * k) * prod(range(2 * k - 1, 0, -2)) * shares[i] ** k)
                    for k in range(m // 2 + 1)
                ]
                terms = [(rest + new, a * b) for rest, a in terms for new, b in lowered]
            for rest, factor in terms:
                found[place[rest]] += coefficient * factor
        return found


@pytree
@dataclass(frozen=True)
class BitFlips:
    """Each spin flips with probability (1 - rho) / 2, so that E[noisy spin] = rho times the spin."""

    rho: Any

    def draw(self, key: Array, x: Array, draws: int) -> Array:
        """Noisy copies of one x (d,), (draws, d)."""
        return jnp.where(jax.random.bernoulli(key, (1 - self.rho) / 2, (draws, *x.shape)), -x, x)

    def radius(self, likely: np.ndarray, dim: int) -> np.ndarray:
        """The number of flipped spins up to which a label of this probability stays the likelier one.

        Of r spins that differ between x and x', j have flipped from x: with probability Bin(r, q)(j) around x, and
        Bin(r, 1 - q)(j) around x'. By the lemma of Neyman and Pearson the set that is least likely around x' has the
        smallest j, and its probability there is piecewise linear in that around x.
        """
        flip, found = (1 - self.rho) / 2, np.zeros(np.shape(likely))
        for r in range(1, dim + 1):
            near, far = (np.append(0, binom.cdf(np.arange(r + 1), r, p)) for p in (flip, 1 - flip))
            stays = np.interp(likely, near, far) > 0.5
            if not stays.any():
                break
            found[stays] = r
        return found

    def averaged(self, of: Products, coefficients: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Coefficients (P,) of T p: rho^|S| times that of the product of the spins S."""
        return coefficients * np.array([self.rho ** len(made) for made in of])


def given(sigma: Any, rho: Any, x: np.ndarray) -> Gaussian | BitFlips:
    """The noise of these arguments for rows x (n, d), of which exactly one must be given.

    Raises:
        TypeError: neither or both of sigma and rho are given, or what is given is not one number.
        ValueError: sigma is negative or not finite, rho is not from 0 to 1, or rho is given and x is not of spins.
    """
    if (sigma is None) == (rho is None):
        got = "neither" if sigma is None else "both"
        raise TypeError(f"either sigma, for normal noise, or rho, for spins that flip, must be given; got {got}.")
    name, value = ("sigma", sigma) if rho is None else ("rho", rho)
    if np.ndim(value) or not np.issubdtype(np.asarray(value).dtype, np.number) or np.iscomplexobj(value):
        raise TypeError(f"{name} must be one real number; got {value!r}.")
    if rho is None:
        if not 0 <= sigma < np.inf:
            raise ValueError(f"sigma must be a finite number of at least 0; got {sigma}.")
        return Gaussian(float(sigma))
    if not 0 <= rho <= 1:
        raise ValueError(f"rho must be from 0 to 1; got {rho}.")
    other = ~np.isin(x, (-1, 1))
    if other.any():
        raise ValueError(f"x must be spins, -1 or +1, with rho; got {x[other][0]}.")
    return BitFlips(float(rho))


def rows_of(x: Any) -> np.ndarray:
    """x as rows (n, d), after a check."""
    x = checks.finite("x", x)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"x must be rows of numbers, (n, d); got shape {x.shape}.")
    return x


def labels_of(y: Any, n: int) -> np.ndarray:
    """y as n labels of -1 and +1, after a check."""
    y = checks.finite("y", y)
    if y.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one label per row of x; got {y.shape}.")
    other = ~np.isin(y, (-1, 1))
    if other.any():
        raise ValueError(f"y must be labels -1 or +1; got {y[other][0]}.")
    return y.astype(int)
