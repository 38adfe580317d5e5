"""Checkpoints: everything that a run needs to continue bit for bit. The only file that knows Orbax.

Each is a folder named by its step, which is written under another name and renamed when it is complete, with checksums
of its files: a checkpoint that a crash cut short is never seen, and one that was damaged later is never used.
"""

import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsamp import devices
from jaxsamp.core import disk, extras
from jaxsamp.core.fingerprint import differences
from jaxsamp.training.folder import alone, steps, to_disk, whole, write_checksums
from jaxsamp.training.state import TrainState
from jaxsamp.training.weights import SAFETENSORS, nested

STATE, CONFIG = "state", "config.json"  # in each checkpoint: what Orbax has written, and the run's configuration
SETTLE = 0.2  # seconds in which most other writers end after one has failed
UNFINISHED = ".tmp"  # the end of the name of a checkpoint that is being written
FACTS = "facts"  # of a configuration: what is known of a run, which is stored and not compared


class Checkpoints:
    """The checkpoints of one run in one folder; a context manager, in which no other run can write to the folder.

    Args:
        folder: where they are; it is made if necessary.
        config: the run's configuration, plain values; stored with each checkpoint and compared before one is read.
        keep: number of checkpoints to keep, the latest ones.

    Raises:
        ValueError: the folder cannot be made, or cannot be written to; on entering, another run writes to it.
    """

    def __init__(self, folder: str | Path, config: Any, keep: int = 2):
        self.folder, self.config, self._keep = Path(folder).expanduser().absolute(), config, keep
        self._step: int | None = None  # of the checkpoint that this run has restored or saved last
        self._held, self._leads = ExitStack(), jax.process_index() == 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"checkpoint must be a folder, or one that can be made; got {folder} ({error})."
            ) from error
        if not os.access(self.folder, os.W_OK):
            raise ValueError(f"checkpoint must be a folder that can be written to; got {folder}.")

    def __enter__(self) -> "Checkpoints":
        if self._leads:
            self._held.enter_context(alone(self.folder))
            self._remove_unfinished()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def latest(self) -> int | None:
        """Step of the latest checkpoint, whole or damaged, or None."""
        return max(steps(self.folder), default=None)

    def path(self) -> Path | None:
        """Folder of the checkpoint that this run has restored or saved last, or None."""
        return None if self._step is None else self.folder / str(self._step)

    def save(self, state: TrainState | Any) -> None:
        """Write all leaves of the state, its key and the configuration, unless this step is there.

        `state` is a `TrainState`, or another dataclass whose leaves are plain trees of arrays, with `step` and a `key`.

        Raises:
            OSError: the disk is full, or the system refuses for another reason; earlier checkpoints are still there.
        """
        step = int(state.step)
        if step == self._step:
            return
        saved = _leaves(state) | {"key": jax.random.key_data(state.key)}
        place, unfinished = self.folder / str(step), self.folder / f"{step}{UNFINISHED}"
        try:
            with disk.writing(place), _quiet(), _checkpointer() as writer:
                if self._leads:
                    unfinished.mkdir()
                    (unfinished / CONFIG).write_text(json.dumps(self.config))
                writer.save(unfinished / STATE, args=_orbax().args.StandardSave(saved))
                if self._leads:
                    write_checksums(unfinished)
                    if place.exists():  # damaged, else the run would have continued from it
                        shutil.rmtree(place)
                    os.replace(unfinished, place)
                    to_disk(self.folder)
        except BaseException:
            if self._leads:
                time.sleep(SETTLE)
                self._remove_unfinished()
            raise
        self._step = step
        if self._leads:
            self._remove_others()
        devices.wait_for_hosts("checkpoint")

    def restore(self, state: TrainState | Any) -> Any:
        """`state` with the values of the latest checkpoint that is whole; a warning names later ones that are damaged.

        Raises:
            ValueError: there is none, or it is of another configuration; the fields that differ are named.
        """
        step = whole(self.folder, "checkpoint")
        self._compare(step)
        like = _leaves(state) | {"key": jax.random.key_data(state.key)}
        like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), like)
        values = _restored(self.folder / str(step), like)
        key = jax.random.wrap_key_data(values.pop("key"), impl=jax.random.key_impl(state.key))
        self._step = step
        return replace(state, key=key, **values)

    def _remove_others(self) -> None:
        """Remove what `keep` does not cover, and what is later than the run: damaged ones that it did not use."""
        there = steps(self.folder)
        kept = [step for step in there if self._step is not None and step <= self._step][-self._keep :]
        for step in set(there) - set(kept):
            shutil.rmtree(self.folder / str(step), ignore_errors=True)

    def _remove_unfinished(self) -> None:
        for path in self.folder.iterdir():
            if re.match(r"\d+\.(orbax-checkpoint-)?tmp", path.name):
                shutil.rmtree(path, ignore_errors=True)

    def _compare(self, step: int) -> None:
        there, here = ({**config, FACTS: None} for config in (_config(self.folder / str(step)), self.config))
        if phrases := differences(there, here):
            # If the rate falls over all the steps, a longer run would have been another one from the start.
            longer = any(phrase.startswith("steps is") for phrase in phrases)
            raise ValueError(
                f"checkpoint {self.folder / str(step)} is of another configuration: {'; '.join(phrases)}. Give the "
                "same settings, or another folder."
                + (
                    " The rate of each step depends on their number; with AdamW(warmup=0, last=1) it would not."
                    * longer
                )
            )


