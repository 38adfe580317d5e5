"""Networks keep shapes and precisions, start at zero, see their conditions, and are preconditioned as EDM says."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import models
from jaxsamp.corruptions import MaskOperator
from tests.cases import SCHEDULES

TINY = {
    "mlp": models.MLP(width=16, depth=1, classes=3),
    "unet": models.UNet(channels=8, multipliers=(1, 2), blocks=1, attention=(), classes=3),
    "dit": models.DiT(patch=2, width=16, depth=1, heads=2, classes=3),
    "local": models.LocalMLP(channels=8, width=16, depth=1, classes=3),
}
# These take seconds to compile: fewer times in the fast run.
SLOW_UNET = [pytest.param(name, marks=pytest.mark.slow if name in ("unet", "local") else ()) for name in TINY]
EVENTS = {"mlp": (5,), "unet": (4, 8), "dit": (4, 8), "local": (4, 8)}


def size(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@partial(jax.jit, static_argnums=0)
def weights(network, x, noise, cond, shake):
    leaves, tree = jax.tree.flatten(network.init(jax.random.key(1), x, noise, cond))
    keys = jax.random.split(jax.random.key(2), len(leaves))
    moved = [leaf + shake * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved)


def made(name, cond=None, n=3, shake=0.3):
    """A network with weights moved off their zeros, and an input."""
    x, noise = jax.random.normal(jax.random.key(0), (n, *EVENTS[name])), jnp.linspace(-1.0, 1.0, n)
    return TINY[name], weights(TINY[name], x, noise, cond, shake), x, noise


@pytest.mark.parametrize("name", SLOW_UNET)
def test_networks_start_at_zero_and_their_gradients_are_finite(name):
    network, params, x, noise = made(name, shake=0.0)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    out, gradient = jax.jit(jax.value_and_grad(lambda p: jnp.sum((network.apply(p, x, noise) - 1.0) ** 2)))(params)
    assert out == x.size  # the output is zero everywhere
    slopes = [np.asarray(leaf) for leaf in jax.tree.leaves(gradient)]
    assert all(np.isfinite(leaf).all() for leaf in slopes) and any(np.abs(leaf).max() > 0 for leaf in slopes)


@pytest.mark.parametrize("name", SLOW_UNET)
def test_conditions_and_noise_change_the_output_of_each_sample_alone(name):
    label, vector = np.array([0, 1, 3], np.int32), np.array([[1.0, 2.0], [0.5, 0.1], [0.0, 0.0]], np.float32)
    channels = np.ones((3, *EVENTS[name]), np.float32)

    def but(array, value):
        """Another first row."""
        return np.concatenate([np.full_like(array[:1], value), array[1:]])

    cond = {"label": label, "vector": vector, "channels": channels}
    network, params, x, noise = made(name, cond)
    apply = jax.jit(network.apply)
    out = apply(params, x, noise, cond)
    assert out.shape == x.shape and out.dtype == x.dtype
    out = np.asarray(out)
    changes = {
        "label": {**cond, "label": but(label, 2)},
        "vector": {**cond, "vector": but(vector, 0.3)},
        "channels": {**cond, "channels": but(channels, 0.0)},
    }
    found = {what: np.asarray(apply(params, x, noise, changed)) for what, changed in changes.items()}
    found["noise"] = np.asarray(apply(params, x, but(np.asarray(noise), 0.5), cond))
    for what, changed in found.items():
        assert np.abs(changed - out)[0].max() > 1e-3, what
        np.testing.assert_allclose(changed[1:], out[1:], atol=1e-5, err_msg=what)
    # "No condition" is label `classes` and a vector of zeros: the third sample has neither.
    without = np.asarray(apply(params, x, noise, {"channels": channels}))
    np.testing.assert_allclose(without[2], out[2], atol=1e-5)
    assert np.abs(without - out)[0].max() > 1e-3


@pytest.mark.parametrize("name", SLOW_UNET)
def test_bfloat16_computes_and_float32_keeps(name):
    network, params, x, noise = made(name, shake=0.1)
    half = network.clone(dtype=jnp.bfloat16)
    shapes = jax.eval_shape(half.init, jax.random.key(0), x, noise)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    assert "bf16" in str(jax.make_jaxpr(half.apply)(params, x, noise))
    out, exact = jax.jit(half.apply)(params, x, noise), jax.jit(network.apply)(params, x, noise)
    assert out.dtype == jnp.float32 and jnp.abs(out - exact).max() > 0
    assert jnp.abs(out - exact).max() < 0.05 * jnp.abs(exact).max()


SIZES = {
    "mlp": (models.MLP(), (64,), 0.9e6),
    "small unet": (models.UNet(channels=32, multipliers=(1, 2)), (8, 8), 1.0e6),
    "unet": (models.UNet(), (32, 32, 3), 6.9e6),
    "gated unet": (models.UNet(gated=True), (32, 32, 3), 12.2e6),
    "large unet": (models.UNet(channels=128, multipliers=(1, 2, 2, 2), blocks=4), (32, 32, 3), 63e6),
    "dit": (models.DiT(), (8, 8), 4.1e6),
    "local": (models.LocalMLP(), (8, 8), 0.65e6),
}


@pytest.mark.parametrize("name", SIZES)
def test_networks_have_the_sizes_that_their_docstrings_claim(name):
    network, event, claimed = SIZES[name]
    x = jax.ShapeDtypeStruct((1, *event), jnp.float32)
    params = jax.eval_shape(network.init, jax.random.key(0), x, jax.ShapeDtypeStruct((1,), jnp.float32))
    assert size(params) == pytest.approx(claimed, rel=0.015)


def test_a_mask_is_told_as_it_is_at_every_level():
    """It is no part of x_t, and is not scaled with it as in the published network."""
    told = []

    class Listening(nn.Module):
        @nn.compact
        def __call__(self, x, noise, cond=None):
            told.append(cond["channels"])
            return x

    model, mask = models.Model(Listening(), js.schedules.EDM()), jnp.array([[True, False]])
    for level in (0.01, 80.0):
        model({}, jnp.ones((1, 2)), jnp.full(1, level), MaskOperator(mask))
    for channels in told:
        np.testing.assert_array_equal(channels, mask)


def test_a_gated_convolution_is_the_product_with_one_sigmoid():
    """Not the sigmoid of a sigmoid, which is between 0.5 and 0.74 and so cannot leave anything out."""
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 2))
    shapes = {"kernel": (3, 3, 2, 3), "bias": (3,)}
    given = {name: {k: jnp.full(shape, 0.1) for k, shape in shapes.items()} for name in ("features", "gate")}
    one = models.unet.GatedConv(3)
    plain = models.unet.convolution(False, 3, None).apply({"params": given["features"]}, x)
    gate = lambda bias: given | {"gate": {"kernel": jnp.zeros((3, 3, 2, 3)), "bias": jnp.array(bias)}}  # noqa: E731
    found = one.apply({"params": gate([-100.0, 0.0, 100.0])}, x)
    np.testing.assert_allclose(found, plain * np.array([0.0, 0.5, 1.0]), atol=1e-6)


def test_a_gated_unet_has_a_gate_for_each_convolution_but_the_last_and_a_plain_one_has_none():
    def names(gated):
        network, x = models.UNet(channels=4, gated=gated), jax.ShapeDtypeStruct((1, 4, 4), jnp.float32)
        shapes = jax.eval_shape(network.init, jax.random.key(0), x, jax.ShapeDtypeStruct((1,), jnp.float32))
        leaves = jax.tree_util.tree_leaves_with_path(shapes)
        return [jax.tree_util.keystr(path) for path, leaf in leaves if leaf.shape[:2] == (3, 3)]

    plain, gated = names(False), names(True)
    assert not any("gate" in name.lower() for name in plain)
    assert sum("gate']" in name for name in gated) == len(plain) - 1 == sum("features']" in name for name in gated)
    assert len(gated) == 2 * len(plain) - 1


@pytest.mark.slow
def test_a_gated_unet_reads_masks_and_its_gradient_is_finite():
    network = models.UNet(channels=4, multipliers=(1, 2), blocks=1, attention=(), gated=True)
    x, noise = jax.random.normal(jax.random.key(0), (2, 4, 4)), jnp.zeros(2)
    cond = {"channels": jnp.ones((2, 4, 4)).at[:, 0].set(0)}
    params = weights(network, x, noise, cond, 0.3)

    @jax.jit
    def both(params, cond):
        return jax.value_and_grad(lambda p: (network.apply(p, x, noise, cond) ** 2).sum())(params)

    value, gradient = both(params, cond)
    assert value != both(params, {"channels": jnp.ones((2, 4, 4))})[0]
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    names = [jax.tree_util.keystr(path) for path, leaf in jax.tree_util.tree_leaves_with_path(gradient) if leaf.any()]
    assert sum("gate" in name for name in names) == sum("features" in name for name in names) > 10


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_preconditioning_is_that_of_edm_under_every_schedule(x64, schedule):
    q, schedule = 0.6, SCHEDULES[schedule]
    for s in (0.002, 0.5, 80.0):
        level = schedule.level(-jnp.log(jnp.asarray(s)))
        skip, out, inside = models.coefficients(level.alpha, level.sigma, q)
        np.testing.assert_allclose(level.alpha * skip, q**2 / (s**2 + q**2), rtol=1e-8)
        np.testing.assert_allclose(out, s * q / np.sqrt(s**2 + q**2), rtol=1e-8)
        np.testing.assert_allclose(level.alpha * inside, 1 / np.sqrt(s**2 + q**2), rtol=1e-8)
        # EDM's weighting makes the loss of the bare network plain, and its input and answer have unit variance.
        np.testing.assert_allclose(js.losses.EDMWeighting(q)(level.log_snr) * out**2, 1.0, rtol=1e-8)
        np.testing.assert_allclose(inside**2 * (level.alpha**2 * q**2 + level.sigma**2), 1.0, rtol=1e-8)
        answer = ((1 - skip * level.alpha) ** 2 * q**2 + (skip * level.sigma) ** 2) / out**2
        np.testing.assert_allclose(answer, 1.0, rtol=1e-5)
    ends = models.coefficients(jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0]), q)
    assert all(jnp.isfinite(c).all() for c in ends)


def test_a_model_is_its_closed_form_and_at_first_the_best_linear_denoiser():
    network, params, x, _ = made("mlp")
    schedule, t = SCHEDULES["cosine"], jnp.array([0.1, 0.5, 0.9])
    model = models.Model(network, schedule, sigma_data=0.7)
    level = schedule.at(t)
    s = (level.sigma / level.alpha)[:, None]
    y = x / level.alpha[:, None]
    inner = jax.jit(network.apply)(params, y / jnp.sqrt(s**2 + 0.49), jnp.log(s[:, 0]) / 4)
    expected = 0.49 / (s**2 + 0.49) * y + s * 0.7 / jnp.sqrt(s**2 + 0.49) * inner
    np.testing.assert_allclose(jax.jit(model)(params, x, t), expected, rtol=2e-5, atol=1e-5)
    assert model.prediction == "x0"
    best = js.targets.GaussianMixture([1.0], np.zeros((1, 5)), 0.49 * np.eye(5)[None])

    @jax.jit
    def both(x):
        fresh = model.denoiser(model.init(jax.random.key(0), x))
        return fresh(x, level), best.posterior_mean(x, level)

    np.testing.assert_allclose(*both(x), atol=1e-5)


@pytest.mark.parametrize("predicts", ["epsilon", "v"])
def test_a_bare_network_predicts_what_it_is_told_to(predicts):
    network, params, x, _ = made("mlp")
    model = models.Model(network, SCHEDULES["vp"], predicts, 0.7)
    level = SCHEDULES["vp"].at(jnp.full(3, 0.4))

    @jax.jit
    def both(params, x):
        return js.denoiser(model, params, SCHEDULES["vp"], predicts)(x, level), model.denoiser(params)(x, level)

    np.testing.assert_allclose(*both(params, x))
    assert model.prediction == predicts


def test_the_null_of_a_condition_has_its_structure():
    model = models.Model(TINY["mlp"], SCHEDULES["vp"])
    cond = {"label": jnp.zeros(4, int), "vector": None, "channels": jnp.ones((4, 5))}
    assert model.null(cond) == {"label": 3, "vector": None, "channels": None}
    dropped = js.losses.drop(jax.random.key(0), cond, model.null(cond), 1.0)
    assert (dropped["label"] == 3).all() and dropped["vector"] is None and (dropped["channels"] == 1).all()


@pytest.mark.parametrize("name", SLOW_UNET)
def test_models_are_sampled_with_guidance(name):
    network, params, _, _ = made(name, shake=0.05)
    denoiser = js.guide(models.Model(network, SCHEDULES["vp"]).denoiser(params), 2.0, null=3)
    label = jnp.array([0, 1, 2, 3])
    drawn = js.sample(jax.random.key(0), denoiser, (4, *EVENTS[name]), steps=3, cond=label)
    assert drawn.x.shape == (4, *EVENTS[name]) and jnp.isfinite(drawn.x).all()


def test_bad_settings_and_inputs_are_one_sentence(key):
    noise = jnp.zeros(2)
    with pytest.raises(ValueError, match="h and w divisible by 4 for 3 resolutions; got the event"):
        models.UNet().init(key, jnp.ones((2, 6, 8)), noise)
    with pytest.raises(ValueError, match="h and w divisible by patch = 2"):
        models.DiT().init(key, jnp.ones((2, 5, 8)), noise)
    with pytest.raises(ValueError, match="width must be divisible by 4 and by heads"):
        models.DiT(width=10).init(key, jnp.ones((2, 4, 4)), noise)
    with pytest.raises(ValueError, match="cond has labels, for which the network needs classes="):
        models.MLP().init(key, jnp.ones((2, 3)), noise, jnp.zeros(2, int))
    with pytest.raises(TypeError, match="got the key 'labl'"):
        models.MLP().init(key, jnp.ones((2, 3)), noise, {"labl": jnp.zeros(2, int)})
    with pytest.raises(ValueError, match="predicts must be one of .* Did you mean 'epsilon'"):
        models.Model(models.MLP(), SCHEDULES["vp"], "epsilo")
    with pytest.raises(ValueError, match="sigma_data must be above 0; got 0"):
        models.Model(models.MLP(), SCHEDULES["vp"], sigma_data=0.0)


@pytest.mark.parametrize("network", [models.UNet(8, (1,)), models.DiT(1, 8, 1, 2)], ids=["unet", "dit"])
def test_channels_first_are_refused_by_networks_for_images(network):
    """Whatever their settings: (3, 8, 8) would be an image of height 3 with 8 channels."""
    with pytest.raises(ValueError, match=r"got the event \(3, 8, 8\)\. Move the .* x\.transpose\(0, 2, 3, 1\)"):
        jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((2, 3, 8, 8)), jnp.ones(2))
