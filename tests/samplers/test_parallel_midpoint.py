"""Whole trajectories in a handful of rounds, and the sequential methods that they contain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.samplers import DPMSolverPP, ParallelMidpoint, RandomizedMidpoint, UniPC
from jaxsamp.samplers.following import Path, Sweep
from jaxsamp_kernels.window import Memory
from tests.cases import SCHEDULES, g64, quick, run, small_mixture

N = 48


@pytest.fixture(scope="module")
def problem():
    """Denoiser of g64 in float64, and the ends of the converged flow."""
    with jax.enable_x64(True):
        denoiser = g64().denoiser(SCHEDULES["ve"])
        yield denoiser, run(UniPC(order=3, lower_order_final=False), denoiser, N, 800)


def median_error(problem, sampler, steps=None):
    denoiser, flow = problem
    return float(jnp.median(jnp.sqrt(jnp.mean((run(sampler, denoiser, N, steps) - flow) ** 2, -1))))


@pytest.mark.slow
def test_a_trajectory_of_g64_takes_a_handful_of_rounds(x64, problem):
    assert ParallelMidpoint(iterations=3).rounds(1) == 4
    assert median_error(problem, ParallelMidpoint(iterations=3)) < 3e-4
    assert median_error(problem, UniPC(order=3), 16) > 1e-3  # what a sequential solver has after four times the rounds
    # Without the calibrated frame the sweeps have hardly begun.
    assert median_error(problem, ParallelMidpoint(iterations=3, frame="data", initial="constant")) > 0.02


@pytest.mark.slow
def test_antithetic_nodes_take_a_handful_too(x64, problem):
    assert median_error(problem, ParallelMidpoint(64, 4, "antithetic")) < 1e-3


@pytest.mark.slow
def test_many_sweeps_over_many_nodes_reach_the_flow(x64, problem):
    assert median_error(problem, ParallelMidpoint(64, 12)) < 1e-5


SEQUENTIAL = {
    "random": (
        ParallelMidpoint(1, 1, "random", "data", "constant", 0),
        RandomizedMidpoint(reuse=False, antithetic=False),
    ),
    "antithetic": (
        ParallelMidpoint(1, 1, "antithetic", "noise", "constant", 0),
        RandomizedMidpoint("noise", reuse=False),
    ),
    "warm": (ParallelMidpoint.blocked(1, 1), RandomizedMidpoint()),
    "paper": (ParallelMidpoint.paper(1, 1), RandomizedMidpoint.paper()),
}


@pytest.mark.parametrize("name", quick(SEQUENTIAL, "random", "warm"))
def test_one_node_and_one_sweep_is_the_sequential_step(x64, name):
    parallel, sequential = SEQUENTIAL[name]
    denoiser = small_mixture().denoiser(SCHEDULES["ou"])
    np.testing.assert_allclose(run(parallel, denoiser, 8, 10), run(sequential, denoiser, 8, 10), rtol=1e-12, atol=1e-12)
    assert parallel.rounds(10) == sequential.rounds(10) and parallel.evaluations(10) == sequential.evaluations(10)


def test_each_sample_stops_at_the_tolerance_by_itself(x64):
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    sample = lambda sampler: js.sample(jax.random.key(0), denoiser, (64, 2), sampler, final_denoise=False)  # noqa: E731
    out = sample(ParallelMidpoint(iterations=30, tolerance=1e-5))
    stats, x = jax.tree.map(np.asarray, (out.stats, out.x))
    rounds, residual, converged = stats["rounds"], stats["residual"], stats["converged"]
    assert 2 <= rounds.min() < rounds.max() < 31
    assert (converged == (residual <= 1e-5)).all() and 0 < converged.mean() < 1
    # 1 % of samples may be more than 3 tolerances off the limit, because they decided late.
    off = np.sqrt(np.mean(np.square(x - np.asarray(sample(ParallelMidpoint(iterations=40)).x)), 1))
    assert np.mean(off <= 3e-5) >= 0.98 and (off[converged] <= 3e-5).all()
    assert (stats["evaluations"] == 32 * rounds).all() and (stats["evaluations_computed"] == 32 * rounds.max()).all()
    # A sample that stopped after k rounds is what k rounds give it, whatever the others did.
    k = int(np.median(rounds))
    fixed = np.asarray(sample(ParallelMidpoint(iterations=k - 1)).x)
    np.testing.assert_allclose(x[rounds == k], fixed[rounds == k], rtol=1e-10, atol=1e-10)
    # The residual is the largest change along the path, so at least that of its end; or its mean with the one before.
    more = jax.tree.map(np.asarray, sample(ParallelMidpoint(iterations=k)))
    moved = np.sqrt(np.mean(np.square(more.x - fixed), 1))
    assert (more.stats["residual"] >= 0.999999 * moved).all() and (more.stats["residual"] < 100 * moved).mean() > 0.5
    short = jax.tree.map(np.asarray, sample(ParallelMidpoint(iterations=2, tolerance=1e-9)).stats)
    assert not short["converged"].any() and (short["rounds"] == 3).all()


def test_by_default_samples_are_within_a_hundredth_or_it_says_so(x64, recwarn):
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    sample = lambda sampler: js.sample(jax.random.key(0), denoiser, (64, 2), sampler, final_denoise=False)  # noqa: E731
    limit = sample(ParallelMidpoint(64, 20)).x
    accuracy = 0.01 * float(jnp.sqrt(jnp.mean(denoiser.calibration.variance)))
    far = lambda x: np.sqrt(np.mean(np.square(x - limit), 1))  # noqa: E731
    out = sample(ParallelMidpoint())
    rounds, residual = np.asarray(out.stats["rounds"]), np.asarray(out.stats["residual"])
    assert rounds.min() < rounds.max() < 17 and rounds.mean() < 5 and not recwarn
    assert out.stats["converged"].all() and (residual <= accuracy).all() and (far(out.x) <= 3 * accuracy).all()
    # Six nodes do not see what the law does in between: the sweeps settle, at another place.
    with pytest.warns(UserWarning, match=r"of 64 samples have not converged: .* Give it more midpoints than 6, more"):
        few = sample(ParallelMidpoint(6))
    converged = np.asarray(few.stats["converged"])
    assert (few.stats["rounds"] < 17).all() and (far(few.x) > 3 * accuracy).mean() > 0.1 > converged.mean()
    # A number of sweeps that is given is taken, and says nothing.
    recwarn.clear()
    fixed = sample(ParallelMidpoint(6, iterations=2))
    assert (fixed.stats["rounds"] == 3).all() and not recwarn
    # A tolerance warns of those alone that the number of sweeps has stopped.
    assert not ParallelMidpoint(iterations=3, tolerance=1e-3).differentiable and ParallelMidpoint(4, 2).differentiable
    with pytest.warns(UserWarning, match="64 of 64 samples have not converged"):
        sample(ParallelMidpoint(iterations=2, tolerance=1e-9))
    recwarn.clear()
    own = sample(ParallelMidpoint(tolerance=1e-3))
    assert not own.stats["converged"].all() and not recwarn


def unmoved():
    return Path(*jnp.zeros((3, 1))), Memory(*jnp.zeros((2, 1))), None


def test_a_path_that_sits_still_for_one_sweep_has_not_converged():
    """These are changes of a sample of five modes in 64 dimensions, which was to leave the wrong mode later."""
    sweep, rows = Sweep.before(*unmoved()), []
    for change in (0.594, 0.113, 0.0075, 0.0762):
        sweep = sweep.followed_by(*unmoved(), jnp.float32(change))
        rows.append((float(sweep.residual), float(sweep.error)))
        # What stops a sample is an error of at least 0.3 of the last change, which so is at most 3.4 tolerances.
        assert 0.3 * change <= rows[-1][1] * (1 + 1e-6) and change <= rows[-1][0] * (1 + 1e-6)
    np.testing.assert_allclose(rows[0], (0.594, np.inf))
    np.testing.assert_allclose(rows[1], (0.594, 3 * 0.113 * 2 * 0.113 / 0.594), rtol=1e-6)  # g is 2
    np.testing.assert_allclose(rows[2], (2 * (0.0075 * 0.113) ** 0.5, 3 * 0.0075 * 0.1), rtol=1e-6)  # 0.01 stops here
    np.testing.assert_allclose(rows[3], (9 * 0.0762, 3 * 0.0762), rtol=1e-6)


@pytest.mark.parametrize("changes", [(0.9, 0.111, 0.0128, 0.00215), (0.0154, 0.0056), (0.92, 0.058, 0.0091)])
def test_a_rate_that_grows_or_may_have_grown_is_expected_to_grow_on(changes):
    """These are changes of samples of ten modes in 1,024 dimensions, all off by 1 for some more sweeps; the second one
    follows a surrogate, so that its first change is small.
    """
    sweep = Sweep.before(*unmoved())
    for change in changes:
        sweep = sweep.followed_by(*unmoved(), jnp.float32(change))
    before, last = changes[-2:]
    q = last / before
    growth = q / (before / changes[-3]) if len(changes) > 2 else 2
    assert growth > 1
    np.testing.assert_allclose(sweep.error, 3 * last * growth * q, rtol=1e-5)
    r = min(growth**2 * q, 0.9)
    expected = max(min(before, max(2, growth**2) * (last * before) ** 0.5), last * r / (1 - r))
    np.testing.assert_allclose(sweep.residual, expected, rtol=1e-5)
    assert sweep.residual > 0.01 > 3 * last * max(q, 0.1)  # the last rate alone would stop them at 0.01


def test_a_path_that_has_stopped_stays_so():
    sweep = Sweep.before(*unmoved())
    for change in (0.92, 0.058, 0.0091, 0, 0):
        sweep = sweep.followed_by(*unmoved(), jnp.float32(change))
    assert sweep.error == 0 and sweep.residual == 0
    few = Sweep.before(*unmoved())
    for change in (0.0113, 2e-4):  # as of most samples that follow a surrogate: the first change is that of its path
        few = few.followed_by(*unmoved(), jnp.float32(change))
    np.testing.assert_allclose(few.residual, 4 * (0.0113 * 2e-4) ** 0.5, rtol=1e-5)
    moved = sweep.followed_by(*unmoved(), jnp.float32(0.01))
    assert jnp.isfinite(moved.error) and jnp.isfinite(moved.residual)


def test_a_path_that_leaves_a_mode_slowly_has_not_converged():
    """These are changes of a sample of the digits' mixture, which was off by 0.079 after the seventh."""
    sweep, residuals = Sweep.before(*unmoved()), []
    for change in (0.191, 0.0702, 0.0223, 0.015, 0.013, 0.0102, 0.009, 0.0091, 0.012, 0.0314, 0.0505, 0.0159, 0.0003):
        sweep = sweep.followed_by(*unmoved(), jnp.float32(change))
        residuals.append(float(sweep.residual))
    assert min(residuals[:-1]) > 0.01 > residuals[-1]
    np.testing.assert_allclose(residuals[5], 0.0102 * (0.0102 / 0.013) / (1 - 0.0102 / 0.013), rtol=1e-5)


