"""Every prediction, every framework's network, and every wrapper is the same denoiser."""

import importlib.util
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp_kernels import prediction as predictions
from tests.cases import SCHEDULES, small_mixture


def network_for(target, schedule, prediction):
    """A 'network' that knows the truth and answers in the given prediction."""

    def apply(params, x, t, cond):
        level = schedule.at(t[0])
        rates = schedule.rates(t[0]) if prediction == "velocity" else ()
        exact = target.posterior_mean(x, level)
        return params * predictions.from_x0(prediction, exact, x, level.alpha, level.sigma, *rates)

    return apply


@pytest.mark.parametrize("prediction", predictions.NAMES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_predictions_of_an_exact_network_are_the_exact_denoiser(x64, prediction, schedule):
    target, schedule = small_mixture(), SCHEDULES[schedule]
    denoiser = js.denoiser(network_for(target, schedule, prediction), 1.0, schedule, prediction)
    x = np.random.default_rng(0).normal(size=(3, 2))

    @jax.jit
    def answers(lam, x):
        level = schedule.level(lam)
        bare = js.Level(level.alpha, level.sigma)  # t is found from alpha and sigma
        return target.posterior_mean(x, level), denoiser(x, level), denoiser(x, bare)

    for lam in (-3.0, 0.0, 3.0):
        exact, *found = answers(lam, x)
        for mean in found:
            np.testing.assert_allclose(mean, exact, rtol=1e-6, atol=1e-8)


def test_levels_may_differ_within_a_batch(x64):
    schedule = SCHEDULES["ou"]
    denoiser = js.denoiser(lambda p, x, t, cond: x * t[:, None], None, schedule, "v")
    lam, x = jnp.array([-1.0, 0.5, 2.0]), jnp.ones((3, 2))
    together = denoiser(x, schedule.level(lam))
    alone = jnp.concatenate([denoiser(x[:1], schedule.level(v)) for v in lam])
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def linen():
    import flax.linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, t, cond=None):
            return nn.Dense(x.shape[-1])(jnp.concatenate([x, t[:, None]], -1))

    net = Net()
    params = net.init(jax.random.key(0), jnp.ones((1, 2)), jnp.ones(1))
    return lambda p, x, t, cond: net.apply(p, x, t, cond), params


