"""Classifier two-sample test: does a classifier distinguish the samples from true ones?"""

from importlib.util import find_spec
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core import extras
from jaxsamp.core.checks import at_least, typed_key
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.spec import Comparison, MetricSpec
from jaxsamp.metrics.truth import REFERENCE, SUBSETS, flat, prepared

MIN_SAMPLES = 4
MAX_DIM = 64  # largest number of entries per sample; they make 2,144 features


def c2st(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array | None = None,
    level: Level | None = None,
    max_points: int = 10_000,
) -> Metric:
    """Accuracy, on held-out halves, of a classifier of samples against true samples; 1/2 if it sees no difference.

    Logistic regression on all x_i and x_i x_j, the form of the likelihood ratio between two Gaussians: it sees any
    difference of means and covariances, but no difference that leaves both unchanged. The accuracy is the mean of the
    accuracies on held-out samples and on held-out true samples, N / 2 of each if the sizes agree. Whatever the
    classifier, the total variation between the two laws is at least 2 accuracy - 1; `tv_bound` gives the lower bound
    that holds with 97.5 % confidence. Differences below TV = 0.05 are usually missed.

    Args:
        x: samples, (n, *event), n >= 4, of at most 64 numbers each.
        reference: a law, a `NullBank` of one, or an array of true clean samples, (m, *event), m >= 4.
        key: draws the true samples and the halves. With a bank give each set its own key: with None all sets are
            compared with the same true samples, which are half of the test, so their errors would be correlated.
        level: the noise level of x; None for clean samples.
        max_points: largest number of samples, chosen at random, that are compared with as many true samples.

    Returns:
        The accuracy, its standard error 1 / (2 sqrt(N)) with N held-out points in all, and the band and one-sided
        p-value of Fisher's exact test of prediction against truth.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.
        ModuleNotFoundError: scikit-learn is not installed.

    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, arXiv:1610.06545.
    """
    given = key
    x, truth, key = prepared(x, reference, key, level)
    key = key if given is None else typed_key(given)
    at_least("max_points", max_points, MIN_SAMPLES)
    if flat(x).shape[1] > MAX_DIM:
        raise ValueError(f"x must have at most {MAX_DIM} numbers per sample for c2st; got {flat(x).shape[1]}.")
    key_reference = jax.random.fold_in(key, REFERENCE)
    y = truth.draw(key_reference, 0, len(x)) if truth.law is not None else truth.noised(truth.samples, key_reference)
    if min(len(x), len(y)) < MIN_SAMPLES:
        raise ValueError(
            f"x and reference must hold at least {MIN_SAMPLES} samples for c2st; got {len(x)} and {len(y)}."
        )
    halves = []
    for samples, part in zip((x, y), jax.random.split(jax.random.fold_in(key, SUBSETS)), strict=True):
        shuffled = np.asarray(jax.random.permutation(part, flat(samples))[:max_points], float)
        halves.append(np.array_split(shuffled, 2))
    (x_train, x_test), (y_train, y_test) = halves
    predict = _classifier(x_train, y_train)
    hits, false_alarms = int(predict(x_test).sum()), int(predict(y_test).sum())

    # If the samples are true ones, the points classified as samples are a random subset, given their number.
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


def tv_bound(accuracy: Metric) -> float:
    """The lower bound on total variation from an accuracy of `c2st`: 2 accuracy - 1 - 1.96 / sqrt(N), at least 0.

    It holds with 97.5 % confidence.
    """
    return max(0.0, 2 * (accuracy.value - 1.96 * (accuracy.stderr or 0.0)) - 1)


def _classifier(x: np.ndarray, y: np.ndarray) -> Any:
    """A function of points, (n, d), that returns whether each is classified as a sample of x, (n,)."""
    with extras.needed("c2st"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    # Scaled twice, because the products need scaling too. The default penalty keeps separable sets finite.
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    model.fit(np.concatenate([x, y]), np.repeat([1, 0], [len(x), len(y)]))
    return model.predict


def _needs(comparison: Comparison) -> str | None:
    x, true = comparison.x, comparison.truth.samples
    enough = min(len(x), MIN_SAMPLES if true is None else len(true)) >= MIN_SAMPLES
    applies = enough and x[0].size <= MAX_DIM
    return None if applies else f"{MIN_SAMPLES} samples or more on both sides, of at most {MAX_DIM} numbers each"


SPEC = MetricSpec(
    name="c2st",
    label="classifier's accuracy",
    run=lambda c: c2st(c.x, c.truth, c.given_key),
    needs=_needs,
    by_default=lambda c: find_spec("sklearn") is not None,
    applies_to=f"at most {MAX_DIM} numbers per sample; scikit-learn",
    sees="any large difference of means and covariances",
)
