"""At which noise levels each sample of a data set may train, and files of that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp import datasets
from jaxsamp.core import disk
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.types import Data
from jaxsamp.corruptions.admission import Admission

# Their names in files; `filename`, `sigma` and `annotation` are read too, which other programs write.
NUMBER, FILE, SIGMA_MIN, SIGMA_MAX = "index", "file", "sigma_min", "sigma_max"
UNDECIDED = ("probabilities", "crop_predictions")  # answers of a classifier, which are no levels yet
WORDS = {NUMBER: (NUMBER,), FILE: (FILE, "filename"), SIGMA_MIN: (SIGMA_MIN, "annotation", "sigma")}


@dataclass(frozen=True, eq=False)
class Annotations:
    """Sample i may train at the noise levels s = sigma / alpha > sigma_min[i], and as clean at s <= sigma_max[i].

    Noise hides damage: from some level on, what is left of a damaged sample is what would be left of a clean one, so
    that it may train there. A clean sample has sigma_min = 0 and trains at every level; infinity means never. At small
    noise a denoiser sees only small parts of a sample, so that a sample of another kind whose small parts are right may
    train as clean at s <= sigma_max. Between the two it does not train.

    Attributes:
        sigma_min: (n,), at least 0, in units of the data.
        sigma_max: (n,) or one number for all; 0, the default, for none. Where it is above 0, it is below sigma_min.
        data: the data set that is annotated, (n, *event), of which only shape and checksum are kept; or those, as they
            are in a file. Without it, annotations of another data set of as many samples are not noticed.
        files: names of the samples, to find them in a file in any order; by default they have their numbers.

    Raises:
        ValueError: they do not describe such levels; the first sample for which they do not is named.

    Source: Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv 2506.10038.
    """

    sigma_min: Any
    sigma_max: Any = 0.0
    data: Any = None
    files: Any = None

    def __post_init__(self) -> None:
        least = _levels(SIGMA_MIN, self.sigma_min)
        if not least.size:
            raise ValueError("sigma_min must have one entry per sample, (n,); got none.")
        most = np.asarray(_levels(SIGMA_MAX, self.sigma_max, none=-np.inf))
        if most.shape not in ((), least.shape):
            raise ValueError(f"sigma_max must be one number or {len(least)}, as sigma_min has; got shape {most.shape}.")
        most = np.maximum(np.broadcast_to(most, least.shape), 0.0)
        if (wrong := (most > 0) & (most >= least)).any():
            first = int(np.argmax(wrong))
            raise ValueError(
                f"sigma_max must be below sigma_min where it is above 0, because a sample trains above sigma_min and "
                f"below sigma_max, not between them; got sigma_min {least[first]:g} and sigma_max {most[first]:g} for "
                f"sample {first}. A clean sample has 0 for both."
            )
        files = None if self.files is None else tuple(map(str, self.files))
        if files is not None and len(set(files)) != len(least):
            raise ValueError(f"files must be {len(least)} different names, one per sample; got {len(set(files))}.")
        data = self.data if self.data is None or isinstance(self.data, dict) else identity(self.data)
        for name, value in {SIGMA_MIN: least, SIGMA_MAX: most, "data": data, "files": files}.items():
            object.__setattr__(self, name, value)
        if data is not None and data["shape"][0] != len(least):
            raise ValueError(f"sigma_min must have one entry per sample, {data['shape'][0]}; got {len(least)}.")

    def __len__(self) -> int:
        return len(self.sigma_min)

    def __repr__(self) -> str:
        never = int(np.isinf(self.sigma_min).sum())
        return (
            f"Annotations({len(self)} samples: {int((self.sigma_min == 0).sum())} clean, "
            f"{int((self.sigma_max > 0).sum())} also used at low noise, {never} never at high noise)"
        )

    def check(self, data: Data) -> None:
        """Raise ValueError if these are not the annotations of `data`."""
        found = identity(data)
        if found["shape"][0] != len(self):
            raise ValueError(f"annotations must have one entry per sample, {found['shape'][0]}; got {len(self)}.")
        if self.data is not None and self.data != found:
            raise ValueError(
                f"annotations must be those of the data; they were made for data of shape {tuple(self.data['shape'])} "
                f"and checksum {self.data['crc32']}, and got shape {tuple(found['shape'])} and {found['crc32']}."
            )

    def admission(self, buffer: float = 4.0) -> Admission:
        """Tables from which samples are drawn for given levels, uniformly over those that may train there.

        Args:
            buffer: a sample trains above f sigma_min with f = (1 - 1 / buffer)^(-1/2), so that the noise of the
                target of `jaxsamp.losses.ambient_omni` has at most `buffer` times the sample's own variance; infinity
                for f = 1.
        """
        return Admission.of(self.sigma_min, self.sigma_max, factor(buffer))

    def save(self, path: str | Path) -> Path:
        """Write a file of JSON lines to read and edit: what the data are, then one line per sample; null is never.

        Raises:
            OSError: the file cannot be written.
        """
        lines: list[dict[str, Any]] = [{"annotations": len(self), "data": self.data}]
        for number, (least, most) in enumerate(zip(self.sigma_min.tolist(), self.sigma_max.tolist(), strict=True)):
            line = {NUMBER: number} if self.files is None else {FILE: self.files[number]}
            line |= {SIGMA_MIN: None if np.isinf(least) else least} | ({SIGMA_MAX: most} if most else {})
            lines.append(line)
        path = Path(path)
        with disk.writing(path):
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    @staticmethod
    def load(path: str | Path, data: Data | None = None, files: Sequence[str] | None = None) -> "Annotations":
        """Read a file that `save` has written, or JSON lines {filename, sigma_min, sigma_max} of another program.

        Args:
            path: the file. Instead of `sigma_min` it may say `sigma` or `annotation`.
            data: the data set, to refuse annotations of another one.
            files: names of the samples in the order of the data, for a file of names in another order; names that are
                not among them are left out.

        Raises:
            ValueError: a line cannot be read, a sample has none or two, or they are of another data set.
        """
        lines = list(_lines(Path(path)))
        about = lines.pop(0)[1] if lines and "annotations" in lines[0][1] else {}
        if not any(_word(line, FILE, None) is not None for _, line in lines):
            files = None
        if files is not None and len(set(files)) < len(files):
            twice = next(name for number, name in enumerate(files) if name in files[:number])
            raise ValueError(f"files must be different names, to find them in {path}; {twice!r} is the name of two.")
        by_name = {}
        for place, line in lines:
            if words := [word for word in line if word.startswith(UNDECIDED)]:
                raise ValueError(
                    f"{path} must have a number {SIGMA_MIN} in each line; line {place + 1} has the {words[0]} of a "
                    "classifier, from which the level of each sample must be decided first."
                )
            name = _word(line, FILE, None) if files is not None else _word(line, NUMBER, _word(line, FILE, place))
            if name in by_name:
                raise ValueError(f"{path} must have one line per sample; {name!r} has a second one, line {place + 1}.")
            by_name[name] = place, line
        if files is None and not any(isinstance(name, int) for name in by_name):
            files = [str(name) for name in by_name]
        order = list(range(len(lines))) if files is None else list(files)
        if missing := [name for name in order if name not in by_name]:
            raise ValueError(f"{path} must have one line per sample; there is none for {missing[0]!r}.")
        rows = [by_name[name] for name in order]
        least = [_number(path, place, _word(line, SIGMA_MIN, np.nan), np.inf) for place, line in rows]
        most = [_number(path, place, line.get(SIGMA_MAX), 0.0) for place, line in rows]
        found = Annotations(np.array(least), np.array(most), about.get("data"), files)
        if data is not None:
            found.check(data)
        return found


def identity(data: Any) -> dict[str, Any]:
    """Shape and checksum of samples, as they are in files of annotations."""
    return describe(datasets.as_samples(data))


def factor(buffer: float) -> float:
    """f = (1 - 1 / buffer)^(-1/2); raises ValueError unless buffer is above 1."""
    if not buffer > 1:
        raise ValueError(f"buffer must be above 1; got {buffer}.")
    return (1 - 1 / buffer) ** -0.5


def _levels(name: str, got: Any, none: float = 0.0) -> np.ndarray:
    """Levels as float64: at least 0, or `none`; infinity is allowed for sigma_min."""
    try:
        levels = np.asarray(got, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be numbers, one per sample, (n,); got {got!r}.") from None
    if levels.ndim > 1 or levels.ndim == 0 and name == SIGMA_MIN:
        raise ValueError(f"{name} must have one entry per sample, (n,); got shape {levels.shape}.")
    endless = name == SIGMA_MAX
    wrong = ~((levels >= 0) | (levels == none)) | (endless & (levels == np.inf))
    if wrong.any():
        first = int(np.argmax(wrong))
        limit = "finite and at least 0" if endless else "at least 0"
        raise ValueError(f"{name} must be {limit}; got {levels.flat[first]:g} for sample {first}.")
    return levels


def _lines(path: Path) -> Any:
    """Each line of a file as a dict, with its number from 0."""
    if not path.is_file():
        raise ValueError(f"path must be a file of annotations; there is no {path}.")
    for place, text in enumerate(filter(str.strip, path.read_text().splitlines())):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise ValueError(f"{path} must hold one JSON object per line; line {place + 1} is {text[:60]!r}.")
        yield place, line


def _word(line: dict[str, Any], meaning: str, default: Any) -> Any:
    return next((line[word] for word in WORDS[meaning] if word in line), default)


def _number(path: str | Path, place: int, got: Any, null: float) -> float:
    if got is None:
        return null
    if isinstance(got, bool) or not isinstance(got, int | float) or np.isnan(got):
        need = f"{path} must have a number {SIGMA_MIN} or null in each line, and a number {SIGMA_MAX} or none"
        raise ValueError(f"{need}; line {place + 1} has {'none' if got is np.nan else repr(got)}.")
    return float(got)
