"""Experiments on Pauli channels and what is estimated from them: against matrices, scipy and the true channel."""

from functools import reduce

import jax
import numpy as np
import pytest
from scipy.stats import binom, norm

import jaxsamp as js
from jaxsamp.quantum import (
    BellShots,
    DecayShots,
    PauliChannel,
    ProductShots,
    StabilizerShots,
    measure_channel,
    pauli_eigenvalues,
)
from jaxsamp.quantum.pauli_strings import anticommute
from jaxsamp.quantum.stabilizer_groups import members
from tests.quantum.test_pauli import labels, matrix, random_rates

DEPTHS = np.array([1, 2, 4, 8, 16, 32, 64])


def channel(n=2, seed=1, clean=0.7):
    """Random rates, with most of the weight on no error."""
    p = (1 - clean) * np.random.default_rng(seed).dirichlet(np.ones(4**n))
    p[0] += clean
    return PauliChannel(p)


def sparse():
    """Six qubits: no error at 0.8, and 24 strings that share 0.2."""
    rng = np.random.default_rng(25)
    strings = rng.choice(np.arange(1, 4**6), 24, replace=False)
    p = np.zeros(4**6)
    p[0], p[strings] = 0.8, 0.2 * rng.dirichlet(np.ones(24))
    return p


@pytest.mark.parametrize("n", range(1, 7))
def test_groups_commute_and_hold_every_string_once(n):
    groups, generators = members(n), js.quantum.stabilizer_groups(n)
    assert groups.shape == (2**n + 1, 2**n) and (groups[:, 0] == 0).all()
    assert sorted(groups[:, 1:].ravel()) == list(range(1, 4**n))
    assert not anticommute(generators[:, :, None], generators[:, None, :], n).any()


def test_each_error_gives_the_outcomes_that_matrices_give():
    """Two qubits, each of sixteen errors alone: syndromes are signs of commutation, flips those of local axes."""
    groups = [js.quantum.labels_of(group, 2) for group in js.quantum.stabilizer_groups(2)]
    for k, error in enumerate(labels(2)):
        only, e, key = PauliChannel.from_labels({error: 1.0}), matrix(error), jax.random.key(k)
        syndromes = np.asarray(measure_channel(key, only, 2, "stabilizer").syndromes)
        for group, seen in zip(groups, syndromes, strict=True):
            state = reduce(np.matmul, [(np.eye(4) + matrix(g)) / 2 for g in group])  # all signs +1
            signs = [np.trace(matrix(g) @ e @ state @ e.conj().T).real.round() for g in group]
            np.testing.assert_array_equal(seen, [(signs[0] < 0) * 2 + (signs[1] < 0)] * 2)
        shots = measure_channel(key, only, 20, "product")
        for axes, flips in zip(np.asarray(shots.axes), np.asarray(shots.flips), strict=True):
            for i, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
                a, b = matrix(error[i]), matrix("IXYZ"[axis])
                assert np.allclose(a @ b @ a.conj().T, -b) == bool(flip)
        assert {*np.asarray(measure_channel(key, only, 3).errors).tolist()} == {*js.quantum.indices_of([error])}


@pytest.mark.parametrize(("method", "shots"), [("bell", 500), ("stabilizer", 100)])
def test_intervals_of_signs_and_rates_cover_as_often_as_they_say(method, shots):
    """80 sets of shots, 15 eigenvalues: 95 % with a margin of five standard deviations, for fixed keys."""
    true, sets = channel(), 80
    p, values = (np.asarray(table, float) for table in (true.probabilities, true.eigenvalues))
    values[0] = 1.0
    data = type(data := measure_channel(jax.random.key(2), true, sets * shots, method))(np.asarray(data[0]), 2)
    covered, held, off, rates = [], 0, [], []
    for k in range(sets):
        part = slice(k * shots, (k + 1) * shots)
        one = BellShots(data.errors[part], 2) if method == "bell" else StabilizerShots(data.syndromes[:, part], 2)
        found = pauli_eigenvalues(one)
        each, all_of_them = found.eigenvalues, pauli_eigenvalues(one, method, simultaneous=True).eigenvalues
        assert one.uses == shots * (1 if method == "bell" else 5)
        off.append((each.values - values)[1:] * np.sqrt(shots / (1 - values[1:] ** 2)))
        covered.append(((each.low <= values) & (values <= each.high))[1:])
        held += ((all_of_them.low <= values) & (values <= all_of_them.high)).all()
        rates.append((found.rates.low <= p) & (p <= found.rates.high))
    # the eigenvalues of one set depend on each other, so the margin is that of the sets alone
    for hits in (covered, rates):
        assert abs(np.mean(hits) - 0.95) < 5 * np.sqrt(0.95 * 0.05 / sets)
    assert held >= binom.ppf(1e-4, sets, 0.95)
    assert np.abs(np.mean(off, 0)).max() < 5 / np.sqrt(sets) and 0.8 < np.std(off) < 1.2


