"""Laws of linear corruptions: how the operator of each sample is drawn, and what it hides on top for training.

A network learns E[x_0 | A~ x_t, A~] from measurements A x_0 alone if A~ = B A hides more than A, drawn anew for every
step, and if every direction that A~ hides is seen by A with positive probability: Q = E[P | A~] has no zero eigenvalue,
where P = A^+ A is the projection that A measures. `gram` gives those eigenvalues of Q.

Source: Daras et al., "Ambient Diffusion: Learning Clean Distributions from Corrupted Data", arXiv 2305.19256.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import adopted, pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.corruptions.linear import DenseOperator, MaskOperator

STATIC = {"static": True}
FURTHER = 0.1  # rate of the further corruption, unless another one is given
CHECKED = 64  # operators whose further corruptions are looked at
NEVER = 1e-6  # probabilities that are as good as 0


class Corruption(ABC):
    """A law of linear operators A, and of Gaussian noise in the measurements y = A x_0 + noise n.

    A subclass is a frozen dataclass with a field `noise` and defines `sample`; to train on it also `thinned` and
    `gram`, and `full`.
    """

    noise: float

    @abstractmethod
    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> Any:
        """The operator of one sample of that shape.

        Raises:
            ValueError: the law does not fit the shape.
        """

    def thinned(self, key: PRNGKey, operator: Any, rate: Any) -> Any:
        """A~ = B A, which sees less than the operator A by a random further corruption of that rate.

        Raises:
            ValueError: there is none for this law.
        """
        raise ValueError(
            f"law must have a further corruption to learn from its measurements; {self} has none: it hides the same "
            "from every sample, or nothing that averages could recover."
        )

    def gram(self, further: Any, rate: Any) -> Array:
        """Eigenvalues of Q = E[P | A~] on what A~ hides; on what A~ sees they are 1.

        Args:
            further: A~, as `thinned` draws it.
            rate: the same as for `thinned`.

        Returns:
            A number; or, where they differ, an array of the event's shape, for masks. 0 if A never sees what A~ hides.
        """
        raise ValueError(f"law must have a further corruption to have a gram; {self} has none.")

    def full(self, event_shape: tuple[int, ...]) -> Any:
        """The operator of this law's kind that hides nothing; raises ValueError if there is none."""
        raise ValueError(f"law must have an operator that hides nothing; {self} has none.")

    def draw(self, key: PRNGKey, n: int, event_shape: tuple[int, ...], further: float = 0.0) -> Any:
        """n operators as one, whose arrays have a leading axis n; sample i is drawn with fold_in(key, i).

        Args:
            key: a typed key.
            n: number of operators.
            event_shape: shape of one sample.
            further: rate of the further corruption: above 0 for operators that hide as much as those that a network
                has seen in training. 0 for none.
        """
        checks.typed_key(key)
        checks.at_least("n", n, 1)
        rate("further", further)
        law, keys = adopted("law", self), _keys(key, int(n))
        operator = _sampled(law, keys, tuple(event_shape))
        return _thinned(law, keys, operator, float(further)) if further else operator


# Generators of random numbers take most of the time to compile: those of the keys are shared by all laws. The rate is
# static, because 1 - rate is rounded by Python.
@partial(jax.jit, static_argnums=1)
def _keys(key: Array, n: int) -> Array:
    return jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key, i)))(jnp.arange(n))


@partial(jax.jit, static_argnums=2)
def _sampled(law: Corruption, keys: Array, event_shape: tuple[int, ...]) -> Any:
    return jax.vmap(lambda pair: law.sample(pair[0], event_shape))(keys)


@partial(jax.jit, static_argnums=3)
def _thinned(law: Corruption, keys: Array, operator: Any, rate: float) -> Any:
    return jax.vmap(lambda pair, one: law.thinned(pair[1], one, rate))(keys, operator)


def least_seen(law: Corruption, operator: Any, rate: float = FURTHER) -> float:
    """The smallest probability with which A sees what A~ = B A hides: the smallest q of up to 64 further corruptions.

    Measurements by the law can be learned from, and errors there count q times in the loss.

    Args:
        law: the law of A.
        operator: n operators as one, as `law.draw` makes them; the first 64 are corrupted further.
        rate: of the further corruption.

    Raises:
        ValueError: the law has no further corruption, or one that hides what A never sees, so that nothing can be
            learned there.
    """
    least = float(_least_seen(adopted("law", law), jax.tree.map(lambda leaf: leaf[:CHECKED], operator), float(rate)))
    if not least > NEVER:
        raise ValueError(
            f"law must see everything that its further corruption hides now and then, E[P | A~] > 0; for {law} the "
            f"smallest probability is {least:.2g}, so that nothing could be learned there."
        )
    return least


@partial(jax.jit, static_argnums=2)
def _least_seen(law: Corruption, operator: Any, rate: float) -> Array:
    keys = jax.random.split(jax.random.key(0), CHECKED)[: jax.tree.leaves(operator)[0].shape[0]]
    hidden = jax.vmap(law.thinned, (0, 0, None))(keys, operator, rate)
    return jnp.min(jax.vmap(law.gram, (0, None))(hidden, rate))


