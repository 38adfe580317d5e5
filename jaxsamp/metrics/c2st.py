"""Classifier two-sample test: can a classifier tell the samples from true ones?"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.checks import at_least, typed_key
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.truth import REFERENCE, SUBSETS, checked, flat

LEAST = 4  # samples
WIDEST = 64  # numbers a sample: 2,144 features


def c2st(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array | None = None,
    level: Level | None = None,
    max_points: int = 10_000,
) -> Metric:
    """Accuracy, on held-out halves, of a classifier that tells samples from true ones; 1/2 if it cannot.

    Logistic regression on all x_i and x_i x_j, which is the likelihood ratio between two Gaussians: it sees any
    difference of means and covariances, not what leaves both alone. The accuracy is the mean of those on the held-out
    samples and on the held-out true samples, N / 2 of each where the sizes agree. Whatever the classifier, the total
    variation between the two laws is at least 2 accuracy - 1; `tv_bound` gives the lower bound that holds with
    97.5 % confidence. Differences below TV = 0.05 are usually missed.

    Args:
        x: samples, (n, *event), n >= 4, of at most 64 numbers each.
        reference: a law, a `NullBank` of one, or an array of true clean samples, (m, *event), m >= 4.
        key: draws the true samples and the halves. With a bank give each set a key of its own: None compares all
            of them with the same true samples, which, being half of the test, would mislead alike about each.
        level: the noise level of x; None for clean samples.
        max_points: at most so many samples, chosen at random, are compared with as many true ones.

    Returns:
        The accuracy, its standard error 1 / (2 sqrt(N)) with N held-out points in all, and the band and one-sided
        p-value of Fisher's exact test of prediction against truth.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.
        ModuleNotFoundError: scikit-learn is not installed.

    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, arXiv:1610.06545.
    """
    own = key
    x, truth, key = checked(x, reference, key, level)
    key = key if own is None else typed_key(own)
    at_least("max_points", max_points, LEAST)
    if flat(x).shape[1] > WIDEST:
        raise ValueError(f"x must have at most {WIDEST} numbers a sample for c2st; got {flat(x).shape[1]}.")
    key_reference = jax.random.fold_in(key, REFERENCE)
    y = truth.draw(key_reference, 0, len(x)) if truth.law is not None else truth.noised(truth.samples, key_reference)
    if min(len(x), len(y)) < LEAST:
        raise ValueError(f"x and reference must hold at least {LEAST} samples for c2st; got {len(x)} and {len(y)}.")
    halves = []
    for samples, part in zip((x, y), jax.random.split(jax.random.fold_in(key, SUBSETS)), strict=True):
        shuffled = np.asarray(jax.random.permutation(part, flat(samples))[:max_points], float)
        halves.append(np.array_split(shuffled, 2))
    (x_train, x_test), (y_train, y_test) = halves
    says_x = _classifier(x_train, y_train)
    hits, false_alarms = int(says_x(x_test).sum()), int(says_x(y_test).sum())

    # Given how many points are called samples in all, true samples leave to chance which these are.
    n, m = len(x_test), len(y_test)
    called = hits + false_alarms
    null = stats.hypergeom(n + m, called, n)

    def accuracy(hits: Any) -> Any:
        return 0.5 * (1 + hits / n - (called - hits) / m)

    low, high = accuracy(null.ppf([TAIL, 1 - TAIL]))
    return Metric(
        value=float(accuracy(hits)),
        stderr=float(0.25 * np.sqrt(1 / n + 1 / m)),
        null_low=float(low),
        null_high=float(high),
        p_value=float(null.sf(hits - 1)),
        z=standardized(hits, null.mean(), null.std()),
    )


def tv_bound(found: Metric) -> float:
    """The total variation that an accuracy found by `c2st` proves, 2 accuracy - 1 - 1.96 / sqrt(N), at least 0.

    The two laws are no closer than this with 97.5 % confidence.
    """
    return max(0.0, 2 * (found.value - 1.96 * (found.stderr or 0.0)) - 1)


def _classifier(x: np.ndarray, y: np.ndarray) -> Any:
    """A function from points to whether they are called samples."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    # Scaled twice, as products are features of their own. The default penalty keeps separable sets finite.
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    model.fit(np.concatenate([x, y]), np.repeat([1, 0], [len(x), len(y)]))
    return model.predict
