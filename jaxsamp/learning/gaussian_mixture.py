"""Gaussian mixtures by maximum likelihood."""

from typing import Any

from jaxsamp.core import checks, extras
from jaxsamp.core.types import Data
from jaxsamp.targets import GaussianMixture


def fit_gaussian_mixture(
    data: Data, components: int, *, covariance: str = "full", seed: int = 0, **options: Any
) -> GaussianMixture:
    """Fit sum_k w_k N(mu_k, S_k) by maximum likelihood, with scikit-learn's GaussianMixture.

    This is expectation-maximization from a start by k-means.

    Args:
        data: (n, *event), flattened to (n, d).
        components: K, at least 1 and at most n.
        covariance: "full", "diag" or "spherical".
        seed: seed of the k-means start.
        options: options of scikit-learn's class, such as reg_covar, n_init, tol or max_iter.

    Returns:
        The law, with event shape (d,).

    Raises:
        ValueError: data are not finite or fewer than components, or the covariance is unknown.
    """
    with extras.needed("fit_gaussian_mixture"):
        from sklearn.mixture import GaussianMixture as Fit

    data = checks.finite("data", data)
    data = data.reshape(len(data), -1).astype(float)
    checks.one_of("covariance", covariance, ("full", "diag", "spherical"))
    if len(data) < checks.at_least("components", components, 1):
        raise ValueError(f"data must have at least components = {components} rows; got {len(data)}.")
    fitted: Any = Fit(components, covariance_type=covariance, random_state=seed, **options)  # type: ignore[arg-type]
    return GaussianMixture.from_sklearn(fitted.fit(data))
