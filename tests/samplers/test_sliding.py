"""The sliding window is the sequential method at tolerance 0, and close to it in few rounds otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.samplers import (
    DDIM,
    DPMSolverPP,
    ExponentialEuler,
    OverdampedCorrector,
    ParaDiGMS,
    ParallelMidpoint,
    PredictorCorrector,
    RandomizedMidpoint,
    SlidingWindow,
    UniPC,
)
from jaxsamp_kernels import sliding
from tests.cases import SAMPLERS, SCHEDULES, g64, run, small_mixture

CELLS, WINDOW = 11, 4


def toy(noise):
    """A walk with known weights and a nonlinear slope; and its ends, cell by cell."""
    rng = np.random.default_rng(5)
    w, share, eta = rng.uniform(0.05, 0.4, CELLS), rng.uniform(size=CELLS), noise * rng.standard_normal((CELLS, 3))
    y, slope = rng.standard_normal(3), np.array([0.3, -0.2, 0.5])
    end, last = y, slope
    for i in range(CELLS):
        last = np.cos(end + share[i] * w[i] * last) + 0.1 * i
        end = end + w[i] * last + eta[i]
    return (jnp.asarray(v) for v in (y, slope, w, share * w, eta, end))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_window_ends_where_the_steps_one_by_one_do(x64, noise):
    y, slope, w, offsets, eta, end = toy(noise)
    index = lambda first: jnp.minimum(first + jnp.arange(WINDOW), CELLS - 1)  # noqa: E731

    def evaluate(first, points):
        i = index(first)
        slopes = jnp.cos(points) + 0.1 * i[:, None]
        return w[i][:, None] * slopes + eta[i], slopes

    def slide(tolerance, max_sweeps=None):
        known = (lambda first: eta[index(first)]) if noise else None
        tables = (w, offsets, jnp.ones(CELLS))
        return sliding.slide(
            y, slope, evaluate, *tables, window=WINDOW, tolerance=tolerance, max_sweeps=max_sweeps, noise=known
        )

    exact, loose, forced = jax.jit(lambda: (slide(0.0), slide(1e-2), slide(1e-9, 2)))()
    np.testing.assert_allclose(exact.y, end, rtol=1e-13)
    assert exact.residual == 0 and exact.sweeps <= CELLS
    assert 0 < loose.residual <= 1e-2 and loose.sweeps < exact.sweeps
    assert 1e-13 < np.abs(loose.y - end).max() < 2e-2
    # Two sweeps, then whole windows: and the excess over the tolerance is told.
    assert forced.sweeps <= 2 + -(-CELLS // WINDOW) and forced.residual > 1e-9
    # A window is as good as counted: full but for the cells after the last.
    assert exact.sweeps < exact.cells <= WINDOW * exact.sweeps - sum(range(WINDOW))


def drawn(sampler, denoiser):
    return js.sample(jax.random.key(1), denoiser, (16, 2), sampler, 12, final_denoise=False)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("nodes", "frame"),
    [
        ("antithetic", "data"),
        pytest.param("random", "data", marks=SLOW),
        pytest.param("antithetic", "noise", marks=SLOW),
        pytest.param("antithetic", "score", marks=SLOW),
        pytest.param("random", "calibrated", marks=SLOW),
    ],
)
def test_tolerance_zero_is_randomized_midpoint(x64, nodes, frame):
    sequential = RandomizedMidpoint(frame=frame, antithetic=nodes == "antithetic")
    sliding_window = SlidingWindow(window=5, tolerance=0.0, nodes=nodes, frame=frame)
    denoiser = small_mixture().denoiser(SCHEDULES["ou"])
    window, plain = drawn(sliding_window, denoiser), drawn(sequential, denoiser)
    np.testing.assert_allclose(window.x, plain.x, rtol=1e-12, atol=1e-12)
    assert window.stats["rounds"].max() <= plain.stats["rounds"][0] and window.stats["converged"].all()


def test_tolerance_zero_of_fixed_nodes_is_the_midpoint_rule(x64):
    """With u = 1/2 and the slope of the node before: x / s moves by the posterior mean times the step in 1 / s."""
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    start = 80 * np.random.default_rng(1).standard_normal((16, 2))
    s = np.geomspace(80.0, 0.02, 13)

    def step(carried, ends):
        y, slope = carried
        middle, half = jnp.mean(1 / ends), jnp.diff(1 / ends)[0] / 2
        slope = denoiser((y + half * slope) / middle, denoiser.schedule.level(jnp.log(middle)))
        return (y + 2 * half * slope, slope), None

    @jax.jit
    def stepped(start):
        first = denoiser(start, denoiser.schedule.level(-jnp.log(s[0])))
        (y, _), _ = jax.lax.scan(step, (start / s[0], first), np.stack([s[:-1], s[1:]], 1))
        return s[-1] * y

    window = SlidingWindow(window=5, tolerance=0.0, nodes="midpoint")
    found = run(window, denoiser, 16, 12, init=jnp.asarray(start))
    np.testing.assert_allclose(found, stepped(start), rtol=1e-12, atol=1e-12)


NAMES = ("ddim", "ddim_eta", "ddpm", "heun", "heun_churn", "midpoint", "euler_score", "randomized_sde")
ONE_STEP = {name: SAMPLERS[name] for name in NAMES} | {
    "euler_calibrated": ExponentialEuler("calibrated"),
    "randomized": RandomizedMidpoint(reuse=False),
    "corrected": PredictorCorrector(DDIM()),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == "ddim" else SLOW) for name in ONE_STEP])
@pytest.mark.parametrize("frame", ["data", pytest.param("calibrated", marks=SLOW)])
def test_tolerance_zero_is_the_sampler_within(x64, name, frame):
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    if frame == "calibrated":  # one curve, so that noise is drawn in the same coordinates by both
        denoiser = denoiser.with_calibration(js.calibration.from_sigma_data(0.8))
    sequential = ONE_STEP[name]
    sliding_window = ParaDiGMS(sequential, window=5, tolerance=0.0, frame=frame)
    window, plain = drawn(sliding_window, denoiser), drawn(sequential, denoiser)
    np.testing.assert_allclose(window.x, plain.x, rtol=1e-12, atol=1e-12)
    assert window.stats["rounds"].max() <= plain.stats["rounds"][0] and window.stats["converged"].all()


@SLOW
def test_single_precision_and_windows_longer_than_the_grid(x64):
    """Weights span e^lambda from 1/80 to 50: float32 keeps its digits, but for samples between two modes."""
    denoiser, start = small_mixture().denoiser(SCHEDULES["ou"]), np.random.default_rng(0).standard_normal((32, 2))
    for sampler in (SlidingWindow(window=64, tolerance=1e-3, nodes="midpoint"), ParaDiGMS(DDIM())):
        single, double = (
            run(sampler, denoiser, 32, 24, init=jnp.asarray(start, dtype)) for dtype in (jnp.float32, jnp.float64)
        )
        assert single.dtype == jnp.float32
        np.testing.assert_allclose(single, double, atol=2e-3)
        assert np.median(np.abs(single - double)) < 1e-5


@SLOW
def test_few_rounds_and_what_is_counted():
    target = g64()
    denoiser = target.denoiser(SCHEDULES["ou"])
    out = js.sample(jax.random.key(0), denoiser, (64, 64), SlidingWindow(max_sweeps=500), final_denoise=False)
    exact = run(UniPC(order=3), denoiser, 64, 200)
    error = np.sqrt(np.mean(np.square(out.x - exact), 1))
    rounds, evaluations = np.asarray(out.stats["rounds"]), np.asarray(out.stats["evaluations"])
    assert np.median(error) < 1.5e-3 and rounds.mean() < 17 and np.quantile(rounds, 0.99) <= 28
    assert (evaluations <= 1 + 16 * (rounds - 1)).all() and (evaluations >= 65).all()
    assert (out.stats["evaluations_computed"] == 1 + 16 * (rounds.max() - 1)).all()
    assert 0 < out.stats["residual"].max() <= 3e-3 and bool(out.stats["converged"].all())
    hasty = SlidingWindow(max_sweeps=3)
    with pytest.warns(UserWarning, match=r"of 64 samples have not converged: .* Give it a larger max_sweeps, or a"):
        hurried = js.sample(jax.random.key(0), denoiser, (64, 64), hasty, final_denoise=False)
    assert hurried.stats["rounds"].max() <= 1 + 3 + 4 and not hurried.stats["converged"].all()


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (SlidingWindow(window=0), "window must be at least 1"),
        (SlidingWindow(tolerance=-1.0), "tolerance must be at least 0"),
        (SlidingWindow(nodes="gaus"), "nodes must be one of"),
        (SlidingWindow(frame="dat"), "Did you mean 'data'"),
        (SlidingWindow(max_sweeps=0), "max_sweeps must be at least 1"),
        (ParaDiGMS(DDIM(), frame="score"), "frame must be 'data' or 'calibrated'"),
        (ParaDiGMS(DDIM(eta=2.0)), "eta must be None or a number"),
        (ParaDiGMS(3), "sampler must be one of jaxsamp.samplers"),
        (ParaDiGMS(PredictorCorrector(DDIM(), OverdampedCorrector(0.1), every=(1, 2))), "whose steps depend on"),
        (ParaDiGMS(UniPC()), "sampler must be one whose steps depend on the state alone"),
        (ParaDiGMS(DPMSolverPP()), "whose steps depend on the state alone"),
        (ParaDiGMS(RandomizedMidpoint()), "whose steps depend on the state alone"),
        (ParaDiGMS(ParallelMidpoint()), "whose steps depend on the state alone"),
        (ParaDiGMS(PredictorCorrector(DDIM(), every=2)), "whose steps depend on the state alone"),
        (ParaDiGMS(SlidingWindow()), "sampler must be one that goes step by step"),
    ],
)
def test_bad_settings_are_named(sampler, message):
    with pytest.raises((ValueError, TypeError), match=message):
        sampler.check()


def test_it_has_no_path_to_save():
    denoiser = small_mixture().denoiser(SCHEDULES["ou"])
    with pytest.raises(ValueError, match="save_every must be 0"):
        js.sample(jax.random.key(0), denoiser, (2, 2), SlidingWindow(), 4, save_every=2)
