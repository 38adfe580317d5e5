"""Pauli channels: their tables against matrices, their draws against their rates, and what does not go."""

import itertools
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import hadamard
from scipy.stats import chi2

import jaxsamp as js
from jaxsamp.quantum import PauliChannel
from jaxsamp.quantum.pauli_strings import anticommute, indices_of_letters, letters_of
from jaxsamp_kernels.pauli import fwht, product_inverse, symplectic

MATRICES = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def matrix(label):
    return reduce(np.kron, [MATRICES[letter] for letter in label])


def labels(n):
    return ["".join(letters) for letters in itertools.product("IXYZ", repeat=n)]


def random_rates(n, seed=0):
    return dict(zip(labels(n), np.random.default_rng(seed).dirichlet(np.ones(4**n)), strict=True))


def test_the_transform_is_the_matrix_of_signs_and_twice_the_size(x64):
    x = np.random.default_rng(0).normal(size=(3, 64))
    np.testing.assert_allclose(fwht(jnp.asarray(x)), x @ hadamard(64), atol=1e-12)
    signs = 1 - 2.0 * anticommute(np.arange(64)[:, None], np.arange(64), 3)
    np.testing.assert_allclose(symplectic(jnp.asarray(x)), x @ signs, atol=1e-12)
    np.testing.assert_allclose(symplectic(symplectic(jnp.asarray(x))) / 64, x, atol=1e-12)


def test_labels_go_to_indices_and_letters_and_back_and_say_which_commute():
    for n in (1, 2, 3):
        found = js.quantum.indices_of(labels(n))
        assert sorted(found) == list(range(4**n)) and js.quantum.labels_of(found, n) == labels(n)
        np.testing.assert_array_equal(indices_of_letters(letters_of(found, n)), found)
        np.testing.assert_array_equal(letters_of(found, n), list(itertools.product(range(4), repeat=n)))
    of = dict(zip(labels(2), js.quantum.indices_of(labels(2)), strict=True))
    for a, b in itertools.product(of, of):
        same = np.allclose(matrix(a) @ matrix(b), matrix(b) @ matrix(a))
        assert anticommute(of[a], of[b], 2) == (not same)
    long = ["XYZI" * 7 + "XYZ"]
    assert js.quantum.labels_of(js.quantum.indices_of(long), 31) == long


def test_eigenvalues_are_those_of_matrices(x64):
    rates = random_rates(2)
    channel = PauliChannel.from_labels(rates)
    for b in labels(2):
        image = sum(p * matrix(a) @ matrix(b) @ matrix(a) for a, p in rates.items())
        np.testing.assert_allclose(image, channel.eigenvalue(b) * matrix(b), atol=1e-14)
    again = PauliChannel(eigenvalues=channel.eigenvalues)
    for label, p in rates.items():
        np.testing.assert_allclose(again.rate(label), p, atol=1e-14)


def test_known_eigenvalues():
    one = PauliChannel.from_labels(dict(zip("IXYZ", (0.6, 0.15, 0.05, 0.2), strict=True)))
    np.testing.assert_allclose([one.eigenvalue(b) for b in "IXYZ"], [1, 0.5, 0.3, 0.6], atol=1e-6)
    rates = np.kron((0.8, 0.1, 0.05, 0.05), (0.7, 0.1, 0.1, 0.1))
    two = PauliChannel.from_labels(dict(zip(labels(2), rates, strict=True)))
    np.testing.assert_allclose([two.eigenvalue(b) for b in ("XX", "YZ", "ZI")], [0.48, 0.42, 0.7], atol=1e-6)
    assert PauliChannel.from_labels({"II": 0.7, "XX": 0.3}).labels() == pytest.approx({"II": 0.7, "XX": 0.3})
    assert {*two.labels(0.075)} == {"II", "IX", "IY", "IZ"} and [*two.labels()][0] == "II"


def test_channels_one_after_the_other_multiply_errors(x64):
    first, second = (PauliChannel.from_labels(random_rates(2, seed)) for seed in (1, 2))
    both, p, q = first.compose(second), first.probabilities, second.probabilities
    product = np.zeros(16)
    for a, b in itertools.product(range(16), range(16)):
        product[a ^ b] += p[a] * q[b]  # the product of two strings, up to a phase
    np.testing.assert_allclose(both.probabilities, product, atol=1e-15)


def test_a_channel_after_itself_many_times_stays_a_channel():
    """In single precision, whose rates miss the sum of one by 8e-6, after as many as 2^14 uses."""
    channel = PauliChannel(np.array([0.9, 0.05, 0.03, 0.020008], np.float32))
    for _ in range(14):
        channel = channel.compose(channel)
    assert channel.eigenvalues[0] == 1
    np.testing.assert_allclose(channel.probabilities, 0.25, atol=1e-6)


