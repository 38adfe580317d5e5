"""Denoisers of spins beyond enumeration, and spins from what a diffusion sampler returns."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int8

from jaxsamp.core import checks, random
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.denoisers import BaseDenoiser, per_event
from jaxsamp_kernels import tap

ITERATIONS = 30
SOLVED = 0.01  # largest residual of equations that count as solved
FIRST, LAST, TIMES, DRAWS = 0.01, 30.0, 16, 4  # squared signal-to-noise ratios of the check, their number, and paths
ROUNDING = 0x526F756E  # the part of a sample's random numbers that rounds it


@pytree
@dataclass(frozen=True)
class TAPDenoiser(BaseDenoiser):
    """E[x_0 | x_t] of dense spins by the TAP equations, an approximation; made by `Ising.denoiser(schedule, "tap")`.

    With the tilt y = alpha x_t / sigma^2, it is the last of the iterations
    m_{k+1} = tanh( J m_k + h + y - b(m_k) * m_{k-1} ), b_i(m) = sum_j J_ij^2 (1 - m_j^2).
    """

    couplings: Any
    fields: Any
    schedule: Any
    iterations: int = field(default=ITERATIONS, metadata={"static": True})
    calibration: Any = None

    @property
    def event_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """(n,)."""
        return self.fields.shape

    @property
    def magnitude(self) -> float:
        """One: x_0 is +1 or -1."""
        return 1.0

    def __call__(
        self, x: Float[Array, "batch sites"], level: Level, cond: PyTree = None
    ) -> Float[Array, "batch sites"]:
        """m of each row, (batch, n); `cond` is ignored."""
        return self._solved(x, level)[0]

    def residual(self, x: Float[Array, "batch sites"], level: Level) -> Float[Array, " batch"]:
        """Root mean square over spins of m - tanh(J m + h + y - b(m) * m), (batch,), at x_t = x.

        What is far from zero is no solution of the equations. A solution is not always the mean of the law: above
        beta = 1 of the model of Sherrington and Kirkpatrick, and for short loops of strong couplings, it is not.
        """
        return self._solved(x, level)[1]

    def _solved(self, x: Array, level: Level) -> tuple[Array, Array]:
        x = checks.floating("x", x)
        alpha, sigma = (per_event(jnp.asarray(number, x.dtype), x) for number in (level.alpha, level.sigma))
        return _rows(self, alpha * x / sigma**2)


def tap_denoiser(law: Any, schedule: Schedule, iterations: int = ITERATIONS) -> TAPDenoiser:
    """The denoiser of spins with pairwise `couplings` and `fields` by the TAP equations; see `SpinLaw.denoiser`."""
    name = type(law).__name__
    if not (hasattr(law, "couplings") and hasattr(law, "fields")):
        raise ValueError(f"method must be 'exact' for {name}, because the TAP equations take pairwise couplings alone.")
    checks.at_least("iterations", iterations, 1)
    made = TAPDenoiser(law.couplings, law.fields, checks.schedule(schedule), iterations)
    if checks.is_concrete(made, jnp.zeros(())) and not (worst := float(_worst(made))) <= SOLVED:
        warnings.warn(
            f"The TAP equations are not solved for this {name}: after {iterations} iterations their residual is "
            f"{worst:.2g}, so that samples have another law. Couplings must be weaker (below beta = 1 for a spin "
            "glass); denoiser.residual(x, level) is the residual, and jaxsamp.sample_spins needs no such equations.",
            stacklevel=3,
        )
    return made


def round_spins(key: Array, m: ArrayLike) -> Int8[Array, "batch *event"]:
    """Draw x_i = +1 with probability (1 + m_i) / 2, and -1 otherwise: independent spins of means m, (n, *event), int8.

    For what a diffusion sampler returns: at the last level of the default grid almost every m_i is near +1 or -1, and
    numbers beyond are taken as +1 or -1. Row i depends on fold_in(key, i) and on its own means alone.

    Raises:
        ValueError: m has no rows, or is not finite.
        TypeError: m is not real, or the key is not a typed one.
    """
    means = jnp.asarray(checks.floating("m", m))
    if not means.ndim:
        raise ValueError(f"m must have shape (n, *event); got {means.shape}.")
    if checks.is_concrete(means):
        checks.finite("m", means)
    return _rounded(random.sample_keys(checks.typed_key(key), len(means)), means)


@jax.jit
def _rounded(keys: Array, means: Array) -> Array:
    def one(key: Array, mean: Array) -> Array:
        u = random.Rng(key, mean.shape, mean.dtype).of(ROUNDING).uniforms(0)
        return jnp.where(2 * u < 1 + mean, 1, -1).astype(jnp.int8)

    return jax.vmap(one)(keys, means)


def _rows(denoiser: TAPDenoiser, y: Array) -> tuple[Array, Array]:
    """Magnetizations and residuals of the rows of a tilt y, (batch, n)."""
    couplings, fields = (jnp.asarray(part, y.dtype) for part in (denoiser.couplings, denoiser.fields))
    return jax.vmap(lambda tilt: tap.magnetizations(couplings, fields + tilt, denoiser.iterations))(y)


@jax.jit
def _worst(denoiser: TAPDenoiser) -> Array:
    """The largest residual along a few paths of the process of tilts, dy = m(y) dt + dB, by Euler steps."""
    times = jnp.geomspace(FIRST, LAST, TIMES)
    lengths = jnp.diff(times, prepend=0)
    z = jax.random.normal(jax.random.key(0), (TIMES, DRAWS, *denoiser.event_shape))

    def step(last: tuple[Array, Array], given: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        (y, m), (length, noise) = last, given
        y = y + length * m + jnp.sqrt(length) * noise
        m, residual = _rows(denoiser, y)
        return (y, m), jnp.max(residual)

    start = jnp.zeros_like(z[0])
    return jnp.max(jax.lax.scan(step, (start, start), (lengths, z))[1])
