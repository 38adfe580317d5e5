"""The streaming posterior of data points against dense float64 sums, in value, gradient and memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from jaxsamp_kernels.empirical import empirical_posterior

posterior = partial(jax.jit, static_argnames=("chunk", "refine"))(empirical_posterior)


def dense(x, alpha, sigma, data):
    """The same by the definition, in float64, with every difference explicit: mean, log density, ESS."""
    x, data = np.asarray(x, float), np.asarray(data, float)
    alpha, sigma = (np.broadcast_to(np.asarray(v, float), len(x))[:, None] for v in (alpha, sigma))
    logits = -((x[:, None] - alpha[:, None] * data) ** 2).sum(-1) / (2 * sigma**2)
    log_sum = logsumexp(logits, axis=1, keepdims=True)
    w = np.exp(logits - log_sum)
    log_scale = np.log(len(data)) + x.shape[1] / 2 * np.log(2 * np.pi * sigma**2)
    return w @ data, (log_sum - log_scale)[:, 0], 1 / (w**2).sum(1)


def problem(n=1003, d=6, queries=9, seed=0):
    rng = np.random.default_rng(seed)
    return 2 + rng.normal(size=(queries, d)), 3 + rng.normal(size=(n, d))


def clusters():
    """Points .03 apart around two centers 200 apart: at sigma = .01 the matrix product cannot tell them apart."""
    rng = np.random.default_rng(1)
    center = np.array([[100.0], [-100.0]]) * np.ones(4) / 2
    data = np.float32((center[:, None] + 0.03 * rng.normal(size=(2, 40, 4))).reshape(-1, 4))
    return np.float32(data[::5] + 0.01 * rng.normal(size=(16, 4))), data, 0.01


LEVELS = [(0.7, 0.5), (1.0, 0.05), (0.3, 1e-3), (np.linspace(0.2, 1, 9), np.geomspace(1e-9, 5, 9))]


@pytest.mark.parametrize("chunk, refine", [(4096, 0), (100, 0), (1003, 16), (128, 5000)])
def test_equals_dense_sums_whatever_the_chunk(x64, chunk, refine):
    x, data = problem()
    for level in LEVELS:
        alpha, sigma = (np.broadcast_to(value, len(x)) for value in level)
        got = posterior(*map(jnp.asarray, (x, alpha, sigma, data)), chunk=chunk, refine=refine)
        for name, a, b in zip(got._fields, got, dense(x, alpha, sigma, data), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)


def test_log_density_is_the_mixture_of_normals(x64):
    x, data = map(jnp.asarray, problem())
    normals = jax.scipy.stats.norm.logpdf(x[:, None], 0.8 * data, 0.4).sum(-1)
    expected = jax.scipy.special.logsumexp(normals, axis=1) - jnp.log(len(data))
    np.testing.assert_allclose(posterior(x, 0.8, 0.4, data).log_prob, expected, rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 80.0])
def test_float32_is_close_to_float64(sigma):
    x, data = problem(n=3000, d=48)
    x = np.float32(0.9 * data[: len(x)] + sigma * x)
    data = np.float32(data)
    got = posterior(jnp.asarray(x), 0.9, sigma, jnp.asarray(data))
    mean, log_prob, ess = dense(x, np.float32(0.9), np.float32(sigma), data)
    np.testing.assert_allclose(got.mean, mean, atol=5e-5)
    np.testing.assert_allclose(got.log_prob, log_prob, atol=1e-3)
    np.testing.assert_allclose(got.ess, ess, rtol=1e-3)


def test_narrow_data_are_widened_chunk_by_chunk():
    x, data = problem()
    narrow = jnp.asarray(data, jnp.bfloat16)
    got = posterior(jnp.asarray(x, jnp.float32), 0.7, 0.5, narrow, chunk=128)
    np.testing.assert_allclose(got.mean, dense(np.float32(x), 0.7, 0.5, narrow.astype(jnp.float32))[0], atol=1e-4)
    assert got.mean.dtype == jnp.float32


def test_finite_and_right_far_away_and_at_small_sigma():
    x, data = problem(d=4)
    data = jnp.asarray(data, jnp.float32)
    far = jnp.asarray(50 * x / np.linalg.norm(x, axis=1, keepdims=True), jnp.float32)

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def log_prob(x, sigma):
        found = empirical_posterior(x, 1.0, sigma, data, refine=16)
        return found.log_prob.sum(), found

    for sigma in np.float32([0.05, 1e-3]):
        (_, got), gradient = log_prob(far, sigma)
        expected = dense(far, 1.0, sigma, data)
        np.testing.assert_allclose(got.mean, expected[0], atol=1e-4)
        np.testing.assert_allclose(got.log_prob, expected[1], rtol=1e-6)
        np.testing.assert_allclose(gradient, (expected[0] - far) / sigma**2, rtol=1e-4)


def test_second_pass_sees_what_the_matrix_product_blurs():
    x, data, sigma = clusters()
    expected = dense(x, 1.0, np.float32(sigma), data)
    plain = posterior(jnp.asarray(x), 1.0, sigma, jnp.asarray(data))
    assert np.abs(plain.mean - expected[0]).max() > 1e-2 and np.abs(plain.log_prob - expected[1]).max() > 1
    refined = posterior(jnp.asarray(x), 1.0, sigma, jnp.asarray(data), refine=48)
    np.testing.assert_allclose(refined.mean, expected[0], atol=1e-5)
    np.testing.assert_allclose(refined.log_prob, expected[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(refined.ess, expected[2], rtol=1e-4)


@pytest.mark.parametrize("refine", [0, 2])
def test_noise_in_many_dimensions_does_not_blur_the_points(refine):
    random = np.random.default_rng(0)
    data = np.float32(0.5 * random.standard_normal((20, 12288)))
    x = np.float32(data + 80 * random.standard_normal(data.shape))
    got = posterior(jnp.asarray(x), 1.0, 80.0, jnp.asarray(data), refine=refine)
    np.testing.assert_allclose(got.mean, dense(x, 1.0, np.float32(80), data)[0], atol=1e-5)


def test_second_pass_is_left_out_where_the_nearest_points_do_not_carry_all_the_weight():
    x, data, _ = clusters()
    for sigma in (0.05, 0.3):  # 48 of the 80 points reach past one cluster of 40, 8 do not
        plain = posterior(jnp.asarray(x), 1.0, sigma, jnp.asarray(data))
        kept = posterior(jnp.asarray(x), 1.0, sigma, jnp.asarray(data), refine=8)
        np.testing.assert_allclose(kept.mean, plain.mean, atol=1e-5)
        refined = posterior(jnp.asarray(x), 1.0, sigma, jnp.asarray(data), refine=48)
        np.testing.assert_allclose(refined.mean, dense(x, 1.0, np.float32(sigma), data)[0], atol=1e-5)


def test_gradient_of_the_log_density_is_the_score(x64):
    x, data = map(jnp.asarray, problem(n=300))

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def log_prob(x, sigma):
        found = empirical_posterior(x, 0.7, sigma, data, chunk=77, refine=8)
        return found.log_prob.sum(), found.mean

    for sigma in (0.5, 1e-7):  # first pass only, and both
        query = 0.7 * data[: len(x)] + sigma * x
        (_, mean), gradient = log_prob(query, sigma)
        np.testing.assert_allclose(gradient, (0.7 * mean - query) / sigma**2, rtol=1e-6, atol=1e-9)


def test_every_output_has_the_derivatives_of_the_dense_sum(x64):
    x, data = map(jnp.asarray, problem(n=60, d=3, queries=2))

    def dense_sum(x, alpha, sigma, data):
        logits = -0.5 * (((x[:, None] - alpha * data) / sigma) ** 2).sum(-1)
        w = jax.nn.softmax(logits)
        log_prob = jax.nn.logsumexp(logits, 1) - 3 * jnp.log(sigma)
        return ((w @ data) ** 2).sum() + log_prob.sum() - jnp.log((w**2).sum(1)).sum()

    def streamed(x, alpha, sigma, data):
        mean, log_prob, ess = empirical_posterior(x, alpha, sigma, data, chunk=25)
        return (mean**2).sum() + log_prob.sum() + jnp.log(ess).sum()

    got, expected = (
        jax.jit(lambda *a, f=f: (jax.grad(f, (0, 1, 2, 3))(*a), jax.hessian(f)(*a)))(x, 0.7, 0.9, data)
        for f in (streamed, dense_sum)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10), got, expected)


def test_single_queries_under_vmap_equal_the_batch():
    x, data = problem(d=4)
    data = jnp.asarray(data, jnp.float32)

    @jax.jit
    def batch(x, sigma):
        return empirical_posterior(x, 0.9, sigma, data, chunk=100, refine=8)

    def single(x, sigma):
        return jax.tree.map(lambda leaf: leaf[0], batch(x[None], sigma))

    shared, own = jax.jit(jax.vmap(single, (0, None))), jax.jit(jax.vmap(single))
    for sigma in (0.5, 0.003):  # first pass only, and both
        query = jnp.asarray(0.9 * data[: len(x)] + sigma * x, jnp.float32)
        expected = batch(query, sigma)
        for got in (shared(query, sigma), own(query, jnp.full(len(x), sigma))):
            for a, b in zip(got, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-4)


def test_ess_counts_equal_points():
    data = jnp.concatenate([jnp.zeros((5, 3)), jnp.full((7, 3), 100.0)])
    got = posterior(jnp.array([[0.1, 0, 0], [100.0, 100, 100], [50, 50, 50]]), 1.0, 1.0, data, chunk=4)
    np.testing.assert_allclose(got.ess, [5, 7, 12], rtol=1e-5)


def _batch(x, sigma, data, refine=16):
    return empirical_posterior(x, 1.0, sigma, data, chunk=256, refine=refine)


def _singles(x, sigma, data):
    return jax.vmap(lambda x, s: _batch(x[None], s, data))(x, sigma)


def _gradient(x, sigma, data):
    return jax.grad(lambda x: _batch(x, sigma, data, refine=0).mean.sum())(x)


@pytest.mark.parametrize("function", [_batch, _singles, _gradient])
def test_memory_is_that_of_a_chunk_not_of_the_data(function):
    queries, n, d, chunk = 64, 65536, 96, 256
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((queries, d), (queries,), (n, d))]
    used = jax.jit(function).lower(*arguments).compile().memory_analysis().temp_size_in_bytes
    pieces = 4 * (queries * chunk + queries * d + chunk * d)  # logits, means and data of a step
    assert used < 3.5 * pieces  # all logits at once would take 22 times as much again
