"""Chains that adapt themselves: the law of the density, settings of each chain alone, and the schedule of a warm-up."""

import inspect

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxsamp as js
from jaxsamp.mcmc import MALA, NUTS, Underdamped, warmup
from jaxsamp.mcmc.base import Adaptive

KEY = jax.random.key(3)
WIDE = js.targets.GaussianMixture([1.0], [[1.0, -2.0, 0.0]], [np.diag([1.0, 0.01, 25.0])])
SAMPLERS = {"NUTS": NUTS(), "NUTS-dense": NUTS(dense=True), "MALA": MALA(), "underdamped": Underdamped("auto")}
STAGES = jax.jit(jax.vmap(warmup.stages, (0, None)))
STEPS = {"NUTS": 40, "NUTS-dense": 40, "MALA": 400, "underdamped": 200}
NAMES = ["NUTS", pytest.param("NUTS-dense", marks=pytest.mark.slow), "MALA", "underdamped"]


@pytest.fixture(scope="module")
def ends():
    """The last states of 512 chains of each sampler, run once each; they are independent draws."""
    found = {}

    def run(name):
        if name not in found:
            # At friction 2 a condition number of 2,500 is forgotten slowly: those chains start from the law, and stay.
            init = WIDE.sample(jax.random.key(5), 256) if name == "underdamped" else None
            options = {"warmup": 150, "thin": 0, "init": init}
            found[name] = js.sample_density(KEY, WIDE, (256, 3), SAMPLERS[name], STEPS[name], **options)
        return found[name]

    return run


@pytest.mark.parametrize("name", NAMES)
def test_last_states_have_the_law_although_scales_differ_by_fifty(name, ends, optimized):
    """Kolmogorov-Smirnov for each coordinate, p > 1e-4: a false alarm in 3,000 runs."""
    x = np.asarray(ends(name).x, float)
    for i, (mean, std) in enumerate([(1.0, 1.0), (-2.0, 0.1), (0.0, 5.0)]):
        assert scipy.stats.kstest(x[:, i], "norm", (mean, std)).pvalue > 1e-4


def test_the_step_size_reaches_the_acceptance_probability_and_each_chain_has_its_own(ends, optimized):
    for name, aim in (("NUTS", 0.8), ("MALA", 0.574)):
        stats = ends(name).stats
        assert abs(stats["acceptance"].mean() - aim) < 0.15
        assert len(np.unique(stats["step_size"])) == 256
        assert (stats["divergences"] == 0).all()
    assert (ends("MALA").stats["evaluations"] == 551).all()  # one gradient a step, and the start
    assert (ends("NUTS").stats["evaluations"] > 200).all()


def test_the_curvature_measured_along_the_warm_up_sets_the_step(ends, optimized):
    """h / sqrt(L) with L = 100 and h = (48e-3)^(1/3), to 2 %."""
    step = ends("underdamped").stats["step_size"]
    np.testing.assert_allclose(step, 0.048 ** (1 / 3) / 10, rtol=0.02)


@pytest.mark.parametrize("steps", [0, 5, 19, 20, 21, 50, 100, 149, 150, 151, 199, 300, 500, 1000, 1234])
def test_windows_of_the_warm_up_are_those_of_blackjax(steps):
    collects, closes = (np.asarray(flags)[:steps] for flags in STAGES(jnp.arange(1234), steps))
    expected = blackjax.adaptation.window_adaptation.build_schedule(steps)
    assert [(int(a), bool(b)) for a, b in zip(collects, closes, strict=True)] == [
        (int(a), bool(b)) for a, b in expected
    ]


def test_a_chain_depends_neither_on_the_others_nor_on_microbatches():
    run = lambda n, **options: js.sample_density(  # noqa: E731
        KEY, WIDE, (n, 3), NUTS(0.1, max_doublings=3), 4, warmup=24, thin=2, **options
    )
    np.testing.assert_allclose(run(7).draws[2:5], run(3, first=2, microbatch=2).draws, rtol=1e-4, atol=1e-4)


