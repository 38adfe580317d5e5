"""Front-door checks: every complaint is one sentence naming the argument, what it got and what it takes."""

import difflib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def is_concrete(*trees: Any) -> bool:
    """Whether no leaf is a tracer: only then can values (not just shapes) be checked."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def one_of(argument: str, got: Any, options: Iterable[str]) -> str:
    """Return `got` if it is one of `options`, else raise ValueError naming the nearest option."""
    options = list(options)
    if got in options:
        return got
    near = difflib.get_close_matches(str(got), options, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{argument} must be one of {', '.join(map(repr, options))}; got {got!r}.{hint}")


def at_least(argument: str, got: Any, least: int) -> int:
    """Return `got` if it is an integer >= least, else raise."""
    if isinstance(got, bool) or not isinstance(got, int | np.integer):
        raise TypeError(f"{argument} must be an integer; got {got!r} of type {type(got).__name__}.")
    if got < least:
        raise ValueError(f"{argument} must be at least {least}; got {got}.")
    return int(got)


def typed_key(key: Any) -> jax.Array:
    """Return `key` if it is one typed PRNG key, else raise with the way to make one."""
    if not (hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        kind = f"an array of dtype {key.dtype}" if hasattr(key, "dtype") else f"a {type(key).__name__}"
        raise TypeError(f"key must be a typed key, jax.random.key(seed); got {kind}.")
    if key.shape != ():
        raise ValueError(f"key must be a single key; got an array of keys of shape {key.shape}.")
    return key


def denoiser(got: Any) -> Any:
    """Return `got` if it is callable and has a schedule, else raise."""
    if callable(got) and hasattr(got, "schedule"):
        return got
    raise TypeError(
        "denoiser must be a denoiser, from jaxsamp.denoiser(apply, params, schedule) or target.denoiser(schedule); "
        f"got a {type(got).__name__}."
    )


def conditions(cond: Any, n: int) -> None:
    """Raise unless every leaf of `cond` has one entry for each of n samples."""
    for leaf in jax.tree.leaves(cond):
        if np.ndim(leaf) == 0 or len(leaf) != n:
            raise ValueError(f"cond must have leaves ({n}, ...), one a sample; got shape {np.shape(leaf)}.")


def finite(argument: str, array: Any) -> np.ndarray:
    """Return `array` as NumPy if every entry is finite, else raise naming the first bad index."""
    array = np.asarray(array)
    try:
        bad = ~np.isfinite(array)
    except TypeError:
        raise TypeError(f"{argument} must be numbers; got dtype {array.dtype}.") from None
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{argument} must be finite; got {array[first]} at index {first} ({bad.sum()} in all).")
    return array
