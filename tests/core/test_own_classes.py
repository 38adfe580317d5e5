"""A class of a user's own that keeps a protocol works at every door as it is, or gets one sentence."""

import inspect
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

import jaxsamp as js
from jaxsamp.core import laws
from jaxsamp.core.pytrees import adopted

KEY = jax.random.key(0)


class Normal:
    """N(mean, scale^2 I) in the plane: nothing but what a law must have."""

    event_shape = (2,)

    def __init__(self, mean, scale=0.5):
        self.mean, self.scale = jnp.asarray(mean, float), scale

    def sample(self, key, n):
        return self.mean + self.scale * jax.random.normal(key, (n, 2))

    def log_prob(self, x, level=None):
        alpha, sigma = (1.0, 0.0) if level is None else (jnp.reshape(v, (-1, 1)) for v in level[:2])
        return norm.logpdf(x, alpha * self.mean, jnp.sqrt(alpha**2 * self.scale**2 + sigma**2)).sum(-1)


class Leap(js.samplers.Sampler):
    """DDIM with its move multiplied by a number of its own."""

    convergence_order = 1.0

    def __init__(self, factor):
        self.factor = jnp.asarray(factor, float)

    def step(self, problem, state, i, rng):
        s0, s1 = jnp.exp(-problem.lam[i]), jnp.exp(-problem.lam[i + 1])
        mean = problem.denoise(state.x, problem.lam[i])
        return js.samplers.State(state.x + self.factor * (1 - s1 / s0) * (mean - state.x))


class Drift(js.mcmc.Langevin):
    """The unadjusted Langevin algorithm again."""

    bias_order = 1

    def __init__(self, step_size):
        self.step_size = jnp.asarray(step_size)

    def check(self, event):
        pass

    def step(self, score, state, i, rng):
        move = self.step_size * score(state.x) + jnp.sqrt(2 * self.step_size) * rng.normal(i)
        return js.mcmc.State(state.x + move)


EXACT = js.targets.GaussianMixture([1.0], [[1.0, -2.0]], [0.25 * np.eye(2)])


def test_one_law_is_taken_by_all_five_doors():
    law, schedule = Normal([1.0, -2.0]), js.schedules.EDM()
    chains = js.sample_density(KEY, law, (3, 2), js.mcmc.Overdamped(0.05), 20, warmup=0, thin=0)
    again = js.sample_density(KEY, EXACT, (3, 2), js.mcmc.Overdamped(0.05), 20, warmup=0, thin=0)
    np.testing.assert_allclose(chains.x, again.x, rtol=1e-4)  # by the gradient of its log density
    x = law.sample(KEY, 200)
    found = js.evaluate(x, law, jax.random.key(1), metrics=["energy", "log_density"], null_sets=20)
    assert found["energy"].inside and found["log_density"].inside
    error = js.score_error(KEY, EXACT.denoiser(schedule), law, samples=64)
    assert error.relative.max() < 1e-4  # the posterior mean by Tweedie's formula
    calibration = js.calibrate(KEY, EXACT.denoiser(schedule), law, levels=8, samples=256, basis=None)
    np.testing.assert_allclose(calibration.variance, 0.25, rtol=0.2)
    model = js.models.Model(js.models.MLP(width=8, depth=1), schedule)
    assert js.fit(KEY, model, law, None, 2, batch_size=8).step == 2


def test_a_posterior_mean_of_a_log_density_is_the_exact_one(x64):
    level = js.Level(jnp.array([0.8, 0.5]), jnp.array([0.6, 1.0]))
    x = np.random.default_rng(0).normal(size=(2, 2))
    found = jax.jit(lambda x: laws.posterior_mean(Normal([1.0, -2.0]), x, level))(x)
    np.testing.assert_allclose(found, jax.jit(EXACT.posterior_mean)(x, level), rtol=1e-10)


