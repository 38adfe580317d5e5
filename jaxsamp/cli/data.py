"""What can be sampled or learned: a law known by name or from a file, known data, arrays, or a folder of images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np

from jaxsamp.cli.errors import BadArgument
from jaxsamp.core import checks
from jaxsamp.datasets import (
    as_samples,
    digit_features,
    digits,
    hugging_face,
    in_memory,
    photo_patches,
    read_file,
    read_folder,
    tfds,
)
from jaxsamp.datasets.arrays import FILES
from jaxsamp.datasets.digits import held_out_labels
from jaxsamp.targets.gaussian_mixture import GaussianMixture
from jaxsamp.targets.toys import TOYS

LEAST, LEAST_COMPARED = 10, 4
KNOWN = ("digits", "patches")
HUBS: dict[str, Callable[..., Any]] = {"hf": hugging_face, "tfds": tfds}  # of names such as hf:ylecun/mnist
MIXTURE, LABELS = ("weights", "means", "covariances"), "labels"

PLACES = f"{', '.join((*KNOWN, *TOYS))}; a .npy or .npz file; a folder of images; hf:NAME or tfds:NAME."


@dataclass(frozen=True)
class Source:
    """A law, or data to make one of.

    Attributes:
        name: what the pictures and reports call it.
        event: shape of one sample.
        law: a known law; None for data.
        train: (n, *event), what a law is made of; None for a known law.
        held_out: (m, *event), what it is compared with.
        fit_features: makes a feature map for the Frechet distance; None where there is no good one.
        labels: (n,) integers from 0 for `train`; None where there are none.
        held_out_labels: (m,), the same for `held_out`.
    """

    name: str
    event: tuple[int, ...]
    law: Any = None
    train: Any = None
    held_out: Any = None
    fit_features: Callable[[], Callable[[Any], np.ndarray]] | None = None
    labels: Any = None
    held_out_labels: Any = None

    def only(self, label: int) -> "Source":
        """The data of one label; the whole where there are no labels.

        Raises:
            BadArgument: too few of that label.
        """
        if self.labels is None:
            return self
        train, held_out = self.train[self.labels == label], self.held_out[self.held_out_labels == label]
        if min(len(train), len(held_out)) < LEAST_COMPARED:
            raise BadArgument(
                f"--label must have at least {LEAST_COMPARED} training and held-out samples to compare with; label "
                f"{label} of {self.name} has {len(train)} and {len(held_out)}."
            )
        return replace(self, name=f"{self.name} {label}", train=train, held_out=held_out)


def is_known(target: str) -> bool:
    """Whether this is the name of data or of a law, and not a place."""
    return target in (*KNOWN, *TOYS) or target.partition(":")[0] in HUBS


def load(target: str, image_size: int, flag: str = "--target") -> Source:
    """Find what `flag` names; a name wins over a file of the same name.

    Raises:
        BadArgument, ValueError: there is no such target, or nothing usable in it.
    """
    if (hub := target.partition(":"))[0] in HUBS:
        return _from_hub(*hub, image_size, flag)
    path = _path(target, flag)
    if path is None:
        return _named(target)
    values = None if (law := _mixture(path, flag)) else read(path, image_size, flag, LEAST)
    return law or _split(path.resolve().stem, values, _labels(path, flag), flag)


def load_reference(reference: str, image_size: int) -> Source:
    """Find what `--reference` names: as `load`, but of files nothing is held out.

    Raises:
        BadArgument, ValueError: there is no such reference, or nothing usable in it.
    """
    path = None if is_known(reference) else _path(reference, "--reference")
    if path is None:
        return load(reference, image_size, "--reference")
    if (law := _mixture(path, "--reference")) is not None:
        return law
    array = read(path, image_size, "--reference", LEAST_COMPARED)
    return Source(path.resolve().stem, array.shape[1:], None, array, array)


def load_samples(path: Path, image_size: int) -> tuple[np.ndarray, float]:
    """The samples in a file or folder, (n, *event), and their noise level: that where a stored `grid` ends, else 0.

    Raises:
        BadArgument, ValueError: there is no such place, or nothing usable in it.
    """
    samples = read(path, image_size, "SAMPLES", LEAST_COMPARED)
    if path.suffix.lower() != ".npz":
        return samples, 0.0
    with np.load(path, allow_pickle=False) as stored:
        grid = stored["grid"] if "grid" in stored.files else np.zeros(1)
    if grid.ndim != 1 or grid.dtype.kind not in "fiu" or not len(grid) or not 0 <= grid[-1] < np.inf:
        raise BadArgument(f"SAMPLES must hold noise levels, none below 0, in its `grid`; {path} holds {grid!r}.")
    return samples, float(grid[-1])


def _path(target: str, flag: str) -> Path | None:
    """The place that a flag names, or None if it names something known."""
    path = Path(target).expanduser()
    if not is_known(target) and (path.exists() or path.suffix.lower() in FILES or len(path.parts) > 1):
        return path
    checks.one_of(f"{flag}, where no such file or folder exists,", target, (*KNOWN, *TOYS))
    return None


def _named(name: str) -> Source:
    if name == "digits":
        train, labels, held_out = digits()
        return Source(name, train.shape[1:], None, train, held_out, digit_features, labels, held_out_labels())
    if name == "patches":
        train, held_out = photo_patches()
        return Source(name, train.shape[1:], None, train, held_out)
    law = TOYS[name]()
    return Source(name, law.event_shape, law)


def read(path: Path, image_size: int, flag: str, least: int) -> np.ndarray:
    """At least `least` samples from a file or a folder of images, in float32; `flag` is the argument that named it.

    Raises:
        BadArgument, ValueError: there is no such place, or nothing usable in it.
    """
    array = read_folder(path, image_size, flag) if path.is_dir() else read_file(path, flag)
    if array.dtype.kind not in "fiub" or array.ndim < 2 or 0 in array.shape[1:]:
        raise BadArgument(
            f"{flag} must hold real numbers of shape (n, *event); {path} holds shape {array.shape} of {array.dtype}."
        )
    if len(array) < least:
        raise BadArgument(f"{flag} must hold at least {least} samples; {path} holds {len(array)}.")
    return as_samples(array, f"{flag} {path}")


def _mixture(path: Path, flag: str) -> Source | None:
    """The mixture of Gaussians in a file of weights (K,), means (K, d) and covariances (K, d, d); None for others."""
    stored = _arrays(path, MIXTURE)
    if len(stored) < len(MIXTURE):
        return None
    try:
        law = GaussianMixture(*(stored[name] for name in MIXTURE))
    except ValueError as error:
        raise BadArgument(f"{flag} must hold a mixture of Gaussians, as {path} seems to; {error}") from error
    return Source(path.resolve().stem, law.event_shape, law)


def _labels(path: Path, flag: str) -> np.ndarray | None:
    """The labels in a file; None for a file without."""
    labels = _arrays(path, (LABELS,)).get(LABELS)
    if labels is not None and (labels.dtype.kind not in "iu" or labels.ndim != 1 or labels.min(initial=0) < 0):
        raise BadArgument(
            f"{flag} must hold integers from 0, (n,), in its `labels`; {path} holds shape "
            f"{labels.shape} of {labels.dtype}, from {labels.min(initial=0)}."
        )
    return labels


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those of the arrays that an .npz file holds; none of anything else, about which `read` complains."""
    if path.suffix.lower() != ".npz" or not path.is_file() or not is_zipfile(path):
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in names if name in stored.files}


def _from_hub(hub: str, _: str, name: str, image_size: int, flag: str) -> Source:
    """The training split of a data set on a hub, all of it in memory; the held-out part is cut from it."""
    if not name:
        raise BadArgument(f"{flag} must name a data set, {hub}:NAME; got {hub}: alone.")
    try:
        found = in_memory(HUBS[hub](name, size=image_size))
    except OSError as error:  # no such set, or no way to it
        raise BadArgument(f"{flag} must be a data set that {hub} has; {name} could not be read ({error}).") from error
    values, labels = found if isinstance(found, tuple) else (found, None)
    return _split(Path(name).name, values, labels, flag)


def _split(name: str, values: Any, labels: np.ndarray | None, flag: str) -> Source:
    """Four fifths for the law and one fifth held out, the same ones every time."""
    order, cut = np.random.default_rng(0).permutation(len(values)), len(values) // 5
    source = Source(name, values.shape[1:], None, values[order[cut:]], values[order[:cut]])
    if labels is None:
        return source
    if len(labels) != len(values):
        raise BadArgument(f"{flag} must hold one label for each of its {len(values)} samples; got {len(labels)}.")
    return replace(source, labels=labels[order[cut:]], held_out_labels=labels[order[:cut]])
