"""A network with settings that suit the data, unless they are given."""

import math
from dataclasses import fields
from typing import Any

from jaxsamp.core import checks
from jaxsamp.core.types import CHANNELS_LAST, is_channels_first, is_image

NETWORKS = {"mlp": "MLP", "unet": "UNet", "dit": "DiT"}  # the classes in `jaxsamp.models`, which needs Flax
WIDTHS = {"MLP": "width", "UNet": "channels", "DiT": "width"}  # the setting that a draft halves
DTYPES = ("float32", "bfloat16")
GIVEN = ("classes", "dtype", "parent", "name")  # fields that do not set the size
LARGE = 256  # images with more numbers than this get a U-Net
WIDTH = 384  # of a perceptron for images
COARSEST = 4  # smallest side to which a U-Net halves an image; odd sides are not halved


def network_for(
    event: tuple[int, ...], classes: int = 0, network: str | None = None, dtype: str = "float32", **settings: Any
) -> Any:
    """A network of `jaxsamp.models` for samples of that shape.

    Args:
        event: shape of one sample.
        classes: number of labels.
        network: "mlp", "unet" or "dit"; by default a U-Net for images of more than 256 numbers, else a perceptron.
        dtype: the type in which the network computes, "float32" or "bfloat16".
        settings: settings of the network, which replace those that suit the data.

    Raises:
        ValueError: a setting is unknown or out of range, or the network does not take such data.
    """
    from jaxsamp import models

    kind = network or ("unet" if is_image(event) and math.prod(event) > LARGE else "mlp")
    make = getattr(models, NETWORKS[checks.one_of("network", kind, NETWORKS)])
    checks.one_of("dtype", dtype, DTYPES)
    if kind != "mlp" and not is_image(event):
        what = f". {CHANNELS_LAST}" if is_channels_first(event) else ", so take mlp."
        raise ValueError(f"network {kind} takes images; the data have samples of shape {event}{what}")
    own = [field.name for field in fields(make) if field.name not in GIVEN]
    for name, value in settings.items():
        if name not in own:
            raise ValueError(f"{name} is not a setting of network {kind}, which takes {', '.join(own)}.")
        if isinstance(getattr(make, name, None), bool):
            continue
        for number in value if isinstance(value, tuple) else (value,):
            checks.at_least(name, number, 0 if name == "attention" else 1)
    if settings.get("multipliers") == ():
        raise ValueError("multipliers must hold at least one number; got none.")
    if kind == "mlp" and is_image(event):
        settings = {"width": WIDTH} | settings
    if kind == "unet":
        settings = {"channels": 32, "multipliers": _multipliers(event)} | settings
    return make(**settings, classes=classes, dtype=None if dtype == "float32" else dtype)


def draft_of(network: Any) -> Any:
    """The same network with half of its width, for `jaxsamp.samplers.ParallelMidpoint(surrogate=...)`.

    The arithmetic of a call grows like the square of the width, so this is about a quarter of it.

    Args:
        network: an `MLP`, `UNet` or `DiT` of `jaxsamp.models`.

    Raises:
        ValueError: it is another network, or its width cannot be halved.
    """
    kind = type(network).__name__
    checks.one_of("network", kind, WIDTHS)
    name = WIDTHS[kind]
    width, whole = getattr(network, name), getattr(network, "heads", 1)
    if width < 2 * whole:
        raise ValueError(f"{name} must be at least {2 * whole} to be halved for a draft; got {width}.")
    return network.clone(**{name: width // 2 // whole * whole})


def _multipliers(event: tuple[int, ...]) -> tuple[int, ...]:
    sides, multipliers = event[:2], (1,)
    while all(side % 2 == 0 and side // 2 >= COARSEST for side in sides):
        sides, multipliers = tuple(side // 2 for side in sides), (*multipliers, 2)
    return multipliers