def test_errors_are_drawn_at_their_rates_and_others_never():
    """False alarm 1e-4, by the chi-square test."""
    rates = {"III": 0.6, "XYZ": 0.2, "ZZI": 0.1, "IYI": 0.07, "XXX": 0.03}
    channel, n = PauliChannel.from_labels(rates), 20_000
    drawn = np.asarray(channel.sample(jax.random.key(3), (n,)))
    counts = np.bincount(drawn, minlength=64)
    expected = n * np.asarray(channel.probabilities, float)
    assert counts[expected == 0].sum() == 0
    kept = expected > 0
    statistic = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    assert statistic < chi2.isf(1e-4, len(rates) - 1)


def test_a_draw_depends_on_its_number_alone():
    channel, key = PauliChannel.from_labels(random_rates(2)), jax.random.key(5)
    all_of_them = channel.sample(key, (3, 8))
    np.testing.assert_array_equal(channel.sample(key, (10,)), all_of_them.ravel()[:10])
    np.testing.assert_array_equal(channel.sample(key, (24,), mesh=js.mesh(), microbatch=4), all_of_them.ravel())
    assert all_of_them.dtype == jnp.int32


def test_other_rates_do_not_compile_again_and_channels_pass_through_jit():
    traces = []

    @jax.jit
    def fidelity(channel):
        traces.append(channel)
        return channel.compose(channel).eigenvalues.mean()

    values = [fidelity(PauliChannel.from_labels(random_rates(1, seed))) for seed in (0, 1)]
    assert len(traces) == 1 and values[0] != values[1]


def test_the_inverse_of_a_probe_picks_the_error_out(x64):
    """E prod_i G_{Q_i} is 1 for Q = P and 0 otherwise, its second moment at most one, over all axes of two qubits."""
    axes = np.array(list(itertools.product((1, 2, 3), repeat=2)))
    strings = np.array(list(itertools.product(range(4), repeat=2)))
    for error in strings:
        flips = (error > 0) & (error != axes)
        g = np.asarray(product_inverse(jnp.asarray(axes), jnp.asarray(flips)))
        products = g[:, 0, strings[:, 0]] * g[:, 1, strings[:, 1]]
        np.testing.assert_allclose(products.mean(0), (strings == error).all(1), atol=1e-12)
        assert (products**2).mean(0).max() <= 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: PauliChannel.from_labels({"XQ": 1.0}), r"^labels must have 1 to 31 letters, each I, X, Y or Z; got "),
        (lambda: PauliChannel.from_labels({"X": 0.5, "XX": 0.5}), r"^labels must have 1 letters.*; got 'XX'"),
        (lambda: PauliChannel.from_labels({}), r"^labels must be at least one Pauli string; got none"),
        (lambda: js.quantum.indices_of([3]), r"^labels must be strings such as 'XZ'; got a int"),
        (lambda: PauliChannel.from_labels({"I": np.nan, "X": 1.0}), r"^rates must be finite; got nan"),
        (
            lambda: PauliChannel.from_labels({"I" * 20: 1.0}),
            r"^labels must be of at most 15 .* 4,398,046,511,104 bytes",
        ),
        (lambda: PauliChannel([0.5, 0.6, -0.1, 0.0]), r"^probabilities must not be negative; got -0.1 for X"),
        (lambda: PauliChannel([0.5, 0.6, 0.1, 0.0]), r"^probabilities must sum to one; got 1.2"),
        (lambda: PauliChannel([0.5, 0.5]), r"^probabilities must have shape \(4\^n,\).*; got \(2,\)"),
        (lambda: PauliChannel(), r"one of the two; got neither"),
        (lambda: PauliChannel([1.0, 0, 0, 0], [1.0] * 4), r"one of the two; got both"),
        (lambda: PauliChannel(eigenvalues=[1, 1, 1, -1.0]), r"^eigenvalues must be those of a channel.* -0.5 for "),
        (lambda: PauliChannel(eigenvalues=[0.9, 0.8, 0.8, 0.8]), r"^eigenvalues must be 1 for the identity; got 0.9"),
        (lambda: PauliChannel([1.0, 0, 0, 0]).eigenvalue("XX"), r"^labels must have 1 letters.*; got 'XX'"),
        (
            lambda: PauliChannel([1.0, 0, 0, 0]).compose(PauliChannel([1.0] + 15 * [0])),
            r"^other must act on 1 qubits, as this channel; got 2",
        ),
        (lambda: PauliChannel([1.0, 0, 0, 0]).sample(jax.random.key(0), (0,)), r"^every entry of shape must be at"),
    ],
)
def test_what_does_not_go_is_one_sentence(call, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()
