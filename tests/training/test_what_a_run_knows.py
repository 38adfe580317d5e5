"""What a trained denoiser knows of its training, where a misuse would go unseen: the scale of data, and conditions."""

import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import datasets
from jaxsamp.core.fingerprint import describe
from jaxsamp.training import checkpoint
from jaxsamp.training import data as data_of

X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
LABELS = np.arange(64) % 2
SCHEDULE = js.schedules.VarianceExploding()
MLP = js.models.MLP(width=8, depth=1)
BY_LABEL = js.models.MLP(width=8, depth=1, classes=2)


def fit(data, network=MLP, **options):
    return js.fit(jax.random.key(0), network, data, SCHEDULE, 2, **({"batch_size": 8} | options))


def test_a_network_of_large_data_says_where_noise_drowns_them(tmp_path):
    """Means count, which the scale of a network leaves out; a folder knows it too."""
    state = fit(50 * X + 100, checkpoint=tmp_path)
    size = float(np.hypot(np.abs((50 * X + 100).mean(0)).max(), 50 * np.std(X - X.mean(0))))
    for denoiser in (state.denoiser(), js.training.load_denoiser(tmp_path)):
        assert denoiser.magnitude == pytest.approx(size, rel=1e-5)
    with pytest.warns(datasets.DataWarning, match="noise drowns the data.*root mean square of 11"):
        js.sample(jax.random.key(1), state.denoiser(), (2, 3), steps=2)
    assert js.models.Model(MLP, SCHEDULE, sigma_data=50.0).denoiser({}).magnitude is None


def test_all_ways_to_give_data_measure_them_alike():
    grain = pytest.importorskip("grain")
    target = js.targets.GaussianMixture([1.0], [[3.0, 0.0]], [np.eye(2)])
    for_data, y = jax.random.key(0), 2 * X + 5
    in_memory, lazy = (data_of.batches(data, None, for_data) for data in (y, grain.MapDataset.source(list(y))))
    assert in_memory.moments == pytest.approx(lazy.moments, rel=1e-5)
    law = data_of.batches(target, None, for_data)
    assert law.moments == pytest.approx((1.0, np.sqrt(10)), rel=0.05) and law.std() == law.moments.std
    measured = js.corruptions.corrupt(for_data, X, js.corruptions.Mask(rate=0.5))
    assert data_of.batches(measured, None, for_data).moments is None


def test_guidance_by_a_network_that_dropped_no_condition_is_refused(tmp_path):
    never, some = (
        fit(X, BY_LABEL, cond=LABELS, loss=js.training.denoising_loss(drop=drop), checkpoint=tmp_path / str(drop))
        for drop in (0.0, 0.1)
    )
    for denoiser in (never.denoiser(), js.training.load_denoiser(tmp_path / "0.0")):
        with pytest.raises(ValueError, match="trained with some conditions dropped"):
            js.guide(denoiser, 2.0, null=2)
        with pytest.raises(ValueError, match="cond must be given to a network that was trained with conditions"):
            js.sample(jax.random.key(1), denoiser, (2, 3), steps=2)
        assert js.sample(jax.random.key(1), denoiser, (2, 3), steps=2, cond=LABELS[:2]).x.shape == (2, 3)
    for denoiser in (some.denoiser(), js.training.load_denoiser(tmp_path / "0.1"), fit(X).denoiser()):
        js.guide(denoiser, 2.0, null=2)
        js.sample(jax.random.key(1), denoiser, (2, 3), steps=2)


def test_only_a_null_that_was_never_seen_is_refused(tmp_path):
    """Not another label, nor one that the data have; and a network of labels may be trained without."""
    never = fit(X, BY_LABEL, cond=LABELS).denoiser()
    js.guide(never, 2.0, null=1)
    js.guide(never, 2.0, null={"label": 1})
    with pytest.raises(ValueError, match="trained with some conditions dropped"):
        js.guide(never, 2.0, null={"label": 2})
    js.guide(fit(X, BY_LABEL, cond=np.arange(64) % 3).denoiser(), 2.0, null=2)
    fit(X, BY_LABEL, checkpoint=tmp_path)
    js.sample(jax.random.key(1), js.training.load_denoiser(tmp_path), (2, 3), steps=2)


def test_what_is_known_is_no_setting(tmp_path, monkeypatch):
    """A folder that knows less, as those of earlier days, is continued; models with own denoisers are trained."""
    fit(X, BY_LABEL, cond=LABELS, checkpoint=tmp_path)
    read = checkpoint._config
    monkeypatch.setattr(checkpoint, "_config", lambda step: {k: v for k, v in read(step).items() if k != "facts"})
    assert js.training.load_denoiser(tmp_path).dropped is None
    state = fit(X, BY_LABEL, cond=LABELS, checkpoint=tmp_path, resume=True)
    assert state.dropped == 0 and "dropped" not in describe(state.denoiser())
    assert state.model.magnitude and "magnitude" not in describe(state.model)

    class Halved(js.models.Model):
        def denoiser(self, params):
            return js.guide(super().denoiser(params), 0.5, null=1)

    own = js.fit(jax.random.key(0), Halved(BY_LABEL, SCHEDULE), X, steps=1, batch_size=8, cond=LABELS)
    assert isinstance(own.denoiser(), js.denoisers.Guided)


def test_a_module_that_is_called_otherwise_is_one_sentence():
    class OfTime(nn.Module):
        @nn.compact
        def __call__(self, x, t):
            return nn.Dense(3)(x)

    class Fitting(nn.Module):
        @nn.compact
        def __call__(self, x, noise, cond=None):
            return nn.Dense(3)(jnp.concatenate([x, noise[:, None]], 1))

    with pytest.raises(TypeError, match=r"model must be called with \(x, noise, cond\).*OfTime is not"):
        fit(X, OfTime())
    assert fit(X, Fitting()).denoiser().magnitude is not None


def test_tables_of_pandas_are_arrays_and_names_are_no_conditions():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X)
    np.testing.assert_array_equal(data_of.batches(table, None, jax.random.key(0)).x, X)
    with pytest.raises(TypeError, match="cond must be numbers.*got dtype <U1"):
        js.sample(jax.random.key(0), fit(X).denoiser(), (2, 3), cond=np.array(["a", "b"]))


def test_pixels_have_one_scale_in_training_and_in_metrics():
    pixels = np.random.default_rng(1).integers(0, 256, (40, 4, 4), np.uint8)
    floats = datasets.as_samples(pixels)
    evaluate = inspect.unwrap(js.metrics.evaluate)
    found = [
        evaluate(x, reference, jax.random.key(0), metrics=["energy"], null_sets=20)["energy"].value
        for x, reference in ((pixels[:20], floats[20:]), (floats[:20], pixels[20:]), (floats[:20], floats[20:]))
    ]
    with pytest.warns(datasets.DataWarning, match="x must fill the range of pixels"):
        evaluate(pixels[:20] % 2, floats[20:], jax.random.key(0), metrics=["energy"], null_sets=20)
    assert found[0] == pytest.approx(found[2], rel=1e-4) and found[1] == pytest.approx(found[2], rel=1e-4)
