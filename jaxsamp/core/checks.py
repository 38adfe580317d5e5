"""Front-door checks: every complaint is one sentence naming the argument, what it got and what it takes."""

import difflib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxsamp.core.pytrees import adopted, is_function
from jaxsamp.core.random import is_key

SAMPLES_PER_KEY = 2**32  # numbers that can be folded into a key
# Words of diffusers for what networks predict, which a likeness of letters would take for other laws.
DIFFUSERS = {"v_prediction": "v", "sample": "x0", "flow_prediction": "velocity"}


def is_concrete(*trees: Any) -> bool:
    """Whether no leaf is a tracer, so that values and not just shapes can be checked."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def is_readable(*trees: Any) -> bool:
    """Whether the values can be read here: no leaf is a tracer, and no other host holds a part of one."""
    local = (getattr(leaf, "is_fully_addressable", True) for leaf in jax.tree.leaves(trees))
    return is_concrete(*trees) and all(local)


def one_of(argument: str, got: Any, options: Iterable[Any]) -> Any:
    """Return `got` if it is one of `options`, else raise ValueError naming the nearest option."""
    options = list(options)
    if got in options:
        return got
    meant = DIFFUSERS.get(got) if isinstance(got, str) else None
    help = f" The {got!r} of diffusers is {meant!r} here." if meant in options and meant else hint(got, options)
    raise ValueError(f"{argument} must be one of {', '.join(map(repr, options))}; got {got!r}.{help}")


def hint(got: Any, options: Iterable[Any], cutoff: float = 0.4) -> str:
    """The question whether the nearest option is meant, after a space; empty if none is near."""
    near = difflib.get_close_matches(str(got), [name for name in options if isinstance(name, str)], n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""


def renamed(error: Exception, argument: str, own: str = "folder") -> str:
    """The sentence of an error about an argument `own` as one about the argument that has its value."""
    said = str(error)
    return argument + said.removeprefix(own) if said.startswith(f"{own} ") else f"{argument}: {said}"


def at_least(argument: str, got: Any, least: int) -> int:
    """Return `got` if it is an integer >= least, else raise TypeError or ValueError."""
    if isinstance(got, bool) or not isinstance(got, int | np.integer):
        raise TypeError(f"{argument} must be an integer; got {got!r} of type {type(got).__name__}.")
    if got < least:
        raise ValueError(f"{argument} must be at least {least}; got {got}.")
    return int(got)


def typed_key(key: Any) -> jax.Array:
    """Return `key` if it is one typed PRNG key, else raise TypeError or ValueError."""
    if not is_key(key):
        kind = f"an array of dtype {key.dtype}" if hasattr(key, "dtype") else f"a {type(key).__name__}"
        raise TypeError(f"key must be a typed key, jax.random.key(seed); got {kind}.")
    if key.shape != ():
        raise ValueError(f"key must be a single key; got an array of keys of shape {key.shape}.")
    return key


def denoiser(got: Any, argument: str = "denoiser") -> Any:
    """Return `got` as a pytree if it is a denoiser, else raise TypeError."""
    if callable(got) and hasattr(got, "schedule") and not isinstance(got, type):
        schedule(got.schedule)
        return adopted(argument, got)
    raise TypeError(
        f"{argument} must be a denoiser, from jaxsamp.denoiser(apply, params, schedule) or target.denoiser(schedule); "
        f"got a {type(got).__name__}."
    )


def schedule(got: Any) -> Any:
    """Return `got` if it is a schedule, else raise."""
    if not isinstance(got, type) and all(hasattr(got, name) for name in ("level", "at", "rates", "trained", "limits")):
        return adopted("schedule", got)
    kind = f"the class {got.__name__} itself" if isinstance(got, type) else f"a {type(got).__name__}"
    raise TypeError(f"schedule must be one of jaxsamp.schedules, such as VariancePreserving(); got {kind}.")


def law(argument: str, got: Any) -> Any:
    """Return `got` as a pytree if it is a law that can be sampled, else raise TypeError."""
    return _keeping(argument, got, ("event_shape", "sample", "log_prob"), "a jaxsamp.targets.GaussianMixture")


def density(argument: str, got: Any) -> Any:
    """Return `got` as a pytree if it has a density, or a score alone, else raise TypeError."""
    if hasattr(got, "event_shape") and hasattr(got, "score") and not isinstance(got, type):
        return adopted(argument, got)
    examples = "a GaussianMixture or jaxsamp.targets.from_log_density(f, event_shape)"
    return _keeping(argument, got, ("event_shape", "log_prob"), examples)


def spin_model(argument: str, got: Any) -> Any:
    """Return `got` as a pytree if it is a law of spins, else raise."""
    got = _keeping(argument, got, ("event_shape", "exponent", "local_fields"), "a jaxsamp.discrete.Ising")
    if len(got.event_shape) != 1:
        raise ValueError(f"{argument} must have an event_shape (n,); got {tuple(got.event_shape)}.")
    return got


def _keeping(argument: str, got: Any, needs: tuple[str, ...], examples: str) -> Any:
    """Return `got` as a pytree if it is an object with all attributes of `needs`, else raise TypeError."""
    lacks = [name for name in needs if not hasattr(got, name)]
    if not lacks and not isinstance(got, type):
        return adopted(argument, got)
    kind = f"the class {got.__name__} itself" if isinstance(got, type) else f"a {type(got).__name__}"
    without = f", which has no {' and no '.join(lacks)}" if lacks else ""
    other = " jaxsamp.sample takes denoisers." if hasattr(got, "schedule") else ""
    raise TypeError(
        f"{argument} must have {', '.join(needs[:-1])} and {needs[-1]}, such as {examples}; got {kind}{without}.{other}"
    )


def shape_of(got: Any, event: Any, of: str) -> tuple[int, ...]:
    """Return `got` as a tuple if it is (n, *event), else raise; `of` names the owner of `event`, which may be None."""
    if not isinstance(got, tuple | list) or not got:
        raise TypeError(f"shape must be a tuple (n, *event); got {got!r}.")
    for size in got:
        at_least("every entry of shape", size, 1)
    if event is not None and tuple(got[1:]) != tuple(event):
        raise ValueError(f"shape must be (n, *event) with the {of}'s event shape {tuple(event)}; got {tuple(got)}.")
    return tuple(got)


def numbering(first: Any, n: int) -> None:
    """Raise unless the numbers first, ..., first + n - 1 fit into one key."""
    if at_least("first", first, 0) + n > SAMPLES_PER_KEY:
        raise ValueError(f"first must be at most 2^32 - n, because a key has 2^32 samples; got {first} for n = {n}.")


def floating(argument: str, got: Any) -> Any:
    """Return `got` as an array of floating-point numbers: of its own dtype, or of the default one if that is another.

    An array stays where it is, on the host or on its devices. Raises TypeError unless it holds real numbers.
    """
    try:
        array = got if isinstance(got, jax.Array | np.ndarray | np.generic) else jnp.asarray(got)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{argument} must be an array of real numbers; got a {type(got).__name__} ({error}).") from None
    kept = jnp.issubdtype(array.dtype, jnp.floating)
    if not (kept or array.dtype == bool or jnp.issubdtype(array.dtype, jnp.integer)):
        raise TypeError(f"{argument} must be an array of real numbers; got dtype {array.dtype}.")
    # NumPy's float64 is float32 on devices, unless JAX is told otherwise.
    dtype = jax.dtypes.canonicalize_dtype(array.dtype if kept else float)
    return array if array.dtype == dtype else array.astype(dtype)


def init(got: Any, like: tuple[int, ...]) -> Any:
    """Return `got` as floating-point numbers, or None, if it has the shape of the samples, else raise."""
    if got is None:
        return None
    got = floating("init", got)
    if got.shape != like:
        raise ValueError(f"init must have the given shape {like}; got {got.shape}.")
    return got


def conditions(cond: Any, n: int) -> None:
    """Raise unless every leaf of `cond` has one entry per sample, n in all."""
    for leaf in jax.tree.leaves(cond):
        if not isinstance(leaf, jax.Array | np.ndarray) or np.ndim(leaf) == 0 or leaf.shape[0] != n:
            hint = (
                " A list is a pytree: pass one array, jax.numpy.array(cond)." if isinstance(cond, list | tuple) else ""
            )
            got = f"a leaf of shape {np.shape(leaf)}"
            raise ValueError(f"cond must have leaves of shape (n = {n}, ...), arrays; got {got}.{hint}")
        if getattr(leaf.dtype, "kind", "") in ("U", "S", "O"):  # dtypes of keys have no kind
            raise TypeError(f"cond must be numbers; got dtype {leaf.dtype}.")


def batch(key: Any, got: Any, shape: Any, cond: Any, microbatch: Any) -> Any:
    """Return the denoiser if these arguments fit each other; else raise an error about the first that does not."""
    typed_key(key)
    got = denoiser(got)
    shape_of(shape, getattr(got, "event_shape", None), "denoiser")
    for leaf in jax.tree.leaves(cond):
        if callable(leaf) and not is_function(leaf):  # an operator of a class of the user's own
            adopted("cond", leaf)
    check = getattr(got, "check_cond", None)  # a user's own denoiser need not have one
    if check is not None:
        check(cond, shape[0])
    conditions(cond, shape[0])
    if microbatch is not None:
        at_least("microbatch", microbatch, 1)
    return got


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
