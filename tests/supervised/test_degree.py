"""Degrees of Boolean functions: reference values, functions that are known, duality, and two routes."""

from itertools import product
from math import comb

import numpy as np
import pytest

from jaxsamp.supervised import approximate_degree, best_error, csq_norm, dual_witness, threshold_degree

AT_LEAST_2_OF_8 = np.array([0.0, 0, 1, 1, 1, 1, 1, 1, 1])


def spread(symmetric):
    """All values of a symmetric function."""
    n = len(symmetric) - 1
    return np.array([symmetric[sum(x)] for x in product((0, 1), repeat=n)]).reshape((2,) * n)


def test_errors_of_at_least_two_of_eight():
    found = [best_error(AT_LEAST_2_OF_8, degree) for degree in range(1, 5)]
    np.testing.assert_allclose(found, [0.42857143, 0.28125, 0.28125, 0.23469388], atol=1e-8)
    assert approximate_degree(AT_LEAST_2_OF_8) == 2
    assert best_error(AT_LEAST_2_OF_8, 8) < 1e-9


@pytest.mark.parametrize("symmetric", [[0.0, 1, 1, 0, 1], [1.0, 0, 0, 1, 0, 0], [0.0, 0.5, 2, -1]])
def test_symmetric_functions_are_as_hard_as_all_their_values(symmetric):
    for degree in range(len(symmetric)):
        assert best_error(symmetric, degree) == pytest.approx(best_error(spread(symmetric), degree), abs=1e-9)
    signs = np.where(np.array(symmetric) > 0.4, 1, -1)
    assert threshold_degree(signs) == threshold_degree(spread(signs))


@pytest.mark.parametrize("unit", [1e-9, 1e-5, 1e9])
def test_units_of_the_values_do_not_change_the_degree(unit):
    values = unit * (AT_LEAST_2_OF_8 + 7)
    assert best_error(values, 3) == pytest.approx(0.28125 * unit, rel=1e-7)
    assert approximate_degree(values, unit / 3) == 2
    assert dual_witness(values, 4).correlation == pytest.approx(0.28125 * unit, rel=1e-7)
    assert best_error(np.full(5, unit), 0) == 0 == approximate_degree(np.full(5, unit))


def test_small_errors_are_those_of_rational_arithmetic():
    """Of e^(-k / 10), k = 0 ... 30, by exchanges of Remez in fractions."""
    values = np.exp(-np.arange(31) / 10)
    for degree, exact in {5: 1.202e-4, 7: 1.165e-6, 9: 7.036e-9}.items():
        assert best_error(values, degree) == pytest.approx(exact, rel=1e-3, abs=1e-10)
    assert [approximate_degree(values, error) for error in (1e-5, 1e-6, 1e-7, 1e-8)] == [7, 8, 8, 9]


