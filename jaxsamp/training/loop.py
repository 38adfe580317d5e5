"""`fit`: train a network, watch it, keep it safe."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsamp import checks
from jaxsamp.losses import EDMWeighting
from jaxsamp.models import Model
from jaxsamp.progress import bar
from jaxsamp.training import data as data_of
from jaxsamp.training.checkpoint import Checkpoints
from jaxsamp.training.config import describe
from jaxsamp.training.journal import Journal
from jaxsamp.training.objective import denoising_loss
from jaxsamp.training.optimizer import AdamW
from jaxsamp.training.state import TrainState, train_step
from jaxsamp.types import Array, PyTree

TERMINATED = 128 + signal.SIGTERM


def fit(
    key: Array,
    model: Any,
    data: Any,
    schedule: Any = None,
    steps: int = 10_000,
    *,
    cond: PyTree = None,
    batch_size: int = 128,
    accumulate: int = 1,
    loss: Callable[..., Array] | None = None,
    optimizer: Any = AdamW(),  # noqa: B008  (frozen)
    ema: float = 0.9999,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
    keep: int = 2,
    resume: bool = False,
    journal: str | Path | None = None,
    report_every: int = 50,
    callback: Callable[[int, TrainState], None] | None = None,
    callback_every: int = 1000,
    progress: bool = False,
) -> TrainState:
    """Train a network to denoise.

    The result is a function of the arguments: an interrupted run that is resumed ends with the same bits. One step
    compiles once. The device is waited for at reports, checkpoints and callbacks alone.

    Args:
        key: a typed key; draws the weights, the order of the data and the noise.
        model: a network of `jaxsamp.models`, trained with EDM's preconditioning for the measured standard deviation
            of the data; or a `jaxsamp.models.Model`, which says what to predict.
        data: (n, *event) samples, about of unit size; a target, for fresh samples in every batch; or anything with
            batch(index, size) -> (x, cond), std() and config().
        schedule: how noise grows; left out for a `Model`, which has one.
        steps: number of updates.
        cond: conditions of the data, leaves (n, ...).
        batch_size: samples of one update.
        accumulate: parts that the samples of one update are split into, against running out of memory.
        loss: see `jaxsamp.training.denoising_loss`; by default with EDM's levels and weighting, nothing dropped.
        optimizer: an `AdamW`, or any optax transformation.
        ema: largest decay of the average of the weights.
        checkpoint: a folder for checkpoints, which are written every `checkpoint_every` steps, at the end, and on
            SIGTERM, after which the program exits; the latest `keep` are kept.
        resume: go on from the latest checkpoint, if there is one.
        journal: a file of one line of JSON every `report_every` steps.
        callback: called with (step, state) every `callback_every` steps and at the end; the state's memory is
            reused afterwards, so keep copies.
        progress: show a progress bar.

    Returns:
        The `TrainState`; `.denoiser()` is that of the averaged weights.

    Raises:
        ValueError: an argument out of range; data that are not finite; a folder with checkpoints without `resume`, or
            with checkpoints of another configuration, naming the fields that differ.
        TypeError: a key or model of the wrong type.
        FloatingPointError: the loss or its gradient became NaN or infinite.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """
    for name, value in {"steps": steps, "checkpoint_every": checkpoint_every, "report_every": report_every}.items():
        checks.at_least(name, value, 1)
    checks.at_least("callback_every", callback_every, 1)
    if not 0 <= ema < 1:
        raise ValueError(f"ema must be in [0, 1); got {ema}.")
    for_training, for_data = jax.random.split(checks.typed_key(key))
    batches = data_of.batches(data, cond, for_data)
    size = data_of.part(batch_size, accumulate)
    model = _model(model, schedule, batches)
    loss = denoising_loss(weighting=EDMWeighting(getattr(model, "sigma_data", 0.5))) if loss is None else loss
    chain, rate = optimizer, None
    if isinstance(optimizer, AdamW):
        optimizer.check()
        chain, rate = optimizer.build(steps), optimizer.rate(steps)
    state = TrainState.create(for_training, model, *data_of.on_device(batches.batch(0, size)), chain, accumulate)
    store = None
    if checkpoint is not None:
        config = {"key": key, "model": model, "data": batches.config(), "steps": steps, "batch_size": batch_size}
        config |= {"accumulate": accumulate, "loss": loss, "optimizer": optimizer, "ema": ema}
        store = Checkpoints(checkpoint, describe(config), keep)
        state = _begin(store, state, resume)
    with _terminated() as terminated, bar("training", steps, progress) as advance:
        every = _Every(checkpoint_every, report_every, callback_every)
        return _Run(batches, size, steps, every, store, Journal(journal, int(state.step)), rate, callback).run(
            state, jax.jit(partial(train_step, loss=loss, ema=ema), donate_argnums=0), terminated, advance
        )


class _Every(NamedTuple):
    checkpoint: int
    report: int
    callback: int


@dataclass
class _Run:
    """The loop, and what it has seen: metrics still on the device, and those since the last report."""

    batches: Any
    size: int
    steps: int
    every: _Every
    store: Any
    journal: Journal
    rate: Callable[[int], Any] | None
    callback: Callable[[int, TrainState], None] | None
    pending: list[dict[str, Array]] = field(default_factory=list)
    seen: list[np.ndarray] = field(default_factory=list)
    started: float = 0.0
    reported: float = 0.0
    since: int = 0

    def run(
        self, state: TrainState, step: Callable[..., Any], terminated: Callable[[], bool], advance: Callable[..., None]
    ) -> TrainState:
        """From the state's own step to the last."""
        first = int(state.step)
        self.started = self.reported = time.perf_counter()
        self.since = first
        advance(first)
        for done in range(first + 1, self.steps + 1):
            for part in range((done - 1) * state.accumulate, done * state.accumulate):
                state, metrics = step(state, *data_of.on_device(self.batches.batch(part, self.size)))
                self.pending.append(metrics)
            last, leaving = done == self.steps, terminated()
            due = _Every(*(last or done % every == 0 for every in self.every))
            if not (leaving or any(due)):
                continue
            self._check(done, state.accumulate)  # before anything is saved
            if due.report:
                self._report(done, advance)
            if self.store is not None and (due.checkpoint or leaving):
                self.store.save(state)
            if self.callback is not None and due.callback:
                self.callback(done, state)
            if leaving and not last:
                raise SystemExit(TERMINATED)
        return state

    def _check(self, done: int, accumulate: int) -> None:
        """Wait for what is pending, which must be finite."""
        values = np.asarray([[metrics["loss"], metrics["grad_norm"]] for metrics in self.pending])
        self.pending.clear()
        bad = ~np.isfinite(values).all(1)
        if bad.any():
            which = int(np.argmax(bad))
            saved = None if self.store is None else self.store.path()
            raise FloatingPointError(
                f"training must stay finite; at step {done - (len(values) - 1 - which) // accumulate} of {self.steps} "
                f"the loss was {values[which, 0]:g} and the norm of its gradient {values[which, 1]:g}; "
                + ("there is no checkpoint." if saved is None else f"the last good checkpoint is {saved}.")
            )
        self.seen.extend(values)

    def _report(self, done: int, advance: Callable[..., None]) -> None:
        """Means since the last report, in the journal and beside the bar."""
        now = time.perf_counter()
        loss, norm = (float(mean) for mean in np.mean(self.seen, 0))
        speed = (done - self.since) / (now - self.reported)
        rate = {} if self.rate is None else {"learning_rate": float(self.rate(done - 1))}
        entry = {"step": done, "loss": loss, "grad_norm": norm, **rate}
        self.journal.write(entry | {"steps_per_second": speed, "seconds": now - self.started})
        advance(done - self.since, note=f"loss {loss:.4f}, {speed:.1f} steps/s")
        self.seen.clear()
        self.reported, self.since = now, done


