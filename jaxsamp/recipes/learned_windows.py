"""When samples of a network decide for a label of its data: noised, brought back, and read by a classifier."""

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import theory
from jaxsamp.core import checks, extras
from jaxsamp.core.types import Array, Data
from jaxsamp.datasets import digit_classifier, digit_features
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.tasks import CONFIG, check_event, classes_of, run_folder


class Reader(NamedTuple):
    """A classifier of data with labels.

    Attributes:
        classify: (n, *event) -> (n,) numbers of labels.
        confusion: (K, K), the share of held-out samples of label i that it takes for label j.
        accuracy: its share of right answers among held-out samples.
    """

    classify: Callable[[Any], np.ndarray]
    confusion: np.ndarray
    accuracy: float


def reader_of(data: LearningData) -> Reader:
    """The digits' own classifier, or for other data one hidden layer of scikit-learn, fitted to the training part.

    Raises:
        ValueError: the data have no labels, or no held-out sample of one of them.
    """
    if data.labels is None or data.held_out_labels is None:
        raise ValueError(f"data must have labels, to which samples come back; {data.name} has none.")
    held = np.bincount(data.held_out_labels, minlength=data.classes)
    if not held.all():
        raise ValueError(
            "data must have held-out samples of every label, on which the classifier is judged; there is none of "
            f"{data.table[held.argmin()]}."
        )
    known = data.name == "digits" and data.fit_features is digit_features  # a file may be called digits too
    classify = digit_classifier() if known else _fitted(data)
    called = np.asarray(classify(data.held_out))
    confusion = np.zeros((data.classes, data.classes))
    np.add.at(confusion, (data.held_out_labels, called), 1)
    return Reader(classify, confusion / held[:, None], float((called == data.held_out_labels).mean()))


def _fitted(data: LearningData) -> Callable[[Any], np.ndarray]:
    with extras.needed("a classifier of labels"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    network = make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=300, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # how good it is, the held-out samples say
        network.fit(_rows(data.train), data.labels)
    return lambda x: network.predict(_rows(x))


def _rows(x: Any) -> np.ndarray:
    return np.asarray(x, float).reshape(len(x), -1)


class LearnedWindow(NamedTuple):
    """When samples of a network's data decide for a group of labels.

    Attributes:
        group: numbers of the labels.
        floor: share of the group in the data.
        start: the samples that were noised and brought back.
        returned: what came back; its times are noise levels sigma / alpha.
        T_after, T_before: see `jaxsamp.theory.Returned.window`.
    """

    group: tuple[int, ...]
    floor: float
    start: np.ndarray
    returned: theory.Returned
    T_after: Any
    T_before: Any

    @property
    def times(self) -> np.ndarray:
        """The noise levels."""
        return self.returned.times

    @property
    def stay(self) -> Any:
        """Probability of coming back to the group, a curve with its band."""
        return self.returned.stay


def learned_windows(
    key: Array,
    data: LearningData,
    denoiser: Any,
    groups: list[list[int]],
    levels: Data,
    reader: Reader,
    *,
    null: int | None = None,
    starts: int = 256,
    steps: int = 100,
    keep: int = 0,
    microbatch: int | None = None,
    progress: bool = False,
) -> list[LearnedWindow]:
    """Noise samples of each group of labels to several levels, bring them back by a network, and classify them.

    Args:
        key: a typed key.
        data: with labels; of each group at most `starts` samples are taken, held-out ones first.
        denoiser: see `learned_denoiser`.
        groups: numbers of labels, see `groups_of`.
        levels: noise levels sigma / alpha, increasing.
        reader: see `reader_of`.
        null: the label of "no label" of a network that was trained with labels, see `null_label`.
        starts, steps: of each group, and of `jaxsamp.samplers.DDPM`.
        keep, microbatch, progress: as for `jaxsamp.theory.noise_and_denoise`.

    Raises:
        ValueError: as `jaxsamp.theory.noise_and_denoise`; a group has all labels.
    """
    checks.at_least("starts", starts, 1)
    levels = checks.finite("levels", levels).astype(float)
    parts, found = ((data.held_out, data.held_out_labels), (data.train, data.labels)), []
    check_event(denoiser, data.event, None if null is None else jnp.zeros(1, int))
    times = np.asarray(jax.vmap(lambda lam: denoiser.schedule.level(lam).t)(-jnp.log(jnp.asarray(levels))))
    for i, group in enumerate(groups):
        rows = [np.flatnonzero(np.isin(labels, group)) for _, labels in parts]
        floor = sum(map(len, rows)) / sum(len(labels) for _, labels in parts)
        if floor == 1:
            raise ValueError(f"groups must leave a label out; got {[data.table[k].item() for k in group]}.")
        start = np.concatenate([x[of[:starts]] for (x, _), of in zip(parts, rows, strict=True)])[:starts]
        got = theory.noise_and_denoise(
            jax.random.fold_in(key, i),
            denoiser,
            start,
            reader.classify,
            group,
            times,
            classes=data.classes,
            confusion=reader.confusion,
            steps=steps,
            cond=None if null is None else jnp.full(len(start), null),
            keep=keep,
            microbatch=microbatch,
            progress=progress,
        )
        got = replace(got, times=levels)
        found.append(LearnedWindow(tuple(group), floor, start, got, *got.window(floor)))
    return found


def null_label(checkpoint: str | Path, denoiser: Any) -> int | None:
    """The label of "no label" of the network in a folder; None if it was trained without labels.

    Raises:
        ValueError: it was trained with labels of which none was dropped, so that it always knows what is decided.
    """
    classes = classes_of(denoiser)
    if not classes:
        return None
    try:
        dropped = float(json.loads((run_folder(checkpoint) / CONFIG).read_text())["drop"])
    except (OSError, ValueError, KeyError, TypeError):
        dropped = 0.0
    if not dropped > 0:
        raise ValueError(
            "checkpoint must be of a network that was trained without labels, or with some of them dropped, because "
            "one that knows the label has nothing to decide."
        )
    return classes
