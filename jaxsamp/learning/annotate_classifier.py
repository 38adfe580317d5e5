"""From which noise level on damaged samples may train, by a classifier that cannot tell them from clean ones there."""

import jax
import numpy as np

from jaxsamp import datasets
from jaxsamp.core import checks
from jaxsamp.core.types import Data, PRNGKey
from jaxsamp.corruptions import Annotations
from jaxsamp.corruptions.annotations import identity
from jaxsamp.learning.annotate import kinds_of
from jaxsamp.learning.annotate_gaussian import first_below
from jaxsamp.learning.classifier import DamageClassifier

MIN_ACCURACY = 0.6  # at the lowest level, below which nothing can be said of the others
WIDTH = 5  # levels over which the curves of single samples are averaged


def annotate_classifier(
    key: PRNGKey,
    classifier: DamageClassifier,
    data: Data,
    damaged: Data,
    eps: float = 0.05,
    *,
    per_sample: bool = False,
    levels: int = 32,
    draws: int = 4,
) -> Annotations:
    """The level from which on a classifier gives damaged and clean samples nearly the same probability of damage.

    It is the smallest level such that the mean probability of held-out damaged samples is less than 2 eps above that of
    held-out clean ones, at that level and at all above it. A difference of means does not change if the classifier
    calls everything damaged a little too often. It is at most the total variation of the two laws, and for a perfect
    classifier at least its square. One that has not learned enough gives too low a level: therefore it must tell the
    two apart at the lowest one.

    Args:
        key: a typed key; draws the noise.
        classifier: from `fit_classifier`, for the same data.
        data: samples (n, *event).
        damaged: (n,), whether each is damaged.
        eps: in (0, 0.5).
        per_sample: a level for each damaged sample, by its own probability, averaged over 5 neighboring levels, instead
            of the mean. Nothing proves that this is right, and it may change how often a kind of sample is seen. The
            samples of the classifier's training have higher levels than they should.
        levels: number of levels that are compared.
        draws: draws of the noise at each; the network is evaluated levels * draws times per sample, 128 by default.

    Returns:
        Annotations, with infinity where the kinds differ at the largest level, and 0 if they differ at none.

    Raises:
        ValueError: the balanced accuracy on held-out samples at the lowest level is below 0.6, or shows a total
            variation above 2 eps of which the probabilities know nothing; the data are not those of the classifier; or
            an argument is out of range.

    Source: Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv 2506.10038, with the
    difference of means instead of a threshold of 1/2 - eps.
    """
    for_curves, for_samples = jax.random.split(checks.typed_key(key))
    x = datasets.as_samples(data)
    kinds = kinds_of(damaged, len(x)) > 0
    if not 0 < eps < 0.5:
        raise ValueError(f"eps must be in (0, 0.5); got {eps}.")
    if identity(x) != classifier.identity:
        raise ValueError("data must be those that the classifier was trained for; got others.")
    curves = classifier.curves(for_curves, x, kinds, levels, draws)
    if curves.accuracy[0] < MIN_ACCURACY:
        raise ValueError(
            f"classifier must tell held-out samples apart at the lowest level, with a balanced accuracy of "
            f"{MIN_ACCURACY} at least; got {curves.accuracy[0]:.2f}. Its levels would let damaged samples train where "
            "they are damaged: train it for longer, or take a larger network."
        )
    gap, seen = curves.damaged[0] - curves.clean[0], 2 * curves.accuracy[0] - 1
    if gap < 2 * eps < seen:
        raise ValueError(
            f"classifier must be as sure as it is right at the lowest level: its decisions show a total variation of "
            f"{seen:.2f} or more, and its mean probabilities differ by {gap:.2f}, so that all would count as "
            "clean: train it for longer, or take a larger network."
        )
    found = np.zeros(len(x))
    if not per_sample:
        found[kinds] = first_below(curves.sigma, curves.damaged - curves.clean, 2 * eps)
        return Annotations(found, data=x)
    each = classifier.probabilities(for_samples, x[kinds], levels, draws) - curves.clean
    found[kinds] = [first_below(curves.sigma, smoothed, 2 * eps) for smoothed in _smoothed(each)]
    return Annotations(found, data=x)


def _smoothed(curves: np.ndarray) -> np.ndarray:
    """Means over WIDTH neighbors along the last axis; at the ends over those that there are."""
    kernel, ones = np.ones(WIDTH), np.ones(curves.shape[1])
    counts = np.convolve(ones, kernel, "same")
    return np.stack([np.convolve(curve, kernel, "same") for curve in curves]) / counts
