"""GSURE of measurements with noise is the error that only clean samples would show, down to their own noise level."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room
from jaxsamp.losses import LogNormal, UnitWeighting, ambient, gsure

S = js.schedules.VariancePreserving()
N, VARIANCE, NOISE, FURTHER = 20_000, 0.7, 0.5, 0.3
MASK, MEANS = room.Mask(0.4, noise=NOISE), room.Downsample(2, rate=0.5, noise=NOISE)


@partial(jax.jit, static_argnums=(0, 1, 2))
def found(loss, law, reweight, s, params):
    """Losses (N,) at level s of h = a z + c z^3 + b on what A~ hides, z = x_t / alpha, and their slopes in (a, b, c).

    The data are Gaussian with independent entries, 2 x 2 of them.
    """
    a, b, c = params
    for_data, for_law, for_noise, for_loss = jax.random.split(jax.random.key(1), 4)
    x0, operator = VARIANCE**0.5 * jax.random.normal(for_data, (N, 2, 2)), law.draw(for_law, N, (2, 2))
    x = jax.vmap(lambda a, v: a.projector(v))(operator, x0 + NOISE * jax.random.normal(for_noise, x0.shape))

    def losses(a, b, c):
        def apply(_, x, t, cond):
            z = x / S.at(t).alpha[:, None, None]
            return a * z + c * z**3 + b * (1 - jax.vmap(lambda a: a.diagonal((2, 2)))(cond.operator))

        options = {"levels": LogNormal(jnp.log(s), 1e-6), "weighting": UnitWeighting(), "further": FURTHER}
        return loss(for_loss, apply, None, x, operator, law, S, reweight=reweight, **options)

    slopes = [jax.jvp(losses, (a, b, c), tuple(v))[1] for v in jnp.eye(3)]
    return losses(a, b, c), jnp.stack(slopes, -1)


def error(law, reweight, s, a, b, c):
    """The mean of |P~ (h - x_0)|^2 + |(P - P~) (h - x_0)|^2 (/ q) over 4 entries, of Gaussians."""
    total = VARIANCE + s**2
    best = VARIANCE / total
    seen = (a - best) ** 2 * total + 6 * (a - best) * c * total**2 + 15 * c**2 * total**3 + best * s**2
    if law is MASK:
        kept = 0.6 * (1 - FURTHER)
        return kept * seen + 0.6 * FURTHER * (b**2 + VARIANCE) * ((1 - kept) / (0.6 * FURTHER) if reweight else 1)
    return 0.25 * seen + 0.5 * 0.75 * VARIANCE  # block means of all; half of the samples are seen whole


@pytest.mark.parametrize("s", [NOISE * 1.0001, 1.5])
@pytest.mark.parametrize(
    "law, reweight, params",
    [(MASK, False, (0.6, 0.4, 0.02)), (MASK, True, (0.9, 0.2, 0.0)), (MEANS, False, (0.8, 0.0, 0.0))],
)
def test_its_mean_is_the_error_against_clean_samples(law, reweight, params, s):
    """Within 4.5 standard errors, a false-alarm rate of 7e-6 each; without the derivative it is 20 of them away."""
    got = np.asarray(found(gsure, law, reweight, s, jnp.asarray(params, float))[0], np.float64)
    spread = got.std() / np.sqrt(N)
    assert abs(got.mean() - error(law, reweight, s, *params)) < 4.5 * spread < 0.1
    derivative = 0.42 if law is MASK else 0.25
    missing = 2 * NOISE**2 * derivative * (params[0] + 3 * params[2] * (VARIANCE + s**2))
    assert missing > 20 * spread


def test_the_exact_denoiser_is_its_minimum_at_the_level_of_the_measurements_where_ambient_has_no_loss():
    """The slopes of 20,000 samples in three directions: |z| < 4.5."""
    s = NOISE * 1.0001
    exact = jnp.array([VARIANCE / (VARIANCE + s**2), 0.0, 0.0])
    slopes = np.asarray(found(gsure, MASK, False, s, exact)[1], np.float64)
    assert (np.abs(slopes.mean(0)) < 4.5 * slopes.std(0) / np.sqrt(N)).all() and (slopes.std(0) > 0.1).all()
    assert (np.asarray(found(ambient, MASK, False, s, exact)[0]) == 0).all()
    assert (np.asarray(found(gsure, MASK, False, 0.99 * NOISE, exact)[0]) == 0).all()
