"""Polynomials as classifiers, and how they are fitted to labels."""

import math
import os
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, extras
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array
from jaxsamp.supervised.noise import BitFlips, given
from jaxsamp_kernels.hermite import Products, monomials, products

STEPS, LEAST = 25, 1e-3  # of reweighted least squares, and the least residual that a weight is the inverse of
C = {"logistic": 100.0, "hinge": 1.0}  # of scikit-learn: the inverse of the penalty
CONSTANT = 1e-12  # share of a mean, below which a standard deviation is rounding
FAR = 1e-5  # share of a mean, below which float32 has too few digits of a standard deviation
COPIES = 4  # of the features that are in memory together, in float64


@pytree
@dataclass(frozen=True)
class PolynomialClassifier:
    """f(x) = p(u) - threshold with u = (x Q - center) / scale; its sign is the label.

    Rows far from 0, such as times since 1970, must be NumPy arrays, whose u is computed in float64.

    Attributes:
        coefficients: of p, for `products(u's dimension, degree)` in this order, (P,).
        threshold: what p is compared with.
        center, scale: of the coordinates of p, (q,).
        projection: Q with orthonormal columns, (d, q); None if all coordinates are used.
        degree: the highest of a product.
        spins: whether no coordinate is in one product twice.
    """

    coefficients: Any
    threshold: Any
    center: Any
    scale: Any
    projection: Any = None
    degree: int = field(default=3, metadata={"static": True})
    spins: bool = field(default=False, metadata={"static": True})

    def __call__(self, x: Any) -> Array:
        """f at rows x (..., d), (...,): above 0 for the label +1."""
        features = monomials(self._coordinates(x), self.products)
        return jnp.matmul(features, self.coefficients, precision="highest") - self.threshold

    def _coordinates(self, x: Any) -> Array:
        dtype = self.coefficients.dtype
        if isinstance(x, jax.Array) or not checks.is_concrete(x, self):
            if dtype == jnp.float32 and checks.is_concrete(self.center, self.scale):
                warn_of_far(self.center, self.scale)
            x = jnp.asarray(x, dtype)
            z = x if self.projection is None else jnp.matmul(x, self.projection, precision="highest")
            return (z - jnp.asarray(self.center, dtype)) / jnp.asarray(self.scale, dtype)
        return jnp.asarray(self._offsets(x) / np.asarray(self.scale, float), dtype)

    def _offsets(self, x: Any) -> np.ndarray:
        x = np.asarray(x, float)
        z = x if self.projection is None else x @ np.asarray(self.projection, float)
        return z - np.asarray(self.center, float)

    def centered(self, x: Any) -> tuple["PolynomialClassifier", np.ndarray]:
        """The polynomial of x Q - center, and these coordinates of rows x (n, d), which lose no digits in float32.

        Standard normal noise of x is standard normal in them too.
        """
        return replace(self, center=np.zeros(np.shape(self.center)), projection=None), self._offsets(x)

    @property
    def products(self) -> Products:
        """The products of coordinates that the coefficients belong to."""
        return products(self.scale.shape[0], self.degree, distinct=self.spins)

    def smoothed(self, sigma: Any = None, *, rho: Any = None) -> "PolynomialClassifier":
        """T f(x) = E f(noisy x), a polynomial again, in closed form; noise as of `smoothed_error`.

        It is linear, T_0 is the identity, and T_s T_t is T of sqrt(s^2 + t^2), or of the product of two rho.

        Raises:
            TypeError, ValueError: as `smoothed_error`; or rho is given and the polynomial is not one of spins.
        """
        noise = given(sigma, rho, np.ones((1, 1)))
        if isinstance(noise, BitFlips) != self.spins:
            raise ValueError("rho must be given for a polynomial of spins, and sigma for any other.")
        found = noise.averaged(self.products, np.asarray(self.coefficients, float), np.asarray(self.scale, float))
        return replace(self, coefficients=jnp.asarray(found, self.coefficients.dtype))


