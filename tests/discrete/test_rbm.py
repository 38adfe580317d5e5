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

HEAD, BIAS = np.array([0.9, -0.6, 0.4]), 0.2


@jax.jit
def facts(rbm, x):
    """Everything that is known at x and in all, compiled once for each number of spins."""
    labeled = js.discrete.LabeledRBM(rbm, jnp.asarray(HEAD), BIAS)
    return {
        "log Z": rbm.log_partition(),
        "moments": rbm.enumerate(),
        "joint": rbm.joint().enumerate(),
        "independent": rbm.annealed(0.0).enumerate().mean,
        "exponent": rbm.exponent(x),
        "log_prob": rbm.log_prob(x),
        "mean": rbm.conditional_mean(x),
        "fields": rbm.local_fields(x),
        "half": rbm.scaled(0.5).scaled(0.5).exponent(x) + rbm.scaled(0.75).local_fields(x).sum(1),
        "hidden side": jax.nn.logsumexp(rbm.swapped.exponent(jnp.asarray(js.discrete.states(3)))),
        "label": labeled.label_field(x),
        "label as a spin": labeled.joint().local_fields(jnp.pad(x, ((0, 0), (0, 1)), constant_values=1))[:, -1],
    }


@pytest.fixture(scope="module")
def seven():
    with jax.enable_x64(True):
        states = np.asarray(js.discrete.states(7))
        return jax.tree.map(np.asarray, facts(rbm7(), jnp.asarray(states))), states


def test_numbers_of_the_reference_machines_are_right(seven, x64):
    found, states = seven
    at = int(np.flatnonzero((states == [1, -1, -1, 1, 1, -1, 1]).all(1))[0])
    assert found["log Z"] == pytest.approx(11.26788764, abs=1e-8)
    assert found["moments"].log_partition == pytest.approx(11.26788764, abs=1e-8)
    assert found["moments"].second[0, 5] == pytest.approx(-0.63418964, abs=1e-8)
    assert found["log_prob"][at] == pytest.approx(-6.32816794, abs=1e-8)
    assert found["mean"][at, 2] == pytest.approx(0.83535876, abs=1e-8)
    assert np.tanh(found["label"][at]) == pytest.approx(0.88395217, abs=1e-8)
    assert float(rbm9().log_partition()) == pytest.approx(10.94881358, abs=1e-8)


def test_a_spin_given_the_others_is_a_network_of_two_layers(seven):
    found, states = seven
    place = {tuple(x): k for k, x in enumerate(states.tolist())}
    for i in range(7):
        up, down = ([place[(*x[:i], s, *x[i + 1 :])] for x in states.tolist()] for s in (1, -1))
        half = (found["exponent"][up] - found["exponent"][down]) / 2
        np.testing.assert_allclose(found["fields"][:, i], half, atol=1e-12)


def test_the_label_is_one_more_spin(seven):
    np.testing.assert_allclose(seven[0]["label"], seven[0]["label as a spin"], atol=1e-12)


def test_both_sides_and_the_joint_law_have_one_partition_function(seven):
    found = seven[0]
    assert found["hidden side"] == pytest.approx(found["log Z"], abs=1e-10)
    assert found["joint"].log_partition == pytest.approx(found["log Z"], abs=1e-10)
    np.testing.assert_allclose(found["joint"].second[:7, :7], found["moments"].second, atol=1e-10)


def test_the_annealed_law_begins_with_independent_spins_and_the_scaled_one_multiplies_all(seven):
    found = seven[0]
    np.testing.assert_allclose(found["independent"], np.tanh(0.1 * np.arange(7) - 0.3), atol=1e-12)
    np.testing.assert_allclose(found["half"], 0.25 * found["exponent"] + 0.75 * found["fields"].sum(1), atol=1e-12)


def test_fields_through_hidden_spins_survive_saturation_in_float32():
    z = jnp.array([30.0, -30.0, 2.0, 0.0], jnp.float32)
    found = kernel.through(jnp.float32(25.0), z)  # artanh(tanh 25 tanh 30) is infinite in float32
    np.testing.assert_allclose(found, [25.0, -25.0, 2.0, 0.0], rtol=2e-6)


def test_a_label_that_no_hidden_spin_sees_has_a_gradient():
    # Of artanh(tanh u tanh z) at u = 0 it is tanh z; with signs and minima it was -2 sign(z) sigmoid(-2 |z|).
    z = jnp.array([1.5, -0.3, 0.0])
    slope = jax.jit(jax.vmap(jax.grad(kernel.through), (None, 0)))(0.0, z)
    np.testing.assert_allclose(slope, np.tanh(z), atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_units_of_0_and_1_have_the_same_law():
    # By the definition of the machines of 0 and 1, and as scikit-learn has it.
    machine = pytest.importorskip("sklearn.neural_network").BernoulliRBM(3, n_iter=2, random_state=0)
    machine.fit((np.random.default_rng(0).random((40, 5)) < 0.4).astype(float))
    w, b, c = parts = machine.components_.T, machine.intercept_visible_, machine.intercept_hidden_
    x = np.asarray(js.discrete.states(5), float)
    v, g = (x + 1) / 2, (np.asarray(js.discrete.states(3)) + 1) / 2
    p = np.exp(v @ w @ g.T + (v @ b)[:, None] + g @ c).sum(1)
    rbm = js.discrete.RBM.from_binary(*parts)
    np.testing.assert_allclose(rbm.probabilities(), p / p.sum(), atol=1e-12)
    np.testing.assert_allclose(np.log(p), -machine._free_energy(v), atol=1e-10)
    for ours, theirs in zip(rbm.to_binary(), parts, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_exact_samples_of_many_spins_come_from_the_few_hidden_ones(key, monkeypatch, seven):
    # Chi-square over all 128 states: one false alarm in 10,000. The smaller side is used above `MOST` spins.
    monkeypatch.setattr("jaxsamp.discrete.rbm.MOST", 4)
    p = np.exp(seven[0]["log_prob"])
    x = np.asarray(rbm7().sample(key, 20_000))
    assert x.dtype == np.int8
    counts = np.bincount(((x > 0) << np.arange(7)).sum(1), minlength=128)
    rare = 20_000 * p < 5
    found, expected = (np.append(a[~rare], a[rare].sum()) for a in (counts, 20_000 * p))
    assert stats.chisquare(found, expected).pvalue > 1e-4
    np.testing.assert_array_equal(rbm7().sample(key, 50), x[:50])


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
