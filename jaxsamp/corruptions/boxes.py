"""Laws of masks with a hidden square, or with all but a square hidden."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.corruptions.laws import STATIC, MaskLaw, image, noise, rate
from jaxsamp.corruptions.linear import MaskOperator


@pytree
@dataclass(frozen=True)
class Box(MaskLaw):
    """One square of pixels is missing, anywhere: where it crosses the edge, only its part inside the image is.

    The further corruption hides a second square, whatever its rate, that does not touch the first. (If they could
    overlap, the common pixels would never be seen by A.) Given both, A's square is the one or the other, with
    probabilities of about one half; they are not equal, since at the edge there is more room for the second.

    Attributes:
        size: side of the square in pixels.
        noise: standard deviation of the noise in y.
    """

    size: int = field(default=8, metadata=STATIC)
    noise: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        checks.at_least("size", self.size, 1)
        noise(self.noise)

    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> MaskOperator:
        """A mask that is False in one square."""
        sides = image(self, event_shape, self.size)
        starts = [self._starts(side) for side in sides]
        place = jax.random.randint(key, (2,), 0, jnp.asarray([len(s) for s in starts]))
        return MaskOperator(_channels(~self._square(place, sides), event_shape))

    def thinned(self, key: PRNGKey, operator: MaskOperator, rate: Any) -> MaskOperator:
        """The mask with a second square, at a place drawn from all those that do not touch the first."""
        shape = jnp.shape(operator.mask)
        if not self._room(shape[:2]).all():
            raise ValueError(
                f"size must leave room for a second square beside every first one, for training; got {self.size} for "
                f"the event {shape}."
            )
        hidden = ~jnp.asarray(operator.mask).reshape(*shape[:2], -1)[..., 0]
        free = self._counts(_grown(hidden)) == 0
        chosen = jax.random.categorical(key, jnp.where(free, 0.0, -jnp.inf).reshape(-1))
        square = self._square(jnp.stack(jnp.unravel_index(chosen, free.shape)), shape[:2])
        return MaskOperator(_channels(~(hidden | square), shape))

    def gram(self, further: MaskOperator, rate: Any) -> Array:
        """For each pixel hidden by one square, the probability that A's is the other; 1 for seen pixels."""
        shape = jnp.shape(further.mask)
        hidden = ~jnp.asarray(further.mask).reshape(*shape[:2], -1)[..., 0]
        inside, area = self._counts(hidden), self._counts(jnp.ones_like(hidden))
        # A square of the pair is hidden itself, and the pixels around it are not.
        is_one = (inside == area) & (self._counts(hidden, 1) == area)
        weight = jnp.where(is_one, 1 / self._room(shape[:2]), 0)
        weight /= weight.sum()
        places = jnp.stack(jnp.meshgrid(*map(jnp.arange, is_one.shape), indexing="ij"), -1).reshape(-1, 2)
        covered = jax.lax.fori_loop(
            0,
            len(places),
            lambda i, total: total + weight.reshape(-1)[i] * self._square(places[i], shape[:2]),
            jnp.zeros(shape[:2]),
        )
        return _channels(1 - covered, shape)

    def _starts(self, side: int) -> np.ndarray:
        """First rows of the squares, in the order of their numbers."""
        return np.arange(1 - self.size, side)

    def _square(self, place: Array, sides: tuple[int, ...]) -> Array:
        """True in the square of that number."""
        within = []
        for number, side in zip(place, sides, strict=True):
            start = jnp.asarray(self._starts(side))[number]
            within.append((jnp.arange(side) >= start) & (jnp.arange(side) < start + self.size))
        return within[0][:, None] & within[1]

    def _counts(self, pixels: Array, margin: int = 0) -> Array:
        """Number of True pixels in each square, grown by a margin."""
        sums = jnp.pad(jnp.cumsum(jnp.cumsum(pixels.astype(jnp.int32), 0), 1), ((1, 0), (1, 0)))
        ends = []
        for side in pixels.shape:
            starts = self._starts(side)
            ends.append([np.clip(starts - margin, 0, side), np.clip(starts + self.size + margin, 0, side)])
        (top, bottom), (left, right) = ends
        corner = sums[np.ix_(bottom, right)] + sums[np.ix_(top, left)]
        return corner - sums[np.ix_(top, right)] - sums[np.ix_(bottom, left)]

    def _room(self, sides: tuple[int, ...]) -> np.ndarray:
        """For each square the number of squares that do not touch it."""
        touching = []
        for side in sides:
            starts = self._starts(side)
            low, high = np.maximum(starts, 0), np.minimum(starts + self.size, side)
            touching.append(((low <= high[:, None]) & (high >= low[:, None])).sum(1))
        return np.prod([len(t) for t in touching]) - touching[0][:, None] * touching[1]


