"""Starting late: where no choice has been made yet, x_t is nearly a Gaussian."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import Array, Data, Level, PRNGKey
from jaxsamp.targets import GaussianMixture
from jaxsamp.targets.components import dense
from jaxsamp.theory.windows.crossings import Crossing

DRAWS = 16384  # for the total variation


class LateStart(NamedTuple):
    """States at a time from which a sampler may start.

    Attributes:
        init: (n, *event), for `init=` of `jaxsamp.sample`.
        sigma_max: sigma / alpha at that time, for `sigma_max=` of a grid.
        tv: total variation from the law of x_t, (point, low, high) with a band of 95 %: what starting here costs at
            most. None where the law is not known.
    """

    init: Array
    sigma_max: float
    tv: Crossing | None


def late_start(key: PRNGKey, data: GaussianMixture | Data, schedule: Schedule, time: float, n: int) -> LateStart:
    """Draw x_t from N(alpha m, alpha^2 S + sigma^2 I), which has the mean and covariance that x_t has.

    Above the first critical window, `T_before` of the last of `critical_windows`, the law of x_t is near to it, and
    no steps are needed from pure noise to there. Total variation does not grow on the way back.

    Args:
        key: a typed key.
        data: the law, or samples (m, *event), whose mean m and covariance S are taken.
        schedule: that of the denoiser.
        time: of the schedule.
        n: how many.

    Raises:
        ValueError: the time has no noise, or fewer than two samples are given.

    Source: the moments are those of Raya and Ambrogioni, "Spontaneous symmetry breaking in generative diffusion
    models", arXiv 2305.19693.
    """
    for_init, for_tv = jax.random.split(checks.typed_key(key))
    alpha, sigma, _ = checks.schedule(schedule).at(time)
    if not float(sigma) > 0:
        raise ValueError(f"time must have noise, sigma > 0; got {time}.")
    mean, covariance, event = _moments(data)
    noised = float(alpha) ** 2 * covariance + float(sigma) ** 2 * np.eye(len(mean))
    law = GaussianMixture([1.0], float(alpha) * mean[None], noised[None])
    init = law.sample(for_init, checks.at_least("n", n, 1)).reshape(n, *event)
    tv = _total_variation(for_tv, data, law, alpha, sigma) if isinstance(data, GaussianMixture) else None
    return LateStart(init, float(sigma / alpha), tv)


def _moments(data: GaussianMixture | Data) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Mean and covariance of the flattened event, and its shape."""
    if isinstance(data, GaussianMixture):
        log_weights, means, covariances = dense(data.mixture)
        w = np.exp(log_weights)
        mean = w @ means
        off = means - mean
        return mean, np.einsum("k,kde->de", w, covariances) + (w[:, None] * off).T @ off, data.event_shape
    x = checks.finite("data", data).astype(float)
    if x.ndim < 2 or len(x) < 2:
        raise ValueError(f"data must hold at least two samples, (m, *event); got shape {x.shape}.")
    rows = x.reshape(len(x), -1)
    return rows.mean(0), np.cov(rows.T).reshape(rows.shape[1], -1), x.shape[1:]


def _total_variation(key: Array, data: GaussianMixture, law: GaussianMixture, alpha: Array, sigma: Array) -> Crossing:
    """E |tanh(l / 2)| with l the log ratio of the densities, half of the draws being from each law."""
    for_x, for_z, for_law = jax.random.split(key, 3)
    x_0 = data.sample(for_x, DRAWS // 2)
    x = alpha * x_0 + sigma * jax.random.normal(for_z, x_0.shape, x_0.dtype)
    both = jnp.concatenate([x, law.sample(for_law, DRAWS // 2)])
    ratio = data.log_prob(both, Level(alpha, sigma)) - law.log_prob(both)
    found = np.abs(np.tanh(np.asarray(ratio, float) / 2)).reshape(2, -1)
    error = norm.ppf(0.975) * np.sqrt(found.var(1).sum() / found.shape[1]) / 2
    return Crossing(*np.clip(found.mean() + error * np.array([0, -1, 1]), 0, 1).tolist())
