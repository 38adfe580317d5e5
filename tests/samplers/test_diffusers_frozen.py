"""Numbers of diffusers' schedulers, kept here so that they are compared without diffusers too."""

import jax
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import small_mixture

# UniPCMultistepScheduler of diffusers 0.42, solver_order=3, its other settings left alone, in float64: 8 steps.
TIMES = np.array([999, 874, 749, 624, 500, 375, 250, 125])
START = np.array([[0.5, -1.0], [1.5, 0.25]])
UNIPC3 = [[1.53380757, -0.97598006], [1.63722211, -0.33685902]]


@pytest.mark.parametrize(("lowered", "agrees"), [("denoise", True), (True, False), (False, False)])
def test_unipc_of_order_3_ends_as_in_diffusers(x64, lowered, agrees):
    schedule = js.schedules.DiscreteTime(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)))
    sampler = js.samplers.UniPC(order=3, lower_order_final=lowered)
    grid = np.exp(-schedule.lam[TIMES])
    x = js.sample(jax.random.key(0), small_mixture().denoiser(schedule), (2, 2), sampler, grid=grid, init=START).x
    assert (np.abs(x - np.array(UNIPC3)).max() < 1e-5) == agrees  # their table is in float32
    if not agrees:
        assert np.abs(x - np.array(UNIPC3)).max() > 1e-3


def test_names_of_the_last_orders_are_one_sentence():
    for sampler in (js.samplers.UniPC(lower_order_final="end"), js.samplers.DPMSolverPP(lower_order_final="end")):
        with pytest.raises(ValueError, match="lower_order_final must be one of True, False, 'denoise'; got 'end'"):
            sampler.check()
