"""The denoiser of a run of `fit`: its model is rebuilt from the configuration in the checkpoint."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp import models, schedules
from jaxsamp.denoisers import NetworkDenoiser
from jaxsamp.training.checkpoint import FACTS, latest_step, load_config, load_weights
from jaxsamp.training.folder import DRAFT

HOMES = (models, schedules)


def load_denoiser(folder: str | Path, ema: bool = True) -> NetworkDenoiser:
    """The denoiser that a run of `fit` or `jaxsamp train` has learned, loaded from its folder alone.

    Its `schedule` is that of the training. Its `apply` is the `jaxsamp.models.Model`, the same object for equal
    configurations, so that loading again does not recompile. Its `draft` is the denoiser of the smaller network that
    `jaxsamp train --draft` has trained beside it, or None.

    Args:
        folder: where `fit` kept its checkpoints; the latest complete one is read.
        ema: load the averaged weights; else the last ones.

    Raises:
        ValueError: there is no complete checkpoint, or its network or schedule is not one of jaxsamp's own, or
            holds arrays. Then use `model.denoiser(load_weights(folder))`.
    """
    found, beside = _loaded(folder, ema), Path(folder).expanduser() / DRAFT
    return found if latest_step(beside) is None else replace(found, draft=_loaded(beside, ema))


def _loaded(folder: str | Path, ema: bool) -> NetworkDenoiser:
    config = load_config(folder)
    facts = config.get(FACTS) or {}
    model = _model(json.dumps(config["model"] | {"magnitude": facts.get("magnitude")}))
    made = model.denoiser(jax.tree.map(jnp.asarray, load_weights(folder, ema)))
    return replace(made, dropped=facts.get("dropped"))


@lru_cache(16)
def _model(config: str) -> Any:
    return _rebuilt(json.loads(config), "model")


def _rebuilt(config: Any, name: str) -> Any:
    """The inverse of `describe`, for the dataclasses in HOMES with fields that are plain values or such dataclasses."""
    if isinstance(config, list):
        return tuple(_rebuilt(value, name) for value in config)
    if not isinstance(config, Mapping):
        return config
    kind: Any = next(
        (member for home in HOMES if is_dataclass(member := getattr(home, config.get("type", ""), None))), None
    )
    if kind is None or not set(config) - {"type"} <= {field.name for field in fields(kind) if field.init}:
        what = f"{config['type']}" if "type" in config else f"an array of shape {tuple(config.get('shape', ()))}"
        raise ValueError(
            "folder must hold a network and a schedule of jaxsamp's own with plain settings, to be rebuilt; it has "
            f"{what} as its {name}. Give js.training.load_weights(folder) to the denoiser of your model."
        )
    values = {key: _rebuilt(value, f"{name}.{key}") for key, value in config.items() if key != "type"}
    if isinstance(values.get("dtype"), str):
        values["dtype"] = jnp.dtype(values["dtype"])
    return kind(**values)
