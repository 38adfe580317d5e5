"""Every sampler converges at the order it declares, to the solution it discretises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.random import Draws
from jaxsamp.samplers import (
    DDIM,
    DDPM,
    DPMSolverPP,
    ExponentialEuler,
    Heun,
    Midpoint,
    RandomizedMidpoint,
    RandomizedMidpointSDE,
    UniPC,
)
from jaxsamp.samplers.base import Problem
from tests.cases import SCHEDULES, g64, run

DRAWS = 20
FULL_ORDER = {
    "ddim": DDIM(),
    "euler_score": ExponentialEuler(),
    "heun": Heun(),
    "midpoint": Midpoint(),
    "dpmpp2m": DPMSolverPP(order=2, lower_order_final=False),
    "dpmpp3m": DPMSolverPP(order=3, lower_order_final=False),
    "unipc1": UniPC(order=1, lower_order_final=False),
    "unipc2": UniPC(order=2, lower_order_final=False),
    "unipc3": UniPC(order=3, lower_order_final=False),
    "randomized": RandomizedMidpoint(),
    "randomized_plain": RandomizedMidpoint(reuse=False, antithetic=False),
    "randomized_reuse": RandomizedMidpoint(antithetic=False),
    "randomized_antithetic": RandomizedMidpoint(reuse=False),
}


@pytest.fixture(scope="module")
def problem():
    with jax.enable_x64(True):
        denoiser = g64().denoiser(SCHEDULES["ou"])
        init = jax.random.normal(jax.random.key(1), (48, 64)) * denoiser.schedule.level(-jnp.log(80.0)).sigma
        reference = run(UniPC(order=3, lower_order_final=False), denoiser, 48, 3000, init=init)
        yield denoiser, init, reference


def error(sampler, problem, steps):
    """Median over starts, mean over draws, of the rms distance to the converged flow from the same start."""
    denoiser, init, reference = problem
    draws = DRAWS if sampler.stochastic else 1
    x = run(sampler, denoiser, 48 * draws, steps, init=jnp.tile(init, (draws, 1)))
    distance = jnp.sqrt(jnp.mean((x.reshape(draws, 48, 64) - reference) ** 2, -1))
    return float(jnp.median(distance.mean(0)))


@pytest.mark.parametrize("name", FULL_ORDER)
def test_trajectory_error_falls_at_the_declared_order(x64, problem, name):
    sampler = FULL_ORDER[name]
    steps = [256, 512, 1024] if name == "unipc3" else [24, 48, 96]  # the low-order start fades late
    slope = -np.polyfit(np.log(steps), np.log([error(sampler, problem, n) for n in steps]), 1)[0]
    assert abs(slope - sampler.convergence_order) < 0.25, slope


def test_third_order_unipc_beats_second(x64, problem):
    two, three = (error(UniPC(order=p, lower_order_final=False), problem, 96) for p in (2, 3))
    assert three < 0.25 * two


class _Path(Draws):
    """Draws that are increments of one Brownian path in the clock e^(2 lambda), summed over each coarse step."""

    def __init__(self, noise, lam):
        object.__setattr__(self, "noise", noise)
        object.__setattr__(self, "lam", lam)

    def normal(self, i):
        fine = self.noise.shape[0]
        per_step = fine // (self.lam.shape[0] - 1)
        grid = jnp.linspace(self.lam[0], self.lam[-1], fine + 1)
        spread = jnp.sqrt(jnp.exp(2 * grid[:-1]) * jnp.expm1(2 * jnp.diff(grid)))
        weights = jax.lax.dynamic_slice(spread, (i * per_step,), (per_step,))
        increments = jax.lax.dynamic_slice_in_dim(self.noise, i * per_step, per_step)
        return weights @ increments / jnp.sqrt(jnp.sum(weights**2))


def test_ddpm_converges_strongly_to_the_reverse_sde_at_order_one(x64):
    denoiser, fine = g64().denoiser(SCHEDULES["ve"]), 2048
    noise = jax.random.normal(jax.random.key(2), (16, fine, 64))
    start = 80 * jax.random.normal(jax.random.key(3), (16, 64))

    def solve(steps):
        lam = jnp.linspace(-jnp.log(80.0), -jnp.log(0.02), steps + 1)
        evaluate = lambda x, lam: denoiser(x[None], denoiser.schedule.level(lam))[0]  # noqa: E731
        problem = Problem(evaluate, lam, None, lambda lam: lam, None)

        def one(x, noise):
            body = lambda state, i: (DDPM().step(problem, state, i, _Path(noise, lam)), None)  # noqa: E731
            return jax.lax.scan(body, (x,), jnp.arange(steps))[0][0]

        return jax.jit(jax.vmap(one))(start, noise)

    reference = solve(fine)
    steps = [32, 64, 128]
    errors = [float(jnp.sqrt(jnp.mean((solve(n) - reference) ** 2))) for n in steps]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - DDPM().convergence_order) < 0.25, slope