class MaskLaw(Corruption):
    """Base class of laws whose operators are masks."""

    def full(self, event_shape: tuple[int, ...]) -> MaskOperator:
        """A mask of ones."""
        return MaskOperator(jnp.ones(event_shape, bool))


def rate(name: str, value: Any, least: float = 0.0) -> None:
    """Raise ValueError unless a concrete value is in [least, 1)."""
    if checks.is_concrete(value) and not least <= float(value) < 1:
        raise ValueError(f"{name} must be in [{least:g}, 1); got {value}.")


def noise(value: float) -> None:
    """Raise ValueError unless the standard deviation of the noise is finite and at least 0."""
    if not 0 <= value < float("inf"):
        raise ValueError(f"noise must be a standard deviation, finite and at least 0; got {value}.")


def image(law: Any, event: tuple[int, ...], side: int = 1) -> tuple[int, int]:
    """(height, width) of the event; raises ValueError unless it is an image with both at least `side`."""
    if len(event) not in (2, 3) or min(event[:2]) < side:
        raise ValueError(f"event_shape must be (h, w) or (h, w, c), at least {side} wide, for {law}; got {event}.")
    return event[0], event[1]


@pytree
@dataclass(frozen=True)
class Mask(MaskLaw):
    """Entries are missing at random: each is hidden with probability `rate`, independently of the others.

    The further corruption hides each seen entry with probability delta. An entry that A~ hides is seen by A with
    probability q = (1 - rate) delta / (1 - (1 - rate) (1 - delta)).

    Attributes:
        rate: probability in [0, 1) that an entry is hidden.
        per_channel: whether the channels of a pixel are hidden independently, for images (h, w, c).
        noise: standard deviation of the noise in y.
    """

    rate: float = field(default=0.5, metadata=STATIC)
    per_channel: bool = field(default=False, metadata=STATIC)
    noise: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        rate("rate", self.rate)
        noise(self.noise)

    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> MaskOperator:
        """A mask that is True with probability 1 - rate."""
        return MaskOperator(self._kept(key, event_shape, 1 - self.rate))

    def thinned(self, key: PRNGKey, operator: MaskOperator, rate: Any) -> MaskOperator:
        """The mask without a share `rate` of its ones."""
        return MaskOperator(operator.mask & self._kept(key, jnp.shape(operator.mask), 1 - rate))

    def gram(self, further: MaskOperator, rate: Any) -> Array:
        """q, the same for all hidden entries."""
        seen = 1 - self.rate
        return jnp.asarray(seen * rate / (1 - seen * (1 - rate)))

    def _kept(self, key: PRNGKey, shape: tuple[int, ...], probability: Any) -> Array:
        drawn = shape[:-1] + (1,) if len(shape) == 3 and not self.per_channel else shape
        return jnp.broadcast_to(jax.random.bernoulli(key, probability, drawn), shape)


@pytree
@dataclass(frozen=True)
class CompressedSensing(Corruption):
    """m measurements with independent normal weights of variance 1 / m, a matrix of its own for each sample.

    The further corruption leaves out a share delta of the rows, at least one. P projects on a uniformly random
    subspace, so that given A~ each direction that it hides is seen by A with mean k / (d - m + k), for k rows left out.

    Attributes:
        measurements: m, less than the number of entries d.
        noise: standard deviation of the noise in y.
    """

    measurements: int = field(default=32, metadata=STATIC)
    noise: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        checks.at_least("measurements", self.measurements, 2)
        noise(self.noise)

    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> DenseOperator:
        """A matrix (m, *event)."""
        if self.measurements > np.prod(event_shape):
            raise ValueError(
                f"measurements must be at most the number of entries of a sample; got {self.measurements} for the "
                f"event {event_shape}."
            )
        drawn = jax.random.normal(key, (self.measurements, *event_shape))
        return DenseOperator(jax.lax.optimization_barrier(drawn) / np.sqrt(self.measurements))  # rounded as without jit

    def thinned(self, key: PRNGKey, operator: DenseOperator, rate: Any) -> DenseOperator:
        """The matrix with zeros in the rows that are left out."""
        matrix = jnp.asarray(operator.matrix)
        order = jax.random.permutation(key, self.measurements).reshape(-1, *(1,) * (matrix.ndim - 1))
        return DenseOperator(jnp.where(order >= self._left_out(rate), matrix, 0))

    def gram(self, further: DenseOperator, rate: Any) -> Array:
        """k / (d - m + k)."""
        left_out = self._left_out(rate)
        return left_out / (np.prod(jnp.shape(further.matrix)[1:]) - self.measurements + left_out)

    def full(self, event_shape: tuple[int, ...]) -> DenseOperator:
        """The identity, a matrix (d, *event)."""
        return DenseOperator(jnp.eye(int(np.prod(event_shape))).reshape(-1, *event_shape))

    def _left_out(self, rate: Any) -> Array:
        return jnp.clip(jnp.round(rate * self.measurements), 1, self.measurements - 1)
