"""Laws of spins: numbers known from elsewhere, formulas against the definition, and sentences for what is wrong."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chi2

import jaxsamp as js
from jaxsamp.discrete import MRF, Ising, SparseIsing, base
from jaxsamp_kernels import enumeration
from tests.discrete.instances import r1, r2, ring, torus

PAIR = np.array([[0.0, 0.3], [0.3, 0.0]])
exponent, local_fields = (
    jax.jit(lambda law, x, name=name: getattr(law, name)(x)) for name in ("exponent", "local_fields")
)


def test_sums_over_states_are_the_known_ones(x64):
    e = r1().enumerate()
    second = np.asarray(e.second)
    found = [e.log_partition, e.exponent, e.entropy, second[0, 1], np.asarray(e.mean)[4], second.mean(), r1().width]
    known = [8.11348459, 2.17280612, 5.94067848, 0.31161689, -0.01388520, 0.19239411, 4.72952749]
    np.testing.assert_allclose(found, known, atol=1e-8)
    law = r2()
    p, x = np.asarray(law.probabilities()), np.asarray(js.discrete.states(8))
    found = [law.log_partition(), p @ (x[:, 0] * x[:, 1] * x[:, 2]), p @ (x[:, 1] * x[:, 4] * x[:, 6])]
    np.testing.assert_allclose(found, [6.45451748, 0.09611014, -0.00074272], atol=1e-8)
    e = ring().enumerate()
    np.testing.assert_allclose(
        [e.log_partition, np.asarray(e.mean)[0], np.asarray(e.second)[0, 4]],
        [13.22594589, 0.26271552, 0.10723749],
        atol=1e-8,
    )


@pytest.mark.parametrize(
    ("size", "beta", "known"),
    [(3, 0.35, (-1.23687517, 0.62376705, 0.73248227)), (4, 0.3, (-0.84405407, 0.35764680, 0.52035800))],
)
def test_a_torus_has_each_edge_once(x64, size, beta, known):
    law, n = torus(size, beta), size**2
    m = np.asarray(js.discrete.states(n)).mean(1)
    p = np.asarray(law.probabilities())
    np.testing.assert_allclose([-law.enumerate().exponent / beta / n, p @ m**2, p @ abs(m)], known, atol=1e-8)
    assert len(js.discrete.lattice(2, 2).edges) == 4


@pytest.mark.parametrize("law", [r1, r2, lambda: ring(5), lambda: MRF({(0, 1, 2, 3): 0.4, 1: -0.2}, 6)])
def test_local_fields_are_half_the_difference_of_exponents(x64, law):
    law = law()
    x = np.random.default_rng(0).choice([-1.0, 1.0], (8, law.sites))
    spin = np.arange(law.sites)
    up, down = np.repeat(x[:, None], law.sites, 1), np.repeat(x[:, None], law.sites, 1)
    up[:, spin, spin], down[:, spin, spin] = 1, -1
    rows = np.concatenate([up, down]).reshape(-1, law.sites)
    exponents = np.asarray(exponent(law, rows)).reshape(2, *x.shape[:2])
    np.testing.assert_allclose(local_fields(law, x), (exponents[0] - exponents[1]) / 2, atol=1e-12)
    power = law.scaled(0.3)
    np.testing.assert_allclose(exponent(power, rows), 0.3 * exponents.reshape(-1), atol=1e-12)
    np.testing.assert_allclose(power.width, 0.3 * law.width, atol=1e-12)
    assert law.conditional_mean(jnp.asarray(x, jnp.int8)).dtype == float


def test_one_law_in_three_forms(x64):
    dense, x = ring(6), js.discrete.states(6)
    same = Ising(dense.couplings, dense.fields)
    terms = {(int(a), int(b)): 0.5 for a, b in dense.edges} | {(i,): 0.1 for i in range(6)}
    for law in (same, MRF(terms)):
        chex.assert_trees_all_close(exponent(law, x), exponent(dense, x), atol=1e-12)
        chex.assert_trees_all_close(local_fields(law, x), local_fields(dense, x), atol=1e-12)
        np.testing.assert_allclose(law.width, dense.width)
    assert MRF(terms).terms == terms


def test_draws_have_the_law_and_do_not_depend_on_their_number():
    """Chi-square over all 256 states, false alarm 1e-4."""
    law, n = r2(), 20_000
    x = law.sample(jax.random.key(0), n)
    assert x.dtype == jnp.int8
    counts = np.bincount((np.asarray(x) > 0) @ 2 ** np.arange(8), minlength=256)
    expected = n * np.asarray(law.probabilities(), float)
    assert ((counts - expected) ** 2 / expected).sum() < chi2(255).isf(1e-4)
    chex.assert_trees_all_equal(law.sample(jax.random.key(0), 7), x[:7])


def test_blocks_of_states_change_nothing(x64, monkeypatch):
    law, y = ring(6), np.random.default_rng(1).normal(size=(3, 6))

    def sums():
        def of(law, y):
            s = enumeration.exponents(law.exponent, 6)
            return s, enumeration.moments(s), enumeration.tilted(s, y)

        return jax.jit(of)(law, y)

    whole = sums()
    monkeypatch.setattr(enumeration, "BLOCK", 16)
    monkeypatch.setattr(enumeration, "INNER", 3)
    chex.assert_trees_all_close(sums(), whole, atol=1e-12)


def test_noised_density_and_its_score(x64):
    law, level = r1(), js.Level(0.8, 0.6)
    y, x = np.random.default_rng(1).normal(size=(3, 10)), js.discrete.states(10)
    squares = ((y[:, None] - 0.8 * np.asarray(x)) ** 2).sum(-1)
    direct = logsumexp(np.asarray(law.log_prob(x)) - squares / 0.72, axis=1) - 5 * np.log(2 * np.pi * 0.36)

    @jax.jit
    def noised(law, y):
        density, pulled = jax.vjp(lambda y: law.log_prob(y, level), y)
        return density, pulled(jnp.ones(len(y)))[0], law.score(y, level)

    density, gradient, score = noised(law, y)
    np.testing.assert_allclose(density, direct, atol=1e-10)
    np.testing.assert_allclose(gradient, score, atol=1e-10)


def test_instances_have_their_variances():
    key = jax.random.key(0)
    j = np.asarray(js.discrete.sk(key, 300, 0.5).couplings)
    np.testing.assert_allclose(j[np.triu_indices(300, 1)].std() * np.sqrt(300), 0.5, rtol=0.02)  # 6 standard errors
    w = np.asarray(js.discrete.p_spin(key, 40, 2.0).weights)
    assert len(w) == 40 * 39 * 38 / 6
    np.testing.assert_allclose(w.std() * 40, 2 * np.sqrt(3), rtol=0.05)
    assert set(np.unique(js.discrete.edwards_anderson(key, 3, 3, 0.5, "signs").weights)) == {-0.5, 0.5}
    patterns = np.array([[1, 1, -1, -1], [1, -1, 1, 1]])
    np.testing.assert_allclose(
        js.discrete.hopfield(patterns, 2.0).couplings, (patterns.T @ patterns) * (1 - np.eye(4)) / 2
    )
    np.testing.assert_allclose(js.discrete.curie_weiss(4, 2.0, 0.1).local_fields(jnp.ones((1, 4))), 1.6, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Ising(np.ones((2, 3))), "couplings must have shape (n, n); got (2, 3)."),
        (lambda: Ising(PAIR + np.eye(2)), "couplings must be zero on the diagonal"),
        (lambda: Ising(np.array([[0, 0.3], [0.1, 0]])), "must be symmetric; got 0.3 at (0, 1) and 0.1 at (1, 0)"),
        (lambda: Ising(PAIR * np.nan), "couplings must be finite; got nan"),
        (lambda: Ising(PAIR, np.ones(3)), "fields must have shape (2,); got (3,)."),
        (lambda: Ising(PAIR, [0.0, np.inf]), "fields must be finite; got inf"),
        (lambda: SparseIsing([(0, 0)], 1.0, 2), "edges must join two different spins"),
        (lambda: SparseIsing([(0, 1), (1, 0)], 1.0, 2), "edges must name each pair once; got (0, 1) 2 times."),
        (lambda: SparseIsing([(0, 5)], 1.0, 2), "edges must name spins 0, ..., 1; got 0 to 5."),
        (lambda: SparseIsing([(0, 1)], [1.0, 2.0], 2), "weights must be one number or of shape (E,) = (1,); got (2,)."),
        (lambda: MRF({(0, 1, 1): 1.0}), "terms must name a spin once, because x_i^2 = 1; got (0, 1, 1)."),
        (lambda: MRF({(0, 1): 1.0, (1, 0): 2.0}), "terms must be given once; got (0, 1) 2 times."),
        (lambda: MRF({(): 1.0, (1, 0): 2.0}), "terms must have at least one spin"),
        (lambda: MRF({(0, 1, 2, 3, 4): 1.0}), "terms must have at most 4 spins; got one of 5."),
        (lambda: MRF({(0, 7): 1.0}, 3), "terms must name spins 0, ..., 2; got 7."),
        (lambda: js.discrete.lattice(200, 2).couplings, "couplings must fit into memory"),
        (lambda: js.discrete.sk(jax.random.key(0), 10**7), "400,000,000,000,000 bytes."),
        (lambda: js.discrete.sk(jax.random.key(0), 30).log_partition(), "must have at most 22 spins for sums over all"),
        (lambda: js.discrete.states(23), "n must be at most 22"),
        (lambda: js.discrete.hopfield(np.zeros((2, 3))), "patterns must be an array (m, n) of +1 and -1"),
        (lambda: js.discrete.p_spin(jax.random.key(0), 9, order=5), "order must be at most 4; got 5."),
    ],
)  # fmt: skip
def test_a_law_that_cannot_be_is_a_sentence(make, says, monkeypatch):
    monkeypatch.setattr(base.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096}.get(name, 2**20))  # 4 GiB
    with pytest.raises(ValueError) as caught:
        make()
    assert says in str(caught.value)


def test_terms_are_a_mapping():
    with pytest.raises(TypeError, match="terms must be a mapping from tuples of spins to weights; got a list"):
        inspect.unwrap(MRF.__init__)(object.__new__(MRF), [(0, 1)])
