"""A run of `fit` as a denoiser: the model is rebuilt from the configuration that its checkpoint carries."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp import models, schedules
from jaxsamp.denoisers import NetworkDenoiser
from jaxsamp.training.checkpoint import load_config, load_weights

HOMES = (models, schedules)


def load_denoiser(folder: str | Path, ema: bool = True) -> NetworkDenoiser:
    """The denoiser that a run of `fit` or `jaxsamp train` has learned, from its folder alone.

    Its `schedule` is that of the training; `apply` is the `jaxsamp.models.Model`. Every call makes another model, which
    compiles anew.

    Args:
        folder: where `fit` kept its checkpoints; the latest complete one is read.
        ema: the averaged weights; else the last ones.

    Raises:
        ValueError: there is no complete checkpoint, or its network or schedule is none of jaxsamp's own or holds
            arrays: for these, `model.denoiser(load_weights(folder))`.
    """
    model = _rebuilt(load_config(folder)["model"], "model", Path(folder))
    return model.denoiser(jax.tree.map(jnp.asarray, load_weights(folder, ema)))


def _rebuilt(told: Any, name: str, folder: Path) -> Any:
    """The inverse of `describe`, for the dataclasses in HOMES with fields that are plain values or such dataclasses."""
    if isinstance(told, list):
        return tuple(_rebuilt(value, name, folder) for value in told)
    if not isinstance(told, Mapping):
        return told
    kind: Any = next(
        (found for home in HOMES if is_dataclass(found := getattr(home, told.get("type", ""), None))), None
    )
    if kind is None or not set(told) - {"type"} <= {field.name for field in fields(kind) if field.init}:
        what = f"the {told['type']}" if "type" in told else f"an array of shape {tuple(told.get('shape', ()))}"
        raise ValueError(
            f"folder must hold a model of jaxsamp's own networks and schedules, of plain settings; {folder} has {what} "
            f"as its {name}. Give its weights, js.training.load_weights(folder), to the denoiser of your model."
        )
    values = {key: _rebuilt(value, f"{name}.{key}", folder) for key, value in told.items() if key != "type"}
    if isinstance(values.get("dtype"), str):
        values["dtype"] = jnp.dtype(values["dtype"])
    return kind(**values)