def test_what_it_cost_is_told():
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    blocked = js.sample(jax.random.key(0), denoiser, (3, 2), ParallelMidpoint.blocked(4, 2))
    assert (blocked.stats["rounds"] == 1 + 8 * 2 + 1).all() and (blocked.stats["evaluations"] == 1 + 8 * 8 + 1).all()
    whole = js.sample(jax.random.key(0), denoiser, (3, 2), ParallelMidpoint(8, 4), final_denoise=False)
    assert (whole.stats["rounds"] == 5).all() and (whole.stats["evaluations"] == 40).all()
    constant = ParallelMidpoint(8, 4, initial="constant")
    assert constant.rounds(1) == 5 and constant.evaluations(1) == 33


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["score", "calibrated"])
def test_multistep_methods_in_other_frames_converge_to_the_same_flow(x64, problem, frame):
    for sampler in (UniPC(order=3, frame=frame), DPMSolverPP(order=3, frame=frame)):
        few, many = (median_error(problem, sampler, steps) for steps in (24, 128))
        assert many < 0.1 * few and many < 2e-4


@pytest.mark.slow
def test_multistep_in_the_calibrated_frame_is_exact_for_a_gaussian(x64):
    target = js.targets.GaussianMixture([1.0], [[0.0, 0.0]], 0.25 * np.eye(2)[None])
    denoiser = target.denoiser(SCHEDULES["ve"]).with_calibration(js.calibration.from_sigma_data(0.5))
    flow = run(UniPC(order=3, lower_order_final=False), denoiser, 4, 400)
    np.testing.assert_allclose(run(UniPC(order=3, frame="calibrated"), denoiser, 4, 4), flow, atol=1e-6)
    assert np.abs(run(UniPC(order=3), denoiser, 4, 20) - flow).max() > 1e-5


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (ParallelMidpoint(midpoints=0), "midpoints must be at least 1"),
        (ParallelMidpoint(iterations=0), "iterations must be at least 1"),
        (ParallelMidpoint(secants=-1), "secants must be at least 0"),
        (ParallelMidpoint(nodes="gaus"), "Did you mean 'gauss'"),
        (ParallelMidpoint(initial="gauss"), "Did you mean 'gaussian'"),
        (ParallelMidpoint(frame="calibrate"), "Did you mean 'calibrated'"),
        (ParallelMidpoint(tolerance=-1.0), "tolerance must be None or a number of at least 0; got -1.0"),
        (DPMSolverPP(stochastic=True, frame="score"), 'frame must be "data" with stochastic=True'),
        (UniPC(frame="scor"), "Did you mean 'score'"),
    ],
)
def test_bad_settings_are_named(sampler, message):
    with pytest.raises(ValueError, match=message):
        js.sample(jax.random.key(0), small_mixture().denoiser(SCHEDULES["ve"]), (2, 2), sampler)
