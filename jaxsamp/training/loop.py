"""`fit`: train a network, report on it, and save it."""

import inspect
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from jaxsamp import devices
from jaxsamp.core import checks
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.progress import bar
from jaxsamp.core.protocols import Network, Sampled, Schedule
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree
from jaxsamp.corruptions import Annotations, Measurements, StoredMeasurements
from jaxsamp.models import Model
from jaxsamp.models.precondition import EDM
from jaxsamp.training import ambient, placement
from jaxsamp.training import augment as augmenting
from jaxsamp.training import data as data_of
from jaxsamp.training.checkpoint import FACTS, Checkpoints, begin
from jaxsamp.training.data import Batches, Indexed
from jaxsamp.training.journal import Journal
from jaxsamp.training.omni import OmniLoss, annotated, omni_loss
from jaxsamp.training.optimizer import AdamW
from jaxsamp.training.run import Every, Run, terminated
from jaxsamp.training.state import TrainState

# One function for all runs: a second run of the same network, optimizer and loss compiles nothing.
STEP = jax.jit(placement.step, static_argnames=("loss", "layout"), donate_argnums=0)


@runtime_checkable
class Trainable(Protocol):
    """A network that knows what it predicts and how its noise grows, such as a `jaxsamp.models.Model`."""

    @property
    def prediction(self) -> str:
        """What it predicts; see `jaxsamp.denoiser`."""
        ...

    @property
    def schedule(self) -> Any:
        """How its noise grows."""
        ...

    def __call__(self, params: PyTree, x: Array, t: Array, cond: PyTree) -> Array:
        """Its output, of x's shape."""
        ...


