"""Langevin steps with exact Gaussian noise, for any law with a known score s(x) = grad log p(x).

Overdamped, dx = s dt + sqrt(2) dB, and underdamped with friction g and inertia u,

    dx = v dt,    dv = (u s(x) - g v) dt + sqrt(2 g u) dB,

whose stationary law is p(x) N(v; 0, u I). With s frozen the second is linear and is solved exactly by

    psi_0(t) = e^(-g t),    psi_1 = int_0^t psi_0,    psi_2 = int_0^t psi_1.

The Gaussian integrals of one step are composed from independent pieces of time. Factoring their covariance would fail:
it is singular where the midpoint meets an end of the step, and float32 cannot represent it for small g t.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxsamp_kernels.multistep import phi

_FRACTION_DEPTH = 12  # levels of the continued fraction: float64 accuracy for x < 3/2


class MidpointNoise(NamedTuple):
    """W1 = int_0^(a h) psi_1(a h - r) dB, W2 = int_0^h psi_1(h - r) dB, W3 = int_0^h psi_0(h - r) dB, the same B."""

    midpoint: Array
    position: Array
    velocity: Array


def psi(k, t, friction):
    """psi_k(t) = t^k phi_k(-friction t), k = 0, 1, 2, without cancellation and finite at zero friction."""
    return jnp.power(t, k) * phi(k, -jnp.asarray(friction * t))


def _tanh(x):
    """tanh(x) / x and (x - tanh x) / x^3 for x >= 0, by Lambert's fraction where the difference would cancel.

    tanh x = x / (1 + x^2 c), c = 1 / (3 + x^2 / (5 + x^2 / (7 + ...))), in which every term is positive.
    """
    small = x < 1.5
    near, far = jnp.where(small, x, 0.0), jnp.where(small, 1.5, x)
    square, c = near * near, 1.0
    for odd in range(2 * _FRACTION_DEPTH + 1, 1, -2):
        c = 1 / (odd + square * c)
    tanh = jnp.tanh(far)
    ratio = jnp.where(small, 1 / (1 + square * c), tanh / far)
    return ratio, jnp.where(small, c / (1 + square * c), (far - tanh) / far**3)


def conditional_variance(t, friction):
    """Variance of int psi_1 dB given int psi_0 dB over time t: (A - 2 tanh(A / 2)) / friction^3, A = friction t."""
    return t**3 / 4 * _tanh(jnp.asarray(friction * t) / 2)[1]


def pair(t, friction, z1, z2):
    """(a, b) = (int_0^t psi_1(t - r) dB, int_0^t psi_0(t - r) dB) from two standard normal arrays.

    Var b = (1 - e^(-2A)) / (2 friction) and a = b tanh(A / 2) / friction + sqrt(conditional_variance) z2.
    """
    ratio, _ = _tanh(jnp.asarray(friction * t) / 2)
    b = jnp.sqrt(psi(1, t, 2 * friction)) * z1
    return t / 2 * ratio * b + jnp.sqrt(conditional_variance(t, friction)) * z2, b


def midpoint_noise(h, friction, a, z):
    """The three integrals of a randomized-midpoint step, from `z` of shape (4, ...), standard normal.

    Time h is cut at a h. The pairs (a1, b1) and (a2, b2) of the two parts are independent, and the velocity from the
    first part is carried through the second: W1 = a1, W2 = a1 + psi_1 b1 + a2, W3 = psi_0 b1 + b2.
    """
    late = (1 - a) * h
    a1, b1 = pair(a * h, friction, z[0], z[1])
    a2, b2 = pair(late, friction, z[2], z[3])
    return MidpointNoise(a1, a1 + psi(1, late, friction) * b1 + a2, psi(0, late, friction) * b1 + b2)


def overdamped_step(x, score, h, z):
    """Euler-Maruyama: x + h s + sqrt(2 h) z."""
    return x + h * score + jnp.sqrt(2 * h) * z


def underdamped_step(x, v, score, h, friction, inertia, z1, z2):
    """The exact flow over time h with the score frozen at `score`; returns (x, v).

        x' = x + psi_1 v + u psi_2 s + c a,    v' = psi_0 v + u psi_1 s + c b,    c = sqrt(2 friction u),

    where (a, b) is a `pair`.

    Source: Cheng et al., "Underdamped Langevin MCMC: A non-asymptotic analysis", arXiv 1707.03663.
    """
    psi0, psi1, psi2 = (psi(k, h, friction) for k in range(3))
    a, b = pair(h, friction, z1, z2)
    c = jnp.sqrt(2 * friction * inertia)
    return x + psi1 * v + inertia * psi2 * score + c * a, psi0 * v + inertia * psi1 * score + c * b


def midpoint_underdamped_step(evaluate_score, x, v, score_start, h, friction, inertia, a, z):
    """The underdamped step with the score at one random time a h; returns (x, v).

    With tau = a h, delta = h - tau and the integrals W1, W2, W3 of `midpoint_noise`,

        x_m = x + psi_1(tau) v + u psi_2(tau) s(x) + c W1,
        x'  = x + psi_1(h) v + u h psi_1(delta) s(x_m) + c W2,
        v'  = psi_0(h) v + u h psi_0(delta) s(x_m) + c W3,

    With a uniform on [0, 1] this is unbiased for the integral of the score along the path through the midpoints.

    Args:
        evaluate_score: x -> s(x); called once.
        x: the state, any shape.
        v: its velocity.
        score_start: s(x).
        h: step size, in time.
        friction: g.
        inertia: u.
        a: the uniform number.
        z: four standard normal arrays, (4, *x.shape).

    Source: Shen and Lee, "The randomized midpoint method for log-concave sampling", arXiv 1909.05503, with friction 2
    and inertia 1 / L.
    """
    early, late = a * h, (1 - a) * h
    noise = midpoint_noise(h, friction, a, z)
    c = jnp.sqrt(2 * friction * inertia)
    x_mid = x + psi(1, early, friction) * v + inertia * psi(2, early, friction) * score_start + c * noise.midpoint
    pull = inertia * h * evaluate_score(x_mid)
    x_end = x + psi(1, h, friction) * v + psi(1, late, friction) * pull + c * noise.position
    return x_end, psi(0, h, friction) * v + psi(0, late, friction) * pull + c * noise.velocity
