"""The truth that samples are compared with: an array of true samples or a law, at a noise level."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.checks import finite, typed_key
from jaxsamp.core.types import Array, Level

# Tags for fold_in far above any index of a sample: a user may evaluate with the key that drew the samples, and
# fold_in(key, i) is the key of sample i (and of split(key)[i]).
REFERENCE, NULL, DIRECTIONS, SUBSETS = range(0x9E3779B0, 0x9E3779B4)

T = TypeVar("T")


class Truth:
    """The law of alpha x_0 + sigma z, given by true samples of x_0 or by the law of x_0.

    Attributes:
        law: the law of x_0, or None.
        samples: true clean samples, (m, *event), or None.
        level: one `Level`, or None for x_0 itself.
        event: the shape of one sample.
        n, key: of a `NullBank`, the size of the sample sets and its own key; else None.
    """

    n: int | None = None
    key: Array | None = None

    def __init__(self, reference: Any, level: Level | None):
        self.law: Any = None
        self.samples: Any = None
        self.level = None if level is None else _one(level)
        if is_law(reference):
            self.law = reference
            self.event = jax.eval_shape(lambda key: reference.sample(key, 2), jax.random.key(0)).shape[1:]
        elif hasattr(reference, "dtype"):
            self.samples = array_of("reference", reference)
            self.event = self.samples.shape[1:]
        else:
            raise TypeError(
                "reference must be an array of true samples or a law with `sample` and `log_prob`; "
                f"got a {type(reference).__name__}."
            )
        # Compiled once per truth and freed with it: a global cache would keep its law alive.
        self._draw = jax.jit(self._drawn, static_argnums=2)
        self._log_prob = jax.jit(lambda x: self.law.log_prob(x, self.level))
        self._responsibilities = jax.jit(lambda x: self.law.responsibilities(x, self.level))

    def draw(self, key: Array, index: int, n: int) -> Array:
        """Draw set number `index` of n true samples from the law, at the level, (n, *event)."""
        return self._draw(key, index, n)

    def recall(self, name: Hashable, make: Callable[[], T]) -> T:
        """The result of `make()`. A `NullBank` stores it under `name` and computes it once."""
        return make()

    @property
    def has_density(self) -> bool:
        """Whether the law has a known density at the level: data points, for example, have one only with noise."""
        return callable(getattr(self.law, "log_prob", None)) and self._takes_level(self._log_prob)

    @property
    def has_components(self) -> bool:
        """Whether the law is a mixture of two or more components with `responsibilities` at the level."""
        posterior, weights = getattr(self.law, "responsibilities", None), getattr(self.law, "weights", ())
        return callable(posterior) and np.size(weights) >= 2 and self._takes_level(self._responsibilities)

    def _takes_level(self, method: Callable[[Array], Array]) -> bool:
        try:
            jax.eval_shape(method, jax.ShapeDtypeStruct((2, *self.event), jnp.float32))
        except ValueError:
            return False
        return True

    def log_prob(self, x: Array) -> np.ndarray:
        """Log density of the law at the level, (n,), in nats."""
        return np.asarray(self._log_prob(x), float)

    def responsibilities(self, x: Array) -> np.ndarray:
        """Probability of each component of the law given x at the level, (n, K)."""
        return np.asarray(self._responsibilities(x), float)

    def _drawn(self, key: Array, index: Array, n: int) -> Array:
        key_clean, key_noise = jax.random.split(jax.random.fold_in(key, index))
        return self.noised(self.law.sample(key_clean, n), key_noise)

    def noised(self, clean: Array, key: Array) -> Array:
        """Return alpha x_0 + sigma z with z from `key`; without a level, x_0 itself."""
        if self.level is None:
            return clean
        alpha, sigma = (jnp.asarray(value, clean.dtype) for value in (self.level.alpha, self.level.sigma))
        return alpha * clean + sigma * jax.random.normal(key, clean.shape, clean.dtype)


def is_law(reference: Any) -> bool:
    """Whether the reference is a law, which can draw true samples, and not an array."""
    return callable(getattr(reference, "sample", None)) and not isinstance(reference, type)


def prepared(x: Any, reference: Any, key: Any, level: Level | None) -> tuple[Array, Truth, Array]:
    """Checked samples, truth and key; an error of one sentence names the argument that is wrong.

    A `Truth` is returned unchanged, so several metrics can share one (and its compiled functions). The key of a
    `NullBank` replaces the given key.
    """
    if isinstance(reference, Truth) and reference.key is not None:
        key = reference.key
    typed_key(key)
    x = array_of("x", x)
    truth = reference if isinstance(reference, Truth) else Truth(reference, level)
    if x.shape[1:] != truth.event:
        raise ValueError(f"x must have the event shape of the reference, {truth.event}; got {x.shape[1:]}.")
    if truth.n not in (None, len(x)):
        raise ValueError(f"x must hold as many samples as a set of the bank, {truth.n}; got {len(x)}.")
    return x, truth, key


def array_of(argument: str, array: Any) -> Array:
    """Return at least two finite samples in float32 or wider, or raise."""
    values: np.ndarray = finite(argument, array)
    if values.ndim < 1 or len(values) < 2:
        raise ValueError(f"{argument} must hold at least 2 samples, (n, *event); got shape {values.shape}.")
    return jnp.asarray(values, jnp.promote_types(jnp.result_type(values), jnp.float32))


def flat(x: Array) -> Array:
    """(n, *event) as (n, d)."""
    return x.reshape(len(x), -1)


def _one(level: Level) -> Level:
    alpha, sigma = np.asarray(level.alpha), np.asarray(level.sigma)
    if alpha.size != 1 or sigma.size != 1:
        raise ValueError(
            f"level must be one level, with scalar alpha and sigma; got shapes {alpha.shape} and {sigma.shape}."
        )
    return Level(alpha.item(), sigma.item())
