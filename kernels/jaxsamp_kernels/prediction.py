"""What networks predict, as one table: every prediction is a linear function of the posterior mean D and of x.

With x = alpha D + sigma epsilon and r^2 = alpha^2 + sigma^2,

    prediction  meaning                        D = to_x * x + to_out * out
    x0          D                              0                     1
    epsilon     (x - alpha D) / sigma          1 / alpha             -sigma / alpha
    score       -epsilon / sigma               1 / alpha             sigma^2 / alpha
    v           (alpha epsilon - sigma D) / r  alpha / r^2           -sigma / r
    velocity    alpha' D + sigma' epsilon      -sigma' / w           sigma / w,   w = alpha' sigma - alpha sigma'

where ' is the derivative in the schedule's own time. Only v and velocity are well conditioned at both ends.
"""

import jax.numpy as jnp

NAMES = ("epsilon", "x0", "v", "score", "velocity")


def coefficients(prediction, alpha, sigma, alpha_dot=None, sigma_dot=None):
    """The pair (to_x, to_out) of the table; only "velocity" uses the derivatives."""
    if prediction == "x0":
        return jnp.zeros_like(alpha), jnp.ones_like(alpha)
    if prediction == "epsilon":
        return 1 / alpha, -sigma / alpha
    if prediction == "score":
        return 1 / alpha, sigma * sigma / alpha
    if prediction == "v":
        r = jnp.hypot(alpha, sigma)
        return alpha / (r * r), -sigma / r
    assert alpha_dot is not None and sigma_dot is not None  # velocity needs the schedule's derivative
    wronskian = alpha_dot * sigma - alpha * sigma_dot
    return -sigma_dot / wronskian, sigma / wronskian


def to_x0(prediction, out, x, alpha, sigma, alpha_dot=None, sigma_dot=None):
    """The posterior mean from a network's output; all arguments broadcast against x."""
    to_x, to_out = coefficients(prediction, alpha, sigma, alpha_dot, sigma_dot)
    return to_out * out if prediction == "x0" else to_x * x + to_out * out


def from_x0(prediction, denoised, x, alpha, sigma, alpha_dot=None, sigma_dot=None):
    """The prediction whose posterior mean is `denoised`: the inverse of `to_x0`."""
    to_x, to_out = coefficients(prediction, alpha, sigma, alpha_dot, sigma_dot)
    return (denoised - to_x * x) / to_out


def from_noise(prediction, x0, noise, alpha, sigma, alpha_dot=None, sigma_dot=None):
    """The training target at x = alpha x0 + sigma noise, without a small difference of large numbers."""
    if prediction == "x0":
        return x0
    if prediction == "epsilon":
        return noise
    if prediction == "score":
        return -noise / sigma
    if prediction == "v":
        return (alpha * noise - sigma * x0) / jnp.hypot(alpha, sigma)
    assert alpha_dot is not None and sigma_dot is not None  # velocity needs the schedule's derivative
    return alpha_dot * x0 + sigma_dot * noise
