"""Laws learned from data by the learners of mixtures, and the files that hold them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import learning
from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.recipes.parts import LearningData
from jaxsamp.targets import GaussianMixture
from jaxsamp.targets.components import dense

METHODS = ("ddpm", "piecewise", "em")
DRAWN, COMPARED = 20_000, 2000  # samples of a known law to learn from; samples that are drawn and compared
DEGREE = 2


class LearnedMixture(NamedTuple):
    """A law that was learned from data.

    Attributes:
        law: the mixture; of "piecewise" the crude one, whose score the polynomials correct.
        samples: samples of what was learned, (n, *event).
        log_density: mean log density of held-out data, in nats.
        said: what the learner warns of.
    """

    law: GaussianMixture
    samples: np.ndarray
    log_density: float
    said: tuple[str, ...]


def drawn_from(key: Array, data: LearningData, n: int = DRAWN) -> LearningData:
    """Data as they are; of a known law, n samples to learn from and as many to compare with."""
    if data.law is None:
        return data
    train, held_out = (np.asarray(data.law.sample(part, n)) for part in jax.random.split(key))
    return LearningData(data.name, data.event, data.law, train, held_out)


def learn_mixture(
    key: Array,
    data: LearningData,
    method: str = "ddpm",
    components: int = 2,
    *,
    n: int = COMPARED,
    variance: float | None = None,
    degree: int | None = None,
) -> LearnedMixture:
    """Learn a law from the training part of data, and draw from it.

    Args:
        key: a typed key; draws starts, noise and samples.
        data: samples to learn from and held-out ones, as `drawn_from` gives.
        method: "ddpm", means by gradient descent on the DDPM objective with one known variance; "piecewise", a score of
            piecewise polynomials; "em", weights, means and full covariances by expectation-maximization.
        components: K; of "piecewise" the number of cells.
        n: number of samples to draw.
        variance: of each coordinate within a component, for "ddpm" alone; 1 by default.
        degree: of the polynomials, for "piecewise" alone; 2 by default.

    Raises:
        ValueError: the method is unknown, a setting is of another one, or as the learner.
    """
    checks.one_of("method", method, METHODS)
    for name, value, of in (("variance", variance, "ddpm"), ("degree", degree, "piecewise")):
        if value is not None and method != of:
            raise ValueError(f"{name} must be left out unless method is {of}; got {value} with method {method}.")
    for_fit, for_samples = jax.random.split(checks.typed_key(key))
    rows, held_out = (np.reshape(x, (len(x), -1)).astype(float) for x in (data.train, data.held_out))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if method == "em":
            seed = int(jax.random.randint(for_fit, (), 0, 2**31 - 1))
            law = learning.fit_gaussian_mixture(rows, components, seed=seed)
            x, log_density = law.sample(for_samples, n), mean_log_density(law, held_out)
        else:
            if method == "ddpm":
                covariance = 1.0 if variance is None else variance
                learner = learning.DDPMGaussianMixture(components, covariance=covariance, random_state=for_fit).fit(
                    rows
                )
                law = learner.law_
            else:
                chosen = DEGREE if degree is None else degree
                learner = learning.PiecewisePolynomialScore(components, degree=chosen, random_state=for_fit).fit(rows)
                law = learner.crude_
            x, log_density = learner.sample(for_samples, n), learner.score(held_out[:COMPARED])
    said = tuple(str(each.message) for each in caught if issubclass(each.category, UserWarning))
    return LearnedMixture(law, np.asarray(x).reshape(n, *data.event), log_density, said)


def mean_log_density(law: Any, x: np.ndarray) -> float:
    """Mean log density of rows under a law, in nats."""
    return float(np.mean(np.asarray(law.log_prob(jnp.asarray(x, jnp.result_type(float))), float)))


def save_mixture(law: GaussianMixture, path: str | Path) -> None:
    """Write an .npz file of weights (K,), means (K, d) and covariances (K, d, d), which `load` reads as a law."""
    log_weights, means, covariances = dense(law.mixture)
    weights = np.exp(log_weights)
    np.savez(path, weights=weights / weights.sum(), means=means, covariances=covariances)


def mixture_facts(law: GaussianMixture, event: Sequence[int]) -> dict[str, Any]:
    """Weights and means as plain values, the means in the shape of a sample."""
    means = np.asarray(law.means, float).reshape(-1, *event)
    return {"weights": np.asarray(law.weights, float).tolist(), "means": means.tolist()}
