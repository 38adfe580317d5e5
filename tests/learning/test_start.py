"""Starts of learners."""

import inspect

import numpy as np
import pytest

from jaxsamp.learning import start

RNG = np.random.default_rng(0)
MIXED = RNG.normal(size=(500, 3)) @ RNG.normal(size=(3, 3)) + [1.0, -2.0, 5.0]


def test_whitened_data_have_no_mean_and_the_covariance_of_noise():
    y, made = start.whitened(MIXED)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(y, rowvar=False), np.eye(3), atol=1e-10)
    np.testing.assert_allclose(made.undo(y), MIXED, atol=1e-10)
    np.testing.assert_allclose(made.log_det, -0.5 * np.linalg.slogdet(np.cov(MIXED, rowvar=False))[1])


def test_centers_of_far_clusters_are_their_means():
    places = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    x = np.concatenate([place + RNG.normal(size=(100, 2)) for place in places])
    found = start.k_means_start(x, 3, seed=0)
    means = x.reshape(3, 100, 2).mean(1)
    np.testing.assert_allclose(found[np.argsort(found @ [1, 2])], means, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: inspect.unwrap(start.whitened)(MIXED[:3]), "X must have more samples than features"),
        (lambda: inspect.unwrap(start.whitened)(MIXED[:, [0, 0]]), "so that data can be whitened; the smallest is"),
        (lambda: inspect.unwrap(start.whitening)(np.zeros(2), np.eye(3)), r"covariance must have shape \(2, 2\)"),
        (lambda: inspect.unwrap(start.whitening)(np.zeros(2), [[1, 2], [0, 1]]), "covariance must be symmetric"),
        (lambda: inspect.unwrap(start.k_means_start)(MIXED[:2], 3, 0), "at least components = 3 samples; got 2"),
    ],
)
def test_starts_that_cannot_be_made_are_sentences(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
