"""With an exact denoiser every sampler draws from the target's law at the last level.

Each statistical assertion has a false-alarm rate of 1e-4 under fixed keys; every one is shown to reject the same
sampler with too few steps, so none of them is blind.
"""

import functools

import jax
import numpy as np
import pytest
from scipy.stats import chi2, norm

from tests.cases import EVERY, SAMPLERS, SCHEDULES, gaussian, last_level, run, small_mixture

N = 8192
FALSE_ALARM = 1e-4
# First-order samplers need more steps before their bias is below the sampling noise of N samples.
STEPS = {"ddim": 400, "ddim_eta": 400, "ddpm": 400, "euler_score": 400, "euler_rotation": 400}
STEPS |= {"randomized_paper": 300, "parallel": 24, "parallel_blocked": 48, "parallel_surrogate": 24}
STEPS |= {"sliding_ddim": 400, "speculative": 400, "speculative_start": 400}
# Few enough for the bias to show in N samples.
TOO_FEW = {"midpoint": 2, "corrected": 2, "parallel": 1, "parallel_blocked": 1, "parallel_surrogate": 1}


def whitened_moments(x):
    """p-value of mean and covariance of `x` against the standard normal in the plane."""
    u, v = x.T
    moments = np.stack([u, v, (u**2 - 1) / np.sqrt(2), (v**2 - 1) / np.sqrt(2), u * v])
    return chi2.sf(N * np.sum(moments.mean(1) ** 2), 5)


def gaussian_p_value(name, steps):
    target = gaussian()
    denoiser = target.denoiser(SCHEDULES["ou"])
    level = last_level(denoiser)
    x = np.asarray(run(SAMPLERS[name], denoiser, N, steps, seed=3), float)
    covariance = np.array([[1.0, 0.6], [0.6, 0.5]]) * float(level.alpha) ** 2 + np.eye(2) * float(level.sigma) ** 2
    centered = x - np.array([0.5, -1.0]) * float(level.alpha)
    return whitened_moments(np.linalg.solve(np.linalg.cholesky(covariance), centered.T).T)


@jax.jit
def statistics(target, x, level):
    return target.responsibilities(x, level)[:, 0], target.log_prob(x, level)


@functools.cache
def exact_statistics():
    target = small_mixture()
    level = last_level(target.denoiser(SCHEDULES["ou"]))
    key, noise = jax.random.split(jax.random.key(11))
    x = level.alpha * target.sample(key, 4 * N) + level.sigma * jax.random.normal(noise, (4 * N, 2))
    return np.asarray(statistics(target, x, level), float)


def mixture_p_values(name, steps):
    """Occupancy of the two modes, and the mean log density against exact samples."""
    target = small_mixture()
    denoiser = target.denoiser(SCHEDULES["ou"])  # as for the Gaussian: one program for both
    x = run(SAMPLERS[name], denoiser, N, steps, seed=4)
    a, b = np.asarray(statistics(target, x, last_level(denoiser)), float), exact_statistics()
    z = (a.mean(1) - b.mean(1)) / np.sqrt(a.var(1) / a.shape[1] + b.var(1) / b.shape[1])
    return 2 * norm.sf(np.abs(z))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_gaussian_law_is_exact_to_the_sampling_floor(name):
    assert gaussian_p_value(name, STEPS.get(name, 128)) > FALSE_ALARM
    assert gaussian_p_value(name, TOO_FEW.get(name, 4)) < FALSE_ALARM


@pytest.mark.parametrize("name", EVERY)
def test_mixture_law_is_exact_to_the_sampling_floor(name):
    assert min(mixture_p_values(name, STEPS.get(name, 128))) > FALSE_ALARM
    assert min(mixture_p_values(name, TOO_FEW.get(name, 4))) < FALSE_ALARM


def test_final_denoise_is_the_posterior_mean_at_the_last_level():
    import jaxsamp as js

    target = small_mixture()
    denoiser = target.denoiser(SCHEDULES["ou"])
    x = run(SAMPLERS["unipc2"], denoiser, 64, 16)
    finished = js.sample(jax.random.key(0), denoiser, (64, 2), SAMPLERS["unipc2"], 16)
    mean = jax.jit(target.posterior_mean)(x, last_level(denoiser))
    np.testing.assert_allclose(finished.x, mean, atol=1e-5)
    stats = jax.tree.map(np.asarray, finished.stats)
    assert stats["evaluations"][0] == 17 and (stats["first_bad_step"] == -1).all()
