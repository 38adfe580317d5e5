"""Every sampler converges at the order it declares, to the solution it discretizes."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.core.random import Rng
from jaxsamp.samplers import (
    DDIM,
    DDPM,
    DPMSolverPP,
    ExponentialEuler,
    Heun,
    Midpoint,
    ParallelMidpoint,
    RandomizedMidpoint,
    RandomizedMidpointSDE,
    SlidingWindow,
    UniPC,
)
from jaxsamp.samplers.base import Problem
from jaxsamp_kernels.frame import LOCALIZATION
from tests.cases import SCHEDULES, g64, not_yet, run, shrinking

DRAWS = 20
FULL_ORDER = {
    "ddim": DDIM(),
    "euler_score": ExponentialEuler(),
    "euler_rotation": ExponentialEuler("rotation"),
    "euler_straight": ExponentialEuler("straight"),
    "heun": Heun(),
    "heun_rotation": Heun(frame="rotation"),
    "heun_straight": Heun(frame="straight"),
    "midpoint": Midpoint(),
    "dpmpp2m": DPMSolverPP(order=2, lower_order_final=False),
    "dpmpp3m": DPMSolverPP(order=3, lower_order_final=False),
    "unipc1": UniPC(order=1, lower_order_final=False),
    "unipc2": UniPC(order=2, lower_order_final=False),
    "unipc3": UniPC(order=3, lower_order_final=False),
    "parallel": ParallelMidpoint(3, 2, initial="constant", frame="data", secants=0),
    "parallel_blocked": ParallelMidpoint.blocked(4, 2),
    "parallel_surrogate": ParallelMidpoint(3, 1, frame="data", secants=0, surrogate=shrinking()),
    "randomized": RandomizedMidpoint(),
    "randomized_plain": RandomizedMidpoint(reuse=False, antithetic=False),
    "randomized_reuse": RandomizedMidpoint(antithetic=False),
    "randomized_antithetic": RandomizedMidpoint(reuse=False),
    "sliding": SlidingWindow(window=8, tolerance=0.0, nodes="midpoint"),
}
# Windows that stop at a tolerance have no order at a fixed one.
FULL_ORDER |= {name: s for name, s in not_yet(FULL_ORDER).items() if s.discretizes == "ode" and s.stepwise}


@pytest.fixture(scope="module")
def problem():
    with jax.enable_x64(True):
        denoiser = g64().denoiser(SCHEDULES["ou"])
        init = jax.random.normal(jax.random.key(1), (48, 64)) * denoiser.schedule.level(-jnp.log(80.0)).sigma
        reference = run(UniPC(order=3, lower_order_final=False), denoiser, 48, 3000, init=init)
        yield denoiser, np.asarray(init), np.asarray(reference)


def error(sampler, problem, steps):
    """Median over starts, mean over draws, of the rms distance to the converged flow from the same start."""
    denoiser, init, reference = problem
    draws = DRAWS if sampler.stochastic else 1
    x = np.asarray(run(sampler, denoiser, 48 * draws, steps, init=jnp.asarray(np.tile(init, (draws, 1)))))
    distance = np.sqrt(np.mean((x.reshape(draws, 48, 64) - reference) ** 2, -1))
    return float(np.median(distance.mean(0)))


LONG = ("euler_straight", "heun_rotation", "parallel", "parallel_blocked", "parallel_surrogate")
LONG += ("randomized_antithetic", "randomized_reuse", "unipc1")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in FULL_ORDER])
def test_trajectory_error_falls_at_the_declared_order(x64, problem, name):
    sampler = FULL_ORDER[name]
    # The low-order start of third-order methods fades late.
    steps = {"unipc3": [256, 512, 1024], "dpmpp3m": [128, 256, 512]}.get(name, [24, 48, 96])
    slope = -np.polyfit(np.log(steps), np.log([error(sampler, problem, n) for n in steps]), 1)[0]
    assert abs(slope - sampler.convergence_order) < 0.25, slope


def test_third_order_unipc_beats_second(x64, problem):
    two, three = (error(UniPC(order=p, lower_order_final=False), problem, 96) for p in (2, 3))
    assert three < 0.25 * two


@dataclass(frozen=True)
class _Path(Rng):
    """Increments of one Brownian path in the clock e^(2 lambda), given on a fine grid of lambda."""

    noise: Any  # (fine, d)
    lam: Any  # the coarse grid
    at: Any  # (steps,), where in the clock of each step its node is wished

    def _within(self, step):
        """Of the fine increments within a step: their number, their noise and their length in the clock."""
        fine = self.noise.shape[0]
        count = fine // (self.lam.shape[0] - 1)
        ends = self.lam[0] + (self.lam[-1] - self.lam[0]) * (step * count + jnp.arange(count + 1)) / fine
        noise = jax.lax.dynamic_slice_in_dim(self.noise, step * count, count)
        return count, noise, LOCALIZATION.clock_delta(ends[:-1], ends[1:])

    def _cut(self, step):
        """The fine increments of a step before the one that is nearest to its wished node."""
        count, _, length = self._within(step)
        clock = jnp.cumsum(length)
        wished = jnp.interp(self.at[step], jnp.array([0.0, 1.0]), clock[jnp.array([0, -1])])
        return jnp.arange(count) < jnp.clip(jnp.searchsorted(clock, wished), 1, count - 1)

    def normal(self, step):
        _, noise, length = self._within(step)

        def among(chosen):
            weights = jnp.where(chosen, jnp.sqrt(length), 0)
            return weights @ noise / jnp.sqrt(jnp.sum(weights**2))

        if len(self.shape) == 1:
            return among(True)
        return jnp.stack([among(self._cut(step)), among(~self._cut(step))])

    def uniform(self, step):
        length = self._within(step)[2]
        return jnp.sum(jnp.where(self._cut(step), length, 0)) / jnp.sum(length)


SDE = {"ddpm": DDPM(), "dpmpp2m_sde": DPMSolverPP(stochastic=True), "randomized_sde": RandomizedMidpointSDE()}


def _median_rms(difference):
    return float(np.median(np.sqrt(np.mean(difference**2, -1))))


@pytest.fixture(scope="module")
def strong():
    """Distance of a sampler to DDPM's finest solution from the same Brownian path: median of 16 paths' rms.

    The mean would be that of the rare path which, with few steps, ends in another mode.
    """
    with jax.enable_x64(True):
        denoiser, fine = g64().denoiser(SCHEDULES["ve"]), 2048
        noise = jax.random.normal(jax.random.key(2), (16, fine, 64))
        start = 80 * jax.random.normal(jax.random.key(3), (16, 64))

        def solve(sampler, steps):
            lam = jnp.linspace(-jnp.log(80.0), -jnp.log(0.02), steps + 1)
            at = jax.random.uniform(jax.random.key(4), (16, steps))
            evaluate = lambda x, lam: denoiser(x[None], denoiser.schedule.level(lam))[0]  # noqa: E731
            problem = Problem(evaluate, jax.vmap(evaluate), lam, sampler.prepare(lam, None), lambda lam: lam, None)

            def one(x, noise, at):
                draws = _Path(None, (64,), None, noise, lam, at)
                body = lambda state, i: (sampler.step(problem, state, i, draws), None)  # noqa: E731
                return jax.lax.scan(body, sampler.init(problem, x), jnp.arange(steps))[0][0]

            return np.asarray(jax.jit(jax.vmap(one))(start, noise, at))

        reference = solve(DDPM(), fine)
        yield lambda sampler, steps: _median_rms(solve(sampler, steps) - reference)


@pytest.mark.parametrize("name", ["ddpm", pytest.param("dpmpp2m_sde", marks=pytest.mark.slow), "randomized_sde"])
def test_sde_samplers_converge_strongly_at_the_declared_order(x64, strong, name):
    steps = [32, 64, 128]
    slope = -np.polyfit(np.log(steps), np.log([strong(SDE[name], n) for n in steps]), 1)[0]
    assert abs(slope - SDE[name].convergence_order) < 0.25, slope
