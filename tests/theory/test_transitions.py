"""Transition matrices between groups of components."""

import inspect

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.theory.windows import stay_probability

WEIGHTS = np.array([0.2, 0.3, 0.5])
LAW = js.targets.GaussianMixture(WEIGHTS, [[4.0, 0.0], [-1.0, 2.0], [-1.0, -2.0]], [np.eye(2)] * 3)


def test_weights_are_kept_fluxes_are_equal_and_noise_at_the_ends_decides_nothing_and_all():
    """Within 0.02, which is four times the largest standard error of a difference, 0.005 at 5,462 draws of each."""
    found = js.theory.transitions(jax.random.key(0), LAW, [1e-3, 0.8, 12.0])
    np.testing.assert_allclose(found.mean.sum(2), 1, atol=1e-5)
    flux = found.weights[:, None] * found.mean
    np.testing.assert_allclose(flux, flux.swapaxes(1, 2), atol=0.02)
    np.testing.assert_allclose(flux.sum(1), np.broadcast_to(WEIGHTS, (3, 3)), atol=0.02)
    np.testing.assert_allclose(found.mean[2], np.broadcast_to(WEIGHTS, (3, 3)), atol=1e-3)
    assert (
        (np.diagonal(found.mean[0]) > 0.9).all()
        and (found.low <= found.mean).all()
        and (found.mean <= found.high).all()
    )


def test_two_gaussians_stay_as_in_closed_form_and_groups_are_their_components_together():
    """The closed form is in the bands of 99.99 %."""
    pair = js.targets.GaussianMixture([0.5, 0.5], [[3.0], [-3.0]], np.ones((2, 1, 1)))
    times = np.log(3 / np.array([2.0, 1.0, 0.3]))
    found = js.theory.transitions(jax.random.key(1), pair, times, confidence=0.9999)
    exact = stay_probability(3 * np.exp(-times))
    assert ((found.low[:, 0, 0] < exact) & (exact < found.high[:, 0, 0])).all()
    singles = js.theory.transitions(jax.random.key(2), LAW, [0.8, 1.0])
    joined = js.theory.transitions(jax.random.key(2), LAW, [0.8, 1.0], groups=[[0], [1, 2]])
    share = WEIGHTS[1:] / WEIGHTS[1:].sum()
    np.testing.assert_allclose(joined.mean[0, 1, 1], share @ singles.mean[0, 1:, 1:].sum(1), rtol=1e-5)
    assert joined.groups == ((0,), (1, 2))


def test_wrong_groups_are_a_sentence():
    bare = inspect.unwrap(js.theory.transitions)
    for groups, sentence in (
        ([[0], [0, 1]], "groups must have no component in common; component 0 is in several"),
        ([], "groups must be at least one list of component numbers; got none"),
        ([[3]], "groups must name components from 0 to 2"),
        ([[]], "groups must name components from 0 to 2, at least one each"),
    ):
        with pytest.raises(ValueError, match=sentence):
            bare(jax.random.key(0), LAW, [1.0], groups)
