"""Every random number of a sampler is a function of (sample key, step, stream) and of nothing else.

`jax.random.split(key, n)[i]` and `jax.random.fold_in(key, i)` are the same key, bit for bit. So no key here is both
split and folded: sample keys are folded by step, then by stream, and numbers are drawn only from the resulting keys.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax

from jaxsamp.core.types import Array

PRIOR, UNIFORM, NORMAL, VELOCITY, SIGNS, UNIFORMS, MOVE = range(7)
# Folded into a sample's key like a step number, and far above any of them.
CORRECTOR = 0x9E3779B4
LIKELIHOOD, OBSERVED, WALK, CHOICE, INNER = range(0x9E3779B6, 0x9E3779BB)


def is_key(thing: Any) -> bool:
    """Whether something is a typed key, or an array of them."""
    return hasattr(thing, "dtype") and jax.numpy.issubdtype(thing.dtype, jax.dtypes.prng_key)


def sample_keys(key: Array, n: int) -> Array:
    """Keys of samples 0, ..., n - 1, (n,): sample i has fold_in(key, i), whatever batch it is drawn in."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jax.numpy.arange(n))


def stream_key(key: Array, step: Array | int, stream: int) -> Array:
    """The key for one purpose at one step of one sample."""
    return jax.random.fold_in(jax.random.fold_in(key, step), stream)


@dataclass(frozen=True)
class Rng:
    """The random numbers of one sample, by step, so that none is drawn before it is needed and none is stored."""

    key: Array
    shape: tuple[int, ...]
    dtype: jax.typing.DTypeLike
    # Of the law that a sampler of spins draws from, p^power: not 1 at the levels of tempering.
    power: Any = field(default=1.0, kw_only=True)

    def prior(self) -> Array:
        """Standard normal noise of the starting state."""
        return jax.random.normal(stream_key(self.key, 0, PRIOR), self.shape, self.dtype)

    def spins(self) -> Array:
        """A starting state of independent spins, int8, +1 or -1 with equal probability."""
        return jax.random.rademacher(stream_key(self.key, 0, PRIOR), self.shape, "int8")

    def of(self, part: Array | int) -> "Rng":
        """The same sample's random numbers for another part of a sampler, independent of these."""
        return replace(self, key=jax.random.fold_in(self.key, part))

    def uniform(self, step: Array | int) -> Array:
        """One uniform number in [0, 1)."""
        return jax.random.uniform(stream_key(self.key, step, UNIFORM), (), self.dtype)

    def uniforms(self, step: Array | int) -> Array:
        """Independent uniform numbers in [0, 1), of the sample's shape."""
        return jax.random.uniform(stream_key(self.key, step, UNIFORMS), self.shape, self.dtype)

    def thresholds(self, step: Array | int) -> Array:
        """Independent t with P(t < f) = sigmoid(2 power f), of the sample's shape: where t < f, a spin is +1."""
        u = _inside(stream_key(self.key, step, UNIFORMS), self.shape, self.dtype)
        return jax.numpy.log(u / (1 - u)) / (2 * self.power)

    def exponentials(self, step: Array | int) -> Array:
        """Independent e with P(e < a) = 1 - exp(-power a) for positive a, of the sample's shape."""
        return -jax.numpy.log1p(-self.uniforms(step)) / self.power

    def fraction(self, step: Array | int, nodes: str) -> Array:
        """Position in [0, 1] of a step's node in its cell: "random", "antithetic", U then 1 - U, or "midpoint", 1/2."""
        if nodes == "midpoint":
            return jax.numpy.full((), 0.5, self.dtype)
        if nodes == "random":
            return self.uniform(step)
        u = self.uniform(step // 2)
        return jax.numpy.where(step % 2 == 0, u, 1 - u)

    def normal(self, step: Array | int) -> Array:
        """Standard normal noise of the sample's shape."""
        return jax.random.normal(stream_key(self.key, step, NORMAL), self.shape, self.dtype)

    def signs(self, step: Array | int, count: int) -> Array:
        """`count` vectors of independent random signs, +1 or -1 with equal probability, (count, *shape)."""
        return jax.random.rademacher(stream_key(self.key, step, SIGNS), (count, *self.shape), self.dtype)


def _inside(key: Array, shape: tuple[int, ...], dtype: jax.typing.DTypeLike) -> Array:
    """Uniform numbers in (0, 1), in the middle of their cells: never 0 or 1, which log would make infinite."""
    if dtype != jax.numpy.float32:
        return jax.random.uniform(key, shape, dtype) + jax.numpy.finfo(dtype).eps / 2
    # `uniform` itself costs a fourth more of a whole sweep.
    return ((jax.random.bits(key, shape, "uint32") >> 9).astype(dtype) + 0.5) * 2.0**-23