def fit(
    key: PRNGKey,
    model: Network | Trainable,
    data: Data | Measurements | StoredMeasurements | Sampled | Batches | Indexed,
    schedule: Schedule | None = None,
    steps: int = 10_000,
    *,
    predicts: str = EDM,
    cond: PyTree = None,
    annotations: Annotations | None = None,
    augment: str | None = None,
    batch_size: int = 128,
    accumulate: int = 1,
    loss: Callable[..., Array] | None = None,
    optimizer: AdamW | optax.GradientTransformation = AdamW(),  # noqa: B008  (frozen)
    ema: float = 0.9999,
    params: PyTree = None,
    mesh: Mesh | None = None,
    fsdp: bool = False,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
    keep: int = 2,
    resume: bool = False,
    metrics_file: str | Path | None = None,
    tensorboard: str | Path | None = None,
    report_every: int = 50,
    callback: Callable[[int, TrainState], None] | None = None,
    callback_every: int = 1000,
    progress: bool = False,
) -> TrainState:
    """Train a network to denoise.

    The result is a function of the arguments: an interrupted run that is resumed ends with the same bits. The training
    step is compiled once. The loop waits for the device only at reports, checkpoints and callbacks.

    Args:
        key: a typed key; draws the weights, the order of the data and the noise.
        model: a network of `jaxsamp.models`, scaled by the measured standard deviation of the data; or a
            `jaxsamp.models.Model`, which says by what it is scaled.
        data: samples (n, *event), of any scale, those in uint8 being pixels, which are scaled to [-1, 1]; measurements
            of samples, from `jaxsamp.corruptions.corrupt`, or in a folder, from
            `jaxsamp.corruptions.StoredMeasurements`, for those that do not fit in memory; a target, for fresh samples
            in every batch; a `grain.MapDataset` of samples or of pairs (sample, condition), for data
            that do not fit in memory, read ahead by threads; or anything with batch(index, size) -> (x, cond), std()
            and config().
        schedule: how noise grows; to be left out for a `Model`, which has its own.
        steps: number of updates. A resumed run may have another number if the rate of learning does not depend on it:
            with an optax transformation, or AdamW(warmup=0, last=1).
        predicts: what a bare network predicts, as for `jaxsamp.models.Model`; by default through EDM's preconditioning.
        cond: conditions of the data, leaves (n, ...). All are kept, unless the loss drops some, which `jaxsamp.guide`
            needs.
        annotations: at which noise levels each sample of an array may train, because noise hides its damage there; the
            loss is then a `jaxsamp.training.omni_loss`. Each batch has levels by their law, and for each of them a
            sample that is uniform over those that may train there.
        augment: "flip", to mirror each image of each batch with probability 1/2; "turn", to turn square ones by a
            multiple of 90 degrees too. The operators of measurements move with their images, so that what was hidden
            stays so; so do the channels of a condition, and the noise of its own that an annotated image trains with.
        batch_size: samples per update.
        accumulate: number of parts into which the samples of an update are split, to save memory.
        loss: see `jaxsamp.training.denoising_loss` and, for measurements, `ambient_loss`; by default the one with its
            own defaults, whose noise levels follow the standard deviation of the data too. If it has a
            method network_cond(cond), that is what the network gets of a batch's conditions.
        optimizer: an `AdamW`, or any optax transformation.
        ema: largest decay of the average of the weights.
        params: weights to start from, such as the `ema` of another run's state; by default fresh ones. The optimizer
            starts anew.
        mesh: devices to train on, `jaxsamp.mesh()`; each batch is divided over its axis "batch", whose size must divide
            batch_size / accumulate; "time" is not used. By default the one device that JAX prefers. The result is
            the same up to rounding. On several hosts every process makes the same call.
        fsdp: divide large arrays of weights, averages and the optimizer's memory over the devices too, instead of a
            copy on each; the weights are gathered for each step.
        checkpoint: a folder for checkpoints, which are written every `checkpoint_every` steps, at the end, and on
            SIGTERM, after which the program exits; the latest `keep` are kept.
            No other run can write to the folder meanwhile.
        resume: continue from the latest checkpoint, if there is one. Where its files are no longer those that were
            written, a warning says so, and the one before is used.
        metrics_file: a file with one line of JSON every `report_every` steps. Its `input_seconds` is the time since
            the line before of the waits for batches at whose end the device was idle: it was idle no longer.
        tensorboard: a folder for the same numbers, for TensorBoard; needs the package `tensorboardX`.
        callback: called with (step, state) every `callback_every` steps and at the end; the state is a copy, to keep.
            On several hosts every process calls it, because only all together can compute with arrays that they share.
        progress: show a progress bar.

    Returns:
        The `TrainState`, its arrays where they were in training; `.denoiser()` is that of the averaged weights.

    Raises:
        ValueError: an argument is out of range; data are not finite; the network does not have a label;
            `params` are weights of another model; a folder cannot be written to, or another run is writing to it, or
            it has checkpoints without `resume`, or all of them are damaged, or of another configuration, and the
            fields that differ are named.
        OSError: the disk is full, or the system refuses to write for another reason; earlier checkpoints stay.
        TypeError: a key, model or optimizer has the wrong type.
        FloatingPointError: the loss or its gradient became NaN or infinite.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """
    counts = {"steps": steps, "checkpoint_every": checkpoint_every, "keep": keep}
    for name, value in (counts | {"report_every": report_every, "callback_every": callback_every}).items():
        checks.at_least(name, value, 1)
    if not 0 <= ema < 1:
        raise ValueError(f"ema must be in [0, 1); got {ema}.")
    size = data_of.part(batch_size, accumulate)
    layout = None if mesh is None else placement.Layout(mesh, fsdp)
    if layout is not None:
        layout.check(size)
    elif fsdp:
        raise ValueError("mesh must be given for fsdp=True, such as jaxsamp.mesh(); got None.")
    for_training, for_data = jax.random.split(checks.typed_key(key))
    batches = data_of.batches(data, cond, for_data, mesh)
    model = _model(model, schedule, predicts, batches)
    if isinstance(model, Model):
        model.check_cond(cond)
    if annotations is not None:
        chosen = omni_loss() if loss is None else loss
        batches, minimized = annotated(batches, annotations, chosen, model, for_data)
    elif isinstance(loss, OmniLoss):
        raise ValueError("annotations must be given for omni_loss(...); got None.")
    else:
        minimized: Any = ambient.for_data(loss, batches)
    chain, rate = optimizer, None
    if isinstance(optimizer, AdamW):
        optimizer.check()
        chain, rate = optimizer.build(steps), optimizer.rate(steps)
    if devices.several_hosts(mesh):
        given = {
            "key": key,
            "model": model,
            "data": batches.config(),
            "loss": minimized,
            "optimizer": optimizer,
            "ema": ema,
        }
        given |= {"batch_size": batch_size, "accumulate": accumulate, "fsdp": fsdp, "resume": resume}
        given |= (
            {"params": params, "augment": augment}
            | counts
            | {"report_every": report_every, "callback_every": callback_every}
        )
        devices.agree(given, True)
    first = data_of.on_device(batches.batch(0, size), mesh, getattr(batches, "hosts", 1))
    if not getattr(minimized, "is_resolved", True):
        minimized = minimized.resolved(_std(batches), first[0].shape[1:])
    if isinstance(model, Model) and hasattr(batches, "measured"):
        model.check_reads(first[0], *first[1])
    if augment is not None:
        augmenting.check(augment, *first)
    if (network_cond := getattr(minimized, "network_cond", None)) is not None:
        first = first[0], network_cond(first[1])
    if layout is None:
        state = TrainState.create(for_training, model, *first, chain, accumulate, params)
    else:
        options = {"model": model, "optimizer": chain, "accumulate": accumulate, "layout": layout}
        state = placement.create(devices.replicate(for_training, mesh), *first, params, **options)
    if cond is not None and not _has_null(model, cond):
        state = replace(state, dropped=getattr(minimized, "drop", None))
    kept = nullcontext()
    if checkpoint is not None:
        config = {"key": key, "model": model, "data": batches.config(), "batch_size": batch_size}
        config |= {"accumulate": accumulate, "loss": minimized, "optimizer": optimizer, "ema": ema}
        config |= {"steps": steps} if isinstance(optimizer, AdamW) and optimizer.depends_on_steps else {}
        config |= {name: value for name, value in {"params": params, "augment": augment}.items() if value is not None}
        facts = {"magnitude": getattr(model, "magnitude", None), "dropped": state.dropped}
        kept = Checkpoints(checkpoint, describe(config | {FACTS: facts}), keep)
    with kept as store:
        state = state if store is None else begin(store, state, resume, steps)
        begun, leads = int(state.step), devices.leads(mesh)
        book = Journal(metrics_file, begun, tensorboard) if leads else Journal(None, begun)
        with book, terminated() as leaving, bar("training", steps, progress and leads) as advance:
            every = Every(checkpoint_every, report_every, callback_every)
            run = Run(batches, size, steps, every, store, book, rate, callback, mesh)
            of_step = _static(minimized if augment is None else augmenting.Augmented(_static(minimized), augment))
            return run.run(state, partial(STEP, loss=of_step, ema=ema, layout=layout), leaving, advance)


