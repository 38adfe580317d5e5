"""scikit-learn's handwritten digits, always split in the same way."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from jaxsamp.core import extras

TRAINING_DIGITS = 1297  # of 1,797; the others are held out


def _shuffled() -> tuple[np.ndarray, np.ndarray]:
    with extras.needed("digits"):
        from sklearn.datasets import load_digits

    images, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    order = np.random.default_rng(0).permutation(len(images))
    return (images[order] / 8 - 1).astype(np.float32).reshape(-1, 8, 8), labels[order]


def held_out_labels() -> np.ndarray:
    """The labels of the 500 held-out digits."""
    return _shuffled()[1][TRAINING_DIGITS:]


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """1,297 training digits (n, 8, 8) in [-1, 1], their labels (n,), and 500 held-out digits."""
    images, labels = _shuffled()
    return images[:TRAINING_DIGITS], labels[:TRAINING_DIGITS], images[TRAINING_DIGITS:]


def digit_features() -> Callable[[Any], np.ndarray]:
    """(n, 8, 8) -> (n, 64): the hidden activations of a small classifier that was trained on the training digits."""
    network = _classifier()
    weights, bias = network.coefs_[0], network.intercepts_[0]
    return lambda x: np.maximum(_rows(np.asarray(x)) @ weights + bias, 0)


def digit_classifier() -> Callable[[Any], np.ndarray]:
    """The labels that the same classifier gives, (n, 8, 8) -> (n,); it is right for 97.6 % of the held-out digits."""
    network = _classifier()
    return lambda x: network.predict(_rows(np.asarray(x)))


@cache
def _classifier() -> Any:
    with extras.needed("digit_classifier"):
        from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    images, labels, _ = digits()
    # In float64, as scikit-learn gives the digits: the classifier is then the same on every machine. Its products are
    # so small that a second thread only waits for the first: one alone is ten times as fast on a busy machine.
    with threadpool_limits(1):
        return MLPClassifier((64,), max_iter=300, random_state=0).fit(_rows(images).astype(float), labels)


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)
