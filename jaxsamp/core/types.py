"""The types that every part of the library shares."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Key

from jaxsamp.core import shown

Array = jax.Array
ArrayLike = jax.typing.ArrayLike
PyTree = Any
PRNGKey = Key[Array, ""]  # one typed key, `jax.random.key(seed)`
# What host-side constructors take: anything NumPy can make an array of.
Data = ArrayLike | list[Any] | tuple[Any, ...]


class Level(NamedTuple):
    """A noise level: x_t = alpha x_0 + sigma z with z standard normal.

    `alpha`, `sigma` and the schedule's own time `t` are scalars or arrays of shape (batch,). Only wrapped networks use
    `t`; for targets it may be None.
    """

    alpha: ArrayLike
    sigma: ArrayLike
    t: ArrayLike | None = None

    def __repr__(self) -> str:
        return shown.line(self)

    @property
    def log_snr(self) -> Array:
        """lambda = log(alpha / sigma), half the log signal-to-noise ratio."""
        return jnp.log(jnp.asarray(self.alpha)) - jnp.log(jnp.asarray(self.sigma))


CLEAN = Level(1.0, 0.0)


def is_image(event: tuple[int, ...]) -> bool:
    """Whether samples of this shape are images: (height, width) or (height, width, 1 or 3)."""
    return len(event) == 2 or (len(event) == 3 and event[2] in (1, 3))


CHANNELS_LAST = "Move the channels of images to the end by x.transpose(0, 2, 3, 1)."


def is_channels_first(event: tuple[int, ...]) -> bool:
    """Whether samples of this shape look like images (1 or 3, height, width), which are taken with channels last."""
    return len(event) == 3 and event[0] in (1, 3) and min(event[1:]) > 4


class State(NamedTuple):
    """One sample between two steps of a sampler or of a chain.

    Attributes:
        x: the sample, in the coordinates of the steps.
        memory: whatever else the method carries from step to step, any pytree; None if there is nothing else.
    """

    x: Array
    memory: PyTree = None

    def __repr__(self) -> str:
        return shown.line(self)


class Samples(NamedTuple):
    """What `jaxsamp.sample` returns.

    Attributes:
        x: the samples, (n, *event).
        stats: arrays of shape (n,): `rounds`, `evaluations`, `evaluations_computed`, `surrogate_evaluations` (calls of
            the cheap denoiser of `ParallelMidpoint(surrogate=...)`, in no other number), `converged`, `residual` and
            `first_bad_step` (-1 if every step was finite).
        path: with `save_every=k`, the states at grid[::k], (n, steps // k + 1, *event); None without.
    """

    x: Array
    stats: dict[str, Array]
    path: Array | None = None

    def __repr__(self) -> str:
        return shown.line(self)


def unscaled(values: Any, of: Any) -> Any:
    """Floats of an array that was of the dtype `of`: uint8 values are pixels, from [0, 255] to [-1, 1]."""
    return values / 127.5 - 1 if of == np.uint8 else values


def wide(leaf: Any) -> Any:
    """Integers of less than 32 bits as int32, which holds the label "no label" of any network; others unchanged."""
    narrow = jnp.issubdtype(leaf.dtype, jnp.integer) and jnp.iinfo(leaf.dtype).bits < 32
    return leaf.astype(jnp.int32) if narrow else leaf
