"""What `--checkpoint` names: a learned network, the data that it was trained on, and labels for it."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.cli.errors import BadArgument
from jaxsamp.core.types import Array, Level

CONFIG = "config.json"


def network(folder: Path) -> Any:
    """The denoiser that a run has learned.

    Raises:
        BadArgument: the folder is none that a run has written.
    """
    from jaxsamp.training import load_denoiser

    try:
        return load_denoiser(folder.expanduser())
    except ValueError as error:
        raise BadArgument(f"--checkpoint: {error}") from error


def trained_on(folder: Path, flag: str = "--target") -> tuple[str, int]:
    """--data and --image-size of a run of `jaxsamp train`; `flag` is the argument that would say it instead.

    Raises:
        BadArgument: it has no settings, as those of `jaxsamp.fit` have not.
    """
    file = folder.expanduser() / CONFIG
    try:
        stored = json.loads(file.read_text())
        return str(stored["data"]), int(stored["image_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadArgument(
            f"{flag} must say what to compare with, or --checkpoint be a run of `jaxsamp train`, whose {CONFIG} says "
            f"it; {file} could not be read ({type(error).__name__})."
        ) from error


def classes(denoiser: Any) -> int:
    """The number of labels that a network was trained with; 0 for none."""
    return getattr(denoiser.apply.network, "classes", 0)


def draw_labels(key: Array, known: Any, number: int, n: int) -> Array:
    """`n` labels as frequent as in `known`, or each of `number` equally likely where none are known."""
    if known is None:
        return jax.random.randint(key, (n,), 0, number)
    return jax.random.choice(key, jnp.asarray(known, jnp.int32), (n,))


def check_event(denoiser: Any, event: tuple[int, ...], cond: Any) -> None:
    """Raise BadArgument unless a network takes samples of that shape."""
    level = Level(jnp.ones(1), jnp.ones(1))
    try:
        jax.eval_shape(denoiser, jnp.zeros((1, *event)), level, None if cond is None else cond[:1])
    except Exception as error:  # nothing but shapes is computed; Flax has errors of its own for them
        raise BadArgument(
            f"--target must have samples of the shape that the network of --checkpoint takes; got shape {event}."
        ) from error