def fit_polynomial(
    x: np.ndarray, y: np.ndarray, degree: int, loss: str, projection: np.ndarray | None, spins: bool
) -> tuple[PolynomialClassifier, float]:
    """The polynomial of the least mean loss, with the threshold 0; and that loss."""
    z = x if projection is None else x @ projection
    check_memory(len(x), z.shape[1], degree, spins)
    center, scale = np.zeros(z.shape[1]), np.ones(z.shape[1])
    if not spins:
        center, scale = z.mean(0), z.std(0)
        varies = scale > CONSTANT * abs(center)
        center, scale = np.where(varies, center, z[0]), np.where(varies, scale, np.maximum(abs(center), 1.0))
    of = products(z.shape[1], degree, distinct=spins)
    features = np.asarray(monomials(jnp.asarray((z - center) / scale, float), of), float)
    size = np.sqrt(np.mean(features**2, 0))
    size[size == 0] = 1.0
    features = features / size
    found = _least_deviations(features, y) if loss == "l1" else _by_sklearn(features, y, loss)
    margin = y * (features @ found)
    losses = {"logistic": np.logaddexp(0, -margin), "l1": abs(1 - margin), "hinge": np.maximum(1 - margin, 0)}
    coefficients, threshold = jnp.asarray(found / size, float), jnp.asarray(0.0, float)
    made = PolynomialClassifier(coefficients, threshold, center, scale, projection, degree, spins)
    return made, float(losses[loss].mean())


def warn_of_far(center: Any, scale: Any) -> None:
    """Warn that float32 has too few digits of numbers with these means and standard deviations, if it has."""
    center, scale = np.asarray(center, float), np.asarray(scale, float)
    far = scale < FAR * abs(center)
    if far.any():
        warnings.warn(
            f"x must be a NumPy array of float64 where its mean, {center[far][0]:.3g}, is far above its standard "
            f"deviation, {scale[far][0]:.3g}, of which float32 has too few digits; or subtract the mean first.",
            stacklevel=4,
        )


def check_memory(rows: int, dim: int, degree: int, spins: bool) -> None:
    """Raise ValueError with the number of products if their values do not fit into memory."""
    count = sum(math.comb(dim, k) for k in range(degree + 1)) if spins else math.comb(dim + degree, degree)
    needed = COPIES * 8 * count * rows
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**33
    if needed > memory:
        raise ValueError(
            f"degree must be lower, or project be given: {count:,} products of up to {degree} of {dim} coordinates "
            f"at {rows:,} rows need {needed:,} bytes of the {memory:,} that there are."
        )


def best_threshold(scores: np.ndarray, y: np.ndarray) -> float:
    """The threshold with the fewest wrong labels; the one nearest to 0 of several."""
    order = np.argsort(scores, kind="stable")
    scores, y = scores[order], y[order]
    wrong = np.sum(y < 0) + np.append(0, np.cumsum(y))  # with the first 0, 1, ... labeled -1
    between = np.concatenate([[scores[0] - 1], (scores[1:] + scores[:-1]) / 2, [scores[-1] + 1]])
    possible = np.append(np.insert(scores[1:] > scores[:-1], 0, True), True)  # equal scores have one label
    best = between[possible & (wrong == wrong[possible].min())]
    return float(best[np.argmin(abs(best))])


def _least_deviations(features: np.ndarray, y: np.ndarray) -> np.ndarray:
    """min mean |y - features c| by least squares with weights 1 / |residual|."""
    residual = np.ones(len(y))
    for _ in range(STEPS):
        weighted = features / np.maximum(abs(residual), LEAST)[:, None]
        found = np.linalg.lstsq(weighted.T @ features, weighted.T @ y)[0]
        residual = y - features @ found
    return found


def _by_sklearn(features: np.ndarray, y: np.ndarray, loss: str) -> np.ndarray:
    with extras.needed("fit_smooth"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC
    same = {"C": C[loss], "fit_intercept": False, "max_iter": 20_000}  # the constant is one of the products
    if loss == "logistic":
        return LogisticRegression(**same).fit(features, y).coef_[0]
    return LinearSVC(loss="hinge", tol=1e-2, random_state=0, **same).fit(features, y).coef_[0]
