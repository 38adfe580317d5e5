"""The truth that samples are compared with: an array of true samples or a law, at a noise level."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.checks import finite, typed_key
from jaxsamp.core.types import Array, Level, unscaled
from jaxsamp.datasets.arrays import warn_if_faint

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
        self._compiled = _COMPILED if _is_tree(self.law) else _compiled_for(self.law)

    def draw(self, key: Array, index: int, n: int) -> Array:
        """Draw set number `index` of n true samples from the law, at the level, (n, *event)."""
        return self._compiled.drawn(self.law, self.level, key, index, n)

    def recall(self, name: Hashable, make: Callable[[], T]) -> T:
        """The result of `make()`. A `NullBank` stores it under `name` and computes it once."""
        return make()

    @property
    def has_density(self) -> bool:
        """Whether the law has a known density at the level: data points, for example, have one only with noise."""
        return callable(getattr(self.law, "log_prob", None)) and self._takes_level(self.law.log_prob)

    @property
    def has_components(self) -> bool:
        """Whether the law is a mixture of two or more components with `responsibilities` at the level."""
        posterior, weights = getattr(self.law, "responsibilities", None), getattr(self.law, "weights", ())
        return callable(posterior) and np.size(weights) >= 2 and self._takes_level(self.law.responsibilities)

    def _takes_level(self, method: Callable[[Array, Level | None], Array]) -> bool:
        try:
            jax.eval_shape(lambda x: method(x, self.level), jax.ShapeDtypeStruct((2, *self.event), jnp.float32))
        except ValueError:
            return False
        return True

    def log_prob(self, x: Array) -> np.ndarray:
        """Log density of the law at the level, (n,), in nats."""
        return np.asarray(self._compiled.log_prob(self.law, self.level, x), float)

    def responsibilities(self, x: Array) -> np.ndarray:
        """Probability of each component of the law given x at the level, (n, K)."""
        return np.asarray(self._compiled.responsibilities(self.law, self.level, x), float)

    def noised(self, clean: Array, key: Array) -> Array:
        """Return alpha x_0 + sigma z with z from `key`; without a level, x_0 itself."""
        return _noised(clean, self.level, key)


def _noised(clean: Array, level: Level | None, key: Array) -> Array:
    if level is None:
        return clean
    alpha, sigma = (jnp.asarray(value, clean.dtype) for value in (level.alpha, level.sigma))
    return alpha * clean + sigma * jax.random.normal(key, clean.shape, clean.dtype)


class _Compiled(NamedTuple):
    """What a truth asks a law, compiled for laws of one structure at one level: (law, level, ...) -> array."""

    drawn: Callable[[Any, Level | None, Array, int, int], Array]
    log_prob: Callable[[Any, Level | None, Array], Array]
    responsibilities: Callable[[Any, Level | None, Array], Array]


def _drawn(law: Any, level: Level | None, key: Array, index: Array, n: int) -> Array:
    key_clean, key_noise = jax.random.split(jax.random.fold_in(key, index))
    return _noised(law.sample(key_clean, n), level, key_noise)


def _log_prob(law: Any, level: Level | None, x: Array) -> Array:
    return law.log_prob(x, level)


def _responsibilities(law: Any, level: Level | None, x: Array) -> Array:
    return law.responsibilities(x, level)


_COMPILED = _Compiled(
    jax.jit(_drawn, static_argnums=(1, 4)),
    jax.jit(_log_prob, static_argnums=1),
    jax.jit(_responsibilities, static_argnums=1),
)


def _is_tree(law: Any) -> bool:
    """Whether a law is made of arrays alone, so that others of its structure share what is compiled."""
    return all(isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float) for leaf in jax.tree.leaves(law))


def _compiled_for(law: Any) -> _Compiled:
    """For a law that JAX takes for a leaf: compiled for a truth alone and freed with it, because a global cache would
    keep the law alive.
    """

    def alone(function: Callable[..., Array], *static: int) -> Callable[..., Array]:
        compiled = jax.jit(lambda *given: function(law, *given), static_argnums=static)
        return lambda _, *given: compiled(*given)

    return _Compiled(alone(_drawn, 0, 3), alone(_log_prob, 0), alone(_responsibilities, 0))


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
    truth = at_level(reference, level)
    if x.shape[1:] != truth.event:
        raise ValueError(f"x must have the event shape of the reference, {truth.event}; got {x.shape[1:]}.")
    if truth.n not in (None, len(x)):
        raise ValueError(f"x must hold as many samples as a set of the bank, {truth.n}; got {len(x)}.")
    return x, truth, key


def at_level(reference: Any, level: Level | None) -> Truth:
    """The truth of a reference at a level; one that is a truth already has its own, and a `NullBank` is one."""
    if not isinstance(reference, Truth):
        return Truth(reference, level)
    if level is None:
        return reference
    own, given = (Level(1.0, 0.0) if one is None else _one(one) for one in (reference.level, level))
    if not all(np.isclose(a, b, rtol=1e-6, atol=0) for a, b in ((own.alpha, given.alpha), (own.sigma, given.sigma))):
        raise ValueError(
            f"level must be left out with a NullBank, which has its own, alpha {own.alpha} and sigma {own.sigma}; got "
            f"alpha {given.alpha} and sigma {given.sigma}."
        )
    return reference


def array_of(argument: str, array: Any) -> Array:
    """Return at least two finite samples in float32 or wider, pixels in [-1, 1], or raise."""
    values: np.ndarray = finite(argument, array)
    if values.ndim < 1 or len(values) < 2:
        raise ValueError(f"{argument} must hold at least 2 samples, (n, *event); got shape {values.shape}.")
    if values.dtype == np.uint8:
        warn_if_faint(unscaled(values, values.dtype), argument)
    return unscaled(jnp.asarray(values, jnp.promote_types(jnp.result_type(values), jnp.float32)), values.dtype)


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
