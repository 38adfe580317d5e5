"""Labels of noisy copies of rows, counted, and exact limits of probabilities from counts."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from scipy.stats import beta

from jaxsamp.core import checks
from jaxsamp.core.pytrees import adopted, is_function, pytree
from jaxsamp.core.types import Array
from jaxsamp.running.rows import rows
from jaxsamp.supervised.noise import Gaussian
from jaxsamp.supervised.polynomial import PolynomialClassifier


def clopper_pearson(count: Any, trials: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the probability of an event that happened `count` times, each wrong with at most half of the rest."""
    tail, count = (1 - confidence) / 2, np.asarray(count)
    low = np.where(count > 0, beta.ppf(tail, np.maximum(count, 1), trials - count + 1), 0.0)
    return low, np.where(count < trials, beta.isf(tail, count + 1, np.maximum(trials - count, 1)), 1.0)


@pytree
@dataclass(frozen=True)
class _Row:
    """Whether f is positive at the first noisy copy of a row, at how many copies it is, and whether one is NaN."""

    f: Any
    noise: Any
    draws: int = field(metadata={"static": True})

    def __call__(self, key: Array, x: Array) -> tuple[Array, Array, Array]:
        values = self.f(self.noise.draw(key, x, self.draws))
        positive = values > 0
        return positive[0], positive.sum(), jnp.any(values != values)


def votes_of(
    key: Array, f: Any, x: np.ndarray, noise: Any, draws: int, microbatch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whether f is positive at the first noisy copy of each row, and the number of copies at which it is, (n,)."""
    checks.at_least("draws", draws, 1)
    if isinstance(f, PolynomialClassifier) and isinstance(noise, Gaussian):
        f, x = f.centered(x)  # before they are float32
    f, items = Partial(f) if is_function(f) else adopted("f", f), jnp.asarray(x, float)
    shape = jax.eval_shape(f, items[:1]).shape
    if shape != (1,):
        raise ValueError(f"f must return one number per row, (m,) of (m, d); got {shape} of {(1, x.shape[1])}.")
    first, votes, nan = rows(key, _Row(f, noise, draws), len(x), items, microbatch=microbatch)
    if np.any(nan):
        raise ValueError(f"f must return numbers; got NaN in row {np.argmax(nan)}.")
    return np.asarray(first), np.asarray(votes)


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence is between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}.")
