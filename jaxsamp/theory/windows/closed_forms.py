r"""Critical windows in closed form: two Gaussians, masked strings, and the times of speciation and collapse.

Two Gaussians N(+-mu, I) of weights 1/2 under the Ornstein-Uhlenbeck process, R = |mu|, are N(+-m, I) at time t along
mu, with m = R e^-t.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, roots_hermitenorm
from scipy.stats import norm

from jaxsamp.core import checks
from jaxsamp.core.types import Data

NODES = 201


def two_gaussians(radius: float, eps: float) -> tuple[float, float]:
    """(T_after, T_before) of N(+-mu, I), |mu| = radius, in Ornstein-Uhlenbeck time.

    T_after = ln R - ln Phi^-1(1 - eps^2 / 2) and T_before = ln R - ln Phi^-1(1 / 2 + eps), because
    TV(N(m, I), N(-m, I)) = 2 Phi(|m|) - 1, and TV to the mixture of both is half of it. The distance between them does
    not depend on R. Either may be negative: then there is no such time.

    Raises:
        ValueError: radius is not above 0, or eps not between 0 and 1/2.

    Source: Li and Chen, arXiv 2403.01633, example 1, whose times are bounds of these.
    """
    if not radius > 0:
        raise ValueError(f"radius must be above 0; got {radius}.")
    if not 0 < eps < 0.5:
        raise ValueError(f"eps must be between 0 and 1/2; got {eps}.")
    return float(np.log(radius / norm.isf(eps**2 / 2))), float(np.log(radius / norm.ppf(0.5 + eps)))


def pair_total_variation(difference: Data, covariance: Data, alpha: float, sigma: float) -> float:
    """TV of two noised Gaussians with one covariance: 2 Phi(D / 2) - 1, D^2 = alpha^2 d^T (alpha^2 S + sigma^2 I)^-1 d.

    Args:
        difference: of the means, d; (dim,).
        covariance: S, (dim, dim).
        alpha, sigma: the level; sigma is above 0 if S is singular.

    Raises:
        ValueError: alpha^2 S + sigma^2 I is singular.
    """
    d, s = np.asarray(difference, float), np.asarray(covariance, float)
    try:
        root = np.linalg.cholesky(alpha**2 * s + sigma**2 * np.eye(d.size))
    except np.linalg.LinAlgError:
        raise ValueError(f"sigma must be above 0 for a covariance that has no inverse; got {sigma}.") from None
    square = alpha**2 * np.sum(np.linalg.solve(root, d) ** 2)
    return float(2 * norm.cdf(np.sqrt(square) / 2) - 1)


def stay_probability(m: Data, weight: float = 0.5, *, reverse: str = "sde") -> np.ndarray:
    """Probability that a sample of N(m, 1), of the given weight beside N(-m, 1), comes back to its own component.

    By the reverse SDE E_(x ~ N(m, 1)) sigmoid(2 m x + log(weight / (1 - weight))). By the probability flow, which keeps
    signs if the weights are equal, Phi(m).

    Args:
        m: distances R e^-t, any shape.
        weight: in (0, 1).
        reverse: "sde" or "ode".

    Raises:
        ValueError: weight is not between 0 and 1, or `reverse` is another word, or "ode" with unequal weights.
    """
    m = np.asarray(m, float)
    if not 0 < weight < 1:
        raise ValueError(f"weight must be between 0 and 1; got {weight}.")
    if reverse == "ode" and weight == 0.5:
        return np.asarray(norm.cdf(m))
    if reverse != "sde":
        raise ValueError(f"reverse must be 'sde', or 'ode' with a weight of 1/2; got {reverse!r} and {weight}.")
    return _average(m, lambda x: expit(2 * m[..., None] * x + np.log(weight / (1 - weight))))


def class_entropy(m: Data) -> np.ndarray:
    """Entropy of the component given x_t, of N(+-m, 1) with weights 1/2, in nats; any shape."""
    m = np.asarray(m, float)

    def of(x: np.ndarray) -> np.ndarray:
        logit = 2 * m[..., None] * x
        return np.logaddexp(0, logit) - expit(logit) * logit

    return _average(m, of)


def _average(m: np.ndarray, f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """E f(x) for x ~ N(m, 1), by Gauss-Hermite quadrature."""
    nodes, weights = roots_hermitenorm(NODES)
    return np.asarray(f(m[..., None] + nodes) @ (weights / weights.sum()))


def speciation_time(covariance: Data) -> float:
    """ln(L) / 2 for the largest eigenvalue L of the covariance of data, in Ornstein-Uhlenbeck time.

    About when samples of several clusters begin to choose. Source: Biroli, Bonnaire, de Bortoli and Mezard, "Dynamical
    regimes of diffusion models", arXiv 2402.18491.
    """
    return float(np.log(np.linalg.eigvalsh(np.atleast_2d(np.asarray(covariance, float)))[-1]) / 2)


def collapse_time(n: int, dim: int, variance: float = 1.0) -> float:
    """ln(1 + variance / (n^(2 / dim) - 1)) / 2: when the exact score of n samples of N(0, variance I) begins to choose
    one of them, in Ornstein-Uhlenbeck time.

    Source: Biroli, Bonnaire, de Bortoli and Mezard, arXiv 2402.18491.
    """
    return float(np.log1p(variance / np.expm1(2 * np.log(n) / dim)) / 2)


def masked_strings(hamming: int, eps: float) -> tuple[float, float]:
    """(T_after, T_before) of two strings that differ in `hamming` places, each place being masked with probability t.

    No place that differs is seen with probability t^hamming: TV(p_t, q_t) = 1 - t^hamming, of which TV to the mixture
    is half. So T_after = eps^(2 / hamming) and T_before = (1 - 2 eps)^(1 / hamming).

    Raises:
        TypeError: hamming is not an integer.
        ValueError: hamming is not at least 1, or eps not between 0 and 1/2.

    Source: Li and Chen, arXiv 2502.00921, whose T_before is (1 - eps)^(1 / hamming), a bound.
    """
    hamming = checks.at_least("hamming", hamming, 1)
    if not 0 < eps < 0.5:
        raise ValueError(f"eps must be between 0 and 1/2; got {eps}.")
    return float(eps ** (2 / hamming)), float((1 - 2 * eps) ** (1 / hamming))