def begin(store: Checkpoints, state: Any, resume: bool, steps: int) -> Any:
    """The state to start from: the latest checkpoint that is whole, if there is one.

    Raises:
        ValueError: there is one without `resume`, or it is of another configuration, or has made more steps.
    """
    if store.latest() is None:
        return state
    if not resume:
        raise ValueError(f"checkpoint must be a folder without checkpoints, or give resume=True; got {store.folder}.")
    state = store.restore(state)
    if int(state.step) > steps:
        raise ValueError(f"steps must be at least {int(state.step)}, which {store.folder} has made; got {steps}.")
    return state


def load_weights(path: str | Path, ema: bool = True) -> Any:
    """The weights in a folder of checkpoints or in a .safetensors file, as NumPy arrays.

    Args:
        path: a folder, of which the latest whole checkpoint is read, with a warning if later ones are damaged; or a
            file, whose weights come in nested dicts, by their names split at "/". For weights of another structure,
            such as an Equinox module, use `load_safetensors(path, like)`.
        ema: of a checkpoint, the averaged weights; else the last ones.

    Raises:
        ValueError: there is no checkpoint, or none is whole; the file is not in the format safetensors; or ema=False
            is given for a file, which has the weights that were saved in it alone.
    """
    file = Path(path).expanduser()
    if file.suffix == SAFETENSORS:
        if not ema:
            raise ValueError(f"ema must be left out for a file, which holds one set of weights; got {ema} for {path}.")
        return nested(file)
    if file.is_file():
        raise ValueError(f"path must be a folder of checkpoints or a {SAFETENSORS} file; got the file {path}.")
    # One device, because those that wrote the checkpoint may not be here.
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    state = _restored(_latest(path), fallback_sharding=here)
    return jax.tree.map(np.asarray, state["ema" if ema else "params"])


def load_config(folder: str | Path) -> Any:
    """The configuration, made by `describe`, that was stored with the latest whole checkpoint in `folder`.

    Raises:
        ValueError: there is no checkpoint, or none is whole.
    """
    return _config(_latest(folder))


def latest_step(folder: str | Path) -> int | None:
    """Step of the latest complete checkpoint in `folder`, or None; reads none of its files, and makes no folder."""
    return max(steps(Path(folder).expanduser()), default=None)


def _leaves(state: Any) -> dict[str, Any]:
    """The fields of a state that are arrays, without its key."""
    names = [f.name for f in fields(state) if not f.metadata.get("static") and f.name != "key"]
    return {name: getattr(state, name) for name in names}


def _latest(folder: str | Path) -> Path:
    folder = Path(folder).expanduser().absolute()
    return folder / str(whole(folder, "folder"))


def _config(place: Path) -> Any:
    return json.loads((place / CONFIG).read_text())


def _restored(place: Path, like: Any = None, **options: Any) -> Any:
    with _checkpointer() as reader:
        return reader.restore(place / STATE, args=_orbax().args.StandardRestore(like, **options))


@contextmanager
def _quiet() -> Iterator[None]:
    """Around a save: when one of Orbax's writers fails, it leaves the others alone, which say so for some time."""
    before = sys.unraisablehook

    def shown(what: Any) -> None:
        if str(what.exc_value) != "Event loop is closed":
            before(what)

    sys.unraisablehook = shown
    logging.getLogger("asyncio").addFilter(_of_others)
    yield
    sys.unraisablehook = before  # but not after an error


def _of_others(record: logging.LogRecord) -> bool:
    """Whether asyncio reports something else than a writer of Orbax that nobody waits for; its save has raised."""
    return "orbax" not in record.getMessage()


def _orbax() -> Any:
    # Imported here, so that training without checkpoints does not need it.
    with extras.needed("checkpoint"):
        import orbax.checkpoint

    return orbax.checkpoint


def _checkpointer() -> Any:
    # Orbax logs every file at level INFO, warns when it reads one without knowing the devices that wrote it, and logs
    # the errors that it raises.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    orbax = _orbax()
    return orbax.Checkpointer(orbax.StandardCheckpointHandler())
