"""Labels from a law that was learned without them."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.discrete.rbms import rbm7

fit = inspect.unwrap(js.learning.fit_supervised_rbm)


@pytest.fixture(scope="module")
def truth():
    return js.discrete.LabeledRBM(rbm7(), jnp.array([1.2, -0.9, 1.0]), 0.2)


@pytest.fixture(scope="module")
def rows(truth):
    return np.asarray(truth.joint().sample(jax.random.key(3), 2000))


def error(model, truth):
    x, p = js.discrete.states(7), truth.joint().probabilities().reshape(2, -1).sum(0)
    return float(p @ (model.conditional_mean(x) - truth.conditional_mean(x)) ** 2)


def test_few_labels_are_enough_for_a_known_law_and_fine_tuning_is_refused(key, truth, rows):
    found = fit(key, rows[:200, :7], rows[:200, 7], rbm=truth.rbm)
    assert not found.accepted and found.model is found.frozen
    assert error(found.frozen, truth) < 0.01 < error(found.tuned, truth)


@pytest.mark.slow
def test_fine_tuning_is_accepted_where_the_law_is_wrong_and_labels_are_many(key, truth, rows):
    wrong = js.discrete.RBM(0.5 * jnp.roll(truth.rbm.weights, 3, 0), truth.rbm.visible)
    found = fit(key, rows[:, :7], rows[:, 7], rbm=wrong, held_out=0.4)
    assert found.accepted and found.model is found.tuned
    assert error(found.tuned, truth) < 0.5 * error(found.frozen, truth)
    assert found.frozen_loss - found.tuned_loss > 2 * found.error


def test_the_first_stage_learns_from_all_samples_without_their_labels(key, rows):
    options = {"method": "exact", "steps": 3}
    found = fit(key, rows[:60, :7], (rows[:60, 7] + 1) // 2, 3, rows[60:, :7], **options)
    alone = js.learning.fit_rbm(jax.random.split(key)[0], rows[:, :7], 3, **options)
    np.testing.assert_allclose(found.rbm.weights, alone.weights, atol=1e-6)
    np.testing.assert_array_equal(found.frozen.rbm.weights, found.rbm.weights)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"y": np.ones(3)}, r"^y must have shape \(rows,\) = \(100,\), as x has; got \(3,\)"),
        ({"y": np.arange(100)}, r"^y must be of -1 and \+1, or of 0 and 1, both of them; got \[0, 1, 2, 3, 4\]"),
        ({"held_out": 0.01}, r"^held_out must be a share in \(0, 1\) of 10 labels at least; got 0.01 of 100"),
        ({"held_out": 0.99}, "^held_out must leave 10 labels at least; got 0.99 of 100"),
        ({"penalty": -1}, "^penalty must be at least 0 and finite; got -1"),
        ({"hidden": 3}, "^hidden, unlabeled and options of fit_rbm must be left out where rbm is given"),
        ({"rbm": js.discrete.RBM(np.zeros((4, 2)))}, "^rbm must be of 7 spins, as x is; got one of 4"),
        ({"rbm": None}, "^hidden must be at least 1; got 0"),
    ],
)
def test_bad_input_is_a_sentence(key, truth, rows, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit(**{"key": key, "x": rows[:100, :7], "y": rows[:100, 7], "rbm": truth.rbm} | options)
