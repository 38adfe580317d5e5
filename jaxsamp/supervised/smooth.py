"""A polynomial classifier that competes with the best concept whose input is noisy: `fit_smooth`."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.supervised.noise import given, labels_of, rows_of
from jaxsamp.supervised.polynomial import PolynomialClassifier, best_threshold, fit_polynomial, warn_of_far
from jaxsamp.supervised.smoothed_error import SmoothedError, smoothed_error
from jaxsamp.supervised.votes import clopper_pearson

LOSSES = ("logistic", "l1", "hinge")


class SmoothFit(NamedTuple):
    """What `fit_smooth` returns.

    Attributes:
        classifier: the polynomial; `classifier(x)` is above 0 for the label +1.
        error: how often it is wrong on rows that nothing else has seen, without noise.
        smoothed: the same with noise.
        loss: mean loss of the rows that the coefficients were fitted to.
    """

    classifier: PolynomialClassifier
    error: SmoothedError
    smoothed: SmoothedError
    loss: float


def fit_smooth(
    x: Any,
    y: Any,
    sigma: Any = None,
    degree: int = 3,
    loss: str = "logistic",
    project: int | None = None,
    *,
    rho: Any = None,
    key: Any = None,
) -> SmoothFit:
    """Learn labels by a polynomial of low degree, whatever part of them is wrong.

    With a concept f of few directions and noise z, let opt be the smallest P[f(x + sigma z) != y] of all such concepts:
    what the best one attains if it has to withstand noise. A polynomial p of a degree that depends on sigma and on the
    excess epsilon alone, fitted by min E|p(x) - y| and compared with a threshold, has an error of at most opt + epsilon
    (`loss="l1"`). Three parts of the rows are used, 70, 20 and 10 %:

    1. for min mean loss(y, p(u)) over polynomials p of total degree `degree`, where u are the coordinates, or `project`
       random directions of them, each less its mean and divided by its standard deviation; spins as they are;
    2. for the threshold with the fewest wrong labels;
    3. for the error and the smoothed error, with exact limits.

    Args:
        x: rows, (n, d); of -1 and +1 with rho. Rows far from 0, such as times since 1970, in float64.
        y: labels -1 and +1, (n,).
        sigma: standard deviation of the noise of `smoothed`, which the fit itself does not use; at least 0.
        degree: at least 1; there are C(d + degree, degree) products, fewer of spins.
        loss: "logistic" and "hinge", by scikit-learn with a weak penalty; or "l1", by 25 steps of reweighted least
            squares. The guarantee is that of "l1"; "logistic" is often better and is guaranteed nothing.
        project: number of random orthonormal directions that the polynomial sees; None for all coordinates. It helps
            only where the margin of the concept is a constant share of |x|.
        rho: in place of sigma, for spins: each flips with probability (1 - rho) / 2.
        key: a typed key for the parts, the projection and the noise; None for `jax.random.key(0)`.

    Raises:
        TypeError: neither or both of sigma and rho are given, or what is given is not one number.
        ValueError: labels are neither -1 nor +1, or all the same; shapes do not fit; there are fewer than 10 rows;
            project is above d, or given with rho; the features exceed memory; or a number is out of its range.
        ModuleNotFoundError: scikit-learn is not installed, for losses other than "l1".

    Source: Chandrasekaran, Klivans, Kontonis, Meka and Stavropoulos, "Smoothed Analysis for Learning Concepts with Low
    Intrinsic Dimension", arXiv 2407.00966, for the guarantee; the parts, the losses other than "l1" and the settings
    are this library's, not the paper's algorithm.
    """
    given_rows = rows_of(x)
    x = given_rows.astype(float)
    n, d = x.shape
    y = labels_of(y, n)
    given(sigma, rho, x)
    checks.one_of("loss", loss, LOSSES)
    checks.at_least("degree", degree, 1)
    if n < 10:
        raise ValueError(f"x must have at least 10 rows, for three parts; got {n}.")
    if project is not None and (rho is not None or checks.at_least("project", project, 1) > d):
        raise ValueError(f"project must be at most d = {d}, and None with rho; got {project}.")
    keys = jax.random.split(jax.random.key(0) if key is None else checks.typed_key(key), 3)
    order = np.asarray(jax.random.permutation(keys[0], n))
    training, tuning, testing = np.split(order, [7 * n // 10, 9 * n // 10])
    if len(set(y[training])) < 2:
        raise ValueError(
            f"y must have both labels, -1 and +1, in the rows of the fit; got one class, {y[training][0]}."
        )
    projection = None
    if project is not None:
        projection = np.linalg.qr(np.asarray(jax.random.normal(keys[1], (d, project)), float))[0]
    found, mean_loss = fit_polynomial(x[training], y[training], degree, loss, projection, rho is not None)
    if given_rows.dtype in (np.float16, np.float32):
        warn_of_far(found.center, found.scale)
    threshold = best_threshold(np.asarray(found(x[tuning]), float), y[tuning])
    found = replace(found, threshold=jnp.asarray(threshold, float))
    x, y = x[testing], y[testing]
    wrong = np.sum((np.asarray(found(x)) > 0) != (y > 0))
    low, high = clopper_pearson(wrong, len(y), 0.95)
    clean = SmoothedError(float(wrong / len(y)), float(low), float(high))
    return SmoothFit(found, clean, smoothed_error(keys[2], found, x, y, sigma, rho=rho), mean_loss)
