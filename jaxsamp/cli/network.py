"""The flags that say which network is trained."""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any

from tyro.conf import arg

from jaxsamp.cli.errors import BadArgument
from jaxsamp.core import checks
from jaxsamp.plots import is_image

KINDS, DTYPES = ("mlp", "unet", "dit"), ("float32", "bfloat16")
LARGE = 256  # numbers of an image that a U-Net is worth its time for
WIDTH = 384  # of a perceptron for smaller images
COARSEST = 4  # a U-Net halves an image until its sides are so small, or odd


def _whole(kinds: str, default: str) -> Any:
    """A whole number that only networks of some kinds take."""
    return arg(metavar="INT", help_behavior_hint=f"({kinds}; default: {default})")


def _several(default: str) -> Any:
    """Whole numbers that only a U-Net takes."""
    return arg(metavar="INT ...", help_behavior_hint=f"(unet; default: {default})")


@dataclass(frozen=True)
class Network:
    """Which network, and of what size."""

    kind: Annotated[
        str | None,
        arg(
            name="network",
            metavar="NAME",
            help_behavior_hint="(default: unet for images of more than 256 numbers, else mlp)",
        ),
    ] = None
    """One of mlp, unet, dit."""
    width: Annotated[int | None, _whole("mlp, dit", "mlp 256, of images 384; dit 192")] = None
    """Width of hidden layers or tokens."""
    depth: Annotated[int | None, _whole("mlp, dit", "mlp 3, dit 6")] = None
    """Number of blocks or layers."""
    channels: Annotated[int | None, _whole("unet", "32")] = None
    """Channels at the finest resolution."""
    multipliers: Annotated[tuple[int, ...] | None, _several("1 2 2 ..., down to 4 pixels")] = None
    """Channels of each resolution, as multiples."""
    blocks: Annotated[int | None, _whole("unet", "2")] = None
    """Residual blocks at each resolution."""
    attention: Annotated[tuple[int, ...] | None, _several("2")] = None
    """Resolutions with attention, 0 being the finest."""
    patch: Annotated[int | None, _whole("dit", "2")] = None
    """Side of a patch."""
    heads: Annotated[int | None, _whole("dit", "3")] = None
    """Heads of the attention."""
    dtype: Annotated[str, arg(metavar="NAME")] = "float32"
    """What the network computes in: float32, bfloat16."""

    def check(self) -> None:
        """Raise one sentence for a flag that no data can make right."""
        if self.kind is not None:
            checks.one_of("--network", self.kind, KINDS)
        checks.one_of("--dtype", self.dtype, DTYPES)
        for name, value in self._given().items():
            if isinstance(value, int):
                checks.at_least(f"--{name}", value, 1)
            for number in () if isinstance(value, int) else value:
                checks.at_least(f"--{name}", number, 1 if name == "multipliers" else 0)
        if self.multipliers == ():
            raise BadArgument("--multipliers must be at least one number; got none.")

    def build(self, event: tuple[int, ...], classes: int) -> Any:
        """The network for samples of shape `event`, and for so many labels.

        Raises:
            BadArgument: a setting that the network does not have, or data that it does not take.
        """
        from jaxsamp import models

        kind = self.kind or ("unet" if is_image(event) and math.prod(event) > LARGE else "mlp")
        if kind != "mlp" and not is_image(event):
            raise BadArgument(f"--network {kind} takes images; --data has samples of shape {event}. Give mlp.")
        make = {"mlp": models.MLP, "unet": models.UNet, "dit": models.DiT}[kind]
        own, given = {field.name for field in fields(make)}, self._given()
        for name in given:
            if name not in own:
                takes = ", ".join(f"--{field.name}" for field in fields(self) if field.name in own - {"dtype"})
                raise BadArgument(f"--{name} is no setting of --network {kind}, which takes {takes}.")
        if kind == "mlp" and is_image(event):
            given = {"width": WIDTH} | given
        if kind == "unet":
            given = {"channels": 32, "multipliers": _multipliers(event)} | given
        return make(**given, classes=classes, dtype=None if self.dtype == "float32" else self.dtype)

    def _given(self) -> dict[str, Any]:
        """The settings of the network itself that are not left to the defaults."""
        names = [field.name for field in fields(self) if field.name not in ("kind", "dtype")]
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _multipliers(event: tuple[int, ...]) -> tuple[int, ...]:
    sides, found = event[:2], (1,)
    while all(side % 2 == 0 and side // 2 >= COARSEST for side in sides):
        sides, found = tuple(side // 2 for side in sides), (*found, 2)
    return found
