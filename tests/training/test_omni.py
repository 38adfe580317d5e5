"""Annotated data: batches have only samples that may train at their level, and runs resume, divide and compile once."""

import inspect
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import losses, models, training
from jaxsamp.corruptions import Annotations
from jaxsamp.training import omni
from jaxsamp.training.data import Shuffled, on_device

N = 40
LABELS = np.arange(N, dtype=np.int32) % 3
X = np.random.default_rng(0).normal(size=(N, 2)).astype(np.float32)
NOTES = Annotations(np.where(np.arange(N) < 10, 0.0, np.linspace(0.2, 3, N)), np.where(np.arange(N) < 30, 0.0, 0.1), X)
VP = js.schedules.VariancePreserving()
NETWORK = models.MLP(width=8, depth=1, classes=3)
LOSS = training.omni_loss(drop=0.1)


def fit(steps=6, network=NETWORK, notes=NOTES, data=X, loss=LOSS, **options):
    settings = {"cond": LABELS, "annotations": notes, "loss": loss, "batch_size": 8, **options}
    return js.fit(jax.random.key(0), network, data, VP, steps, **settings)


def leaves(state):
    return jax.tree.leaves((state.params, state.ema, state.opt_state))


@pytest.fixture(scope="module")
def whole():
    return fit()


def test_batches_have_only_samples_that_may_train_at_their_level_each_with_its_condition_and_noise():
    batches = Shuffled(X, {"label": LABELS, "vector": X}, (0,))
    model = models.Model(NETWORK, VP)
    made, loss = omni.annotated(batches, NOTES, LOSS, model, jax.random.key(0))
    own, place = {}, {tuple(row): i for i, row in enumerate(X.tolist())}
    for index in range(20):
        x, (cond, log_snr, factor, noise, keys) = made.batch(index, 64)
        rows = np.array([place[tuple(row)] for row in x.tolist()])
        np.testing.assert_array_equal(cond["vector"], x)
        np.testing.assert_array_equal(cond["label"], LABELS[rows])
        s, least, most = np.exp(-np.asarray(log_snr, float)), NOTES.sigma_min[rows], NOTES.sigma_max[rows]
        assert ((s > 1.154 * least) | (s <= most * (1 + 1e-6))).all()
        np.testing.assert_allclose(noise, np.where(s <= most * (1 + 1e-6), 0, least), rtol=1e-6)
        assert (np.asarray(factor) == 1).all()
        for row, words in zip(rows, np.asarray(jax.random.key_data(keys)).tolist(), strict=True):
            assert own.setdefault(row, words) == words
    assert len(own) == N and len({tuple(words) for words in own.values()}) == N
    ahead = [batch for batch, _ in zip(made.stream(3, 8), range(2), strict=False)]
    for index, batch in zip((3, 4), ahead, strict=True):
        chex.assert_trees_all_equal(batch[0], made.batch(index, 8)[0])
        chex.assert_trees_all_equal(batch[1].log_snr, made.batch(index, 8)[1].log_snr)
    assert loss.levels.resolved(1.0, (2,)) is loss.levels  # a number already


def test_no_batch_reads_or_changes_the_random_numbers_of_numpy():
    """Published data sets seed them with the number of each sample."""
    batches, model = Shuffled(X, LABELS, (0,)), models.Model(NETWORK, VP)
    np.random.seed(1)
    state, found = np.random.get_state()[1].copy(), []
    for seed in (1, 2):
        np.random.seed(seed)
        made, _ = omni.annotated(batches, NOTES, LOSS, model, jax.random.key(0))
        found.append(made.batch(3, 8)[0])
    np.random.seed(1)
    made.batch(3, 8)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.testing.assert_array_equal(*found)


