"""The folder of a run of `fit_em`: one subfolder per lap, so that a run that ended in any way goes on from there."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.core import disk
from jaxsamp.core.fingerprint import differences
from jaxsamp.training.checkpoint import latest_step
from jaxsamp.training.folder import alone, to_disk

CONFIG, SAMPLES, UNFINISHED = "em.json", "samples.npy", ".tmp"


@dataclass(frozen=True)
class Laps:
    """What the laps of a run have left in its folder; made by `laps_in`."""

    folder: Path

    def of(self, lap: int) -> Path:
        """The folder of a lap, which has its samples and the checkpoints of its training."""
        return self.folder / str(lap)

    def trained(self, lap: int, steps: int) -> bool:
        """Whether the training of this lap has made all its steps."""
        return latest_step(self.of(lap) / "training") == steps

    def samples(self, lap: int) -> np.ndarray | None:
        """The completed samples of a lap, or None if they are not there."""
        place = self.of(lap) / SAMPLES
        return np.load(place) if place.exists() else None

    def save(self, lap: int, samples: np.ndarray) -> None:
        """Write the completed samples of a lap: all of them or nothing.

        Raises:
            OSError: the disk is full, or the system refuses for another reason.
        """
        self.of(lap).mkdir(exist_ok=True)
        _write(self.of(lap) / SAMPLES, lambda file: np.save(file, samples))


@contextmanager
def laps_in(folder: str | Path, config: Any, resume: bool) -> Iterator[Laps]:
    """The folder of a run, made if necessary; no other run can write to it meanwhile.

    Raises:
        ValueError: it cannot be made, another run writes to it, it has laps without `resume`, or they are of another
            configuration, and the fields that differ are named.
        OSError: the disk is full, or the system refuses for another reason.
    """
    place = Path(folder).expanduser().absolute()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"checkpoint must be a folder, or one that can be made; got {folder} ({error}).") from error
    with alone(place):
        file = place / CONFIG
        if not file.exists():
            _write(file, lambda out: out.write(json.dumps(config).encode()))
        elif not resume:
            raise ValueError(f"checkpoint must be a folder without laps, or give resume=True; got {folder}.")
        elif phrases := differences(json.loads(file.read_text()), json.loads(json.dumps(config))):
            raise ValueError(
                f"checkpoint {folder} is of another configuration: {'; '.join(phrases)}. Give the same settings, or "
                "another folder."
            )
        yield Laps(place)


def _write(place: Path, write: Any) -> None:
    """A file that is there as a whole or not at all."""
    unfinished = place.with_name(place.name + UNFINISHED)
    with disk.writing(place):
        with unfinished.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, place)
    to_disk(place.parent)
