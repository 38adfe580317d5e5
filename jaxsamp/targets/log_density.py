"""A law with a known log density, up to a constant, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import jax
from jax.tree_util import Partial
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Level


@pytree  # so f must be a pytree: jax.tree_util.Partial, or a callable module
@dataclass(frozen=True)
class LogDensity:
    """The law with density proportional to exp f(x); made by `from_log_density`.

    Its score, grad f, is computed by automatic differentiation. Only `jaxsamp.sample_density` can sample it, because
    the noised versions of the law, and hence its denoiser, are not known.
    """

    f: Callable[[Array], Array]
    event_shape: tuple[int, ...] = field(metadata={"static": True})

    def log_prob(self, x: Float[Array, "batch *event"], level: Level | None = None) -> Float[Array, "batch"]:
        """f at each event of `x`: the log density up to a constant."""
        return jax.vmap(self.f)(self._validated(x, level))

    def score(self, x: Float[Array, "batch *event"], level: Level | None = None) -> Float[Array, "batch *event"]:
        """grad f at each event of `x`."""
        return jax.vmap(jax.grad(self.f))(self._validated(x, level))

    def sample(self, *_: Any, **__: Any) -> NoReturn:
        """Raise TypeError, because exact samples are not available."""
        self._refuse("exact samples")

    def posterior_mean(self, *_: Any, **__: Any) -> NoReturn:
        """Raise TypeError, because the noised law is not known."""
        self._refuse("posterior mean")

    def denoiser(self, *_: Any, **__: Any) -> NoReturn:
        """Raise TypeError, because the noised law is not known."""
        self._refuse("denoiser")

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(
            f"a law given by its log density alone has no {what}; "
            "draw from it with jaxsamp.sample_density(key, target, shape, sampler)."
        )

    def _validated(self, x: Array, level: Level | None) -> Array:
        if level is not None:
            raise ValueError("level must be None: a law given by its log density alone is not known when noised.")
        if x.ndim == 0 or x.shape[1:] != self.event_shape:
            takes = ", ".join(map(str, ("batch", *self.event_shape)))
            raise ValueError(f"x must have shape ({takes}) for this target; got {x.shape}.")
        return checks.floating("x", x)


def from_log_density(f: Callable[[Array], Array], event_shape: tuple[int, ...]) -> LogDensity:
    """The law with density proportional to exp f(x) on arrays of shape `event_shape`.

    Args:
        f: one event -> a scalar, differentiable by JAX and finite wherever chains go; need not be normalized. For
            arrays that should not be compiled in (data, parameters) use `jax.tree_util.Partial(f, arrays...)`: f
            receives them before the event, they are leaves of the target, and new ones do not recompile. A callable
            pytree, such as an Equinox module, is used as it is. Reuse the same function object: another one recompiles.
        event_shape: shape of one sample; () for scalars.

    Returns:
        A pytree with `log_prob`, `score` and `event_shape`, for `jaxsamp.sample_density`.

    Raises:
        TypeError: f is not callable or does not return a real scalar, or an entry of event_shape is not an integer.
        ValueError: an entry of event_shape is below 1.
    """
    if not callable(f):
        raise TypeError(f"f must be a function of one event; got a {type(f).__name__}.")
    if not isinstance(event_shape, tuple | list):
        raise TypeError(f"event_shape must be a tuple of integers; got {event_shape!r}.")
    event = tuple(checks.at_least("every entry of event_shape", size, 1) for size in event_shape)
    out = jax.eval_shape(f, jax.ShapeDtypeStruct(event, jax.numpy.result_type(float)))
    if getattr(out, "shape", None) != () or not jax.numpy.issubdtype(out.dtype, jax.numpy.floating):
        raise TypeError(f"f must return one real number for an event of shape {event}; got {out}.")
    return LogDensity(Partial(f) if jax.tree_util.all_leaves([f]) else f, event)
