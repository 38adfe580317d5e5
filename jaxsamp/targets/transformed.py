"""A law of positive, bounded or otherwise constrained parameters, as a law of free real numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core.pytrees import adopted, pytree
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.targets.bijections import is_bijection
from jaxsamp.targets.log_density import as_leaf, check_log_density


@pytree
@dataclass(frozen=True)
class Transformed:
    """The law of y where x = forward(y) has a given law: log p(y) = log p_x(forward(y)) + log |det dx/dy|.

    Made by `transformed`. `event_shape` is that of y: the map's own for a single array of parameters, and (d,) for a
    pytree of them, whose free numbers are joined into one vector.
    """

    of: Any
    bijections: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...] = field(metadata={"static": True})
    structure: Any = field(metadata={"static": True})

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of y."""
        free = self._free_shapes
        return free[0] if self._single else (sum(map(prod, free)),)

    @property
    def _single(self) -> bool:
        return jax.tree_util.treedef_is_leaf(self.structure)

    @property
    def _free_shapes(self) -> list[tuple[int, ...]]:
        return [b.free_shape(shape) for b, shape in zip(self.bijections, self.shapes, strict=True)]

    def forward(self, y: Array) -> PyTree:
        """The parameters x at free numbers y, (..., *event): leaves (..., *shape), for any axes in front."""
        event = self.event_shape
        ahead = jnp.ndim(y) - len(event)
        if ahead < 0 or jnp.shape(y)[ahead:] != event:
            raise ValueError(f"y must have shape (..., {', '.join(map(str, event))}); got {jnp.shape(y)}.")
        return _over(self._forward, y, jnp.shape(y)[:ahead])

    def inverse(self, x: PyTree) -> Array:
        """The free numbers y, (..., *event), of parameters x, a pytree with leaves (..., *shape)."""
        leaves, structure = jax.tree.flatten(x)
        if structure != self.structure:
            raise ValueError(f"x must have the structure of the parameters, {self.structure}; got {structure}.")
        ahead = jnp.shape(leaves[0])[: jnp.ndim(leaves[0]) - len(self.shapes[0])]
        for leaf, shape in zip(leaves, self.shapes, strict=True):
            if jnp.shape(leaf) != (*ahead, *shape):
                raise ValueError(f"x must have leaves of shape (..., *{shape}); got {jnp.shape(leaf)}.")
        return _over(self._inverse, jax.tree.map(jnp.asarray, x), ahead)

    def log_prob(self, x: Array, level: Level | None = None) -> Array:
        """Log density of y at `x`, (batch, *event) -> (batch,), with the constant of the law that was given."""
        if level is not None:
            raise ValueError("level must be None: a transformed law is not known when noised.")
        volume = jax.vmap(self._log_det)(x)
        parameters = self.forward(x)
        if hasattr(self.of, "log_prob"):
            return self.of.log_prob(parameters) + volume
        return jax.vmap(self.of)(parameters) + volume

    def score(self, x: Array) -> Array:
        """Its gradient, (batch, *event)."""
        return jax.grad(lambda x: self.log_prob(x).sum())(x)

    def sample(self, key: Array, n: int) -> Array:
        """`n` samples of y, (n, *event): those of the given law through `inverse`.

        Raises:
            TypeError: the law that was given cannot be sampled.
        """
        if not hasattr(self.of, "sample"):
            raise TypeError(
                "a law given by its log density alone has no exact samples; "
                "draw from it with jaxsamp.sample_density(key, target, shape, sampler)."
            )
        return self.inverse(self.of.sample(key, n))

    def _parts(self, y: Array) -> list[Array]:
        """The free numbers of each array of parameters, of one event."""
        if self._single:
            return [y]
        parts, place = [], 0
        for shape in self._free_shapes:
            parts.append(y[place : place + prod(shape)].reshape(shape))
            place += prod(shape)
        return parts

    def _forward(self, y: Array) -> PyTree:
        made = [b.forward(part) for b, part in zip(self.bijections, self._parts(y), strict=True)]
        return jax.tree.unflatten(self.structure, made)

    def _inverse(self, x: PyTree) -> Array:
        free = [b.inverse(leaf) for b, leaf in zip(self.bijections, jax.tree.leaves(x), strict=True)]
        return free[0] if self._single else jnp.concatenate([jnp.ravel(part) for part in free])

    def _log_det(self, y: Array) -> Array:
        return sum((b.log_det(p) for b, p in zip(self.bijections, self._parts(y), strict=True)), jnp.zeros((), y.dtype))


def transformed(target: Any, bijection: PyTree, like: PyTree = None) -> Transformed:
    """The law of free real numbers y for which x = forward(y) has the law `target`, on positive or bounded x.

    Chains move over all real numbers, so they leave the support of a law that has an edge. They are right for

        log p(y) = log p_x(x) + log |det dx/dy|,   x = forward(y),

    and `forward(chains.x)` are samples of the given law.

    Args:
        target: a law of x with `event_shape` and `log_prob(x)`, such as `from_log_density(f, event_shape)`; or the log
            density itself, a function of the parameters, a pytree, that returns a scalar, as for `from_log_density`.
        bijection: `Positive()`, `Interval(low, high)`, `Simplex()`, `Real()`, or an object of your own with the same
            four methods. For a pytree of parameters a pytree of them, with the same structure.
        like: for a function, an example of the parameters: a pytree of arrays, of which the shapes matter alone.

    Returns:
        A pytree with `event_shape`, `log_prob`, `score`, `forward`, `inverse` and `sample`.

    Raises:
        TypeError: something is not what is asked for above.
        ValueError: a map does not fit the shape of its parameters.
    """
    if hasattr(target, "log_prob") and hasattr(target, "event_shape") and not isinstance(target, type):
        if like is not None:
            raise ValueError("like must be left out for a law, which has an event_shape; it is for functions.")
        of, like = adopted("target", target), jax.ShapeDtypeStruct(tuple(target.event_shape), jnp.result_type(float))
    elif not callable(target) or isinstance(target, type):
        raise TypeError(f"target must be a law or a log density, a function; got a {type(target).__name__}.")
    elif like is None:
        raise TypeError("like must be given for a function: an example of its parameters, a pytree of arrays.")
    else:
        of = as_leaf(target)
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(float)), like)
        check_log_density("target", target, like)
    leaves, structure = jax.tree.flatten(like)
    shapes = tuple(leaf.shape for leaf in leaves)
    maps = tuple(_maps(bijection, structure))
    made = Transformed(of, tuple(adopted("bijection", each) for each in maps), shapes, structure)
    made.event_shape  # noqa: B018  (raises if a map does not fit)
    return made


def _maps(bijection: PyTree, structure: Any) -> list[Any]:
    """One map for each array of parameters."""
    given, found = jax.tree.flatten(bijection, is_leaf=is_bijection)
    wrong = [each for each in given if not is_bijection(each)]
    if wrong or found != structure:
        got = f"a {type(wrong[0]).__name__}" if wrong else str(found)
        raise TypeError(
            "bijection must be Positive(), Interval(low, high), Simplex() or Real(), or a pytree of them with the "
            f"structure of the parameters, {structure}; got {got}."
        )
    return given


def _over(one: Callable[[Any], PyTree], items: PyTree, ahead: tuple[int, ...]) -> PyTree:
    """`one` at every place along the axes in front."""
    flat = jax.tree.map(lambda leaf: jnp.reshape(leaf, (prod(ahead), *jnp.shape(leaf)[len(ahead) :])), items)
    return jax.tree.map(lambda leaf: leaf.reshape(*ahead, *leaf.shape[1:]), jax.vmap(one)(flat))
