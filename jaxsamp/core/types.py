"""The nouns that every part of jaxsamp shares."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

Array = jax.Array
ArrayLike = jax.typing.ArrayLike
PyTree = Any
# What host-side constructors take: anything NumPy can make an array of.
Data = ArrayLike | list[Any] | tuple[Any, ...]


class Level(NamedTuple):
    """A noise level: x_t = alpha x_0 + sigma z with z standard normal.

    `alpha`, `sigma` and the schedule's own time `t` are scalars or arrays of shape (batch,). Only a wrapped
    network reads `t`; targets leave it None.
    """

    alpha: ArrayLike
    sigma: ArrayLike
    t: ArrayLike | None = None

    @property
    def log_snr(self) -> Array:
        """lambda = log(alpha / sigma), half the log signal-to-noise ratio."""
        return jnp.log(jnp.asarray(self.alpha)) - jnp.log(jnp.asarray(self.sigma))


CLEAN = Level(1.0, 0.0)


def is_image(event: tuple[int, ...]) -> bool:
    """Whether samples of this shape are images: (height, width) or (height, width, 1 or 3)."""
    return len(event) == 2 or (len(event) == 3 and event[2] in (1, 3))


@runtime_checkable
class Denoiser(Protocol):
    """E[x_0 | x_t]: the one thing that every sampler consumes; see `jaxsamp.denoisers`."""

    schedule: Any

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """Posterior mean of x_0 for `x` of shape (batch, *event) at `level`."""
        ...


class Samples(NamedTuple):
    """What `jaxsamp.sample` returns.

    Attributes:
        x: the samples, (n, *event).
        stats: arrays of shape (n,): `rounds`, `evaluations`, `evaluations_computed`, `converged`, `residual`
            and `first_bad_step` (-1 where every step was finite).
        path: None, or with `save_every=k` the states at grid[::k], (n, steps // k + 1, *event).
    """

    x: Array
    stats: dict[str, Array]
    path: Array | None = None
