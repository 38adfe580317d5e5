"""The one change of variables behind every sampler.

With x the state divided by alpha (so x = x_0 + s z, s = sigma / alpha = e^-lambda), each frame is a pair
(scale, clock) in which the probability-flow ODE, or the reverse SDE, reads

    y = x / scale(lambda),    dy = f dkappa    (+ dB_kappa in the localization frame),

so that a quadrature in the clock kappa is exact whenever f is constant:

    frame         scale         clock kappa             f
    data          s             e^lambda                D = E[x_0 | x_t]
    noise         1             e^-lambda               epsilon = (x - D) / s
    score         1             -sqrt(1 + s^2)          -sqrt(1 + s^2) epsilon / s  (the score in OU units)
    localization  s^2           e^(2 lambda)            D, plus Brownian motion run by the clock
    rotation      sqrt(1 + s^2) arctan(s)               v = (epsilon - s D) / sqrt(1 + s^2)
    straight      1 + s         s / (1 + s)             epsilon - D, the velocity of rectified flow
    calibrated    Phi(lambda)   int dlambda / Phi       D - a(lambda) x,  Phi = exp int (a - 1)

Dividing by alpha removes the schedule: variance-preserving, variance-exploding and flow models are the same here.
Clock differences come from expm1 or quadrature, never from subtracting two clocks, which at small s would be wrong by
several percent of a step in float32.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array, lax
from numpy.polynomial.legendre import leggauss

_NODES, _WEIGHTS = leggauss(32)


@runtime_checkable
class Frame(Protocol):
    """A scale, a clock and an integrand, all functions of lambda = log(alpha / sigma)."""

    def scale(self, lam) -> Any:
        """The factor between the state x and the frame's variable y."""
        ...

    def clock_delta(self, lam0, lam1) -> Any:
        """kappa(lam1) - kappa(lam0), without cancellation."""
        ...

    def clock_rate(self, lam) -> Any:
        """dkappa / dlambda."""
        ...

    def advance(self, lam0, u, lam1) -> Any:
        """The lambda at which the fraction `u` of the clock between `lam0` and `lam1` has passed."""
        ...

    def integrand(self, x, denoised, lam) -> Any:
        """f at the state `x` (divided by alpha) whose posterior mean is `denoised`."""
        ...


class Exponential(NamedTuple):
    """Frames with clock e^(rate lambda) and scale e^(-decay lambda): data, noise and localization."""

    rate: float
    decay: float

    def scale(self, lam):
        """e^(-decay lambda)."""
        return jnp.exp(-self.decay * lam)

    def clock_delta(self, lam0, lam1):
        """e^(rate lam0) expm1(rate (lam1 - lam0))."""
        return jnp.exp(self.rate * lam0) * jnp.expm1(self.rate * (lam1 - lam0))

    def clock_rate(self, lam):
        """rate e^(rate lambda)."""
        return self.rate * jnp.exp(self.rate * lam)

    def advance(self, lam0, u, lam1):
        """lam0 + log1p(u expm1(rate (lam1 - lam0))) / rate."""
        return lam0 + jnp.log1p(u * jnp.expm1(self.rate * (lam1 - lam0))) / self.rate

    def integrand(self, x, denoised, lam):
        """The posterior mean; in the noise frame, whose clock decreases, epsilon."""
        return denoised if self.rate > 0 else (x - denoised) * jnp.exp(lam)


class Score(NamedTuple):
    """The exponential integrator of the Ornstein-Uhlenbeck process: sqrt(1 + s^2) = e^tau in its time tau."""

    def scale(self, lam):
        """One."""
        return jnp.ones_like(lam)

    def clock_delta(self, lam0, lam1):
        """sqrt(1 + s0^2) - sqrt(1 + s1^2), as a quotient of positive terms."""
        s0, s1 = jnp.exp(-lam0), jnp.exp(-lam1)
        drop = -jnp.square(s0) * jnp.expm1(2 * (lam0 - lam1))
        return drop / (jnp.hypot(1.0, s0) + jnp.hypot(1.0, s1))

    def clock_rate(self, lam):
        """s^2 / sqrt(1 + s^2)."""
        s = jnp.exp(-lam)
        return s * s / jnp.hypot(1.0, s)

    def advance(self, lam0, u, lam1):
        """Interpolates sqrt(1 + s^2) - 1 = s^2 / (1 + sqrt(1 + s^2)), which does not cancel as s -> 0."""

        def excess(lam):
            s = jnp.exp(-lam)
            return s * s / (1 + jnp.hypot(1.0, s))

        mixed = (1 - u) * excess(lam0) + u * excess(lam1)
        return -0.5 * (jnp.log(mixed) + jnp.log(mixed + 2))

    def integrand(self, x, denoised, lam):
        """-sqrt(1 + s^2) epsilon / s."""
        s = jnp.exp(-lam)
        return -jnp.hypot(1.0, s) * (x - denoised) / (s * s)


