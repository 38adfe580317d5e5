"""Laws and networks of data, tasks, comparisons and reports: what the commands do, as functions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from jaxsamp.recipes import laws, reports
from jaxsamp.samplers import DDIM, UniPC
from tests.cases import network, quick
from tests.cli.train.runs import weights


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reports, "NULL_SETS", 20)  # for speed


def test_real_digits_score_as_real():
    digits = recipes.load("digits")
    found = recipes.against_data(digits.train, digits, jax.random.key(0))
    assert set(found) == {"frechet", "memorization"}
    assert found["frechet"]["value"] == pytest.approx(found["frechet"]["floor"]) == pytest.approx(1.06, abs=0.02)
    assert found["memorization"]["value"] == 1 and not found["memorization"]["inside"]


def test_a_law_is_sampled_compared_and_reported(key):
    """In the scale of the data at the last level, under a schedule that shrinks them."""
    task = recipes.exact_task(recipes.load("ring"), "rectified-flow")
    levels = recipes.noise_levels(task.denoiser.schedule, 16, sigma_min=0.5)
    drawn = recipes.draw(key, task, 60, js.samplers.Heun(), levels)
    assert drawn.x.shape == (60, 2) and drawn.levels[-1] == pytest.approx(0.5)
    assert drawn.costs == {"evaluations": 32, "evaluations_most": 32, "rounds": 32, "rounds_most": 32}
    found = recipes.report(key, task, drawn.x, js.Level(1.0, 0.5))
    assert set(found) == {"law"} and found["law"]["energy"]["inside"] and found["law"]["rao_means"]["inside"]
    shards = recipes.draw_to_folder("many", key, task, 60, js.samplers.Heun(), levels, shard_size=25)
    np.testing.assert_allclose(shards[:], drawn.x, atol=1e-5)


def test_held_out_data_are_compared_at_the_level_of_the_samples(key):
    random = np.random.default_rng(0)
    np.save("plane.npy", random.normal(size=(2000, 2)).astype(np.float32))
    task = recipes.exact_task(recipes.load("plane.npy"), components=1)
    x = (random.normal(size=(1000, 2)) + random.normal(size=(1000, 2))).astype(np.float32)
    noised, clean = (recipes.against_data(x, task.data, key, level) for level in (js.Level(1.0, 1.0), None))
    assert noised["energy"]["inside"] and not clean["energy"]["inside"]
    report = recipes.report(key, task, x, js.Level(1.0, 1.0))
    assert report["data"] == recipes.against_data(x, task.data, jax.random.split(key, 3)[1], js.Level(1.0, 1.0))


def test_data_become_a_law_of_their_own_shape(key):
    x = np.random.default_rng(0).normal(size=(50, 2, 2)).astype(np.float32)
    np.save("small.npy", x)
    task = recipes.exact_task(recipes.load("small.npy"), components=3)
    assert task.law.weights.shape == (3,) and task.event == (4,)
    assert recipes.draw(key, task, 5).x.shape == (5, 2, 2)
    assert recipes.law_of(x).weights.shape == (5,)  # one for every ten
    assert isinstance(recipes.law_of(x, "empirical"), js.targets.Empirical)
    for call, sentence in (
        (partial(recipes.law_of, x, "mixtur"), "model must be one of .* Did you mean 'mixture'"),
        (partial(recipes.law_of, x, components=51), "components must be at most 50, .* got 51"),
        (partial(recipes.law_of, np.zeros((9, 2000))), "model mixture takes samples of at most 1024 numbers"),
        (
            partial(recipes.exact_task, recipes.load("ring"), "cosin"),
            "schedule must be one of .* Did you mean 'cosine'",
        ),
        (partial(recipes.noise_levels, js.schedules.EDM(), 0), "steps must be at least 1; got 0"),
        (partial(recipes.noise_levels, js.schedules.EDM(), 2, sigma_min=90.0), "sigma_max must be finite and above 90"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


@pytest.mark.slow
def test_samplers_are_compared_with_the_flow_and_the_law(key):
    task = recipes.exact_task(recipes.load("ring"))
    samplers = {"mine": js.samplers.DDIM(), "ddpm": js.samplers.DDPM()}
    found = recipes.compare(key, task, 50, samplers, (8, 4))
    assert [(row["sampler"], row["steps"]) for row in found["rows"]] == [
        ("mine", 4), ("mine", 8), ("ddpm", 4), ("ddpm", 8)
    ]  # fmt: skip
    assert found["rows"][1]["distance_to_flow"] < found["rows"][0]["distance_to_flow"]
    assert found["rows"][2]["distance_to_flow"] is None and found["flow"]["steps"] == 1024
    for given, sentence in (
        (([], (4,)), "samplers must name at least one; got none"),
        ((["ddim"], ()), "steps must name at least one; got none"),
        ((["ddimm"], (4,)), "sampler must be one of .* Did you mean 'ddim'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            recipes.compare(key, task, 50, *given)


@pytest.mark.parametrize("predicts", quick(["edm", "v"], "edm"))
def test_fit_and_the_command_give_the_same_weights_to_the_bit(predicts):
    """For the same settings: of data whose standard deviation is neither 1 nor 1/2, which both must measure."""
    x = 7 * np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.save("wide.npy", x)
    words = ["train", "--data", "wide.npy", "--width", "16", "--depth", "1", "--steps", "6", "--batch-size", "16"]
    words += ["--samples-every", "0", "--seed", "5", "--predicts", predicts]
    assert cli.main(words) == 0
    data, network = recipes.load("wide.npy"), js.models.MLP(width=16, depth=1)
    state = js.fit(jax.random.key(5), network, data.train, js.schedules.EDM(), 6, batch_size=16, predicts=predicts)
    for ema, mine in ((True, state.ema), (False, state.params)):
        for a, b in zip(weights("runs/wide", ema), jax.tree.leaves(mine), strict=True):
            np.testing.assert_array_equal(a, b)


def test_levels_are_measured_on_the_network_and_samplers_are_compared_on_them(key):
    """Other levels for another sampler; the flow keeps even ones, and discrete times have no derivative."""
    task = recipes.exact_task(recipes.load("ring"), js.schedules.Cosine())
    task = task._replace(law=None, denoiser=network("cosine"))
    measured = recipes.calibrated(key, task, [UniPC()], grid=True, sigma_max=20.0)
    assert measured.denoiser.placement is not None
    assert recipes.calibrated(key, measured, [UniPC()], grid=True) is measured
    levels = partial(recipes.noise_levels, task.denoiser.schedule, 6, "calibrated", 20.0, denoiser=measured.denoiser)
    of = [levels(sampler=sampler) for sampler in (UniPC(), UniPC(frame="rotation"), DDIM())]
    assert all(np.abs(np.log(a / b)).max() > 0.01 for a, b in ((of[0], of[1]), (of[0], of[2])))
    rule = partial(js.grids.calibrated, calibration=measured.denoiser, sigma_max=20.0)
    np.testing.assert_allclose(of[0], rule(task.denoiser.schedule, 6, order=UniPC().convergence_order), rtol=1e-6)
    with pytest.raises(ValueError, match="needs a calibration with the sizes of the errors"):
        recipes.noise_levels(task.denoiser.schedule, 6, "calibrated", 20.0)
    times, _ = js.schedules.DiscreteTime.from_diffusers({"num_train_timesteps": 20})
    discrete = task._replace(denoiser=js.denoiser(task.denoiser.apply, task.denoiser.params, times, "x0"))
    with pytest.raises(ValueError, match='grid must not be "calibrated" for a network of discrete times'):
        recipes.calibrated(key, discrete, [UniPC()], grid=True)
    exact = recipes.exact_task(recipes.load("ring"), "vp")
    rows = {
        grid: recipes.compare(key, exact, 16, {"unipc": UniPC()}, (6,), grid=grid) for grid in ("log_snr", "calibrated")
    }
    assert rows["log_snr"]["flow"] == rows["calibrated"]["flow"]
    assert rows["log_snr"]["rows"][0]["distance_to_flow"] != rows["calibrated"]["rows"][0]["distance_to_flow"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ((2,), "MLP 256"),
        ((8, 8), "MLP 384"),
        ((3, 4, 5), "MLP 256"),
        ((16, 16, 3), "UNet (1, 2, 2)"),
        ((24, 20), "UNet (1, 2, 2)"),
        ((27, 27), "UNet (1,)"),
    ],
)
def test_the_network_suits_the_data(event, expected):
    network = recipes.network_for(event)
    size = network.width if isinstance(network, js.models.MLP) else network.multipliers
    assert f"{type(network).__name__} {size}" == expected
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, *event)), jnp.zeros(1))
    assert jax.tree.leaves(params)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            partial(recipes.network_for, (3,), network="unet"),
            r"network unet takes images; .* shape \(3,\), so take mlp",
        ),
        (
            partial(recipes.network_for, (3,), channels=8),
            "channels is not a setting of network mlp, which takes width, de",
        ),
        (partial(recipes.network_for, (8, 8), network="dut"), "network must be one of .* Did you mean 'dit'"),
        (partial(recipes.network_for, (8, 8), width=0), "width must be at least 1; got 0"),
        (
            partial(recipes.network_for, (8, 8), network="unet", multipliers=()),
            "multipliers must hold at least one number",
        ),
        (partial(recipes.network_for, (8, 8), dtype="float8"), "dtype must be one of 'float32', 'bfloat16'; got"),
    ],
)
def test_a_network_that_cannot_be_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.slow
def test_the_ridge_is_the_best_one_for_held_out_digits():
    """The comment at RIDGE claims it; neighbors three times larger and smaller do worse."""
    train, _, held_out = js.datasets.digits()
    rows = held_out.reshape(len(held_out), -1)

    def likelihood(ridge: float) -> float:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(laws, "RIDGE", ridge)
            return float(recipes.law_of(train).log_prob(jax.numpy.asarray(rows)).mean())

    middle = likelihood(laws.RIDGE)
    assert middle > likelihood(laws.RIDGE / 3.3) and middle > likelihood(laws.RIDGE * 3.3)


def test_images_alone_have_the_grays_of_the_data_and_a_row_per_label():
    data = recipes.load("digits")
    x, labels = np.zeros((30, 8, 8)), np.arange(30) % 3 * 5
    rows = recipes.alone(x, data, labels).axes[0]
    assert [text.get_text() for text in rows.get_yticklabels()] == ["0", "5", "10"]
    assert rows.images[0].get_array()[0, 0, 0] == 0.5  # between black, -1, and white, 1
    for one in (None, np.full(30, 7)):
        plain = recipes.alone(x, data, one).axes[0]
        assert not plain.get_yticklabels() and plain.images[0].get_array().shape == (3 * 9 - 1, 89, 3)
    assert recipes.alone(np.zeros((30, 2)), recipes.load("ring")) is None