def test_a_sampler_and_a_chain_kernel_work_undecorated_and_new_arrays_do_not_compile_anew():
    denoiser = EXACT.denoiser(js.schedules.EDM())
    plain = js.sample(KEY, denoiser, (4, 2), js.samplers.DDIM(), 6)
    np.testing.assert_allclose(js.sample(KEY, denoiser, (4, 2), Leap(1.0), 6).x, plain.x, rtol=1e-5)
    for progress in (False, True):
        shown = js.sample(KEY, denoiser, (4, 2), Leap(1.0), 6, progress=progress, microbatch=2)
        np.testing.assert_allclose(shown.x, plain.x, rtol=1e-5)
    chains = js.sample_density(KEY, EXACT, (3, 2), Drift(0.05), 10)
    again = js.sample_density(KEY, EXACT, (3, 2), js.mcmc.Overdamped(0.05), 10)
    np.testing.assert_allclose(chains.x, again.x, rtol=1e-5)
    with jax.no_tracing(True):
        other = js.sample(KEY, denoiser, (4, 2), Leap(0.9), 6)
    assert not np.allclose(plain.x, other.x)


def test_arrays_of_objects_inside_are_leaves_too():
    class Outer:
        def __init__(self, inner, name):
            self.inner, self.name, self.table = inner, name, {"a": np.arange(3.0), "b": 2.0}

    outer = adopted("law", Outer(Normal([0.0, 1.0]), "mine"))
    leaves, structure = jax.tree.flatten(outer)
    assert sorted(np.size(leaf) for leaf in leaves) == [1, 2, 3]
    doubled = jax.jit(lambda o: jax.tree.map(lambda v: 2 * v, o))(outer)
    assert type(doubled) is Outer and doubled.name == "mine" and doubled.inner.scale == 0.5
    np.testing.assert_allclose(doubled.inner.mean, [0.0, 2.0])
    assert structure != jax.tree.structure(Outer(Normal([0.0, 1.0]), "other"))


@pytest.mark.parametrize(
    ("base", "lacks"),
    [
        (js.samplers.Sampler, "step"),
        (js.samplers.Corrector, "dynamics"),
        (js.mcmc.Langevin, "step"),
        (js.schedules.Schedule, "level"),
        (js.targets.Target, "log_prob"),
        (js.losses.NoiseLevelDistribution, "draw"),
        (js.losses.Weighting, "__call__"),
        (js.denoisers.BaseDenoiser, "__call__"),
    ],
)
def test_bases_refuse_an_incomplete_subclass_at_construction(base, lacks):
    with pytest.raises(TypeError, match=f"abstract.*{lacks}"):
        type("Half", (base,), {})()


@dataclass
class Unhashable:
    """A sampler with a list."""

    event_shape = (2,)

    def __post_init__(self):
        self.steps = [1, 2]

    def log_prob(self, x):
        return -(x**2).sum(-1)


class Nothing:
    pass


@pytest.mark.parametrize(
    ("door", "words"),
    [
        (lambda got: inspect.unwrap(js.sample_density)(KEY, got, (2, 2)), "target must have event_shape and log_prob"),
        (lambda got: inspect.unwrap(js.score_error)(KEY, EXACT.denoiser(js.schedules.EDM()), got), "target must have"),
        (lambda got: inspect.unwrap(js.evaluate)(np.zeros((4, 2)), got, KEY), "reference must"),
    ],
)
@pytest.mark.parametrize("got", [Nothing(), Normal])
def test_what_keeps_no_protocol_gets_one_sentence(door, words, got):
    with pytest.raises(TypeError, match=words) as caught:
        door(got)
    assert "\n" not in str(caught.value) and "Error interpreting" not in str(caught.value)


class Mine:
    """A denoiser of a user's own: that of N(0, a I), under a schedule of a user's own."""

    def __init__(self, a, schedule):
        self.a, self.schedule = jnp.asarray(a), schedule

    def __call__(self, x, level, cond=None):
        s = jnp.exp(-level.log_snr)
        shrink = self.a / (self.a + s**2)
        return jnp.reshape(shrink / level.alpha, (-1,) + (1,) * (x.ndim - 1)) * x