def test_decays_do_not_see_what_preparation_and_measurement_lose():
    """Each within 5 standard errors, of all 15 strings; a single depth would read 0.9 lambda."""
    true = channel(clean=0.97)
    data = measure_channel(jax.random.key(0), true, 4000, "decay", visibility=0.9)
    found = pauli_eigenvalues(data).eigenvalues
    truth = np.asarray(true.eigenvalues)[found.indices]
    assert (np.abs(found.values - truth) < 5 * found.standard_error).all()
    single = 2 * data.positives[:, 0] / 4000 - 1
    assert np.abs(single - truth).min() > 0.05 and data.uses == 15 * 127 * 4000
    few = measure_channel(jax.random.key(0), true, 100, "decay", paulis=["XX", "ZI"], depths=[1, 3, 9])
    assert few.positives.shape == (2, 3) and pauli_eigenvalues(few).eigenvalues.labels == ["XX", "ZI"]


@pytest.mark.parametrize("keys", [range(2), pytest.param(range(2, 10), marks=pytest.mark.slow)], ids=["two", "eight"])
def test_probes_find_the_strings_of_a_sparse_channel(keys):
    """Six qubits, 100,000 probes: all strings above 3 / sqrt(shots), no other, no rate off by 0.012; for fixed keys.

    Intervals of all eigenvalues hold the truth, where those that ignore the strings that were not found do not.
    """
    p, shots = sparse(), 100_000
    above, true = p > 3 / np.sqrt(shots), PauliChannel(p)
    assert above.sum() == 12
    for seed in keys:
        found, values = pauli_eigenvalues(measure_channel(jax.random.key(seed), true, shots, "product"))[::-1]
        full = np.zeros(4**6)
        full[found.indices] = found.values
        assert (full[above] > 0).all() and (full[p == 0] == 0).all()
        assert np.abs(full - p).max() < 0.012
        exact = np.asarray(true.eigenvalues, float)
        inside = (values.low - 1e-6 <= exact) & (exact <= values.high + 1e-6)
        narrow = np.abs(values.values - exact) <= 1.96 * values.standard_error  # which ignore what was not found
        assert inside.mean() >= 0.95 > narrow.mean() and (values.high - values.low).max() < 0.15


@pytest.mark.parametrize(("n", "enough"), [(1, 19), (2, 23), (6, 38)])
def test_few_probes_of_no_error_at_all_are_no_evidence_for_other_strings(n, enough):
    """100 sets for each number of shots: of one shot alone, each set had a string at the rate 1 with no error."""
    rng = np.random.default_rng(0)
    for shots in (1, 2, 3, 5, 10, enough):
        for axes in rng.integers(1, 4, (100, shots, n)):
            rates = pauli_eigenvalues(ProductShots(axes, np.zeros((shots, n), int)), paulis=["Z" * n]).rates
            assert rates.indices.tolist() == ([0] if shots >= enough else [])
    few = pauli_eigenvalues(ProductShots(axes[:3], np.zeros((3, n), int)), paulis=["I" * n, "Z" * n]).eigenvalues
    assert few.of("I" * n)["value"] == 1 and np.isnan(few.values[1]) and few.standard_error[1] == np.inf
    assert (few.low[1], few.high[1]) == (-1, 1)


def test_intervals_of_probes_cover():
    """40 sets of 5,000 probes: rates of what is found at 95 %, eigenvalues at least so often; false alarm 1e-4."""
    true = PauliChannel.from_labels({"III": 0.7, "XYZ": 0.2, "ZZI": 0.1})
    data, sets, shots = measure_channel(jax.random.key(7), true, 200_000, "product"), 40, 5000
    rates, values, off, seen, said = 0, 0, [], [], []
    for k in range(sets):
        part = slice(k * shots, (k + 1) * shots)
        found = pauli_eigenvalues(ProductShots(data.axes[part], data.flips[part]))
        assert {*found.rates.labels} == {"III", "XYZ", "ZZI"}
        p = np.asarray(true.probabilities)[found.rates.indices]
        rates += ((found.rates.low <= p) & (p <= found.rates.high)).sum()
        off.append((found.rates.values - p) / found.rates.standard_error)
        seen.append(found.rates.values)
        said.append(found.rates.standard_error)
        eigenvalues = np.asarray(true.eigenvalues)
        values += ((found.eigenvalues.low <= eigenvalues) & (eigenvalues <= found.eigenvalues.high + 1e-6)).sum()
    least, most = binom.ppf([1e-4, 1 - 1e-4], 3 * sets, 0.95)
    assert least <= rates <= most and values >= 0.95 * 64 * sets
    assert np.abs(np.mean(off, 0)).max() < norm.isf(1e-5) / np.sqrt(sets)
    np.testing.assert_allclose(np.std(seen, 0), np.mean(said, 0), rtol=0.3)  # 2.7 standard deviations of the former


