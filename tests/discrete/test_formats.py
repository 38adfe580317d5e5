"""Models of other packages: the signs are right."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.discrete import Ising, SparseIsing, from_dwave, from_thrml, states, to_dwave, to_thrml

LAW = Ising(np.array([[0, 0.3, 0], [0.3, 0, -0.8], [0, -0.8, 0]]), np.array([0.2, 0.0, -0.5]))
STATES = states(3)


def energy(linear, quadratic, x):
    """By the formula of D-Wave's documentation."""
    return sum(h * x[:, i] for i, h in linear.items()) + sum(j * x[:, a] * x[:, b] for (a, b), j in quadratic.items())


def test_energies_of_dwave_are_low_where_the_exponent_is_high():
    linear, quadratic = to_dwave(LAW, beta=2.0)
    assert [*linear] == [0, 1, 2] and [*quadratic] == [(0, 1), (1, 2)]
    np.testing.assert_allclose(-2 * energy(linear, quadratic, np.asarray(STATES)), LAW.exponent(STATES), rtol=1e-6)
    back = from_dwave(linear, quadratic, beta=2.0)
    assert isinstance(back, SparseIsing)
    np.testing.assert_allclose(back.exponent(STATES), LAW.exponent(STATES), rtol=1e-6)
    # A positive J of D-Wave makes two spins differ.
    assert from_dwave({}, {("a", "b"): 1.0}).couplings[0, 1] == -1
    both = from_dwave({"b": 1.0}, {("a", "b"): 1.0, ("b", "a"): 0.5})
    np.testing.assert_allclose(both.couplings, [[0, -1.5], [-1.5, 0]])
    np.testing.assert_allclose(both.fields, [-1.0, 0.0])  # b, then a


def test_models_of_thrml_have_the_same_sign():
    fake = SimpleNamespace(
        nodes=["a", "b", "c"], biases=np.array([0.1, 0.0, -0.25]), beta=np.array(2.0),
        edges=[("a", "b"), ("c", "b")], weights=np.array([0.15, -0.4]),
    )  # fmt: skip
    np.testing.assert_allclose(from_thrml(fake).exponent(STATES), LAW.exponent(STATES), rtol=1e-6)
    fake.nodes = ["a", "b"]
    with pytest.raises(ValueError, match="^model must have every node of its edges among its nodes.$"):
        from_thrml(fake)


def test_dimod_has_these_energies():
    dimod = pytest.importorskip("dimod")
    bqm = dimod.BinaryQuadraticModel.from_ising(*to_dwave(LAW))
    np.testing.assert_allclose(-bqm.energies(np.asarray(STATES)), LAW.exponent(STATES), rtol=1e-6)
    np.testing.assert_allclose(from_dwave(*bqm.to_ising()[:2]).couplings, LAW.couplings)


def test_thrml_has_these_energies():
    thrml = pytest.importorskip("thrml")
    made = to_thrml(LAW, beta=0.5)
    np.testing.assert_allclose(from_thrml(made).exponent(STATES), LAW.exponent(STATES), rtol=1e-6)
    block, exponents = thrml.Block(made.nodes), LAW.exponent(STATES)
    for x, exponent in zip(np.asarray(STATES), exponents, strict=True):
        np.testing.assert_allclose(-made.energy([jnp.asarray(x > 0)], [block]), exponent, rtol=1e-5)
    with pytest.raises(ValueError, match="^model must have a coupling, because thrml"):
        to_thrml(Ising(np.zeros((2, 2))))


def test_nothing_and_a_spin_with_itself_are_sentences():
    with pytest.raises(ValueError, match="^linear and quadratic must have a variable; got none.$"):
        from_dwave({}, {})
    with pytest.raises(ValueError, match="^edges must join two different spins"):
        from_dwave({}, {("a", "a"): 1.0})
    assert js.discrete.from_dwave({0: 1}, {}).event_shape == (1,)
