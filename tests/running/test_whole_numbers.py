"""Whole numbers and booleans are numbers: what is computed from them is not rounded to their type."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import SCHEDULES, gaussian, small_mixture

KEY = jax.random.key(0)
GRID = np.array([1.0, 0.5, 0.1], np.float32)
WHOLE = np.array([[12, 9], [3, 200]])
OTHERS = {
    "uint8": WHOLE.astype(np.uint8),
    "int64": WHOLE.astype(np.int64),
    "int32 of JAX": jnp.asarray(WHOLE, jnp.int32),
    "list": WHOLE.tolist(),
    "list of floats": WHOLE.astype(float).tolist(),
    "float64": WHOLE.astype(np.float64),
}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(init, **options):
    return js.sample(
        KEY, gaussian().denoiser(SCHEDULES["ve"]), (2, 2), js.samplers.DDIM(), grid=GRID, init=init, **options
    )


@pytest.mark.parametrize("name", OTHERS)
def test_integer_starts_do_not_truncate_samples(name):
    out, expected = drawn(OTHERS[name], save_every=1), drawn(WHOLE.astype(np.float32), save_every=1)
    assert out.x.dtype == out.path.dtype == jnp.float32
    np.testing.assert_array_equal(out.x, expected.x)
    np.testing.assert_array_equal(out.path, expected.path)


def test_boolean_starts_are_zeros_and_ones():
    start = WHOLE > 10
    np.testing.assert_array_equal(drawn(start).x, drawn(start.astype(np.float32)).x)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_floating_starts_keep_their_dtype(dtype):
    assert drawn(jnp.ones((2, 2), dtype)).x.dtype == dtype


def test_whole_starts_have_the_default_precision(x64):
    assert drawn(WHOLE).x.dtype == drawn(WHOLE.tolist()).x.dtype == drawn(WHOLE.astype(float)).x.dtype == jnp.float64
    assert drawn(WHOLE.astype(np.float32)).x.dtype == jnp.float32


@pytest.mark.parametrize(
    "start", [np.zeros((64, 2), int), np.zeros((64, 2), bool), [[0.0, 0.0]] * 64, np.zeros((64, 2))]
)
def test_chains_from_whole_numbers_are_those_from_floats(start):
    def draws(init):
        return js.sample_density(KEY, gaussian(), (64, 2), steps=4, warmup=4, thin=2, init=init, save_every=4)

    out, expected = draws(start), draws(np.zeros((64, 2), np.float32))
    for name in ("x", "draws", "path"):
        np.testing.assert_array_equal(getattr(out, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (np.zeros((2, 2), complex), "init must be an array of real numbers; got dtype complex128"),
        (np.array([["a", "b"]] * 2), "init must be an array of real numbers; got dtype <U1"),
        ([[1.0], [1.0, 2.0]], "init must be an array of real numbers; got a list"),
        ("start", "init must be an array of real numbers; got a str"),
    ],
)
def test_starts_that_are_not_numbers_are_one_sentence(start, words):
    for door, thing in ((js.sample, gaussian().denoiser(SCHEDULES["ve"])), (js.sample_density, gaussian())):
        with pytest.raises(TypeError, match=words):
            inspect.unwrap(door)(KEY, thing, (2, 2), steps=10, init=start)


NETWORK = js.denoiser(lambda params, x, t, cond: params * x, np.float32(0.5), SCHEDULES["ou"], "epsilon")
SEEN, MASK = np.array([0.25, 0.0]), np.array([True, False])
LAW = small_mixture()
FUNCTIONS = {
    "network": NETWORK,
    "inpaint": js.inpaint(NETWORK, SEEN, MASK),
    "posterior": js.posterior(NETWORK, SEEN, MASK, 0.1),
    "clip": js.clip(NETWORK, -0.25, 0.25),
    "guide": lambda x, level: js.guide(NETWORK, 1.5, 0)(x, level, jnp.zeros(len(x), int)),
    # As users call them, without the tests' type checker.
    "log_prob": lambda x, level: inspect.unwrap(js.targets.GaussianMixture.log_prob)(LAW, x, level),
    "posterior_mean": lambda x, level: inspect.unwrap(js.targets.GaussianMixture.posterior_mean)(LAW, x, level),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_levels_are_not_rounded_to_the_dtype_of_whole_numbers(name):
    """alpha = .7 became 0."""
    level, x = SCHEDULES["ou"].at(0.3), jnp.array([[1, 0], [2, 1]])
    np.testing.assert_array_equal(FUNCTIONS[name](x, level), FUNCTIONS[name](x.astype(float), level))


def test_likelihoods_of_whole_numbers():
    denoiser = gaussian().denoiser(SCHEDULES["ve"])
    of = lambda x: js.log_likelihood(KEY, denoiser, x, steps=2).log_prob  # noqa: E731
    np.testing.assert_array_equal(of(WHOLE[:1]), of(WHOLE[:1].astype(np.float32)))