def _model(model: Any, schedule: Any, batches: Any) -> Any:
    """The model to train: as given, or EDM's preconditioning around a bare network."""
    if isinstance(model, Model) or (hasattr(model, "prediction") and callable(model)):
        if schedule is not None and schedule is not model.schedule and schedule != model.schedule:
            raise ValueError(f"schedule must be left out, for the model has its own, {model.schedule}; got {schedule}.")
        return model
    if not (hasattr(model, "init") and hasattr(model, "apply")):
        raise TypeError(f"model must be a network or a Model of jaxsamp.models; got a {type(model).__name__}.")
    if schedule is None:
        raise ValueError("schedule must be given with a bare network, such as jaxsamp.schedules.Cosine(); got None.")
    std = batches.std()
    if not (math.isfinite(std) and std > 0):
        raise ValueError(f"data must vary, for the network is scaled by their standard deviation; it is {std}.")
    return Model(model, schedule, sigma_data=std)


def _begin(store: Any, state: TrainState, resume: bool) -> TrainState:
    """The state to start from."""
    if store.latest() is None:
        return state
    if not resume:
        raise ValueError(f"checkpoint must be a folder without checkpoints, or give resume=True; got {store.folder}.")
    return store.restore(state)


@contextmanager
def _terminated() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has come; what it did before is put back at the end. Signals reach the main thread alone."""
    come = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield come.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: come.set())
    try:
        yield come.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
