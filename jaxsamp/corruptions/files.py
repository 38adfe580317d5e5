"""How measurements are written to a folder: files of 10,000, masks as bits, and the law as JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import numpy as np

from jaxsamp.core import checks, disk
from jaxsamp.core.fingerprint import describe
from jaxsamp.corruptions.boxes import Box, FixedBox, KeepPatch
from jaxsamp.corruptions.imaging import Blur, Downsample, KSpace
from jaxsamp.corruptions.laws import CompressedSensing, Corruption, Mask

LAWS = {
    "mask": Mask,
    "box": Box,
    "fixed-box": FixedBox,
    "keep-patch": KeepPatch,
    "downsample": Downsample,
    "compressed-sensing": CompressedSensing,
    "k-space": KSpace,
    "blur": Blur,
}
SHARD = 10_000  # samples of one file
PART, ABOUT = "measurements-{:05d}.npz", "measurements.json"


def is_measured(folder: str | Path) -> bool:
    """Whether a folder has measurements that `Measurements.save` has written."""
    return (Path(folder).expanduser() / ABOUT).is_file()


def about(folder: str | Path) -> dict[str, Any]:
    """What measurements in a folder are: "law", "event_shape", "n", and "shapes" of the masks that are packed as bits.

    Raises:
        ValueError: the folder has no measurements, or the file that describes them cannot be read.
    """
    folder = Path(folder).expanduser()
    if not is_measured(folder):
        raise ValueError(f"folder must have measurements, written by Measurements.save; got {folder}.")
    with readable(folder / ABOUT):
        found = json.loads((folder / ABOUT).read_text())
        made = {"law": _read(found["law"]), "event_shape": tuple(found["event_shape"])}
        return made | {"n": int(found["n"]), "shapes": found["shapes"]}


def parts(folder: str | Path, n: int) -> list[Path]:
    """The files of n measurements; raises ValueError if one is missing."""
    paths = [Path(folder).expanduser() / PART.format(number) for number in range(-(-n // SHARD))]
    for path in paths:
        if not path.exists():
            raise ValueError(f"folder must have all files of its measurements; {path} is missing.")
    return paths


def like(law: Corruption, event: tuple[int, ...]) -> Any:
    """The shapes of an operator of a law."""
    return jax.eval_shape(lambda key: law.sample(key, event), jax.random.key(0))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Around whatever reads a file of `Measurements.save`: a file of another kind is a sentence."""
    try:
        yield
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"folder must have measurements as they were written; {path} could not be read ({disk.unread(error)})."
        ) from error


def written(law: Any) -> dict[str, Any]:
    """The law as JSON: its name and settings."""
    names = [name for name, kind in LAWS.items() if type(law) is kind]
    if not names:
        raise ValueError(f"law must be one of {', '.join(LAWS)} to be written; got {law}.")
    return {"name": names[0]} | {name: value for name, value in describe(law).items() if name != "type"}


def _read(about: dict[str, Any]) -> Corruption:
    settings = {name: value for name, value in about.items() if name != "name"}
    return LAWS[checks.one_of("law", about["name"], LAWS)](**settings)


def plain(leaf: Any) -> np.ndarray:
    """An array row by row, of a dtype that NumPy reads again."""
    array = np.ascontiguousarray(leaf)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def packed(leaf: np.ndarray) -> np.ndarray:
    """Booleans as bits, one row per sample."""
    return np.packbits(leaf.reshape(len(leaf), -1), axis=1) if leaf.dtype == bool else leaf


def unpacked(leaf: np.ndarray, shape: list[int] | None) -> np.ndarray:
    """What `packed` has packed, of this shape of one sample; None if it was not."""
    if shape is None:
        return leaf
    count = int(np.prod(shape))
    return np.unpackbits(leaf, axis=1, count=count).astype(bool).reshape(len(leaf), *shape)