def nnx():
    from flax import nnx

    graph, state = nnx.split(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    return lambda p, x, t, cond: nnx.merge(graph, p)(jnp.concatenate([x, t[:, None]], -1)), state


def equinox():
    import equinox as eqx

    params, static = eqx.partition(eqx.nn.Linear(3, 2, key=jax.random.key(0)), eqx.is_array)
    each = lambda p, x, t: eqx.combine(p, static)(jnp.append(x, t))  # noqa: E731
    return lambda p, x, t, cond: jax.vmap(each, (None, 0, 0))(p, x, t), params


def haiku():
    import haiku as hk

    net = hk.without_apply_rng(hk.transform(lambda x, t: hk.Linear(2)(jnp.concatenate([x, t[:, None]], -1))))
    params = net.init(jax.random.key(0), jnp.ones((1, 2)), jnp.ones(1))
    return lambda p, x, t, cond: net.apply(p, x, t), params


def plain():
    params = {"w": jnp.ones((3, 2)) * 0.1, "b": jnp.zeros(2)}
    return lambda p, x, t, cond: jnp.concatenate([x, t[:, None]], -1) @ p["w"] + p["b"], params


@pytest.mark.parametrize(
    ("make", "package"),
    [(linen, "flax"), (nnx, "flax"), (equinox, "equinox"), (haiku, "haiku"), (plain, "jax")],
)
def test_networks_of_every_framework_sample(make, package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    apply, params = make()
    denoiser = js.denoiser(apply, params, SCHEDULES["ve"], "epsilon")
    out = js.sample(jax.random.key(0), denoiser, (5, 2), steps=4)
    assert out.x.shape == (5, 2) and bool(jnp.isfinite(out.x).all())
    assert int(out.stats["evaluations"][0]) == 5


def test_bfloat16_reaches_the_network_and_nothing_else():
    seen = {}

    def apply(params, x, t, cond):
        seen.update(x=x.dtype, w=params["w"].dtype, steps=params["steps"].dtype, t=t.dtype)
        return x * params["w"]

    params = {"w": jnp.float32(0.3), "steps": jnp.int32(7)}
    denoiser = js.denoiser(apply, params, SCHEDULES["ou"], "v", dtype="bfloat16")
    out = denoiser(jnp.ones((2, 3)), SCHEDULES["ou"].level(0.0))
    assert seen == {"x": jnp.bfloat16, "w": jnp.bfloat16, "steps": jnp.int32, "t": jnp.float32}
    assert out.dtype == jnp.float32


def conditional():
    return js.denoiser(lambda p, x, t, cond: 0 * x + cond["shift"][:, None], None, SCHEDULES["ve"], "x0")


@pytest.mark.parametrize(("theirs", "here"), [("v_prediction", "v"), ("sample", "x0"), ("flow_prediction", "velocity")])
def test_predictions_in_the_words_of_diffusers_name_the_same_law(theirs, here):
    """`v_prediction` was taken for 'epsilon', `sample` for nothing at all."""
    says = f"one of .*; got '{theirs}'. The '{theirs}' of diffusers is '{here}' here.$"
    with pytest.raises(ValueError, match=f"^prediction must be {says}"):
        js.denoiser(lambda params, x, t, cond: x, None, js.schedules.EDM(), theirs)
    with pytest.raises(ValueError, match=f"^prediction must be {says}"):
        js.losses.denoising(jax.random.key(0), lambda p, x, t, c: x, None, jnp.ones((2, 3)), js.schedules.EDM(), theirs)
    with pytest.raises(ValueError, match=f"^predicts must be {says}"):
        js.models.Model(js.models.MLP(), js.schedules.EDM(), theirs)


def test_guidance_extrapolates_from_the_unconditional_prediction():
    guided = js.guide(conditional(), 3.0, null={"shift": 1.0})
    level, x = SCHEDULES["ve"].level(jnp.zeros(4)), jnp.zeros((4, 2))
    cond = {"shift": jnp.arange(4.0)}
    np.testing.assert_allclose(guided(x, level, cond)[:, 0], 1 + 3 * (jnp.arange(4.0) - 1))
    assert guided.evaluations == 2 and guided.schedule == SCHEDULES["ve"]
    out = js.sample(jax.random.key(0), guided, (4, 2), steps=3, cond=cond)
    np.testing.assert_allclose(out.x[:, 1], 1 + 3 * (jnp.arange(4.0) - 1), rtol=1e-6)
    assert int(out.stats["evaluations"][0]) == 8 and int(out.stats["rounds"][0]) == 4
    with pytest.raises(ValueError, match="cond must be given"):
        guided(x, level)


def test_wrappers_nest_and_clip():
    clipped = js.clip(js.guide(conditional(), 3.0, null={"shift": 1.0}), -2.0, 2.0)
    out = clipped(jnp.zeros((4, 2)), SCHEDULES["ve"].level(0.0), {"shift": jnp.arange(4.0)})
    np.testing.assert_allclose(out[:, 0], [-2.0, 1.0, 2.0, 2.0])
    assert clipped.evaluations == 2
    with pytest.raises(ValueError, match="low must be below high"):
        js.clip(conditional(), 1.0, -1.0)


WORDS = {
    "guide": lambda inner: js.guide(inner, "big", null=0),
    "clip": lambda inner: js.clip(inner, "low", "of the data"),
    "dps": lambda inner: js.denoisers.dps(inner, scale="big"),
    "guide_reconstruction": lambda inner: js.denoisers.guide_reconstruction(inner, scale="big"),
}


@pytest.mark.parametrize("wrapper", WORDS)
def test_a_setting_of_a_wrapper_that_is_no_number_is_one_sentence(wrapper, monkeypatch):
    for name in ("guide", "clip"):
        monkeypatch.setattr(js, name, inspect.unwrap(getattr(js, name)))
    for name in ("dps", "guide_reconstruction"):
        monkeypatch.setattr(js.denoisers, name, inspect.unwrap(getattr(js.denoisers, name)))
    with pytest.raises(TypeError, match="^(scale|low) must be an array of real numbers; got (a str|dtype <U3)"):
        WORDS[wrapper](conditional())


def test_a_denoiser_is_clipped_inside_jit_too():
    """Two plain numbers were compared by the program instead of at once: a TracerBoolConversionError."""
    level = SCHEDULES["ve"].level(0.0)
    made = lambda x: js.clip(conditional(), -2.0, 2.0)(x, level, {"shift": x[:, 0]})  # noqa: E731
    assert jax.eval_shape(made, jnp.zeros((4, 2))).shape == (4, 2)


def test_calibration_is_carried():
    tables = js.calibration.from_sigma_data(0.5)
    for denoiser in (conditional(), js.clip(conditional())):
        assert denoiser.calibration is None and denoiser.with_calibration(tables).calibration is tables
    assert small_mixture().denoiser(SCHEDULES["ve"]).with_calibration(tables).calibration is tables


def test_unknown_prediction_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'epsilon'"):
        js.denoiser(lambda p, x, t, c: x, None, SCHEDULES["ve"], "epsilom")


def test_wrong_output_shape_is_one_sentence():
    denoiser = js.denoiser(lambda p, x, t, cond: x[:, :1], None, SCHEDULES["ve"], "x0")
    with pytest.raises(ValueError, match="apply must return an array of x's shape"):
        js.sample(jax.random.key(0), denoiser, (2, 3), steps=2)


def test_a_class_without_a_call_is_refused_when_it_is_made():
    class Incomplete(js.denoisers.Wrapper):
        pass

    with pytest.raises(TypeError, match="abstract.*__call__"):
        Incomplete()
