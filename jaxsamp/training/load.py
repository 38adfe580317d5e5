"""A run of `fit` as a denoiser: the model is rebuilt from the configuration that its checkpoint carries."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
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

    Its `schedule` is that of the training; its `apply` is the `jaxsamp.models.Model`, one for equal configurations, so
    that loading again does not compile again.

    Args:
        folder: where `fit` kept its checkpoints; the latest complete one is read.
        ema: the averaged weights; else the last ones.

    Raises:
        ValueError: there is no complete checkpoint, or its network or schedule is none of jaxsamp's own or holds
            arrays: for these, `model.denoiser(load_weights(folder))`.
    """
    model = _model(json.dumps(load_config(folder)["model"]))
    return model.denoiser(jax.tree.map(jnp.asarray, load_weights(folder, ema)))


@lru_cache(16)
def _model(told: str) -> Any:
    return _rebuilt(json.loads(told), "model")


def _rebuilt(told: Any, name: str) -> Any:
    """The inverse of `describe`, for the dataclasses in HOMES with fields that are plain values or such dataclasses."""
    if isinstance(told, list):
        return tuple(_rebuilt(value, name) for value in told)
    if not isinstance(told, Mapping):
        return told
    kind: Any = next(
        (found for home in HOMES if is_dataclass(found := getattr(home, told.get("type", ""), None))), None
    )
    if kind is None or not set(told) - {"type"} <= {field.name for field in fields(kind) if field.init}:
        what = f"{told['type']}" if "type" in told else f"an array of shape {tuple(told.get('shape', ()))}"
        raise ValueError(
            "folder must hold a network and a schedule of jaxsamp's own with plain settings, to be rebuilt; it has "
            f"{what} as its {name}. Give js.training.load_weights(folder) to the denoiser of your model."
        )
    values = {key: _rebuilt(value, f"{name}.{key}") for key, value in told.items() if key != "type"}
    if isinstance(values.get("dtype"), str):
        values["dtype"] = jnp.dtype(values["dtype"])
    return kind(**values)