class Rotation(NamedTuple):
    """The velocity v in the angle arctan(sigma / alpha), about which x_t / sqrt(alpha^2 + sigma^2) turns."""

    def scale(self, lam):
        """sqrt(1 + s^2)."""
        return jnp.hypot(1.0, jnp.exp(-lam))

    def clock_delta(self, lam0, lam1):
        """arctan(s1) - arctan(s0) = arctan((s1 - s0) / (1 + s0 s1))."""
        return jnp.arctan(jnp.expm1(lam0 - lam1) / (jnp.exp(lam0) + jnp.exp(-lam1)))

    def clock_rate(self, lam):
        """-s / (1 + s^2)."""
        return -0.5 / jnp.cosh(lam)

    def advance(self, lam0, u, lam1):
        """Interpolates the angle, whose tangent is s, and the right angle's rest, so that neither cancels."""

        def mixed(sign):
            return (1 - u) * jnp.arctan(jnp.exp(sign * lam0)) + u * jnp.arctan(jnp.exp(sign * lam1))

        return jnp.log(jnp.sin(mixed(1.0))) - jnp.log(jnp.sin(mixed(-1.0)))

    def integrand(self, x, denoised, lam):
        """v."""
        s = jnp.exp(-lam)
        return ((x - denoised) / s - s * denoised) / jnp.hypot(1.0, s)


class Straight(NamedTuple):
    """The velocity of rectified flow in its time t = s / (1 + s), where x_t = (1 - t) x_0 + t z."""

    def scale(self, lam):
        """1 + s."""
        return 1 + jnp.exp(-lam)

    def clock_delta(self, lam0, lam1):
        """t1 - t0 = (s1 - s0) / ((1 + s0) (1 + s1))."""
        return jnp.expm1(lam0 - lam1) / ((1 + jnp.exp(lam0)) * (1 + jnp.exp(-lam1)))

    def clock_rate(self, lam):
        """-s / (1 + s)^2."""
        return -0.25 / jnp.square(jnp.cosh(0.5 * lam))

    def advance(self, lam0, u, lam1):
        """Interpolates t, and 1 - t, so that neither cancels."""

        def mixed(sign):
            return (1 - u) * jax.nn.sigmoid(sign * lam0) + u * jax.nn.sigmoid(sign * lam1)

        return jnp.log(mixed(1.0)) - jnp.log(mixed(-1.0))

    def integrand(self, x, denoised, lam):
        """epsilon - D."""
        return (x - denoised) * jnp.exp(lam) - denoised


class Calibrated(NamedTuple):
    """The frame that takes out the average linear part a(lambda) x of the posterior mean.

    Tables on the uniform knots start + spacing * k: `log_scale` = int (a - 1) dlambda and its `slope` = a - 1, joined
    by cubic Hermite pieces, so that a - 1 is exactly the derivative of log Phi; outside the knots a is constant.
    """

    start: Array
    spacing: Array
    log_scale: Array
    slope: Array

    def _interpolate(self, lam):
        """log Phi and its derivative."""
        place = (lam - self.start) / self.spacing
        last = self.log_scale.shape[0] - 2
        k = jnp.clip(jnp.floor(place).astype(int), 0, last)
        t = jnp.clip(place - k, 0.0, 1.0)
        y0, y1 = self.log_scale[k], self.log_scale[k + 1]
        m0, m1 = self.slope[k] * self.spacing, self.slope[k + 1] * self.spacing
        value = y0 + t * (m0 + t * (3 * (y1 - y0) - 2 * m0 - m1 + t * (2 * (y0 - y1) + m0 + m1)))
        rate = m0 + t * (2 * (3 * (y1 - y0) - 2 * m0 - m1) + 3 * t * (2 * (y0 - y1) + m0 + m1))
        outside = (place - k) - t
        return value + outside * rate, rate / self.spacing

    def scale(self, lam):
        """Phi(lambda)."""
        return jnp.exp(self._interpolate(lam)[0])

    def clock_rate(self, lam):
        """1 / Phi(lambda)."""
        return jnp.exp(-self._interpolate(lam)[0])

    def clock_delta(self, lam0, lam1):
        """The integral of 1 / Phi by 32-point Gauss-Legendre quadrature."""
        half = 0.5 * (lam1 - lam0)
        nodes = (lam0 + half)[..., None] + half[..., None] * jnp.asarray(_NODES, half.dtype)
        return half * jnp.matmul(self.clock_rate(nodes), jnp.asarray(_WEIGHTS, half.dtype), precision="highest")

    def advance(self, lam0, u, lam1):
        """Newton's method on log(1 + Phi0 clock_delta), which is linear for a = 0 and concave for a = 1."""
        scale0 = self.scale(lam0)
        target = jnp.log1p(u * scale0 * self.clock_delta(lam0, lam1))

        def newton(_, lam):
            passed = scale0 * self.clock_delta(lam0, lam)
            rate = scale0 * self.clock_rate(lam) / (1 + passed)
            return jnp.clip(lam + (target - jnp.log1p(passed)) / rate, lam0, lam1)

        return lax.fori_loop(0, 8, newton, lam0 + u * (lam1 - lam0))

    def integrand(self, x, denoised, lam):
        """D - a x."""
        return denoised - (1 + self._interpolate(lam)[1]) * x


