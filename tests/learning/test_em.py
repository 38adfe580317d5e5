"""A prior from corrupted samples alone: it has the law of whole samples, and an interrupted run ends with its bits."""

import inspect
import os

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.corruptions import DenseOperator
from jaxsamp.denoisers import Observed
from jaxsamp.learning import em
from jaxsamp.training.loop import STEP

N, DIM, STEPS = 600, 2, 60
RNG = np.random.default_rng(0)
TRUTH = js.targets.GaussianMixture.spherical([0.5, 0.5], [[1.5, 1.5], [-1.5, -1.5]], 0.16)
X = np.asarray(TRUTH.sample(jax.random.key(7), N))
MEASURED = js.corruptions.corrupt(jax.random.key(8), X, js.corruptions.Mask(rate=0.5, noise=0.1))
MASKS, SEEN = MEASURED.operator.mask, MEASURED.y
NETWORK = js.models.MLP(width=16, depth=1)
SCHEDULE = js.schedules.VarianceExploding()


def run(laps=2, measured=MEASURED, door=None, steps=STEPS, **options):
    settings = {"sampling_steps": 12, "batch_size": 64, "ema": 0.9, "optimizer": js.training.AdamW(learning_rate=1e-2)}
    return (door or js.learning.fit_em)(
        jax.random.key(0), NETWORK, measured, SCHEDULE, laps, steps, **settings | options
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without interruption, the laps that it called back, its folder, and how often its step was compiled."""
    folder, laps, before = tmp_path_factory.mktemp("whole"), [], STEP._cache_size()
    state = run(checkpoint=folder, callback=lambda lap, state: laps.append((lap, int(state.step))))
    return state, laps, folder, STEP._cache_size() - before


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_the_prior_has_the_covariance_of_samples_that_nobody_has_seen(whole):
    """Error less than half of that of data with zeros for what is missing; no draw is far outside of the data."""
    state = whole[0]
    prior = np.asarray(js.sample(jax.random.key(1), state.denoiser(), (N, DIM), steps=12).x)
    truth = np.cov(X.T)
    errors = [np.abs(np.cov(x.T) - truth).max() for x in (prior, np.where(MASKS, SEEN, 0.0))]
    assert errors[0] < 0.5 * errors[1], errors
    drawn = np.load(whole[2] / "1" / "samples.npy")
    assert np.abs(np.cov(drawn.T) - truth).max() < 0.25 * errors[1] and np.abs(drawn).max() < 6
    # What was seen stays, up to its noise; and what was not follows the cluster, unlike zeros.
    assert np.abs(drawn - SEEN)[MASKS].mean() < 0.2
    assert np.corrcoef(drawn[~MASKS], X[~MASKS])[0, 1] > 0.2


def energy(x):
    """Energy distance to fresh samples of the truth."""
    return js.metrics.energy_distance(np.asarray(x), np.asarray(TRUTH.sample(jax.random.key(5), 4 * N)))


@pytest.mark.slow
def test_laps_bring_the_law_nearer_to_the_truth_than_the_gaussian_of_the_same_measurements():
    """Energy distance to the truth less than a third of the Gaussian's."""
    start = js.learning.fit_gaussian_em(MEASURED)
    options = {"start": start, "sampling_steps": 32, "ema": 0.99, "optimizer": js.training.AdamW(learning_rate=3e-3)}
    state = js.learning.fit_em(
        jax.random.key(0), js.models.MLP(width=64, depth=2), MEASURED, SCHEDULE, 4, 300, **options
    )
    law = js.sample(jax.random.key(1), state.denoiser(), (4 * N, DIM)).x
    found, gaussian = energy(law), energy(start.sample(jax.random.key(1), 4 * N))
    assert found < gaussian / 3, (found, gaussian)


@pytest.mark.slow
def test_a_run_on_four_devices_is_the_same_up_to_rounding(whole):
    state = run(mesh=js.mesh(4))
    for a, b in zip(jax.tree.leaves(state.ema), jax.tree.leaves(whole[0].ema), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)


def test_laps_are_called_back_and_the_step_is_compiled_once_for_all(whole):
    assert whole[1] == [(0, STEPS), (1, STEPS)]
    assert whole[3] <= 1  # 0 if an earlier test of this process has compiled it


class Stop(Exception):
    pass


@pytest.mark.slow
def test_a_run_that_ends_inside_a_lap_resumes_to_the_same_bits(tmp_path, whole, monkeypatch):
    laps = []

    def dying(*arguments, **options):
        def stop(step, state):
            if len(laps) == 1 and step == 35:
                raise Stop

        return js.fit(*arguments, **options | {"callback": stop, "callback_every": 5})

    options = {"checkpoint": tmp_path, "checkpoint_every": 20, "callback": lambda lap, _: laps.append(lap)}
    monkeypatch.setattr(em, "fit", dying)
    with pytest.raises(Stop):
        run(**options)
    assert os.listdir(tmp_path / "1" / "training") == ["20"]
    monkeypatch.undo()
    monkeypatch.setattr(em, "fit_gaussian_em", None)  # the samples of both laps are there
    state = run(resume=True, **options)
    assert laps == [0, 1]  # the lap that was complete is not called back again
    assert same((state.params, state.ema, state.opt_state), (whole[0].params, whole[0].ema, whole[0].opt_state))


def test_a_folder_of_another_run_is_refused_by_the_names_of_its_fields(whole):
    with pytest.raises(ValueError, match="a folder without laps, or give resume=True"):
        run(checkpoint=whole[2])
    with pytest.raises(ValueError, match="of another configuration: iterations is 1 there and 2 here"):
        run(checkpoint=whole[2], resume=True, iterations=2)
    with pytest.raises(ValueError, match=f"of another configuration: steps is {STEPS} there and {2 * STEPS} here"):
        run(checkpoint=whole[2], resume=True, steps=2 * STEPS)
    with pytest.raises(ValueError, match=r"of another configuration: measured\[2\].crc32 is"):
        run(checkpoint=whole[2], resume=True, measured=Observed(SEEN, MASKS, 0.3))


@pytest.mark.slow
def test_a_denoiser_may_be_the_start_and_operators_may_be_matrices():
    matrices = RNG.normal(size=(N, 1, DIM)).astype(np.float32)
    y = np.einsum("nmd,nd->nm", matrices, X)
    prior = js.targets.GaussianMixture([1.0], [[0.0, 0.0]], [np.cov(X.T)]).denoiser(SCHEDULE)
    state = run(1, Observed(y, DenseOperator(matrices), np.full(N, 0.1, np.float32)), start=prior, variance=1.0)
    assert int(state.step) == STEPS


LAW = js.targets.GaussianMixture([1.0], [np.zeros(3)], [np.eye(3)])
BAD = {
    "laps": ({"laps": 0}, "laps must be at least 1; got 0"),
    "clean": ({"measured": X}, "measured must be jaxsamp.corruptions.Measurements.*clean samples are learned by"),
    "both zero": (
        {"measured": Observed(SEEN, MASKS, 0.0), "variance": 0.0},
        "noise must be above 0 with variance = 0",
    ),
    "start": ({"start": LAW}, r"start must be of samples of shape \(2,\); got one of \(3,\)"),
    "start is no law": ({"start": 3}, "denoiser must be a denoiser"),
    "sampler": ({"sampler": js.mcmc.Overdamped(0.1)}, "sampler must be one of jaxsamp.samplers"),
    "grid": ({"grid": "linear"}, "grid must be"),
    "microbatch": ({"microbatch": 0}, "microbatch must be at least 1"),
    "iterations": ({"iterations": 0}, "iterations must be at least 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_one_sentence_before_anything_is_computed(name, monkeypatch):
    options, sentence = BAD[name]
    monkeypatch.setattr(em, "fit_gaussian_em", None)
    with pytest.raises((TypeError, ValueError), match=sentence):
        run(door=inspect.unwrap(js.learning.fit_em), **options)
