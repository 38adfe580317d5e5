"""Restricted Boltzmann machines: their law, its spins one by one, and what they are in other words."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxsamp as js
from jaxsamp_kernels import rbm as kernel
from tests.discrete.rbms import rbm7, rbm9

pytestmark = pytest.mark.usefixtures("x64")
STATE = jnp.array([[1, -1, -1, 1, 1, -1, 1]], jnp.int8)


def test_numbers_of_the_reference_machines_are_right():
    rbm, moments = rbm7(), rbm7().enumerate()
    assert float(rbm.log_partition()) == pytest.approx(11.26788764, abs=1e-8)
    assert float(moments.log_partition) == pytest.approx(11.26788764, abs=1e-8)
    assert float(moments.second[0, 5]) == pytest.approx(-0.63418964, abs=1e-8)
    assert float(rbm.log_prob(STATE)[0]) == pytest.approx(-6.32816794, abs=1e-8)
    assert float(rbm.conditional_mean(STATE)[0, 2]) == pytest.approx(0.83535876, abs=1e-8)
    labeled = js.discrete.LabeledRBM(rbm, np.array([0.9, -0.6, 0.4]), 0.2)
    assert float(labeled.conditional_mean(STATE)[0]) == pytest.approx(0.88395217, abs=1e-8)
    assert float(rbm9().log_partition()) == pytest.approx(10.94881358, abs=1e-8)


@pytest.mark.parametrize("made", [rbm7, rbm9])
def test_a_spin_given_the_others_is_a_network_of_two_layers(made):
    rbm = made()
    x = np.asarray(js.discrete.states(rbm.sites))
    up, down = (np.repeat(x[:, None], rbm.sites, 1) for _ in range(2))
    for i in range(rbm.sites):
        up[:, i, i], down[:, i, i] = 1, -1
    flat = lambda states: rbm.exponent(jnp.asarray(states.reshape(-1, rbm.sites))).reshape(x.shape)  # noqa: E731
    np.testing.assert_allclose(rbm.local_fields(jnp.asarray(x)), (flat(up) - flat(down)) / 2, atol=1e-12)


def test_fields_through_hidden_spins_survive_saturation_in_float32():
    z = jnp.array([30.0, -30.0, 2.0, 0.0], jnp.float32)
    found = kernel.through(jnp.float32(25.0), z)  # artanh(tanh 25 tanh 30) is infinite in float32
    np.testing.assert_allclose(found, [25.0, -25.0, 2.0, 0.0], rtol=2e-6)


def test_a_label_that_no_hidden_spin_sees_has_a_gradient():
    # Of artanh(tanh u tanh z) at u = 0 it is tanh z; with signs and minima it was -2 sign(z) sigmoid(-2 |z|).
    slope = jax.vmap(jax.grad(kernel.through), (None, 0))(0.0, jnp.array([1.5, -0.3, 0.0]))
    np.testing.assert_allclose(slope, np.tanh([1.5, -0.3, 0.0]), atol=1e-12)


def test_the_label_is_one_more_spin():
    labeled = js.discrete.LabeledRBM(rbm7(), np.array([0.9, -0.6, 0.4]), 0.2)
    x = js.discrete.states(7)
    with_label = jnp.concatenate([x, jnp.ones((len(x), 1), x.dtype)], 1)
    np.testing.assert_allclose(labeled.label_field(x), labeled.joint().local_fields(with_label)[:, -1], atol=1e-12)


def test_both_sides_have_one_partition_function_and_the_joint_law_has_it_too():
    rbm = rbm7()
    assert float(rbm.swapped.enumerate().log_partition) == pytest.approx(float(rbm.log_partition()), abs=1e-10)
    joint = rbm.joint().enumerate()
    assert float(joint.log_partition) == pytest.approx(float(rbm.log_partition()), abs=1e-10)
    np.testing.assert_allclose(joint.second[:7, :7], rbm.enumerate().second, atol=1e-10)


def test_the_annealed_law_goes_from_independent_spins_to_the_law():
    rbm = rbm7()
    np.testing.assert_allclose(rbm.annealed(0.0).enumerate().mean, np.tanh(rbm.visible), atol=1e-12)
    np.testing.assert_allclose(rbm.annealed(1.0).exponent(STATE), rbm.exponent(STATE))
    half = rbm.scaled(0.5).scaled(2.0)
    np.testing.assert_allclose(half.local_fields(STATE), rbm.local_fields(STATE))
    np.testing.assert_allclose(rbm.scaled(0.5).exponent(STATE), 0.5 * rbm.exponent(STATE))


def test_units_of_0_and_1_have_the_same_law():
    rng = np.random.default_rng(1)
    w, b, c = rng.standard_normal((5, 3)), rng.standard_normal(5), rng.standard_normal(3)
    x = np.asarray(js.discrete.states(5), float)
    v, g = (x + 1) / 2, (np.asarray(js.discrete.states(3)) + 1) / 2
    p = np.exp(v @ w @ g.T + (v @ b)[:, None] + g @ c).sum(1)  # by its definition
    rbm = js.discrete.RBM.from_binary(w, b, c)
    np.testing.assert_allclose(rbm.probabilities(), p / p.sum(), atol=1e-12)
    for ours, theirs in zip(rbm.to_binary(), (w, b, c), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_law_of_sklearns_machine_is_taken_over():
    machine = pytest.importorskip("sklearn.neural_network").BernoulliRBM(3, n_iter=2, random_state=0)
    machine.fit((np.random.default_rng(0).random((40, 6)) < 0.4).astype(float))
    parts = machine.components_.T, machine.intercept_visible_, machine.intercept_hidden_
    rbm, x = js.discrete.RBM.from_binary(*parts), js.discrete.states(6)
    ours, theirs = np.asarray(rbm.exponent(x)), -machine._free_energy((np.asarray(x) + 1) / 2)
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], atol=1e-10)


def test_exact_samples_of_many_spins_come_from_the_few_hidden_ones(key, monkeypatch):
    # Chi-square over all 128 states, one draw of the test in 10,000 fails. The smaller side is used above `MOST` spins.
    rbm, p = rbm7(), np.asarray(rbm7().probabilities())
    monkeypatch.setattr("jaxsamp.discrete.rbm.MOST", 4)
    x = np.asarray(rbm.sample(key, 20_000))
    assert x.dtype == np.int8
    counts = np.bincount(((x > 0) << np.arange(7)).sum(1), minlength=128)
    assert stats.chisquare(counts, 20_000 * p).pvalue > 1e-4
    np.testing.assert_array_equal(rbm.sample(key, 50), x[:50])


def test_wrong_machines_are_refused_in_a_sentence():
    made = inspect.unwrap(js.discrete.RBM)
    with pytest.raises(ValueError, match=r"^weights must have shape \(n, m\), spins and hidden spins; got \(3,\)"):
        made(np.zeros(3))
    with pytest.raises(ValueError, match=r"^weights must be finite; got nan at index \(0, 1\)"):
        made(np.array([[0, np.nan]]))
    with pytest.raises(ValueError, match=r"^visible must have shape \(4,\), as weights have it; got \(2,\)"):
        made(np.zeros((4, 2)), np.zeros(2))
    with pytest.raises(ValueError, match=r"^head must have shape \(3,\)"):
        js.discrete.LabeledRBM(rbm7(), np.zeros(2))
    with pytest.raises(ValueError, match=r"^bias must be a number; got an array of shape \(1,\)"):
        js.discrete.LabeledRBM(rbm7(), np.zeros(3), np.zeros(1))
    with pytest.raises(ValueError, match="^the law must have at most 22 spins or 22 hidden ones .* got 30 and 40"):
        made(np.zeros((30, 40))).log_partition()
    jax.jit(lambda w: made(w).exponent(jnp.ones((2, 4))))(jnp.ones((4, 2)))  # tracers pass