class PerCoordinate(NamedTuple):
    """One calibrated frame per coordinate: scales and clocks have shape (..., d) for lambda of shape (...).

    Nodes are drawn in the clock of one common curve; `clock_share` is the weight that keeps such a node unbiased.
    """

    curves: Calibrated  # log_scale and slope (knots, d)
    common: Calibrated

    def _each(self, function, *lam):
        one_curve = Calibrated(None, None, 1, 1)  # type: ignore[arg-type]
        return jax.vmap(function, (one_curve, *(None,) * len(lam)), -1)(self.curves, *lam)

    def scale(self, lam):
        """Phi_i(lambda)."""
        return self._each(Calibrated.scale, lam)

    def clock_rate(self, lam):
        """1 / Phi_i(lambda)."""
        return self._each(Calibrated.clock_rate, lam)

    def clock_delta(self, lam0, lam1):
        """The integrals of 1 / Phi_i."""
        return self._each(Calibrated.clock_delta, lam0, lam1)

    def clock_share(self, lam0, lam1, lam):
        """The difference of the common clock, times the ratio of the rates at the node."""
        share = self.common.clock_delta(lam0, lam1) / self.common.clock_rate(lam)
        return share[..., None] * self.clock_rate(lam)

    def advance(self, lam0, u, lam1):
        """In the common clock."""
        return self.common.advance(lam0, u, lam1)

    def integrand(self, x, denoised, lam):
        """D_i - a_i x_i."""
        return denoised - (1 + self._each(lambda curve, lam: curve._interpolate(lam)[1], lam)) * x


def clock_share(frame, lam0, lam1, lam):
    """The weight of the slope at one node, uniform in the frame's clock between lam0 and lam1."""
    if isinstance(frame, PerCoordinate):
        return frame.clock_share(lam0, lam1, lam)
    return frame.clock_delta(lam0, lam1)


DATA, NOISE, LOCALIZATION = Exponential(1.0, 1.0), Exponential(-1.0, 0.0), Exponential(2.0, 2.0)
SCORE, ROTATION, STRAIGHT = Score(), Rotation(), Straight()
# The frames of the deterministic flow, but for the calibrated one, whose tables belong to a denoiser.
FLOW = {"data": DATA, "noise": NOISE, "score": SCORE, "rotation": ROTATION, "straight": STRAIGHT}


def step(frame: Frame, x, f, lam0, lam1, delta=None, noise=None):
    """From `lam0` to `lam1` with constant `f`: scale1 (x / scale0 + delta f + sqrt(delta) noise).

    `delta` is the clock difference by default; a quadrature passes its own weight. Standard normal `noise` makes this a
    step of the reverse SDE; use it in the localization frame only, whose clock is the variance of the noise.
    """
    scale1 = frame.scale(lam1)
    delta = frame.clock_delta(lam0, lam1) if delta is None else delta
    moved = (scale1 / frame.scale(lam0)) * x + (scale1 * delta) * f
    return moved if noise is None else moved + (scale1 * jnp.sqrt(delta)) * noise
