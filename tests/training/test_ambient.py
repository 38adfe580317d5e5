"""`fit` on measurements: the loss, the network and the data fit each other, and a run resumes."""

import inspect
from functools import partial

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room

S = js.schedules.VarianceExploding()
NETWORK = js.models.MLP(width=16, depth=1)
X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(9, 8, 8))
MEASURED = room.corrupt(jax.random.key(0), X, room.Mask(0.5))
fit = inspect.unwrap(js.fit)


def run(data=MEASURED, steps=6, **options):
    return js.fit(jax.random.key(1), NETWORK, data, S, steps, batch_size=8, **options)


@partial(jax.jit, static_argnums=(0, 1))
def draw(n, further=0.0):
    return room.Mask(0.5).draw(jax.random.key(2), n, (4,), further=further)


def test_a_run_on_measurements_resumes_with_the_same_bits_and_its_denoiser_takes_operators(tmp_path):
    whole = run(checkpoint=tmp_path / "a", checkpoint_every=2)

    def stop(step, state):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=tmp_path / "b", checkpoint_every=2, callback=stop, callback_every=1)
    resumed = run(checkpoint=tmp_path / "b", checkpoint_every=2, resume=True)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(a, b)
    masks = draw(5, 0.1)
    x = js.sample(jax.random.key(3), whole.denoiser(), (5, 4), steps=2, cond=masks).x
    assert np.isfinite(x).all()
    with pytest.raises(ValueError, match="is of another configuration: .*data.x"):
        run(MEASURED[:30], checkpoint=tmp_path / "b", resume=True)


def test_what_is_hidden_does_not_reach_the_network():
    """The network's answer does not depend on x_t where A does not see it; there it has the size of the data."""
    state, masks = run(steps=2), draw(5)
    denoiser, mask = state.denoiser(ema=False), np.asarray(masks.mask)
    denoise = jax.jit(lambda x, masks: denoiser(x, js.Level(1.0, 0.01), masks))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    a, b = (np.asarray(denoise(v, masks)) for v in (x, np.where(mask, x, np.float32(50))))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(np.where(mask, a - x, 0), 0, atol=0.05)  # c_skip x_t at a low level


def test_labels_travel_beside_the_operators():
    network = js.models.MLP(width=16, depth=1, classes=3)
    labels = np.arange(40) % 3
    state = js.fit(jax.random.key(1), network, MEASURED, S, 2, batch_size=8, cond=labels)
    cond = room.Corrupted(draw(3), np.arange(3))
    x = js.sample(jax.random.key(3), state.denoiser(), (3, 4), steps=2, cond=cond).x
    assert np.isfinite(x).all()


class Deaf(nn.Module):
    @nn.compact
    def __call__(self, x, noise, cond=None):
        return nn.Dense(4)(x)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: run(X, loss=js.training.ambient_loss()), TypeError, "data must be .*Measurements .* got clean data"),
        (lambda: run(loss=js.training.denoising_loss()), TypeError, "data must be clean samples .* got Measurements"),
        (lambda: js.training.ambient_loss(further=0.0), ValueError, r"further must be in \(0, 1\), .* got 0.0"),
        (
            lambda: run(room.corrupt(jax.random.key(0), IMAGES, room.KeepPatch(3))),
            ValueError,
            "law must see everything that its further corruption hides .* smallest probability is 0",
        ),
        (
            lambda: run(room.corrupt(jax.random.key(0), IMAGES, room.Blur(1.0))),
            ValueError,
            "operator must have pseudoinverse and projector to be learned from, .* a BlurOperator has none",
        ),
        (
            lambda: fit(jax.random.key(0), Deaf(), MEASURED, S, 2, batch_size=8),
            ValueError,
            "model must read 'channels' of its condition.*Deaf has no weights for it",
        ),
        (
            lambda: inspect.unwrap(js.training.ambient_loss)(weighting=None),
            ValueError,
            "weighting must weigh the error of x_0 for measurements, .* got None",
        ),
        (
            lambda: run(predicts="epsilon"),
            ValueError,
            'predicts must be "edm" or "x0" for corrupted data',
        ),
    ],
)
def test_what_cannot_be_learned_is_a_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()
