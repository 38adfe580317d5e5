"""Quantities of a law, computed from its log density where the law has no method for them."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from jaxsamp.core.types import Array, Level

T = TypeVar("T")


def clean_score(law: Any, x: Array) -> Array:
    """grad log p of the law without noise at `x`, (batch, *event): `law.score(x)`, or by differentiation."""
    if has_clean_score(law):
        return law.score(x)
    return jax.grad(lambda x: law.log_prob(x).sum())(x)


def has_clean_score(law: Any) -> bool:
    """Whether `law.score` can be called with x alone."""
    if not callable(getattr(law, "score", None)):
        return False
    parameters = list(inspect.signature(law.score).parameters.values())
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters[1:])


def has_clean_density(law: Any) -> bool:
    """Whether chains can follow its score without noise; a law whose `score` needs a level is smooth only with it."""
    return not hasattr(law, "score") or has_clean_score(law)


def traced(law: Any, compute: Callable[[], T]) -> T | None:
    """`compute()`; None if JAX cannot trace it and the law has a score of its own, which is all that chains need."""
    try:
        return compute()
    except Exception:
        if has_clean_score(law):
            return None
        raise


def clean_log_density(law: Any, x: Array) -> Array | None:
    """log p of the law without noise at `x`, (batch,), up to a constant; None if it has none that JAX can trace."""
    if not callable(getattr(law, "log_prob", None)):
        return None
    return traced(law, lambda: jnp.reshape(law.log_prob(x), (len(x), -1)).sum(1))


def posterior_mean(law: Any, x: Array, level: Level) -> Array:
    """E[x_0 | x_t = x], (batch, *event): by the law, or by Tweedie's formula (x + sigma^2 grad log p_t) / alpha."""
    if hasattr(law, "posterior_mean"):
        return law.posterior_mean(x, level)
    score = jax.grad(lambda x: law.log_prob(x, level).sum())(x)
    alpha, sigma = (
        jnp.reshape(value, jnp.shape(value) + (1,) * (x.ndim - 1) * bool(jnp.ndim(value)))
        for value in (jnp.asarray(level.alpha, x.dtype), jnp.asarray(level.sigma, x.dtype))
    )
    return (x + sigma**2 * score) / alpha