@pytest.mark.parametrize("method", ["bell", "stabilizer", "product"])
def test_intervals_of_a_nearly_perfect_channel_cover(method):
    """200 sets of 100 shots, of which nine in ten show no error: at least 90 % with a margin of 3.5 deviations."""
    true, sets, shots = PauliChannel.from_labels({"I": 0.999, "Z": 0.001}), 200, 100
    data = measure_channel(jax.random.key(8), true, sets * shots, method)
    inside = []
    for k in range(sets):
        part = slice(k * shots, (k + 1) * shots)
        cut = {
            name: a[..., part] if method == "stabilizer" else a[part]
            for name, a in data._asdict().items()
            if np.ndim(a)
        }
        found = pauli_eigenvalues(data._replace(**cut))
        for each, exact in ((found.eigenvalues, true.eigenvalues), (found.rates, true.probabilities)):
            value = np.asarray(exact, float)[each.indices]
            inside.append(((each.low <= value + 1e-9) & (value <= each.high + 1e-9)).all())
    assert np.mean(inside) > 0.9 - 3.5 * np.sqrt(0.09 / sets)


def test_strings_of_twenty_qubits_need_no_table():
    """False alarm below 1e-6 for no string at all: their rates are more than 20 standard errors above zero."""
    rng, shots, n = np.random.default_rng(0), 20_000, 20
    strings = js.quantum.indices_of(["I" * 20, "X" * 20, "XYZI" * 5])
    drawn = strings[rng.choice(3, shots, p=[0.7, 0.2, 0.1])]
    letters = np.array([["IXYZ".index(a) for a in label] for label in js.quantum.labels_of(drawn, n)])
    axes = rng.integers(1, 4, (shots, n))
    found = pauli_eigenvalues(ProductShots(axes, (letters > 0) & (letters != axes)), paulis=["Z" * 20])
    assert {*found.rates.indices.tolist()} == {*strings.tolist()}
    assert (np.abs(found.rates.values - 0.1) > 0).all() and abs(found.rates.of("X" * 20)["value"] - 0.2) < 0.02
    assert found.eigenvalues.of("Z" * 20)["low"] <= 1.0
    with pytest.raises(ValueError, match=r"^data, without paulis, must be of at most 15 qubits .* bytes"):
        pauli_eigenvalues(ProductShots(axes, axes > 1))


def test_bell_measurements_are_within_the_union_bound():
    """All 4^n at once, with probability 0.999."""
    true, shots = PauliChannel.from_labels(random_rates(3)), 5000
    found = pauli_eigenvalues(measure_channel(jax.random.key(1), true, shots)).eigenvalues
    assert np.abs(found.values - true.eigenvalues).max() < np.sqrt(2 * np.log(2 * 64 / 0.001) / shots)


@pytest.mark.parametrize("method", ["bell", "stabilizer", "decay", "product"])
def test_shots_come_back_from_their_file_and_are_the_same_on_any_devices(method, tmp_path):
    true, key = channel(), jax.random.key(3)
    data = measure_channel(key, true, 12, method)
    js.quantum.save_shots(data, tmp_path / "shots.npz")
    back = js.quantum.load_shots(tmp_path / "shots.npz")
    over = measure_channel(key, true, 12, method, mesh=js.mesh(), microbatch=2)
    for other in (back, over):
        assert type(other) is type(data) and other.uses == data.uses
        for one, two in zip(data, other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
@pytest.mark.parametrize("method", ["bell", "stabilizer", "decay", "product"])
def test_narrow_and_unsigned_counts_are_read_as_they_are(method, dtype):
    data = measure_channel(jax.random.key(3), channel(), 200, method)
    narrow = [np.asarray(a).astype(dtype) if np.ndim(a) else a for a in data]
    want, found = pauli_eigenvalues(data), pauli_eigenvalues(type(data)(*narrow))
    for one, two in zip(want.eigenvalues, found.eigenvalues, strict=True):
        np.testing.assert_array_equal(one, two)


def test_damaged_files_of_shots_are_one_sentence(tmp_path):
    """A byte of the compressed numbers; the library that unpacks them had its own error."""
    path = tmp_path / "shots.npz"
    js.quantum.save_shots(BellShots(np.random.default_rng(0).integers(0, 16, 5000), 2), path)
    raw = bytearray(path.read_bytes())
    for place in range(300, 2300, 100):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 255]) + raw[place + 1 :])
        with pytest.raises(ValueError, match=r"^data must be an .npz file with a method and its arrays; .*\.$"):
            js.quantum.load_shots(path)


