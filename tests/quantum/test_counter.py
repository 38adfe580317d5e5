"""The test with two ancillas and one measurement: its formula, and the protocol by density matrices."""

import jax
import numpy as np
import pytest
from scipy.stats import binom

from jaxsamp.quantum import PauliChannel, counter_test, run_counter_test
from jaxsamp.quantum.pauli_strings import indices_of


def with_one_eigenvalue(label, value):
    n = len(label)
    values = np.zeros(4**n)
    values[0], values[indices_of([label])[0]] = 1.0, value
    return PauliChannel(eigenvalues=values)


def test_known_rates():
    np.testing.assert_allclose(counter_test(3, 0.5, 20, 4000)[:2], [0.21362857, 0.99999760], atol=1e-8)
    np.testing.assert_allclose(counter_test(1, 0.8, 8, 10)[:2], [0.11078567, 0.99667959], atol=1e-8)
    assert counter_test(1, 0.8, 8, 10).uses == 240
    assert counter_test(2, 1.0, 5, 1).true_positive == 1 and counter_test(2, -1.0, 5, 1).true_positive < 1
    small = counter_test(1, 0.0, 60, 1)  # 3 * 2^-60, which subtractions from 1 would lose
    np.testing.assert_allclose(small.false_positive, 3 * 0.5**60, rtol=1e-12)
    often = counter_test(8, 1 / 3, 53, int(np.log(20) * 1.5**53) + 1)  # both error rates below 0.05
    assert often.false_positive < 0.05 and often.true_positive > 0.95 and 1e16 < often.uses < 1e17
    far = counter_test(8, 1 / 3, 84, 1000 * 2**20)
    assert far.uses == 84 * 1000 * 2**20 * (4**8 - 1) and far.false_positive < 1e-9


@pytest.mark.parametrize(
    ("label", "value", "run", "repeats"),
    [
        ("Y", 0.8, 8, 10),
        ("X", -0.5, 3, 2),
        ("Z", 1.0, 4, 1),
        ("XZ", 0.6, 6, 3),
        ("IY", 0.4, 3, 1),
        ("ZI", 0.5, 9, 50),
    ],
)
def test_the_protocol_has_the_rates_of_the_formula(label, value, run, repeats, x64):
    n, key = len(label), jax.random.key(1)
    exact = counter_test(n, value, run, repeats)
    depolarizing = with_one_eigenvalue(label, 0.0)
    for channel, rate in (
        (depolarizing, exact.false_positive),
        (with_one_eigenvalue(label, value), exact.true_positive),
    ):
        runs = run_counter_test(key, channel, run, repeats)
        np.testing.assert_allclose(runs.probability, rate, atol=1e-12)
        assert runs.uses == exact.uses and runs.found.shape == (1000,)
        low, high = binom.ppf([1e-5, 1 - 1e-5], 1000, min(rate, 1))  # false alarm 2e-5
        assert low <= int(runs.found.sum()) <= high


def test_a_trial_depends_on_its_number_alone():
    channel, key = with_one_eigenvalue("X", 0.5), jax.random.key(0)
    many, few = (run_counter_test(key, channel, 2, 1, trials).found for trials in (50, 7))
    np.testing.assert_array_equal(many[:7], few)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: counter_test(0, 0.5, 8, 10), "^n must be at least 1; got 0"),
        (lambda: counter_test(1, 0.5, 0, 10), "^run must be at least 1; got 0"),
        (lambda: counter_test(1, 0.5, 8, -1), "^repeats must be at least 1; got -1"),
        (lambda: counter_test(1, 1.5, 8, 10), "^eigenvalue must be from -1 to 1; got 1.5"),
        (
            lambda: run_counter_test(jax.random.key(0), with_one_eigenvalue("XXX", 0.5), 8, 10),
            "^channel must be of at most 2 qubits to be simulated; got 3",
        ),
    ],
)
def test_what_does_not_go_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