def _static(loss: Callable[..., Array]) -> Callable[..., Array]:
    """The loss as a static argument of JAX: hashable, by identity if it holds arrays."""
    try:
        hash(loss)
    except TypeError:
        return partial(loss)
    return loss


def _std(batches: Any) -> float:
    """What networks and noise levels are scaled by."""
    std = batches.std()
    if not (math.isfinite(std) and std > 0):
        raise ValueError(f"data must vary, because training is scaled by their standard deviation; it is {std}.")
    return std


def _model(model: Any, schedule: Any, predicts: str, batches: Any) -> Any:
    """The model to train: as given, or around a bare network."""
    if isinstance(model, Model) or (hasattr(model, "prediction") and callable(model)):
        if predicts != EDM:
            raise ValueError(f"predicts must be left out, because the model says it; got {predicts!r}.")
        if schedule is not None and describe(schedule) != describe(model.schedule):
            raise ValueError(
                f"schedule must be left out, because the model has its own, {model.schedule}; got {schedule}."
            )
        return model
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        raise TypeError(f"model must be a network or a Model of jaxsamp.models; got {model!r}.")
    _check_call(model)
    if schedule is None:
        raise ValueError("schedule must be given with a bare network, such as jaxsamp.schedules.Cosine(); got None.")
    known = getattr(batches, "moments", None)  # batches of other classes need not have it
    settings = model, schedule, predicts, _std(batches), None if known is None else known.magnitude
    try:
        return _scaled(*settings)
    except TypeError:  # a network or schedule with arrays among its settings
        return _scaled.__wrapped__(*settings)


def _has_null(model: Any, cond: Any) -> bool:
    """Whether some of the labels already are the network's "no label"."""
    classes = getattr(getattr(model, "network", None), "classes", 0)
    label = cond.get("label") if isinstance(cond, dict) else cond
    return bool(classes) and hasattr(label, "dtype") and bool(np.any(np.asarray(label) == classes))


def _check_call(network: Any) -> None:
    """Raise TypeError unless a network can be called with (x, noise, cond)."""
    try:
        inspect.signature(type(network).__call__).bind(*range(4))
    except TypeError:
        raise TypeError(
            "model must be called with (x, noise, cond), where noise is log(sigma / alpha) / 4 of each sample, like "
            f"the networks of jaxsamp.models; {type(network).__name__} is not."
        ) from None


@lru_cache(64)
def _scaled(network: Any, schedule: Any, predicts: str, std: float, magnitude: float | None) -> Model:
    """One object for equal settings, because a step is compiled once for each."""
    return Model(network, schedule, predicts, std, magnitude=magnitude)
