"""Networks that have learned from measurements: sampling through operators, and restoration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.types import Array, Data
from jaxsamp.corruptions import Corrupted, Measurements
from jaxsamp.corruptions.condition import projected
from jaxsamp.corruptions.laws import FURTHER
from jaxsamp.datasets.labels import number_of
from jaxsamp.denoisers import restore, with_operator
from jaxsamp.losses.corrupted import BUFFER
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.tasks import (
    Guidance,
    SamplingTask,
    check_event,
    classes_of,
    guided,
    labels_for,
    run_folder,
    trained_labels,
)

EXACT = 1e-3  # of the differences between two samples: what rounding leaves of samples without noise
CHECKED = 64  # measurements that are compared with what may be their clean samples


def measured_task(
    key: Array,
    data: LearningData,
    denoiser: Any,
    n: int,
    further: float = FURTHER,
    full: bool = False,
    label: int | str | None = None,
    guidance: float | Guidance | None = None,
    table: Data | None = None,
    reference: LearningData | None = None,
) -> SamplingTask:
    """The task of sampling by a network that has learned from measurements.

    Args:
        key: a typed key; draws the operators and the labels.
        data: the measurements that the network has learned; see `load`.
        denoiser: see `learned_denoiser`.
        n: number of samples.
        further: rate of the further corruption of training; each sample is made through an operator of its own, which
            hides as much as those of training.
        full: make samples through an operator that hides nothing instead.
        label, guidance, table: as for `learned_task`; both evaluations of guidance see through the same operator.
        reference: clean data, or a law, to compare with too.

    Raises:
        ValueError: as `learned_task`; or the law of the measurements has no such operators.
    """
    for_labels, for_operators = jax.random.split(key)
    chosen = guided(denoiser, guidance)
    data, cond, labels = labels_for(for_labels, data, denoiser, n, label, table)
    law = data.measured.law
    operators = law.draw(for_operators, 1 if full else n, data.event, further)
    check_event(denoiser, data.event, Corrupted(operators, cond))
    if full:
        chosen = with_operator(chosen, law.full(data.event))
    else:
        cond = Corrupted(operators, cond)
    if reference is None:
        return SamplingTask(data, None, chosen, data.event, cond, labels)
    if reference.event != data.event:
        raise ValueError(f"reference must have samples of shape {data.event}, as the network; got {reference.event}.")
    if label is not None:
        reference = reference.only(labels[0].item())
    parts = {"train": reference.train, "held_out": reference.held_out, "fit_features": reference.fit_features}
    return SamplingTask(replace(data, **parts), reference.law, chosen, data.event, cond, labels)


def further_of(checkpoint: str | Path) -> float | None:
    """The rate of the further corruption of a run on measurements; None for a run on clean data.

    Raises:
        ValueError: there is no such folder, or it does not hold a run of `jaxsamp.fit` or `jaxsamp train`.
    """
    loss = _loss(checkpoint)
    return float(loss["further"]) if loss["type"] == "AmbientLoss" else None


def check_learned(checkpoint: str | Path, measured: Measurements) -> bool:
    """Whether a run has learned from measurements by this very law, with all its settings.

    Raises:
        ValueError: it has learned from clean data, or from measurements of another kind.
    """
    loss = _loss(checkpoint)
    if loss["type"] != "AmbientLoss":
        raise ValueError(f"checkpoint must have learned from measurements; {checkpoint} has learned from clean data.")
    if loss["law"]["type"] != type(measured.law).__name__:
        raise ValueError(
            f"data must be measured as the network has learned it, by a {loss['law']['type']}; got {measured.law}."
        )
    return loss["law"] == describe(measured.law)


def trained_above(checkpoint: str | Path) -> float:
    """The noise level sigma / alpha above which a run has learned: that of its measurements or, without GSURE, more.

    Raises:
        ValueError: as `further_of`.
    """
    loss = _loss(checkpoint)
    noise = float(loss["law"]["noise"]) if loss["type"] == "AmbientLoss" else 0.0
    return noise if loss.get("gsure") else BUFFER * noise


def dropped_of(checkpoint: str | Path) -> float | None:
    """The fraction of the labels that were dropped in a run; None for a loss of the user's own.

    Raises:
        ValueError: as `further_of`.
    """
    return _loss(checkpoint).get("drop")


def numbered(checkpoint: str | Path, denoiser: Any, labels: Data | None) -> Any:
    """Labels as the network in a folder numbers them; None if it was trained without, whatever the data have.

    Raises:
        ValueError: it was trained with labels, and the data have none, or others.
    """
    if not classes_of(denoiser):
        return None
    if labels is None:
        raise ValueError("data must have labels, as the network was trained with labels; these have none.")
    table = trained_labels(checkpoint) or list(range(classes_of(denoiser)))
    return jnp.asarray([number_of(label, table, "data: every label") for label in np.asarray(labels).tolist()])


def restored(
    denoiser: Any, measured: Measurements, labels: Data | None = None, microbatch: int | None = None
) -> np.ndarray:
    """E[x_0 | y] of each measurement, one evaluation each, (n, *event).

    Args:
        denoiser: see `learned_denoiser`; it has learned from measurements.
        measured: the measurements.
        labels: (n,) as the network numbers them, if it was trained with labels.
        microbatch: largest number of them at a time; None for all.

    Raises:
        ValueError: the network takes other samples, operators or labels.
    """
    size = len(measured) if microbatch is None else min(len(measured), checks.at_least("microbatch", microbatch, 1))
    cond = None if labels is None else jnp.asarray(labels)
    check_event(denoiser, measured.event_shape, Corrupted(measured.operator, cond))
    starts = range(0, len(measured), size)
    parts = [slice(start, start + size) for start in starts]
    found = [restore(denoiser, measured[part], None if cond is None else cond[part]) for part in parts]
    return np.concatenate([np.asarray(part) for part in found])


def restoration(measured: Measurements, x: np.ndarray, clean: np.ndarray | None = None) -> dict[str, Any]:
    """How restored samples agree with their measurements and, if they are known, with the clean samples.

    Args:
        measured: the measurements.
        x: the restored samples.
        clean: the clean ones.

    Returns:
        "residual", the root mean square of A^+ y - P x over the numbers that were seen, at most about that of the noise
        if they agree; "hidden", the mean squared error over the numbers that were hidden, |(1 - P) (x - x_0)|^2 /
        tr(1 - P), and "hidden_by_mean", that of the mean sample as the measurements show it; None without clean ones.
    """
    diagonal = np.asarray(jax.vmap(lambda a: a.diagonal(measured.event_shape))(measured.operator))
    back = np.asarray(measured.back_projection())
    seen = _seen(measured, x)
    facts = {"seen": float(diagonal.mean()), "noise": measured.law.noise}
    facts["residual"] = float(np.sqrt(np.sum((back - seen) ** 2) / diagonal.sum()))
    facts |= {"hidden": None, "hidden_by_mean": None}
    if clean is None:
        return facts
    mean = np.broadcast_to(back.sum(0) / np.maximum(diagonal.sum(0), 1e-6), x.shape)
    for name, guess in (("hidden", x), ("hidden_by_mean", mean)):
        error = guess - clean
        error = error - _seen(measured, error)
        facts[name] = float(np.sum(error**2) / max(np.sum(1 - diagonal), 1e-6))
    return facts


def clean_of(measured: Measurements, candidates: list[np.ndarray | None]) -> np.ndarray | None:
    """The clean samples that were measured, in their order: the first candidate of which y is a measurement, or None.

    What was seen of each must be nearer to the sample of its own number than to the next one.
    """
    some = measured[:CHECKED]
    back = np.asarray(some.back_projection())
    for x in candidates:
        if x is None or len(x) < len(measured) or x.shape[1:] != measured.event_shape:
            continue
        shown = [_seen(some, np.roll(x, -shift, 0)[: len(some)]) for shift in (0, 1)]
        own, other = (float(np.sum((one - back) ** 2)) for one in shown)
        if own <= (0.7 if measured.law.noise else EXACT) * other:
            return x[: len(measured)]
    return None


def _seen(measured: Measurements, x: np.ndarray) -> np.ndarray:
    """P x of each sample."""
    return np.asarray(projected(measured.operator, jnp.asarray(x)))


def _loss(checkpoint: str | Path) -> dict[str, Any]:
    """The loss of a run, as `describe` has it."""
    from jaxsamp.training.checkpoint import load_config

    folder = run_folder(checkpoint)
    try:
        loss = load_config(folder)["loss"]
    except ValueError as error:
        raise ValueError(checks.renamed(error, "checkpoint")) from error
    return loss if isinstance(loss, dict) and "type" in loss else {"type": ""}