def test_a_string_is_looked_up_by_its_label():
    found = pauli_eigenvalues(measure_channel(jax.random.key(0), channel(), 100), paulis=["XZ", "II"])
    assert found.eigenvalues.of("II") == {"value": 1.0, "standard_error": 0.0, "low": 1.0, "high": 1.0}
    assert found.eigenvalues.labels == ["XZ", "II"] and found.eigenvalues.of("XZ")["value"] < 1
    with pytest.raises(ValueError, match=r"^label must be of a string that was estimated; got 'YY'"):
        found.eigenvalues.of("YY")


def measure(*given, **settings):
    return measure_channel(jax.random.key(0), *given, **settings)


def estimate(data, *given, **settings):
    return pauli_eigenvalues(data, *given, **settings)


ODD = BellShots(np.zeros(3, int), 2)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: measure(channel(), 0), "^shots must be at least 1; got 0"),
        (lambda: measure(channel(), 9, "bel"), "^method must be one of .*mean 'bell'"),
        (lambda: measure(channel(), 9, depths=[1, 2]), "^depths must be left out for method 'b"),
        (lambda: measure(channel(), 9, "decay", depths=[2, 4]), "^depths must be two or more"),
        (lambda: measure(channel(), 9, "decay", depths=[1, 2.5, 4]), "^depths must be two or more .* whole numbers"),
        (lambda: measure(channel(), 9, "decay", depths=[1, 2, np.nan]), "^depths must be two or more .* whole numbers"),
        (lambda: measure(channel(), 9, "decay", depths=[1, 2, np.inf]), "^depths must be two or more .* whole numbers"),
        (lambda: measure(channel(), 9, "decay", depths=["a", "b"]), "^depths must be two or more .* whole numbers"),
        (lambda: measure(channel(), 9, "decay", visibility=1.5), "^visibility must be above 0"),
        (
            lambda: measure(PauliChannel.from_labels({"I" * 7: 1.0}), 9, "stabilizer"),
            "^channel must be of at most 6 qubits for groups of stabilizers; got n = 7",
        ),
        (lambda: estimate(3), "^data must be one of BellShots, StabilizerShots, DecayShots, ProductShots; got a"),
        (lambda: estimate(ODD, "decay"), "^method must be 'bell' for a BellShots; got 'decay'"),
        (lambda: estimate(ODD, confidence=95.0), "^confidence must be between 0 and 1; got 95"),
        (lambda: estimate(ODD, paulis=["X"]), "^labels must have 2 letters.*; got 'X'"),
        (lambda: estimate(BellShots(np.array([16]), 2)), "^errors must be from 0 to 15; got 16"),
        (lambda: estimate(BellShots(np.array([0.5]), 2)), "^errors must be whole numbers"),
        (lambda: estimate(BellShots(np.array([5]), 20)), "^data must be of at most 15 qubits .* bytes"),
        (lambda: estimate(StabilizerShots(np.zeros((4, 9), int), 2)), r"^syndromes must have shape \(2\^n \+ 1 ="),
        (lambda: estimate(ProductShots(np.ones((2, 2), int), np.ones((2, 3), int))), "^axes and flips must have"),
        (lambda: estimate(ProductShots(np.zeros((2, 2), int), np.ones((2, 2), int))), "^axes must be from 1 to 3"),
        (lambda: estimate(ProductShots(np.ones((2, 2), int), np.full((2, 2), 0.7))), "^flips must be whole numbers"),
        (
            lambda: estimate(DecayShots(np.array([1]), DEPTHS, np.ones((1, 6), int), 9, 1)),
            r"^positives must have shape \(1, 7\); got \(1, 6\)",
        ),
        (
            lambda: estimate(DecayShots(np.array([1]), DEPTHS, np.ones((1, 7), int), 9, 1), paulis=["Y"]),
            "^paulis must be strings that were measured",
        ),
        (lambda: js.quantum.load_shots("nowhere.npz"), "^data must be a file that exists; there is no nowhere.npz"),
        (lambda: js.quantum.load_shots(__file__), "^data must be an .npz file with a method and its arrays"),
    ],
)
def test_what_does_not_go_is_one_sentence(call, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()