def test_steps_are_those_of_blackjax_by_hand(x64):
    """Without a warm-up: the same key, step size and unit scales give the same states."""
    law = js.targets.from_log_density(lambda x: -0.5 * jnp.sum(x**2 * jnp.array([1.0, 4.0])), (2,))
    start = jnp.array([[0.5, -0.3]])
    got = js.sample_density(KEY, law, (1, 2), NUTS(0.4), 3, init=start, warmup=0, thin=1)
    by_hand = blackjax.nuts(lambda x: law.log_prob(x[None])[0], 0.4, jnp.ones(2))
    state = by_hand.init(start[0])
    for i in range(3):
        state, _ = by_hand.step(js.core.random.stream_key(jax.random.fold_in(KEY, 0), i, js.core.random.MOVE), state)
        np.testing.assert_allclose(got.draws[0, i], state.position, rtol=1e-12)


@pytest.mark.parametrize("sampler", [NUTS(), MALA()])
def test_a_start_of_single_precision_is_kept_under_x64(x64, sampler):
    start = jnp.zeros((2, 3), jnp.float32)
    got = js.sample_density(KEY, WIDE, (2, 3), sampler, 2, init=start, warmup=2, thin=1)
    assert got.x.dtype == got.draws.dtype == jnp.float32 and jnp.isfinite(got.x).all()


def test_a_law_without_curvature_is_drawn_with_that_of_a_normal():
    """A Laplace law, whose Hessian is zero; 1,000 numbers of variance 2 and kurtosis 6: 7 standard errors are 1."""
    laplace = js.targets.from_log_density(lambda x: -jnp.abs(x).sum(-1), (2,))
    drawn = js.sample_density(jax.random.key(0), laplace, (500, 2), Underdamped("auto"), 200, warmup=300, thin=0)
    assert abs(drawn.x.var() - 2) < 1


def test_divergent_trajectories_are_said_once():
    funnel = js.targets.from_log_density(
        lambda x: -0.5 * (x[0] / 3) ** 2 - 0.5 * x[1] ** 2 * jnp.exp(-x[0]) - x[0] / 2, (2,)
    )
    with pytest.warns(UserWarning, match="diverged in .* raise target_acceptance"):
        js.sample_density(KEY, funnel, (64, 2), NUTS(2.0), 40, warmup=0, thin=0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: NUTS(target_acceptance=1.2), "target_acceptance must be in .0, 1.; got 1.2"),
        (lambda: NUTS(max_doublings=0), "max_doublings must be .*at least 1; got 0"),
        (lambda: MALA(-1.0), "step_size must be positive and finite; got -1.0"),
        (lambda: Underdamped("fast"), "step_size must be a positive number or \"auto\"; got 'fast'"),
        (lambda: Underdamped("auto", inverse_lipschitz=2.0), "inverse_lipschitz must be None"),
    ],
)
def test_a_bad_setting_gets_one_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        inspect.unwrap(js.sample_density)(KEY, WIDE, (2, 3), call(), 2, warmup=2, thin=0)


def test_a_score_alone_is_refused():
    class Scored:
        event_shape = (3,)

        def score(self, x):
            return -x

    with pytest.raises(TypeError, match="target must have log_prob.x. for NUTS"):
        js.sample_density(KEY, Scored(), (2, 3), NUTS(), 2, warmup=2, thin=0)


def test_other_counts_and_settings_do_not_compile_again():
    assert issubclass(NUTS, Adaptive)
    traced = []

    class Counted:
        event_shape = (2,)

        def log_prob(self, x):
            traced.append(1)
            return -0.5 * (x**2).sum(-1)

    law = Counted()
    js.sample_density(KEY, law, (2, 2), MALA(0.5, 0.8), 4, warmup=4, thin=0)
    assert traced
    traced.clear()
    js.sample_density(KEY, law, (2, 2), MALA(0.7, 0.9), 6, warmup=8, thin=0)
    assert not traced
