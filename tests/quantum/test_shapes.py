"""The law of Young diagrams."""

import itertools
import sys
from fractions import Fraction
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.quantum.shapes import _schur
from jaxsamp_kernels import young

q = js.quantum


def test_the_law_of_diagrams_is_that_of_all_words():
    # Every word of t letters by Schensted's algorithm on lists, weighted by its probability.
    p, t = (0.5, 0.3, 0.2), 5
    want: dict[tuple[int, ...], float] = {}
    for word in itertools.product(range(3), repeat=t):
        shape = schensted(word, 3)
        want[shape] = want.get(shape, 0) + np.prod([p[a] for a in word])
    shapes, chance = q.schur_weyl(p, t)
    assert {
        tuple(shape): pytest.approx(value, abs=1e-12) for shape, value in zip(shapes.tolist(), chance, strict=True)
    } == want


def schensted(word, d):
    rows: list[list[int]] = [[] for _ in range(d)]
    for letter in word:
        for row in rows:
            place = next((i for i, other in enumerate(row) if other > letter), None)
            if place is None:
                row.append(letter)
                break
            row[place], letter = letter, row[place]
    return tuple(len(row) for row in rows)


def test_row_insertion_is_that_of_lists():
    words = np.random.default_rng(0).integers(0, 4, (200, 12))

    def shape(word):
        table = jnp.zeros((4, 4), jnp.int32)
        return young.row_lengths(jax.lax.scan(lambda table, a: (young.rsk_insert(table, a), None), table, word)[0])

    found = jax.jit(jax.vmap(shape))(words)
    assert np.asarray(found).tolist() == [[*schensted(word, 4)] for word in words.tolist()]


def test_known_laws():
    shapes, chance = q.schur_weyl((0.55, 0.3, 0.15), 5)
    assert shapes.tolist() == [[5, 0, 0], [4, 1, 0], [3, 2, 0], [3, 1, 1], [2, 2, 1]]
    np.testing.assert_allclose(chance, [0.14644, 0.444465, 0.26783438, 0.10506375, 0.03619687], atol=1e-8)
    np.testing.assert_allclose(q.schur_weyl((0.5, 0.5), 4)[1], [0.3125, 0.5625, 0.125], atol=1e-12)
    for d, t in ((3, 40), (5, 12), (12, 3)):
        assert q.schur_weyl(np.full(d, 1 / d), t)[1].sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("p", "t"),
    [((0.96, 0.02, 0.01, 0.01), 14), ((0.5, 0.5, 0, 0), 12), ((0.9, 0.05, 0.05), 40), ((1 - 3e-6, 2e-6, 1e-6), 30)],
)
def test_polynomials_of_nearly_pure_states_are_those_of_exact_arithmetic(p, t):
    """By the branching rule over fractions, all of whose terms are positive; each to 1e-10 of itself."""

    @cache
    def exact(shape, d):
        if d == 1:
            return Fraction(p[0]) ** shape[0]
        inner = itertools.product(*(range(low, high + 1) for high, low in itertools.pairwise(shape)))
        terms = (exact(rows, d - 1) * Fraction(p[d - 1]) ** (sum(shape) - sum(rows)) for rows in inner)
        return sum(terms, Fraction(0))

    shapes = q.partitions(t, len(p))
    want = [float(exact(tuple(shape), len(p))) for shape in shapes.tolist()]
    np.testing.assert_allclose(_schur(shapes, np.array(p)), want, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize(
    "p",
    [
        (0.9,) + (0.1 / 7,) * 7,
        (0.9, 0.1) + (0.0,) * 6,
        (0.97,) + (0.006,) * 5,
        (0.999, 0.001),
        (1.0,) + (0.0,) * 7,
        (1 - 1.1e-5,) + (1e-6,) * 11,
    ],
)
def test_tables_of_nearly_pure_states_sum_to_one(p):
    """Of 40 copies; the sum was 1.08 for the first one."""
    chance = q.schur_weyl(p, 40)[1]
    assert chance.sum() == pytest.approx(1, abs=1e-11)


def test_the_error_of_nearly_pure_states_is_that_of_draws(key):
    """40,000 draws, within four standard errors of their mean."""
    p, t = np.array((0.9,) + (0.1 / 7,) * 7), 40
    donated = np.asarray(young.donate(q.sample_partitions(key, p, t, 40_000)), float)
    drawn = (donated**2).sum(1) / t**2 - (p**2).sum()
    assert abs(drawn.mean() - q.keyl_error(p, t)) < 4 * drawn.std() / 200


@pytest.mark.parametrize("p", [(0.55, 0.3, 0.15), (0.5, 0.5), (0.4, 0.4, 0.2)])
def test_diagrams_have_their_law(p, key):
    # The total variation of 200,000 draws of five cells is 0.001 on average, and above 0.005 once in 10^6 runs.
    shapes, chance = q.schur_weyl(p, 5)
    drawn = np.asarray(q.sample_partitions(key, p, 5, 200_000))
    share = [(drawn == shape).all(1).mean() for shape in shapes]
    assert sum(share) == pytest.approx(1) and np.abs(share - chance).sum() / 2 < 0.005


def test_other_copies_and_states_compile_nothing_anew(key):
    q.sample_partitions(key, (0.5, 0.5), 3, 100)
    module: Any = sys.modules["jaxsamp.running.rows"]
    before = module._compiled._cache_size()
    q.sample_partitions(key, (0.9, 0.1), 30, 100)
    assert module._compiled._cache_size() == before


@pytest.mark.parametrize("shape", [(5, 3, 1), (4, 4, 1), (2, 0, 0), (3, 3, 3)])
def test_donation_keeps_the_number_of_boxes(shape):
    found = np.asarray(young.donate(jnp.array(shape)))
    assert found.sum() == sum(shape)
    want = [row + sum(other < row for other in shape) - sum(other > row for other in shape) for row in shape]
    assert found.tolist() == want


def test_donation_of_a_known_diagram():
    assert np.asarray(young.donate(jnp.array([5, 3, 1]))).tolist() == [7, 3, -1]


@pytest.mark.parametrize(
    ("d", "t", "want"), [(2, 1, 4.5), (2, 5, 2.45), (2, 8, 2.19238281), (3, 5, 5.46666667), (3, 8, 4.75285780)]
)
def test_squared_error_at_the_mixed_state(d, t, want):
    assert t * q.keyl_error(np.full(d, 1 / d), t) == pytest.approx(want, abs=1e-7)


@pytest.mark.parametrize(
    ("t", "d", "want"), [(3, 2, 0.55555556), (5, 2, 0.63333333), (3, 3, 0.42592593), (5, 3, 0.50555556)]
)
def test_linear_response(t, d, want):
    assert q.linear_response(t, d) == pytest.approx(want, abs=1e-8)
    assert q.linear_response(1, d) == pytest.approx(1 / (d + 1), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: q.schur_weyl((0.5, 0.6), 3), "eigenvalues must be numbers .d,. that are not negative with sum 1; got"),
        (lambda: q.schur_weyl((1.5, -0.5), 3), "eigenvalues must be numbers .* least -0.5"),
        (lambda: q.schur_weyl((0.5, 0.5), 41), "t must be at most 40 for an exact law; got 41"),
        (lambda: q.partitions(0, 2), "t must be at least 1; got 0"),
    ],
)
def test_bad_arguments(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
