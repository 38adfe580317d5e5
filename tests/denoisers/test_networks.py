"""Networks of any library are denoisers; what cannot be one gets one sentence."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import quick

KEY, SCHEDULE = jax.random.key(0), js.schedules.VariancePreserving()
GIVEN = {"steps": 2, "final_denoise": False}


@pytest.mark.parametrize(
    ("apply", "error", "words"),
    [
        (lambda p, x, t, c: (x, x), TypeError, r"one array of real numbers, of x's shape .*; got a tuple"),
        (lambda p, x, t, c: {"out": x}, TypeError, "got a dict"),
        (lambda p, x, t, c: None, TypeError, "got a NoneType"),
        (lambda p, x, t, c: x * 1j, TypeError, "got complex64"),
        (lambda p, x, t: x, TypeError, r"four arguments, \(params, x, t, cond\); got a function \(p, x, t\)"),
        (lambda p, x, t, c, d: x, TypeError, "four arguments"),
        (3, TypeError, "apply must be a function .* got a int"),
    ],
)
def test_what_is_no_network_is_one_sentence(apply, error, words):
    with pytest.raises(error, match=words):
        js.sample(KEY, inspect.unwrap(js.denoiser)(apply, None, SCHEDULE), (4, 2), **GIVEN)


def test_an_equinox_module_is_used_as_it_is_and_new_weights_do_not_compile_anew():
    eqx = pytest.importorskip("equinox")
    traced = []

    def apply(model, x, t, cond):
        traced.append(None)
        return jax.vmap(model)(jnp.concatenate([x, t[:, None]], -1))

    def drawn(seed):
        model = eqx.nn.MLP(3, 2, 8, 1, key=jax.random.key(seed))  # it holds jax.nn.relu
        return js.sample(KEY, js.denoiser(apply, model, SCHEDULE), (4, 2), **GIVEN).x, model

    x, model = drawn(0)
    once = len(traced)
    y, _ = drawn(1)
    assert len(traced) == once and not np.allclose(x, y)
    arrays, static = eqx.partition(model, eqx.is_array)
    by_hand = js.denoiser(lambda p, x, t, c: apply(eqx.combine(p, static), x, t, c), arrays, SCHEDULE)
    np.testing.assert_array_equal(js.sample(KEY, by_hand, (4, 2), **GIVEN).x, x)


BY_LABEL = js.denoiser(lambda p, x, t, c: p[c] * jnp.ones_like(x), jnp.array([[1.0], [2.0]]), SCHEDULE, "x0")


@pytest.mark.parametrize(
    ("null", "words"),
    [
        (None, "null must be the cond that means .no condition., .* got None"),
        ({"a": 1}, "null must have the structure of cond"),
        (jnp.zeros(3, int), r"null must have leaves that broadcast to those of cond, \(4,\); got \(3,\)"),
    ],
)
def test_a_null_condition_that_does_not_fit_is_one_sentence(null, words):
    with pytest.raises(ValueError, match=words):
        guided = inspect.unwrap(js.guide)(BY_LABEL, 2.0, null)
        js.sample(KEY, guided, (4, 2), cond=jnp.zeros(4, int), **GIVEN)


def test_a_list_of_labels_is_told_to_be_an_array():
    with pytest.raises(ValueError, match=r"A list is a pytree: pass one array, jax\.numpy\.array\(cond\)"):
        inspect.unwrap(js.sample)(KEY, BY_LABEL, (4, 2), cond=[0, 1, 1, 0], **GIVEN)


@pytest.mark.parametrize("name", quick(["sliding-window", "speculative-ddpm", "paradigms"], "speculative-ddpm"))
def test_samplers_that_stop_by_themselves_say_that_they_have_no_gradient(name):
    def total(scale):
        denoiser = js.denoiser(lambda p, x, t, c: p * x, scale, SCHEDULE, "x0")
        return js.sample(KEY, denoiser, (2, 2), js.samplers.BY_NAME[name], 4).x.sum()

    with pytest.raises(TypeError, match="sampler must be differentiable for jax.grad; .* forward derivatives alone"):
        jax.jit(jax.grad(total))(0.3)