@pytest.mark.parametrize("n", [30, 60, 200])
def test_errors_of_high_degrees_are_those_of_alternating_sums(n):
    """Of degree n - 1 it is |sum_k (-1)^k C(n, k) f(k)| / 2^n, in whole numbers."""
    bits = np.random.default_rng(n).integers(0, 2, n + 1)
    exact = abs(sum((-1) ** k * comb(n, k) * int(bit) for k, bit in enumerate(bits))) / 2**n
    assert best_error(bits.astype(float), n - 1) == pytest.approx(exact, abs=1e-9)
    middle = best_error(bits.astype(float), n // 2)
    assert dual_witness(bits.astype(float), n // 2 + 1).correlation == pytest.approx(middle, abs=1e-8)


def test_parity_needs_every_degree_and_or_one_threshold():
    n = 6
    parity = np.array([(-1.0) ** k for k in range(n + 1)])
    assert threshold_degree(parity) == n == approximate_degree(parity)
    assert [best_error(parity, degree) for degree in range(n)] == pytest.approx([1.0] * n, abs=1e-9)
    assert threshold_degree(np.array([-1.0] + [1.0] * n)) == 1


def test_threshold_degrees_of_two_functions():
    assert threshold_degree(np.where(np.arange(8) == 3, 1, -1)) == 2
    assert threshold_degree(np.where(np.arange(7) % 3 == 0, 1, -1)) == 4


def test_a_tie_at_a_third_counts():
    """The or of two: 1/3 is within reach of degree 1 to the digit."""
    tie = best_error([0.0, 1, 1], 1)
    assert approximate_degree([0.0, 1, 1], error=tie) == 1
    assert approximate_degree([0.0, 1, 1], error=tie - 1e-6) == 2


def test_many_variables_are_solved_too():
    """Of the or of n variables the degree grows like sqrt(n) (Nisan and Szegedy)."""
    degrees = [approximate_degree(np.minimum(np.arange(n + 1.0), 1)) for n in (50, 200)]
    assert 1.7 < degrees[1] / degrees[0] < 2.4


@pytest.mark.parametrize("values", [AT_LEAST_2_OF_8, spread([0.0, 1, 1, 0, 1])], ids=["symmetric", "all"])
def test_witnesses_are_orthogonal_and_as_large_as_the_error(values):
    degree = 3
    weights, correlation = dual_witness(values, degree)
    assert np.abs(weights).sum() == pytest.approx(1, abs=1e-9)
    assert correlation == pytest.approx(np.sum(weights * values), abs=1e-12)
    assert correlation == pytest.approx(best_error(values, degree - 1), abs=1e-9)
    if weights.ndim == 1:
        assert correlation == pytest.approx(0.28125, abs=1e-9)
        powers = np.arange(9.0)[:, None] ** np.arange(degree)
        np.testing.assert_allclose(weights @ powers, 0, atol=1e-7)
    else:
        cube = np.array([*product((1, -1), repeat=4)])
        for chosen in product((0, 1), repeat=4):
            if sum(chosen) < degree:
                parity = cube[:, np.array(chosen, bool)].prod(1)
                assert abs(weights.reshape(-1) @ parity) < 1e-9


def test_parities_see_a_hidden_witness_as_often_as_they_hit_it():
    """Against the average over all places, for a parity of each size."""
    weights = dual_witness(np.array([0.0, 1, 1, 0, 1]), 2).weights
    m, n = 4, 7
    cube = np.array([*product((0, 1), repeat=m)])
    each = np.array([weights[sum(x)] for x in cube]) / np.array([len(cube[cube.sum(1) == sum(x)]) for x in cube])
    places = [np.flatnonzero(chosen) for chosen in product((0, 1), repeat=n) if sum(chosen) == m]
    for k, found in enumerate(csq_norm(weights, n)):
        squares = []
        for place in places:
            inside = set(range(k)) <= set(place.tolist())
            chosen = [place.tolist().index(i) for i in range(k)] if inside else None
            # A parity with a coordinate outside, which is uniform and free, has correlation 0.
            squares.append(0.0 if chosen is None else (each @ (1 - 2 * cube[:, chosen]).prod(1)) ** 2)
        assert found == pytest.approx(np.sqrt(np.mean(squares)), abs=1e-9)
    assert csq_norm(weights, n)[:2] == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: best_error([1.0], 1), r"values must have shape \(n \+ 1,\)"),
        (lambda: best_error(np.zeros((2, 3)), 1), r"or \(2,\) \* n for any other; got \(2, 3\)"),
        (lambda: best_error(np.zeros(300), 1), "n from 1 to 200"),
        (lambda: best_error(np.zeros((2,) * 13), 1), "values must be of at most 12 variables; got 13"),
        (lambda: best_error([0.0, np.nan], 1), "values must be finite"),
        (lambda: best_error([0.0, 1.0], -1), "degree must be at least 0; got -1"),
        (lambda: dual_witness([0.0, 1.0], 0), "degree must be at least 1; got 0"),
        (lambda: threshold_degree([0.0, 1.0]), r"signs must be -1 or \+1"),
        (lambda: approximate_degree([0.0, 1.0], 0.0), "error must be a positive number; got 0.0"),
        (
            lambda: approximate_degree([0.0, 2.0], 1e-9),
            "error must be at least 1e-08 of half the range of f, 1: smaller",
        ),
        (lambda: csq_norm(np.zeros((2, 2)), 4), r"weights must be those of a symmetric function, \(m \+ 1,\)"),
        (lambda: csq_norm(np.zeros(5), 3), "n must be at least 4; got 3"),
    ],
    ids=range(12),
)
def test_what_cannot_be_computed_is_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
