"""The samplers and laws that the contract suite runs over."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.samplers import (
    DDIM,
    DDPM,
    DPMSolverPP,
    ExponentialEuler,
    Heun,
    Midpoint,
    ParaDiGMS,
    ParallelMidpoint,
    PredictorCorrector,
    RandomizedMidpoint,
    RandomizedMidpointSDE,
    SlidingWindow,
    SpeculativeDDPM,
    UniPC,
)


def shrinking(scale=1.0):
    """The denoiser of N(0, scale I), for events of any shape."""
    return js.denoiser(_shrinking, np.float32(scale), js.schedules.VarianceExploding(), "x0")


def _shrinking(scale, x, t, cond):
    return scale * x / (scale + t.reshape(-1, *(1,) * (x.ndim - 1)) ** 2)


SAMPLERS = {
    "ddim": DDIM(),
    "ddim_eta": DDIM(eta=0.5),
    "ddpm": DDPM(),
    "euler_score": ExponentialEuler(),
    "euler_rotation": ExponentialEuler("rotation"),
    "heun": Heun(),
    "heun_straight": Heun(frame="straight"),
    "heun_churn": Heun(churn=4.0),
    "midpoint": Midpoint(),
    "dpmpp2m": DPMSolverPP(order=2),
    "dpmpp3m": DPMSolverPP(order=3),
    "dpmpp2m_sde": DPMSolverPP(order=2, stochastic=True),
    "unipc2": UniPC(order=2),
    "unipc3": UniPC(order=3),
    "randomized": RandomizedMidpoint(),
    "randomized_plain": RandomizedMidpoint(reuse=False, antithetic=False),
    "randomized_paper": RandomizedMidpoint.paper(),
    "randomized_sde": RandomizedMidpointSDE(),
    "parallel": ParallelMidpoint(4, 2, initial="constant"),
    "parallel_blocked": ParallelMidpoint.blocked(4, 2),
    "parallel_surrogate": ParallelMidpoint(4, 2, surrogate=shrinking()),
    "sliding": SlidingWindow(),
    "sliding_ddim": ParaDiGMS(DDIM()),
    "speculative": SpeculativeDDPM(),
    "speculative_start": SpeculativeDDPM(guesses="start"),
    "corrected": PredictorCorrector(Midpoint()),
}


def not_yet(samplers):
    """Those of the list of `jaxsamp.samplers` whose class is not among these: a new one is found there."""
    classes = {type(sampler) for sampler in samplers.values()}
    return {name: sampler for name, sampler in js.samplers.BY_NAME.items() if type(sampler) not in classes}


SAMPLERS |= not_yet(SAMPLERS)

# Every sampler; close variants of another one only in the long run.
VARIANTS = (
    "ddim_eta",
    "euler_score",
    "euler_rotation",
    "heun_churn",
    "heun_straight",
    "dpmpp3m",
    "dpmpp2m_sde",
    "randomized_plain",
)
# tests/samplers/test_parallel_midpoint.py compares these with the flow.
VARIANTS += ("parallel", "parallel_blocked", "parallel_surrogate")
# Those whose samples decide how long they go on: rounding may move such a decision, and with it the sample.
ADAPTIVE = ("sliding", "sliding_ddim", "speculative", "speculative_start")
VARIANTS += ADAPTIVE  # their own tests compare them with what they stand for
EVERY = [pytest.param(name, marks=pytest.mark.slow if name in VARIANTS else ()) for name in SAMPLERS]


def quick(values, *chosen):
    """Parameters of a test that says the same of all of them: those that were not chosen only in the long run."""
    return [pytest.param(value, marks=() if value in chosen else pytest.mark.slow) for value in values]


SCHEDULES = {
    "ou": js.schedules.OrnsteinUhlenbeck(),
    "vp": js.schedules.VariancePreserving(),
    "cosine": js.schedules.Cosine(),
    "ve": js.schedules.VarianceExploding(),
    "flow": js.schedules.RectifiedFlow(),
}


def g64():
    """Five spherical modes of standard deviation 0.3 in 64 dimensions."""
    means = np.random.default_rng(12345).standard_normal((5, 64))
    return js.targets.GaussianMixture.spherical([0.1, 0.15, 0.2, 0.25, 0.3], means, 0.09)


def small_mixture():
    """Two unequal anisotropic modes in the plane."""
    means = np.array([[-1.0, 0.5], [1.5, -0.5]])
    covariances = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.05, 0.0], [0.0, 0.4]]])
    return js.targets.GaussianMixture([0.3, 0.7], means, covariances)


def gaussian():
    """One correlated Gaussian in the plane, away from the origin: two equal modes, so that all laws of the plane share
    what is compiled.
    """
    return js.targets.GaussianMixture([0.5, 0.5], [[0.5, -1.0]] * 2, [[[1.0, 0.6], [0.6, 0.5]]] * 2)


@functools.cache
def network(schedule="ou"):
    """A small network for what has nothing to do with a law, of events of one axis; one object, so that tests share
    what is compiled.
    """
    apply = lambda params, x, t, cond: jnp.tanh(params * x) / (1 + t[:, None])  # noqa: E731
    return js.denoiser(apply, np.float32(0.7), SCHEDULES[schedule], "x0")


def run(sampler, denoiser, n, steps, *, seed=0, event=None, **options):
    """States at the last level, whose law is the target's there."""
    shape = (n, *(event or denoiser.event_shape))
    return js.sample(jax.random.key(seed), denoiser, shape, sampler, steps, final_denoise=False, **options).x


def last_level(denoiser, sigma=0.02):
    """The level at which the default grids end."""
    return denoiser.schedule.level(-jnp.log(sigma))
