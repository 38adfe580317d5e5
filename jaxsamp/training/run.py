"""The loop of `fit` over batches, and its reports."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import devices
from jaxsamp.training import data as data_of
from jaxsamp.training.journal import Journal
from jaxsamp.training.state import TrainState

TERMINATED = 128 + signal.SIGTERM  # the exit status of a program that SIGTERM ended
REPORTED_WAIT = 0.1  # share of the time spent waiting for data, above which the progress bar shows it


class Every(NamedTuple):
    """Steps between checkpoints, reports and callbacks."""

    checkpoint: int
    report: int
    callback: int


@dataclass
class Run:
    """The loop, with the metrics that are still on the device (`pending`) and those since the last report (`seen`)."""

    batches: Any
    size: int
    steps: int
    every: Every
    store: Any
    journal: Journal
    rate: Callable[[int], Any] | None
    callback: Callable[[int, TrainState], None] | None
    mesh: Any = None
    pending: list[dict[str, Any]] = field(default_factory=list)
    seen: list[np.ndarray] = field(default_factory=list)
    started: float = 0.0
    reported: float = 0.0
    waited: float = 0.0
    since: int = 0

    def run(
        self, state: TrainState, step: Callable[..., Any], terminated: Callable[[], bool], advance: Callable[..., None]
    ) -> TrainState:
        """Train from the state's own step to the last."""
        self.since = int(state.step)
        self.started = self.reported = time.perf_counter()
        advance(self.since)
        hosts = getattr(self.batches, "hosts", 1)
        with closing(data_of.stream(self.batches, self.since * state.accumulate, self.size)) as stream:
            for done in range(self.since + 1, self.steps + 1):
                for _ in range(state.accumulate):
                    state, metrics = step(state, *data_of.on_device(self._next(stream), self.mesh, hosts))
                    self.pending.append(metrics)
                self._after(done, state, terminated, advance)
        return state

    def _next(self, stream: Iterator[Any]) -> Any:
        """The next batch; the wait for it counts if the device has meanwhile finished all its steps."""
        began = time.perf_counter()
        batch = next(stream)
        if not self.pending or self.pending[-1]["loss"].is_ready():
            self.waited += time.perf_counter() - began
        return batch

    def _after(
        self, done: int, state: TrainState, terminated: Callable[[], bool], advance: Callable[..., None]
    ) -> None:
        """Do what is due after update `done`; raise SystemExit after SIGTERM."""
        last = done == self.steps
        due = Every(*(last or done % every == 0 for every in self.every))
        # Several hosts must leave together, and to agree on that at every step would take time.
        agreeing = any(due) or not devices.several_hosts(self.mesh)
        leaving = agreeing and devices.any_host(terminated(), self.mesh)
        if not (leaving or any(due)):
            return
        self._check(done, state.accumulate)  # before anything is saved
        if due.report:
            self._report(done, advance)
        if self.store is not None and (due.checkpoint or leaving):
            self.store.save(state)
        if self.callback is not None and due.callback:
            # A copy, because the next step reuses the memory of this state.
            self.callback(done, jax.tree.map(jnp.copy, state))
        if leaving and not last:
            raise SystemExit(TERMINATED)

    def _check(self, done: int, accumulate: int) -> None:
        """Wait for the pending metrics, and raise FloatingPointError unless they are finite."""
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
        """Write means since the last report in the journal and beside the progress bar."""
        now = time.perf_counter()
        loss, norm = (float(mean) for mean in np.mean(self.seen, 0))
        speed = (done - self.since) / (now - self.reported)
        rate = {} if self.rate is None else {"learning_rate": float(self.rate(done - 1))}
        entry = {"step": done, "loss": loss, "grad_norm": norm, **rate}
        self.journal.write(
            entry | {"steps_per_second": speed, "seconds": now - self.started, "input_seconds": self.waited}
        )
        share = self.waited / (now - self.reported)
        late = f", {share:.0%} waiting for data" if share > REPORTED_WAIT else ""
        advance(done - self.since, note=f"loss {loss:.4f}, {speed:.1f} steps/s{late}")
        self.seen.clear()
        self.reported, self.since, self.waited = now, done, 0.0


@contextmanager
def terminated() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether SIGTERM has arrived, and raises SystemExit at the end if so.

    Signals reach the main thread alone, so in other threads the answer is always no.
    """
    arrived = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield arrived.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: arrived.set())
    try:
        yield arrived.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
    if arrived.is_set():  # after the last step: the run is complete, but the sender wants the program to end
        raise SystemExit(TERMINATED)