class Slow(js.schedules.Schedule):
    """alpha = 1, sigma = rate t."""

    def __init__(self, rate):
        self.rate = jnp.asarray(rate)

    def level(self, lam):
        sigma = jnp.exp(-jnp.asarray(lam))
        return js.Level(jnp.ones_like(sigma), sigma, sigma / self.rate)

    def _curve(self, t):
        return jnp.ones_like(t), self.rate * t


@pytest.mark.slow
def test_denoisers_and_schedules_of_a_users_own_work_inside_of_wrappers():
    exact = js.targets.GaussianMixture([1.0], [[0.0, 0.0]], [0.5 * np.eye(2)]).denoiser(js.schedules.EDM())
    mine, mask = Mine(0.5, Slow(2.0)), jnp.array([True, False])
    for wrap in (
        lambda denoiser: denoiser,
        lambda denoiser: js.clip(denoiser, -5.0, 5.0),
        lambda denoiser: js.inpaint(denoiser, jnp.ones(2), mask),
        lambda denoiser: js.posterior(denoiser, jnp.ones(2), mask, 0.5),
    ):
        a, b = (js.sample(KEY, wrap(denoiser), (3, 2), js.samplers.DDPM(), 5).x for denoiser in (mine, exact))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    within = js.samplers.ParaDiGMS(Leap(1.0), tolerance=0.0)
    plain = js.sample(KEY, exact, (3, 2), js.samplers.DDIM(), 5).x
    np.testing.assert_allclose(js.sample(KEY, exact, (3, 2), within, 5).x, plain, rtol=1e-4, atol=1e-5)


def test_what_changes_inside_of_an_object_is_seen():
    law = Normal([0.0, 0.0])
    first = js.sample_density(KEY, law, (2, 2), js.mcmc.Overdamped(0.1), 5, thin=0).x
    law.mean = law.mean + 50.0
    assert js.sample_density(KEY, law, (2, 2), js.mcmc.Overdamped(0.1), 5, thin=0).x.mean() > first.mean() + 10


def test_shapes_of_an_adopted_object_are_its_own():
    law = adopted("law", Normal([0.0, 1.0]))
    shapes = jax.eval_shape(lambda law: law, law)
    assert jax.tree.leaves(shapes)[0].shape == (2,) and shapes.scale == 0.5


class Slots:
    """A denoiser without a __dict__."""

    __slots__ = ("schedule",)

    def __call__(self, x, level, cond=None):
        return x


@pytest.mark.parametrize("thing", [lambda x, level, cond=None: x, Slots(), partial(jnp.multiply, 0.5), Mine])
def test_what_cannot_be_taken_apart_gets_one_sentence(thing):
    if not isinstance(thing, type):
        thing.schedule = js.schedules.EDM()
    with pytest.raises(TypeError, match="denoiser must be") as caught:
        inspect.unwrap(js.sample)(KEY, thing, (2, 2))
    assert "\n" not in str(caught.value)


def test_an_attribute_that_cannot_be_static_is_named():
    with pytest.raises(TypeError, match=r"jaxsamp\.pytree; Unhashable\.steps is a list"):
        inspect.unwrap(js.sample_density)(KEY, Unhashable(), (2, 2))


def test_an_object_that_refers_to_itself_is_one_sentence():
    for circle in (lambda law: law, lambda law: [law, jnp.ones(2)]):
        law = Normal([0.0, 0.0])
        law.again = circle(law)
        with pytest.raises(TypeError, match=r"target\.again must not refer to the Normal that holds it"):
            js.sample_density(KEY, law, (3, 2), steps=10)
    twice = Normal([0.0, 0.0])
    twice.other = twice.another = Normal([1.0, 0.0])  # no circle
    assert adopted("law", twice) is twice
