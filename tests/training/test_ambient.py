"""`fit` on measurements: the loss, the network and the data fit each other, and a run resumes."""

import inspect
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room
from jaxsamp.training import data as data_of

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


def test_measurements_in_a_folder_train_as_those_in_memory_to_the_bit(tmp_path, monkeypatch):
    """Read batch by batch, from files of 16, over three passes; and a run that was stopped resumes."""
    monkeypatch.setattr(room.files, "SHARD", 16)
    MEASURED.save(tmp_path / "m")
    stored, labels = room.StoredMeasurements(tmp_path / "m"), np.arange(40)
    batches = [data_of.batches(data, labels, jax.random.key(5)) for data in (MEASURED, stored)]
    for index in (0, 2, 4):  # the last one ends in the third pass
        (x, cond), (y, other) = (each.batch(index, 20) for each in batches)
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(cond.operator.mask, other.operator.mask)
        np.testing.assert_array_equal(cond.cond, other.cond)
    divided, _ = data_of.on_device(batches[1].batch(0, 8), js.mesh(4))
    assert len(divided.sharding.device_set) == 4

    def stop(step, state):
        if step == 3:
            raise KeyboardInterrupt

    whole, options = run(), {"checkpoint": tmp_path / "run", "checkpoint_every": 2}
    with pytest.raises(KeyboardInterrupt):
        run(stored, callback=stop, callback_every=1, **options)
    resumed = run(stored, resume=True, **options)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="is of another configuration: .*data.samples"):
        run(stored[:30], resume=True, **options)


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


def test_labels_are_dropped_and_operators_are_not_so_that_samples_can_be_guided():
    """Half of 40 labels, within 4.5 standard deviations; guidance is D_null + scale (D_label - D_null) of one mask."""
    network = js.models.MLP(width=16, depth=1, classes=3)
    labels, given = np.arange(40) % 3, []

    class Listening(js.models.Model):
        def __call__(self, params, x, t, cond=None):
            given.append(cond)
            return x

    loss = js.training.ambient_loss(levels=js.losses.LogNormal(0.0), drop=0.5).of_law(MEASURED.law, MEASURED.operator)
    cond = room.Corrupted(MEASURED.operator, jnp.array(labels))

    @jax.jit
    def heard(x, cond):
        loss(jax.random.key(0), Listening(network, S), None, x, cond)
        return given.pop()

    told = jax.tree.map(np.asarray, heard(X, cond))
    dropped = told.cond == 3
    np.testing.assert_array_equal(np.where(dropped, labels, told.cond), labels)
    assert abs(dropped.sum() - 20) < 4.5 * 40**0.5 / 2
    assert (told.operator.mask <= MEASURED.operator.mask).all()

    model = js.models.Model(network, S)
    rng = np.random.default_rng(0)  # weights of a trained network; some of a fresh one are zero
    shapes = jax.eval_shape(model.init, jax.random.key(1), jnp.asarray(X), cond)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), shapes)
    denoiser = model.denoiser(params)
    masks, guided, level = draw(3), js.guide(denoiser, 3.0, null=3), js.Level(1.0, 0.5)
    free, told, found = jax.jit(
        lambda x: [
            of(x, level, room.Corrupted(masks, jnp.array(label)))
            for of, label in ((denoiser, [3, 3, 3]), (denoiser, [0, 1, 2]), (guided, [0, 1, 2]))
        ]
    )(X[:3])
    np.testing.assert_allclose(found, free + 3 * (told - free), atol=1e-4)
    assert np.abs(told - free).max() > 0.1
    cond = room.Corrupted(masks, np.arange(3))
    x = js.sample(jax.random.key(3), guided, (3, 4), steps=2, cond=cond, microbatch=2).x
    assert np.isfinite(x).all()