@pytree
@dataclass(frozen=True)
class FixedBox(Box):
    """One square of pixels is missing, always whole inside the image; else as `Box`.

    Attributes:
        size: side of the square in pixels.
        noise: standard deviation of the noise in y.
    """

    def _starts(self, side: int) -> np.ndarray:
        return np.arange(side - self.size + 1)


@pytree
@dataclass(frozen=True)
class KeepPatch(MaskLaw):
    """One square of pixels is seen, and each other pixel with probability `floor`.

    The further corruption hides each seen pixel with probability delta. Without a floor, pixels farther apart than the
    square are never seen together, and nothing can be learned about them: such a law is refused in training.

    Attributes:
        size: side of the square in pixels; it lies inside the image.
        floor: probability in [0, 1) that a pixel outside of the square is seen.
        noise: standard deviation of the noise in y.
    """

    size: int = field(default=8, metadata=STATIC)
    floor: float = field(default=0.0, metadata=STATIC)
    noise: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        checks.at_least("size", self.size, 1)
        rate("floor", self.floor)
        noise(self.noise)

    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> MaskOperator:
        """A mask that is True in one square, and here and there outside."""
        sides = image(self, event_shape, self.size)
        for_place, for_floor = jax.random.split(key)
        place = jax.random.randint(for_place, (2,), 0, jnp.asarray([side - self.size + 1 for side in sides]))
        seen = FixedBox(self.size)._square(place, sides) | jax.random.bernoulli(for_floor, self.floor, sides)
        return MaskOperator(_channels(seen, event_shape))

    def thinned(self, key: PRNGKey, operator: MaskOperator, rate: Any) -> MaskOperator:
        """The mask without a share `rate` of its pixels."""
        shape = jnp.shape(operator.mask)
        kept = jax.random.bernoulli(key, 1 - rate, shape[:2])
        return MaskOperator(jnp.asarray(operator.mask) & _channels(kept, shape))

    def gram(self, further: MaskOperator, rate: Any) -> Array:
        """For each pixel the probability that A sees it, given all that A~ sees and hides."""
        shape, floor, squares = jnp.shape(further.mask), self.floor, FixedBox(self.size)
        seen = jnp.asarray(further.mask).reshape(*shape[:2], -1)[..., 0]
        seen_inside, area = squares._counts(seen), self.size**2
        # log P(what A~ sees | the square), up to what is the same for all squares
        hidden_inside = area - seen_inside
        log = _times(seen_inside, jnp.log(1 - rate)) + _times(hidden_inside, jnp.log(rate))
        log += _times(seen.sum() - seen_inside, jnp.log(floor * (1 - rate)))
        log += (seen.size - area - (seen.sum() - seen_inside)) * jnp.log1p(-floor * (1 - rate))
        posterior = jax.nn.softmax(log.reshape(-1)).reshape(log.shape)
        kernel = jnp.pad(posterior, self.size - 1)
        inside = jax.lax.reduce_window(kernel, 0.0, jax.lax.add, (self.size,) * 2, (1, 1), "VALID")
        outside = floor * rate / (1 - floor * (1 - rate))
        return _channels(jnp.where(seen, 1.0, inside + (1 - inside) * outside), shape)


def _times(number: Array, log: Any) -> Array:
    """number * log, with 0 times minus infinity = 0."""
    return jnp.where(number > 0, number * log, 0)


def _grown(pixels: Array) -> Array:
    """True at the pixels and their eight neighbors."""
    return jax.lax.reduce_window(pixels, False, jax.lax.bitwise_or, (3, 3), (1, 1), "SAME")


def _channels(pixels: Array, event: tuple[int, ...]) -> Array:
    """One value per pixel, the same in all channels."""
    return jnp.broadcast_to(pixels[..., None] if len(event) == 3 else pixels, event)
