"""The estimate is the squared difference between a denoiser and its mean on the way down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp import losses
from tests.cases import SCHEDULES

N, UPPER, LOWER, VARIANCE, MEAN = 20_000, 1.2, 0.7, 0.5, 0.3


def affine(schedule):
    """D = a x / alpha + b of a Gaussian law, and `params` off it at levels below 1."""

    def apply(params, x, t, cond):
        level = schedule.at(t)
        s = (level.sigma / level.alpha)[:, None]
        gain = VARIANCE / (VARIANCE + s**2)
        return gain * x / level.alpha[:, None] + (1 - gain) * MEAN + params * (s < 1)

    return apply


@pytest.mark.parametrize("schedule", ["vp", "flow"])
@pytest.mark.parametrize("off, steps", [(0.0, 3), (0.25, 1)])
def test_the_mean_is_the_square_of_the_difference(x64, schedule, off, steps):
    """Within 4.5 standard errors. The denoiser of a Gaussian is affine, so that no step changes its mean."""
    schedule = SCHEDULES[schedule]

    @jax.jit
    def estimates(key):
        level, lower = (schedule.level(-jnp.log(jnp.full(N, s))) for s in (UPPER, LOWER))
        options = {"level": level, "lower": lower, "steps": steps}
        x_t = level.alpha[0] * jnp.full((N, 1), 1.4)
        return losses.consistency(key, affine(schedule), off, x_t, schedule, "x0", **options)

    found = np.asarray(estimates(jax.random.key(0)))
    assert abs(found.mean() - off**2) < 4.5 * found.std() / np.sqrt(N) < 0.01
    assert found.min() < 0


def test_gradients_pass_the_ways_down_only_if_they_are_asked_to():
    schedule, x = SCHEDULES["ve"], jnp.full((4, 1), 1.4)
    level, lower = (schedule.level(-jnp.log(jnp.full(4, s))) for s in (0.9, 0.7))
    options = {"level": level, "lower": lower, "steps": 2}

    def loss(off, through):
        apply = affine(schedule)
        options["through_samples"] = through
        return losses.consistency(jax.random.key(0), apply, off, x, schedule, "x0", **options).sum()

    stopped, through = jax.jit(lambda off: [jax.grad(loss)(off, way) for way in (False, True)])(0.25)
    assert abs(stopped) < 1e-6 < abs(through)  # without the ways down, both ends of each difference move alike


def test_levels_in_the_wrong_order_are_refused():
    schedule, x = SCHEDULES["ve"], jnp.zeros((2, 1))
    level = schedule.level(-jnp.log(jnp.full(2, 1.0)))
    with pytest.raises(ValueError, match="lower must have a smaller sigma / alpha than level for each sample"):
        losses.consistency(jax.random.key(0), affine(schedule), 0.0, x, schedule, "x0", level=level, lower=level)
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        losses.consistency(
            jax.random.key(0), affine(schedule), 0.0, x, schedule, "x0", level=level, lower=level, steps=0
        )
