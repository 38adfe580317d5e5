"""Chains draw from the density, cost what they declare, and do not know of each other.

Statistical assertions have a false-alarm rate of 1e-4 each under fixed keys, and each is shown to reject a far too
large step.
"""

import inspect
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.stats import chi2, norm

import jaxsamp as js
from jaxsamp.core.random import Rng
from jaxsamp.mcmc import Overdamped, ParallelUnderdamped, Underdamped
from jaxsamp.running import engine
from jaxsamp.running.chain import Chain
from jaxsamp.running.walk import Counts
from tests.cases import quick
from tests.linear_langevin import frozen, midpoint, stationary, transition

KEY = jax.random.key(0)
FALSE_ALARM = 1e-4
N = 4096
MEAN, COVARIANCE = np.array([0.5, -1.0]), np.array([[1.0, 0.3], [0.3, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)
CURVATURE = float(np.linalg.eigvalsh(PRECISION).max())
SAMPLERS = {
    "midpoint": Underdamped.from_smoothness(CURVATURE, bias=1e-3),
    "frozen": Underdamped.from_smoothness(CURVATURE, bias=0.02, midpoint=False),
    "overdamped": Overdamped.from_smoothness(CURVATURE, bias=0.01),
    "parallel": ParallelUnderdamped.from_smoothness(CURVATURE),
}
STEPS = {"midpoint": 130, "frozen": 500, "overdamped": 300, "parallel": 30}


def quadratic(precision, mean, x):
    return -0.5 * (x - mean) @ precision @ (x - mean) + 3.0


GAUSSIAN = js.targets.from_log_density(Partial(quadratic, jnp.asarray(PRECISION), jnp.asarray(MEAN)), (2,))
STANDARD = js.targets.from_log_density(lambda x: -0.5 * (x * x).sum(), ())
MIXTURE = js.targets.GaussianMixture.spherical([0.3, 0.7], [[-0.8, 0.0], [0.8, 0.3]], [0.5, 0.3])


def coarse(sampler):
    """The same with far too large a step, still stable."""
    if isinstance(sampler, ParallelUnderdamped):
        return replace(sampler, step_size=2.5, midpoints=1, iterations=1)
    return replace(sampler, step_size=1.5 / CURVATURE if isinstance(sampler, Overdamped) else 2.5)


def final(target, sampler, steps, *, n=N, seed=1, **options):
    return js.sample_density(
        jax.random.key(seed), target, (n, *target.event_shape), sampler, steps, warmup=0, thin=0, **options
    ).x


def gaussian_p_value(x):
    """Mean and covariance of the whitened states against the standard normal."""
    u, v = np.linalg.solve(np.linalg.cholesky(COVARIANCE), (np.asarray(x, float) - MEAN).T)
    moments = np.stack([u, v, (u**2 - 1) / np.sqrt(2), (v**2 - 1) / np.sqrt(2), u * v])
    return chi2.sf(len(x) * np.sum(moments.mean(1) ** 2), 5)


def mixture_p_value(x):
    """Occupancy of the first mode and mean log density against exact samples; two tests of half the level."""

    @jax.jit
    def statistics(x):
        exact = MIXTURE.sample(jax.random.key(9), 8 * len(x))
        return [(MIXTURE.responsibilities(x)[:, 0], MIXTURE.log_prob(x)) for x in (x, exact)]

    def p_value(a, b):
        a, b = np.asarray(a, float), np.asarray(b, float)
        return 2 * norm.sf(abs(a.mean() - b.mean()) / np.sqrt(a.var() / len(a) + b.var() / len(b)))

    return 2 * min(map(p_value, *statistics(x)))


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", quick(list(SAMPLERS)[:4], "midpoint", "overdamped"))
def test_gaussian_law_is_right_to_the_sampling_floor(name):
    assert gaussian_p_value(final(GAUSSIAN, SAMPLERS[name], STEPS[name])) > FALSE_ALARM
    assert gaussian_p_value(final(GAUSSIAN, coarse(SAMPLERS[name]), STEPS[name])) < FALSE_ALARM


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_mixture_law_is_right_to_the_sampling_floor():
    sampler = SAMPLERS["midpoint"]  # the curvature of the mixture is at most 1 / 0.3
    assert mixture_p_value(final(MIXTURE, sampler, 200)) > FALSE_ALARM
    assert mixture_p_value(final(MIXTURE, coarse(sampler), 200)) < FALSE_ALARM


def test_velocities_start_from_their_stationary_law():
    sampler = Underdamped(0.3, inverse_lipschitz=0.2)
    start = jax.jit(jax.vmap(lambda key: sampler.init(GAUSSIAN.score, jnp.zeros(2), 0, Rng(key, (2,), jnp.float32))[1]))
    v = np.asarray(start(jax.random.split(KEY, N)), float).ravel()
    assert chi2.sf(v @ v / 0.2, v.size) > FALSE_ALARM and chi2.cdf(v @ v / 0.2, v.size) > FALSE_ALARM
    assert abs(v.mean() / np.sqrt(0.2 / v.size)) < norm.isf(FALSE_ALARM / 2)


@pytest.mark.slow
@pytest.mark.parametrize("step", [midpoint, frozen])
def test_bias_of_large_steps_is_the_one_of_the_exact_recursion(step):
    n, h = 65536, 1.5
    exact = stationary(step, 1.0, h)[0, 0]
    x = np.asarray(final(STANDARD, Underdamped(h, midpoint=step is midpoint), 25, n=n), float)
    z = (np.mean(x**2) / exact - 1) / np.sqrt(2 / n)  # nearly normal: the law is a scale mixture of Gaussians
    assert abs(z) < norm.isf(FALSE_ALARM / 2)
    assert (exact - 1) / np.sqrt(2 / n) > 10, "the bias must be seen"


def test_preconditioned_chains_have_the_right_law():
    scales = jnp.array([1.0, 1e-2])
    target = js.targets.from_log_density(lambda x: -0.5 * jnp.square(x / scales).sum(), (2,))
    sampler = Underdamped(0.35, inverse_lipschitz=scales**2)
    x = np.asarray(final(target, sampler, 60, init=jnp.zeros((N, 2))) / scales, float)
    u, v = x.T
    moments = np.stack([u, v, (u**2 - 1) / np.sqrt(2), (v**2 - 1) / np.sqrt(2), u * v])
    assert chi2.sf(N * np.sum(moments.mean(1) ** 2), 5) > FALSE_ALARM


@pytest.mark.parametrize(
    ("bias", "convexity", "with_midpoint"),
    [(1e-4, None, True), (1e-3, None, True), (1e-3, 0.07, True), (1e-2, None, False), (1e-2, 0.7, False)],
)
def test_from_smoothness_keeps_the_bias_that_it_is_asked_for(x64, bias, convexity, with_midpoint):
    made = Underdamped.from_smoothness(7.0, bias, convexity=convexity, midpoint=with_midpoint)
    step = midpoint if with_midpoint else frozen
    settings = made.step_size, made.friction, made.inverse_lipschitz
    assert 0.9 * bias < 7 * stationary(step, 7.0, *settings)[0, 0] - 1 < 1.1 * bias
    assert stationary(step, 1.0, *settings)[0, 0] - 1 < bias / 3
    h = Overdamped.from_smoothness(7.0, bias).step_size
    np.testing.assert_allclose(1 / (1 - h * 7 / 2) - 1, bias, rtol=0.02)


def test_convexity_makes_the_flattest_direction_forget_its_start_sooner(x64):
    def steps(convexity):
        """Steps in which second moments along curvature 1 come nearer to stationary by a factor e, L = 100."""
        made = Underdamped.from_smoothness(100.0, convexity=convexity)
        linear, _ = transition(midpoint, 1.0, made.step_size, made.friction, made.inverse_lipschitz)
        return -1 / np.log(np.abs(np.linalg.eigvals(np.asarray(linear))).max())

    assert steps(None) > 4 * steps(1.0)


def test_smoothness_is_the_largest_curvature_among_the_points():
    values = jnp.geomspace(1.0, 100.0, 50)
    basis = jnp.linalg.qr(jax.random.normal(KEY, (50, 50)))[0]
    target = js.targets.from_log_density(Partial(quadratic, basis * values @ basis.T, jnp.zeros(50)), (50,))
    found = js.mcmc.smoothness(jax.random.key(1), target, jnp.zeros((1, 50)))
    assert 97.0 < found < 100.01
    assert js.mcmc.smoothness(jax.random.key(1), target, jnp.zeros((1, 50)), iterations=3) < found
    quartic = js.targets.from_log_density(lambda x: -jnp.sum(x**4), (3,))  # curvature 12 max x_j^2
    points = jnp.array([[0.1, 0.2, 0.3], [0.1, -2.0, 0.5], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(js.mcmc.smoothness(KEY, quartic, points), 48.0, rtol=1e-4)


@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(Underdamped(0.3), marks=pytest.mark.slow),
        Overdamped(0.1),
        pytest.param(ParallelUnderdamped(0.8, midpoints=3), marks=pytest.mark.slow),
    ],
)
def test_a_chain_does_not_depend_on_the_number_of_chains(sampler):
    options = {"steps": 20, "warmup": 5, "thin": 5, "polish": 3 * (not isinstance(sampler, Overdamped))}
    few, many = (js.sample_density(KEY, GAUSSIAN, (n, 2), sampler, **options) for n in (3, 128))
    np.testing.assert_allclose(few.draws, many.draws[:3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(few.x, many.x[:3], rtol=1e-5, atol=1e-6)
    assert np.abs(np.corrcoef(np.asarray(many.x[:-1, 0]), np.asarray(many.x[1:, 0]))[0, 1]) < 0.4
    assert not np.allclose(many.x[0], many.x[1])


def test_draws_are_every_thin_th_state_after_the_warmup():
    whole = js.sample_density(KEY, GAUSSIAN, (4, 2), Overdamped(0.1), 12, warmup=0, thin=1)
    np.testing.assert_array_equal(whole.draws[:, -1], whole.x)
    thinned = js.sample_density(KEY, GAUSSIAN, (4, 2), Overdamped(0.1), 8, warmup=4, thin=3)
    assert thinned.draws.shape == (4, 2, 2)
    np.testing.assert_allclose(thinned.draws, whole.draws[:, [6, 9]], rtol=1e-5)
    np.testing.assert_allclose(thinned.x, whole.x, rtol=1e-5)
    assert js.sample_density(KEY, GAUSSIAN, (4, 2), Overdamped(0.1), 8, thin=0).draws is None


@pytest.mark.parametrize(("sampler", "polish"), [(Overdamped(0.1), 0), (Underdamped(0.3, midpoint=False), 4)])
def test_progress_bar_changes_no_number(sampler, polish, capsys):
    options = {"steps": 50, "warmup": 17, "thin": 12, "polish": polish}  # 4 draws of 3 chains, as above: one program
    quiet, shown = (
        js.sample_density(KEY, GAUSSIAN, (3, 2), sampler, progress=progress, **options) for progress in (False, True)
    )
    np.testing.assert_allclose(shown.draws, quiet.draws, rtol=1e-5)
    np.testing.assert_allclose(shown.x, quiet.x, rtol=1e-5)


@pytest.mark.slow
def test_polish_is_so_many_frozen_steps_of_fixed_total_time_from_a_fresh_velocity():
    sampler = Underdamped(0.8, friction=1.6, inverse_lipschitz=0.4)
    plain, polished = (
        js.sample_density(KEY, GAUSSIAN, (1, 2), sampler, 6, warmup=2, thin=3, polish=polish) for polish in (0, 5)
    )
    np.testing.assert_array_equal(plain.draws, polished.draws)
    steps = Underdamped(2 / (1.6 * 5), 1.6, False, 0.4)
    draws = Rng(jax.random.fold_in(KEY, 0), (2,), jnp.float32)
    state = steps.init(GAUSSIAN.score, plain.x[0], 8, draws)
    for i in jnp.arange(8, 13):
        state = steps.step(lambda x: GAUSSIAN.score(x[None])[0], state, i, draws)
    np.testing.assert_allclose(polished.x[0], state[0], rtol=1e-5)
    assert sampler.polishing(1).step_size == 0.8, "never longer than the sampler's own"
    assert int(polished.stats["evaluations"][0]) == int(plain.stats["evaluations"][0]) + 5 == 21


@jax.tree_util.register_static
class Counted:
    """A standard normal law that notes at how many places its score is evaluated, call by call, when that runs."""

    event_shape = (2,)

    def __init__(self):
        self.calls = []

    def score(self, x):
        jax.debug.callback(lambda x: self.calls.append(len(x)), x)
        return -x


@pytest.mark.parametrize(
    ("sampler", "polish"),
    [
        (Underdamped(0.3), 3),
        (Underdamped(0.3, midpoint=False), 0),
        (Overdamped(0.1), 0),
        (ParallelUnderdamped(midpoints=4, iterations=2), 0),
        pytest.param(
            ParallelUnderdamped(midpoints=4, iterations=2, warm_start=False, nodes="midpoint"),
            3,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_declared_evaluations_and_rounds_are_the_gradients_computed(sampler, polish):
    target = Counted()
    out = js.sample_density(KEY, target, (1, 2), sampler, 7, warmup=3, thin=2, polish=polish)
    jax.effects_barrier()
    assert sum(target.calls) == int(out.stats["evaluations"][0]) == sampler.evaluations(10) + polish
    assert len(target.calls) == int(out.stats["rounds"][0]) == sampler.rounds(10) + polish
    if isinstance(sampler, ParallelUnderdamped):
        starts = 1 if sampler.warm_start else 10
        assert (sampler.rounds(10), sampler.evaluations(10)) == (2 * 10 + starts, 4 * 2 * 10 + starts)


def test_new_values_and_step_counts_do_not_recompile():
    def f(precision, x):
        return -0.5 * precision * (x * x).sum()

    def run(precision, step_size, friction, steps, warmup, thin, polish):
        target = js.targets.LogDensity(Partial(f, precision), (3,))
        sampler = Underdamped(step_size, friction, inverse_lipschitz=0.5)
        return js.sample_density(KEY, target, (2, 3), sampler, steps, warmup=warmup, thin=thin, polish=polish)

    first = run(1.0, 0.3, 2.0, 20, 5, 10, 3)
    with jax.no_tracing(True):
        second = run(2.0, 0.2, 1.5, 31, 9, 15, 7)
    assert not np.allclose(first.x, second.x)
    assert int(second.stats["evaluations"][0]) == 2 * 40 + 7


def test_memory_holds_the_draws_and_no_presampled_noise():
    target = js.targets.from_log_density(lambda x: -0.5 * (x * x).sum(), (64,))
    counts = Counts(0, 10_000, 2000, 0)
    job = Chain(KEY, counts, (64,), jnp.float32, 5, 0, 0, None, None, Underdamped(0.3), target, False)
    lowered = jax.jit(engine.run).lower(job, engine.Row(engine.numbered(0, 32)))
    state = 32 * 64 * 4
    assert lowered.compile().memory_analysis().temp_size_in_bytes < (5 + 40) * state


def test_events_of_any_rank_and_dtypes(x64):
    target = js.targets.from_log_density(lambda x: -0.5 * (x * x).sum(), (2, 3))
    assert js.sample_density(KEY, target, (4, 2, 3), Overdamped(0.1), steps=10).draws.shape == (4, 1, 2, 3)
    numbers = js.sample_density(KEY, STANDARD, (4,), steps=10)
    assert numbers.x.shape == (4,) and numbers.x.dtype == jnp.float64
    half = js.sample_density(KEY, STANDARD, (4,), Overdamped(0.1), steps=10, init=jnp.zeros(4, jnp.bfloat16))
    assert half.x.dtype == half.draws.dtype == jnp.bfloat16


def test_runs_inside_jit_and_grad_and_flags_what_it_cannot_raise():
    def spread(step_size):
        return js.sample_density(KEY, GAUSSIAN, (4, 2), Overdamped(step_size), 10, warmup=3, thin=5).x.var()

    h = 0.1
    inside = jax.jit(spread)
    slope = (inside(h + 2e-3) - inside(h - 2e-3)) / 4e-3
    np.testing.assert_allclose(jax.jit(jax.grad(spread))(h), slope, rtol=1e-2)
    np.testing.assert_allclose(inside(h), spread(h), rtol=1e-4)
    np.testing.assert_allclose(jax.jit(lambda: spread(h))(), spread(h), rtol=1e-4)  # nothing in it is a tracer
    start = jnp.array([[0.0, 0.0], [jnp.inf, 0.0], [1.0, 1.0]])
    flags = jax.jit(lambda x: js.sample_density(KEY, GAUSSIAN, (3, 2), Overdamped(h), 10, warmup=0, init=x).stats)
    stats = flags(start)
    np.testing.assert_array_equal(stats["finite"], [True, False, True])
    np.testing.assert_array_equal(stats["first_bad_step"], [-1, 0, -1])


def test_diverging_chains_raise_one_sentence_with_the_step_size():
    with pytest.raises(ValueError, match=r"step_size .* with 3\.5 .* of 4 chains .* at step \d+ of 600") as caught:
        js.sample_density(KEY, GAUSSIAN, (4, 2), Overdamped(3.5), 500, warmup=100)
    assert "\n" not in str(caught.value)


def test_a_mixture_brings_its_own_score_and_a_log_density_gets_it_by_differentiation(x64):
    again = js.targets.from_log_density(lambda x: MIXTURE.log_prob(x[None])[0] + 5.0, (2,))
    both = jax.jit(lambda x: [(law.score(x), law.log_prob(x)) for law in (again, MIXTURE)])
    (slope, value), (expected, density) = both(np.random.default_rng(0).normal(size=(7, 2)))
    np.testing.assert_allclose(slope, expected, rtol=1e-6)
    np.testing.assert_allclose(value, density + 5.0, rtol=1e-6)
    a, b = (final(target, Overdamped(0.1), 10, n=3) for target in (again, MIXTURE))
    np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("method", ["sample", "denoiser", "posterior_mean"])
def test_a_log_density_says_what_it_cannot_do(method):
    with pytest.raises(TypeError, match=r"log density alone has no .*jaxsamp\.sample_density"):
        getattr(GAUSSIAN, method)(KEY, 3)
    with pytest.raises(ValueError, match="level must be None"):
        GAUSSIAN.score(jnp.zeros((1, 2)), js.Level(1.0, 0.5))
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 2\)"):
        GAUSSIAN.log_prob(jnp.zeros((1, 3)))


@pytest.mark.parametrize(
    ("f", "event", "error", "words"),
    [
        (3.0, (2,), TypeError, "f must be a function"),
        (lambda x: x, (2,), TypeError, "f must return one real number"),
        (lambda x: x.sum(), 2, TypeError, "event_shape must be a tuple"),
        (lambda x: x.sum(), (0,), ValueError, "at least 1; got 0"),
        (lambda x: x.sum(), (2.0,), TypeError, "must be an integer"),
    ],
)
def test_bad_log_densities_are_one_sentence(f, event, error, words):
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(js.targets.from_log_density)(f, event)
    assert "\n" not in str(caught.value)


DENOISER = MIXTURE.denoiser(js.schedules.EDM())


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"key": 0}, TypeError, "key must be a typed key"),
        ({"sampler": js.samplers.UniPC()}, TypeError, r"one of jaxsamp\.mcmc.*jaxsamp\.sample takes"),
        ({"sampler": "ula"}, TypeError, r"one of jaxsamp\.mcmc.*of type str\.$"),
        ({"target": DENOISER}, TypeError, r"target must have .*jaxsamp\.sample takes denoisers"),
        ({"target": js.targets.Empirical(np.zeros((3, 2)))}, TypeError, "score.* without noise.*got a Empirical"),
        ({"target": lambda x: x}, TypeError, r"from_log_density\(f, event_shape\); got a function"),
        ({"shape": (3, 4)}, ValueError, r"event shape \(2,\); got \(3, 4\)"),
        ({"shape": (0, 2)}, ValueError, "at least 1; got 0"),
        ({"shape": 5}, TypeError, "shape must be a tuple"),
        ({"init": jnp.zeros((2, 2))}, ValueError, "init must have the given shape"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"warmup": -1}, ValueError, "warmup must be at least 0"),
        ({"thin": 11}, ValueError, "thin must be at most steps = 10"),
        ({"thin": 2.5}, TypeError, "thin must be an integer"),
        ({"polish": 2, "sampler": Overdamped(0.1)}, TypeError, "polish needs an Underdamped sampler"),
        ({"polish": 2, "sampler": Underdamped("auto")}, TypeError, "step_size is a number; got Underdamped.*'auto'"),
        ({"sampler": Overdamped("auto")}, ValueError, "step_size must be a number for Overdamped; got 'auto'"),
        ({"init": np.full((5, 2), np.nan)}, ValueError, r"init must be finite; got nan at index \(0, 0\)"),
        ({"sampler": Underdamped(-0.1)}, ValueError, "step_size must be positive and finite; got -0.1"),
        ({"sampler": Underdamped(0.1, friction=0.0)}, ValueError, "friction must be positive"),
        ({"sampler": ParallelUnderdamped(0.0)}, ValueError, "step_size must be positive"),
        ({"sampler": ParallelUnderdamped(midpoints=0)}, ValueError, "midpoints must be at least 1; got 0"),
        ({"sampler": ParallelUnderdamped(iterations=0)}, ValueError, "iterations must be at least 1; got 0"),
        ({"sampler": ParallelUnderdamped(nodes="gauss")}, ValueError, "nodes must be one of 'antithetic', 'random'"),
        (
            {"sampler": Underdamped(jnp.ones(2))},
            ValueError,
            r"step_size must be a number; got an array of shape \(2,\)",
        ),
        (
            {"sampler": Underdamped(0.1, inverse_lipschitz=jnp.ones(3))},
            ValueError,
            r"broadcasts to \(2,\); got .*\(3,\)",
        ),
        ({"sampler": Underdamped(0.1, inverse_lipschitz=jnp.nan)}, ValueError, "inverse_lipschitz must be positive"),
    ],
)
def test_bad_input_is_one_sentence(change, error, words):
    call = {"key": KEY, "target": GAUSSIAN, "shape": (5, 2), "steps": 10, "thin": 5} | change
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(js.sample_density)(**call)
    assert "\n" not in str(caught.value)


def test_sample_names_the_other_front_door():
    for denoiser in (DENOISER, GAUSSIAN):
        with pytest.raises(TypeError, match=r"one of jaxsamp\.samplers.*sample_density\(key, target"):
            inspect.unwrap(js.sample)(KEY, denoiser, (3, 2), Underdamped(0.1))


def test_diagnostics_count_independent_draws_and_see_chains_that_disagree():
    pytest.importorskip("arviz_stats")
    draws = jax.random.normal(KEY, (4, 500, 2))
    alone = js.Chains(draws[:, -1], draws, {})
    size = alone.effective_sample_size()
    assert size.shape == (2,) and (np.abs(size / 2000 - 1) < 0.15).all() and (alone.rhat() < 1.01).all()
    noise = np.asarray(draws, float)
    correlated = np.zeros_like(noise)
    for i in range(1, 500):  # an autoregression of coefficient 0.8: integrated autocorrelation time 9
        correlated[:, i] = 0.8 * correlated[:, i - 1] + 0.6 * noise[:, i]
    size = js.Chains(draws[:, -1], jnp.asarray(correlated[:, 100:]), {}).effective_sample_size()
    assert (np.abs(size / (1600 / 9) - 1) < 0.5).all()
    apart = draws + jnp.arange(4.0)[:, None, None]
    assert (js.Chains(apart[:, -1], apart, {}).rhat() > 1.2).all()


def test_diagnostics_say_what_is_missing(monkeypatch):
    out = js.sample_density(KEY, GAUSSIAN, (3, 2), steps=10, warmup=0, thin=5)
    with pytest.raises(ValueError, match="at least 4 draws per chain; got 2"):
        out.rhat()
    with pytest.raises(ValueError, match="got 0: raise steps or lower thin"):
        out._replace(draws=None).effective_sample_size()
    monkeypatch.setitem(__import__("sys").modules, "arviz_stats.base.array", None)
    with pytest.raises(ImportError, match=r'pip install "jaxsamp\[chains\]"'):
        js.Chains(out.x, jnp.zeros((3, 4, 2)), {}).rhat()
