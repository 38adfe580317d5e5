"""Sweeps of spins: whatever a model is made of, the same numbers give the same chain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp_kernels import spins as kernel
from jaxsamp_kernels.spins_sparse import color_sweep

N, CHAINS, SWEEPS = 10, 16, 12


def case():
    """Couplings and fields of moderate size, states, and the numbers of some sweeps."""
    rng = np.random.default_rng(0)
    upper = np.triu(rng.normal(size=(N, N)) / np.sqrt(N), 1)
    x = rng.choice([-1, 1], (CHAINS, N)).astype(np.int8)
    return upper + upper.T, 0.3 * rng.normal(size=N), x, rng.logistic(size=(SWEEPS, CHAINS, N)) / 2


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def reference(couplings, bias, x, t):
    """The chain by its definition, a spin at a time, with every field computed anew, from uniform numbers."""
    x = np.array(x, float)
    for u in sigmoid(2 * t):
        for i in range(N):
            f = x @ couplings[i] + bias[i]
            x[:, i] = np.where(u[:, i] < sigmoid(2 * f), 1, -1)
    return x


def dense(width, couplings, bias):
    def sweep(x, t):
        f = kernel.fields(x, couplings, bias)
        if width is None:
            return kernel.heat_bath_sweep(x, f, couplings, t)[0]
        x, f = kernel.panel_sweep(x, f, couplings, t, width)
        return x

    return sweep


def sparse(couplings, bias):
    neighbors = jnp.asarray([[j for j in range(N) if j != i] + [N] for i in range(N)])
    weights = jnp.asarray([[*np.delete(row, i), 0.0] for i, row in enumerate(couplings)])
    return lambda x, t: kernel.sparse_sweep(x, neighbors, weights, bias, t)


def terms(couplings, bias):
    pairs = [(i, j) for i in range(N) for j in range(i)] + [(i, N) for i in range(N)]
    weights = jnp.asarray([couplings[i, j] if j < N else bias[i] for i, j in pairs])
    of = jnp.asarray([[t for t, pair in enumerate(pairs) if i in pair] + [len(pairs)] for i in range(N)])
    members = jnp.asarray(pairs)
    return lambda x, t: kernel.term_sweep(x, kernel.term_products(x, members), of, weights, t)[0]


def plain(couplings, bias):
    return lambda x, t: kernel.plain_sweep(x, lambda x, i: kernel.fields(x, couplings, bias)[i], t)


KINDS = {
    "a row a flip": lambda *case: dense(None, *case),
    "panels that divide": lambda *case: dense(5, *case),
    "panels with a rest": lambda *case: dense(4, *case),
    "one large panel": lambda *case: dense(32, *case),
    "neighbors": sparse,
    "terms": terms,
    "anything": plain,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_sweep_is_the_chain_of_its_definition(x64, kind):
    couplings, bias, x, t = case()
    sweep = jax.jit(jax.vmap(KINDS[kind](jnp.asarray(couplings), jnp.asarray(bias))))
    found = jnp.asarray(x)
    for numbers in t:
        found = sweep(found, numbers)
    assert found.dtype == jnp.int8
    np.testing.assert_array_equal(found, reference(couplings, bias, x, t))


def test_products_of_terms_of_three_and_four_go_along(x64):
    members, rng = jnp.asarray([[0, 1, 2, 4], [1, 2, 3, 4], [0, 1, 2, 3], [2, 4, 4, 4]]), np.random.default_rng(1)
    of = jnp.asarray([[0, 2, 4, 4], [0, 1, 2, 4], [0, 1, 2, 3], [1, 2, 4, 4]])  # four terms, so 4 fills up
    weights = jnp.asarray([0.5, -0.7, 0.9, 0.2])
    x = jnp.asarray(rng.choice([-1, 1], 4), jnp.int8)
    sweep = jax.jit(lambda x, t: kernel.term_sweep(x, kernel.term_products(x, members), of, weights, t))
    for t in rng.logistic(size=(20, 4)) / 2:
        expected = np.array(x, float)
        for i in range(4):
            others = [np.prod([expected[j] for j in m if j not in (i, 4)]) for m in np.asarray(members)]
            f = sum(w * p for w, p, m in zip(weights, others, np.asarray(members), strict=True) if i in m)
            expected[i] = 1 if sigmoid(2 * t[i]) < sigmoid(2 * f) else -1
        x, products = sweep(x, t)
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(products, kernel.term_products(x, members))


def test_colors_of_chains_of_ladders_and_of_models_have_the_bits_of_one():
    """Whatever `jax.vmap` adds, once or twice: three colors of five spins with two neighbors each, float32."""
    rng = np.random.default_rng(0)
    nearby = jnp.asarray(rng.integers(0, 15, (3, 2, 5)))
    weights, fields = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 2, 5), (3, 5)))
    y = jnp.asarray(rng.choice([-1, 1], (4, 2, 3, 5)), jnp.float32)
    t = jnp.asarray(rng.normal(size=y.shape), jnp.float32)
    one = jax.jit(lambda y, weights, t: color_sweep(y, nearby, weights, fields, t))
    expected = np.array([[one(y[i, k], weights, t[i, k]) for k in range(2)] for i in range(4)])
    twice = jax.vmap(jax.vmap(one, (0, None, 0)), (0, None, 0))
    np.testing.assert_array_equal(twice(y, weights, t), expected)
    shared = jax.vmap(one, (0, None, None))(y[:, 0], weights, t[0, 0])
    np.testing.assert_array_equal(shared, [one(y[i, 0], weights, t[0, 0]) for i in range(4)])
    models = jax.vmap(one, (None, 0, None))(y[0, 0], jnp.stack([weights, -weights]), t[0, 0])
    np.testing.assert_array_equal(models, [one(y[0, 0], sign * weights, t[0, 0]) for sign in (1, -1)])
