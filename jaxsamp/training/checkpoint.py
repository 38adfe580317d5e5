"""Checkpoints: everything that a run needs to continue bit for bit. The only file that knows Orbax.

Each is a folder named by its step, which is written under another name and renamed when complete: a checkpoint that a
crash cut short is never seen.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsamp.core.fingerprint import differences
from jaxsamp.training.state import TrainState

SAVED = ("batches", "params", "ema", "opt_state")


class Checkpoints:
    """The checkpoints of one run in one folder.

    Args:
        folder: where they are; it is made if necessary.
        config: the run's configuration, plain values; stored with each checkpoint and compared before one is read.
        keep: number of checkpoints to keep, the latest ones.

    Raises:
        ValueError: the folder cannot be made, or cannot be written to.
    """

    def __init__(self, folder: str | Path, config: Any, keep: int = 2):
        self.folder, self.config = Path(folder).expanduser().absolute(), config
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"checkpoint must be a folder, or one that can be made; got {folder} ({error})."
            ) from error
        if not os.access(self.folder, os.W_OK):
            raise ValueError(f"checkpoint must be a folder that can be written to; got {folder}.")
        self._manager = _manager(self.folder, keep)

    def latest(self) -> int | None:
        """Step of the latest complete checkpoint, or None."""
        return self._manager.latest_step()

    def path(self) -> Path | None:
        """Folder of the latest complete checkpoint, or None."""
        step = self.latest()
        return None if step is None else self.folder / str(step)

    def save(self, state: TrainState) -> None:
        """Write weights, average, optimizer, key, number of batches and configuration, unless this step is there."""
        step = int(state.step)
        if step == self.latest():
            return
        args = _orbax().args
        saved = {name: getattr(state, name) for name in SAVED} | {"key": jax.random.key_data(state.key)}
        parts = args.Composite(state=args.StandardSave(saved), config=args.JsonSave({"config": self.config}))
        self._manager.save(step, args=parts, force=True)

    def restore(self, state: TrainState) -> TrainState:
        """`state` with the values of the latest checkpoint.

        Raises:
            ValueError: there is none, or it is of another configuration; the fields that differ are named.
        """
        step, args = self.latest(), _orbax().args
        if step is None:
            raise ValueError(f"checkpoint must be a folder with a complete checkpoint; {self.folder} has none.")
        self._compare(step)
        like = {name: getattr(state, name) for name in SAVED} | {"key": jax.random.key_data(state.key)}
        like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), like)
        values = self._manager.restore(step, args=args.Composite(state=args.StandardRestore(like)))["state"]
        key = jax.random.wrap_key_data(values.pop("key"), impl=jax.random.key_impl(state.key))
        return replace(state, key=key, **values)

    def _compare(self, step: int) -> None:
        args = _orbax().args
        stored = self._manager.restore(step, args=args.Composite(config=args.JsonRestore()))["config"]["config"]
        if phrases := differences(stored, self.config):
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


def load_weights(folder: str | Path, ema: bool = True) -> Any:
    """The averaged weights, or the last ones, of the latest complete checkpoint in `folder`, as NumPy arrays.

    Raises:
        ValueError: there is no complete checkpoint.
    """
    # One device, because those that wrote the checkpoint may not be here.
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    state = _read(folder, state=_orbax().args.StandardRestore(fallback_sharding=here))["state"]
    return jax.tree.map(np.asarray, state["ema" if ema else "params"])


def load_config(folder: str | Path) -> Any:
    """The configuration, made by `describe`, that was stored with the latest complete checkpoint in `folder`.

    Raises:
        ValueError: there is no complete checkpoint.
    """
    return _read(folder, config=_orbax().args.JsonRestore())["config"]["config"]


def latest_step(folder: str | Path) -> int | None:
    """Step of the latest complete checkpoint in `folder`, or None; makes no folder."""
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        return None
    manager = _manager(folder, None)
    step = manager.latest_step()
    manager.close()
    return step


def _read(folder: str | Path, **parts: Any) -> Any:
    step, folder = latest_step(folder), Path(folder).expanduser().absolute()
    if step is None:
        raise ValueError(f"folder must hold a complete checkpoint; {folder} has none.")
    manager = _manager(folder, None)
    stored = manager.restore(step, args=_orbax().args.Composite(**parts))
    manager.close()
    return stored


def _orbax() -> Any:
    # Imported here, so that training without checkpoints does not need it.
    import orbax.checkpoint

    return orbax.checkpoint


def _manager(folder: Path, keep: int | None) -> Any:
    # Orbax logs every file at level INFO, and warns when it reads one without knowing the devices that wrote it.
    logging.getLogger("absl").setLevel(logging.ERROR)
    orbax = _orbax()
    options = orbax.CheckpointManagerOptions(
        max_to_keep=keep, enable_async_checkpointing=False, create=keep is not None, cleanup_tmp_directories=False
    )
    return orbax.CheckpointManager(folder, options=options, item_names=("state", "config"))