def test_gsure_learns_at_the_level_of_the_measurements():
    """Variance 1 and noise 1: the best error is 1/2. All levels are below 1.15 times the noise: nothing else learns."""
    x = np.random.default_rng(2).normal(size=(512, 4)).astype(np.float32)
    noisy = room.corrupt(jax.random.key(0), x, room.Mask(0.0, noise=1.0))
    model = js.models.Model(NETWORK, S, sigma_data=3.0)  # for larger data, so that it starts at 0.82
    loss = js.training.ambient_loss(levels=js.losses.LogNormal(0.06, 0.02), gsure=True)
    options = {"batch_size": 64, "optimizer": optax.adam(3e-3), "ema": 0.9}
    state = js.fit(jax.random.key(1), model, noisy, steps=200, loss=loss, **options)
    error = np.mean((np.asarray(js.denoisers.restore(state.denoiser(), noisy)) - x) ** 2)
    assert error < 0.6


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
            lambda: run(room.corrupt(jax.random.key(0), IMAGES, room.Downsample(2, rate=1.0))),
            ValueError,
            r"law must see everything that its further corruption hides .* for Downsample.* smallest probability is 0",
        ),
        (
            lambda: run(room.corrupt(jax.random.key(0), IMAGES, room.Blur(1.0))),
            ValueError,
            "operator must have pseudoinverse and projector to be learned from, .* a BlurOperator has none",
        ),
        (
            lambda: run(room.corrupt(jax.random.key(0), IMAGES, room.CompressedSensing(8, noise=0.1))),
            ValueError,
            r"law must have no noise unless .* singular values .* 0 and 1, .* got CompressedSensing.*fit_em learns",
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


def test_a_blind_model_has_the_weights_of_one_of_clean_data_and_is_told_no_operator():
    blind, clean = (js.models.Model(NETWORK, S, blind=blind) for blind in (True, False))
    shapes = [
        jax.tree.map(np.shape, jax.eval_shape(model.init, jax.random.key(0), X, cond))
        for model, cond in ((blind, MEASURED.operator), (clean, None), (clean, MEASURED.operator))
    ]
    assert shapes[0] == shapes[1] != shapes[2]


@pytest.mark.slow
def test_a_network_of_clean_data_goes_on_with_measurements_of_other_data():
    """It has no weights for masks; what it has learned of the first law is of use, and it learns what has changed."""
    rng = np.random.default_rng(1)

    def samples(shift, n):  # four nearly equal numbers
        return (shift + rng.normal(size=(n, 1)) + 0.1 * rng.normal(size=(n, 4))).astype(np.float32)

    network, options = js.models.MLP(width=32, depth=1), {"batch_size": 64, "ema": 0.9}
    clean, blind = (js.models.Model(network, S, "edm", 1.0, blind=blind) for blind in (False, True))
    rate = js.training.AdamW(1e-2)
    first = js.fit(jax.random.key(0), clean, samples(0, 500), steps=60, optimizer=rate, **options)
    measured = room.corrupt(jax.random.key(1), samples(1, 500), room.Mask(0.5))
    tuned = js.fit(jax.random.key(2), blind, measured, steps=400, params=first.ema, optimizer=rate, **options)
    assert jax.tree.map(np.shape, tuned.params) == jax.tree.map(np.shape, first.params)

    x = samples(1, 500)
    unseen = room.corrupt(jax.random.key(3), x, room.Mask(0.5))
    hidden = ~np.asarray(unseen.operator.mask)
    before, after = (
        np.mean((np.asarray(js.denoisers.restore(blind.denoiser(of.ema), unseen, sigma=0.1)) - x)[hidden] ** 2)
        for of in (first, tuned)
    )
    assert after < 0.5 * before and after < 0.5  # of a variance of 1, and a mean square of 2


@pytest.mark.parametrize(
    ("law", "event"),
    [
        (room.Mask(0.5, noise=0.5), (4, 4)),
        (room.Downsample(2, rate=1.0, noise=0.5), (4, 4)),
        (room.KSpace(2.0, noise=0.5), (4, 4, 2)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_noise_is_that_of_x_t_where_operators_neither_stretch_nor_shrink(law, event):
    """The noise of A^+ y has the variance 0.5^2 in all directions that A sees, from 16,000 numbers or more: within 5
    standard errors. Random matrices, whose singular values are near 2 here, give it less than half of that.
    """
    from jaxsamp.corruptions.linear import stretches

    def variance(law):
        measured = room.corrupt(jax.random.key(0), np.zeros((4000, *event)), law)
        seen = jax.jit(jax.vmap(lambda a: a.diagonal(event)))(measured.operator)
        return float(np.sum(np.asarray(measured.back_projection()) ** 2) / np.asarray(seen).sum())

    assert not stretches(jax.jit(lambda key: law.sample(key, event))(jax.random.key(0)), event)
    assert variance(law) == pytest.approx(0.25, rel=5 * np.sqrt(2 / 16000))
    assert variance(room.CompressedSensing(4, noise=0.5)) < 0.25 / 2