def test_the_levels_of_annotated_data_have_the_law_that_was_given():
    """Mean and standard deviation of log(sigma / alpha) within 4 standard errors."""
    law = training.omni_loss(losses.LogNormal(-1.0, 1.5))
    made, _ = omni.annotated(Shuffled(X, None, (0,)), NOTES, law, models.Model(NETWORK, VP), jax.random.key(3))
    logs = -np.asarray(made.batch(0, 20_000)[1].log_snr, float)
    assert abs(logs.mean() + 1) < 4 * 1.5 / np.sqrt(20_000)
    assert abs(logs.std() - 1.5) < 4 * 1.5 / np.sqrt(40_000)


def test_annotated_training_resumes_to_the_same_bits_and_compiles_its_step_once(tmp_path, whole, monkeypatch):
    class Stop(Exception):
        pass

    def stop(step, state):
        if step == 4:
            raise Stop

    monkeypatch.delattr(losses, "ambient_omni")  # a step that is traced again would miss it
    options = {"checkpoint": tmp_path, "checkpoint_every": 3, "resume": True}
    with pytest.raises(Stop):
        fit(**options, callback=stop, callback_every=1)
    for a, b in zip(leaves(fit(**options)), leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    others = Annotations(NOTES.sigma_min * 2, NOTES.sigma_max)
    fit(notes=others, ema=0.5)
    with pytest.raises(ValueError, match="another configuration: data.annotations.sigma_min.crc32 is"):
        fit(notes=others, **options)
    with pytest.raises(ValueError, match="another configuration: loss.target is 'x_tn' there and 'x0' here"):
        fit(loss=training.omni_loss(drop=0.1, target="x0"), **options)


@pytest.mark.slow
def test_annotated_training_over_devices_is_that_of_one(whole):
    for a, b in zip(leaves(fit(mesh=js.mesh(4))), leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
def test_without_damage_the_loss_is_that_of_clean_samples(whole):
    model, clean = whole.model, Annotations(np.zeros(N))
    made, loss = omni.annotated(Shuffled(X, LABELS, (0,)), clean, training.omni_loss(), model, jax.random.key(0))
    x, given = on_device(made.batch(0, 16))
    noise, level = jax.random.normal(jax.random.split(jax.random.key(5))[0], x.shape), VP.level(given.log_snr)
    plain = partial(losses.at_level, model, whole.params, x, noise, level, VP, "x0", loss.weighting_of(model))
    np.testing.assert_array_equal(loss(jax.random.key(5), model, whole.params, x, given), plain(given.cond))


@pytest.mark.parametrize(
    "options, kind, phrase",
    [
        ({"notes": np.zeros(N)}, TypeError, "annotations must be a jaxsamp.corruptions.Annotations; got a ndarray"),
        ({"notes": None}, ValueError, r"annotations must be given for omni_loss\(...\); got None"),
        ({"loss": training.denoising_loss()}, TypeError, r"loss must be a jaxsamp.training.omni_loss\(...\) with ann"),
        ({"data": X + 1}, ValueError, "annotations must be those of the data; they were made for data of shape"),
        ({"data": X[:7], "cond": None}, ValueError, "annotations must have one entry per sample, 7; got 40"),
        ({"data": js.targets.moons(), "cond": None}, TypeError, "data must be an array of samples with annotations"),
        (
            {"data": js.corruptions.corrupt(jax.random.key(0), X, js.corruptions.Mask(0.5))},
            TypeError,
            "data must be an array of samples with annotations; got a Measured",
        ),
        (
            {"notes": Annotations(np.full(N, 0.3))},
            ValueError,
            "at sigma / alpha = .* there is none, because all of them need more than 0.346. Add clean samples",
        ),
    ],
)
def test_what_does_not_fit_annotations_is_refused_in_a_sentence(options, kind, phrase):
    with pytest.raises(kind, match=phrase):
        network = models.MLP(width=8, depth=1, classes=3)
        bare = partial(inspect.unwrap(js.fit), jax.random.key(0), network)
        settings = {"cond": LABELS, "annotations": options.get("notes", NOTES), "loss": options.get("loss", LOSS)}
        settings |= {name: options[name] for name in ("cond",) if name in options}
        bare(options.get("data", X), VP, 2, batch_size=8, **settings)


def test_noisy_data_alone_train_at_levels_above_their_noise():
    loss = training.omni_loss(losses.UniformLogSNR(0.4, 80.0))
    notes, model = Annotations(np.full(N, 0.3)), models.Model(NETWORK, VP)
    made, _ = omni.annotated(Shuffled(X, None, (0,)), notes, loss, model, jax.random.key(0))
    assert (np.exp(-np.asarray(made.batch(0, 64)[1].log_snr)) > 0.346).all()
    with pytest.raises(ValueError, match="buffer must be above 1; got 0.5"):
        training.omni_loss(buffer=0.5)
    with pytest.raises(ValueError, match='buffer must be finite for the target "x_tn"'):
        training.omni_loss(buffer=np.inf)
    training.omni_loss(buffer=np.inf, target="x0")


class Affine:
    """The exact denoiser of normal numbers, and `params` off it below a level of 0.25."""

    schedule, prediction, sigma_data = VP, "x0", 1.0

    def __call__(self, params, x, t, cond):
        level = VP.at(t)
        s = (level.sigma / level.alpha)[:, None]
        return x / level.alpha[:, None] / (1 + s**2) + params * (s < 0.25)


@pytest.mark.parametrize("consistency, off", [(0.0, 0.3), (2.0, 0.0), (2.0, 0.3)])
def test_levels_below_the_noise_of_all_samples_have_the_consistency_loss_or_none(consistency, off):
    """Its mean is the weight times the square of what is off, 0 for the exact denoiser: within 4.5 standard errors."""
    count = 20_000
    loss = training.omni_loss(weighting=losses.UnitWeighting(), consistency=consistency, ways=2)

    @jax.jit
    def found(key):
        for_x, for_own, for_loss = jax.random.split(key, 3)
        x, ones = jax.random.normal(for_x, (count, 1)), jnp.ones(count)
        factor = ones * (consistency > 0)  # as the batches have it
        cond = omni.Admitted(None, -jnp.log(0.2 * ones), factor, 0.6 * ones, jax.random.split(for_own, count))
        return jax.jvp(lambda off: loss(for_loss, Affine(), off, x, cond), (off,), (1.0,))

    each, slopes = (np.asarray(v, float) for v in found(jax.random.key(0)))
    mean, spread = each.mean(), each.std() / np.sqrt(count)
    assert np.isfinite(slopes).all()
    assert abs(mean - consistency * off**2) <= 4.5 * spread < 0.05


def test_batches_have_samples_at_levels_where_none_may_train_only_with_consistency():
    law = losses.UniformLogSNR(0.05, 80.0)
    notes, model = Annotations(np.where(np.arange(N) < 5, np.inf, 0.3)), models.Model(NETWORK, VP)
    loss = training.omni_loss(law, consistency=1.0)
    made, _ = omni.annotated(Shuffled(X, None, (0,)), notes, loss, model, jax.random.key(0))
    x, cond = made.batch(0, 512)
    below = np.exp(-np.asarray(cond.log_snr)) < 0.346
    assert 100 < below.sum() < 200  # a share of log(0.346 / 0.05) / log(80 / 0.05), 0.26
    assert (np.asarray(cond.factor) == 1).all() and (np.asarray(cond.sigma_n) == np.float32(0.3)).all()
    assert len(np.unique(x[below], axis=0)) > 25 and not (X[:5] == x[:, None]).all(-1).any()
    for options, phrase in (
        ({"consistency": -1.0}, "consistency must be a weight, .* got -1"),
        ({"ways": 0}, "ways must"),
    ):
        with pytest.raises(ValueError, match=phrase):
            training.omni_loss(**options)
    with pytest.raises(ValueError, match="annotations must let a sample train at high noise; got infinity for all"):
        omni.annotated(Shuffled(X, None, (0,)), Annotations(np.full(N, np.inf)), loss, model, jax.random.key(0))
