"""Measured data: the observations y = A x_0 + noise n, the operators A, and their law. No clean sample is kept."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core import checks, disk
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.corruptions.boxes import Box, FixedBox, KeepPatch
from jaxsamp.corruptions.imaging import Blur, Downsample, KSpace
from jaxsamp.corruptions.laws import CompressedSensing, Corruption, Mask

LAWS = {
    "mask": Mask,
    "box": Box,
    "fixed-box": FixedBox,
    "keep-patch": KeepPatch,
    "downsample": Downsample,
    "compressed-sensing": CompressedSensing,
    "k-space": KSpace,
    "blur": Blur,
}
SHARD = 10_000  # samples of one file
PART, ABOUT = "measurements-{:05d}.npz", "measurements.json"


@pytree
@dataclass(frozen=True)
class Measurements:
    """n observations y_i = A_i x_i + noise n_i with their operators; sliced like an array, `measured[:16]`.

    Made by `corrupt`, or by hand for data that were measured elsewhere.

    Attributes:
        y: (n, *shape of one observation).
        operator: the n operators as one, whose arrays have a leading axis n.
        law: the law that the operators were drawn from; its `noise` is that of y.
        event_shape: shape of one sample x.

    Raises:
        ValueError: y and the operators are not of the same number, or do not fit each other; y is not finite.
    """

    y: Any
    operator: Any
    law: Any = field(metadata={"static": True})
    event_shape: tuple[int, ...] = field(metadata={"static": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_shape", tuple(self.event_shape))
        leaves = [np.shape(leaf) for leaf in jax.tree.leaves(self.operator)]
        n = np.shape(self.y)[0]
        if any(not shape or shape[0] != n for shape in leaves):
            raise ValueError(f"operator must have one entry per observation, {n}; got arrays of shapes {leaves}.")
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf)[1:], jnp.result_type(leaf)), self.operator)
        event = jax.ShapeDtypeStruct(self.event_shape, jnp.result_type(float))
        takes = jax.eval_shape(lambda a, x: a(x), one, event).shape
        if np.shape(self.y)[1:] != takes:
            raise ValueError(f"y must be of shape ({n}, {', '.join(map(str, takes))}); got {np.shape(self.y)}.")
        if checks.is_readable(self.y):
            checks.finite("y", self.y)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Any) -> "Measurements":
        rows = slice(rows, rows + 1 or None) if isinstance(rows, int) else rows
        y, operator = jax.tree.map(lambda leaf: leaf[rows], (self.y, self.operator))
        return replace(self, y=y, operator=operator)

    @property
    def noise(self) -> Array:
        """Standard deviation of the noise of each observation, (n,)."""
        return jnp.full(len(self), self.law.noise, self.y.dtype)

    @property
    def seen(self) -> float | None:
        """Share of each sample that was seen on average, tr P / d; None if the operators do not say."""
        if not hasattr(self.operator, "diagonal"):
            return None
        return float(jnp.mean(jax.vmap(lambda a: a.diagonal(self.event_shape))(self.operator)))

    def back_projection(self) -> Float[Array, "n *event"]:
        """A^+ y = P x_0 + A^+ noise n: what is known of each sample, in its own shape, and zero elsewhere.

        Raises:
            ValueError: the operators have no `pseudoinverse`.
        """
        if not hasattr(self.operator, "pseudoinverse"):
            raise ValueError(
                "operator must have pseudoinverse and projector to be learned from, as those of "
                f"jaxsamp.corruptions.Mask; a {type(self.operator).__name__} has none: use jaxsamp.posterior."
            )
        return _back(self.operator, jnp.asarray(self.y))

    def again(self, key: PRNGKey, x: Any) -> "Measurements":
        """Other samples through the same operators: y_i = A_i x_i + noise n_i, with noise of fold_in(key, i).

        Args:
            key: a typed key.
            x: as many samples, (n, *event).

        Raises:
            ValueError: x is of another shape.
        """
        if np.shape(x) != (len(self), *self.event_shape):
            raise ValueError(f"x must be of shape {(len(self), *self.event_shape)}; got {np.shape(x)}.")
        x = checks.floating("x", x)
        return replace(self, y=np.asarray(_measured(checks.typed_key(key), self.operator, x, self.law.noise)))

    def std(self) -> float:
        """Standard deviation of the entries of x_0 about the mean sample, estimated from what was seen of them.

        The mean of entry j is estimated by sum_i (A_i^+ y_i)_j / sum_i (P_i)_jj, and the variance by
        sum_i |A_i^+ y_i - P_i mean|^2 / sum_i tr P_i less the variance of the noise.
        """
        return float(_std(self.operator, self.back_projection(), self.event_shape, self.law.noise))

    def save(self, folder: str | Path) -> None:
        """Write the observations and operators as .npz files of 10,000, masks as bits, and the law as JSON.

        Raises:
            ValueError: the law is not one of `jaxsamp.corruptions`.
            OSError: the disk is full, or the system refuses for another reason.
        """
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        about = {"law": _written(self.law), "event_shape": self.event_shape, "n": len(self), "format": 1}
        for number, start in enumerate(range(0, len(self), SHARD)):
            part = self[start : start + SHARD]
            leaves = {f"operator_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(part.operator))}
            arrays = {"y": np.asarray(part.y)} | {name: _packed(leaf) for name, leaf in leaves.items()}
            about |= {"shapes": {name: leaf.shape[1:] for name, leaf in leaves.items() if leaf.dtype == bool}}
            path = folder / PART.format(number)
            with disk.writing(path):
                np.savez(path, **arrays)  # type: ignore[arg-type]
        with disk.writing(folder / ABOUT):
            (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n")

    @staticmethod
    def load(folder: str | Path) -> "Measurements":
        """Read what `save` has written.

        Raises:
            ValueError: the folder has no measurements, or not all of their files, or one that cannot be read.
        """
        folder = Path(folder).expanduser()
        if not is_measured(folder):
            raise ValueError(f"folder must have measurements, written by Measurements.save; got {folder}.")
        with _readable(folder / ABOUT):
            about = json.loads((folder / ABOUT).read_text())
            law, event, shapes, n = _read(about["law"]), tuple(about["event_shape"]), about["shapes"], int(about["n"])
        parts = []
        for number in range(-(-n // SHARD)):
            path = folder / PART.format(number)
            if not path.exists():
                raise ValueError(f"folder must have all files of its measurements; {path} is missing.")
            with _readable(path), np.load(path, allow_pickle=False) as file:
                parts.append({name: _unpacked(file[name], shapes.get(name)) for name in file.files})
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        y = arrays.pop("y")
        like = jax.eval_shape(lambda key: law.sample(key, event), jax.random.key(0))
        operator = jax.tree.unflatten(jax.tree.structure(like), [arrays[f"operator_{i}"] for i in range(len(arrays))])
        return Measurements(y, operator, law, event)


def corrupt(key: PRNGKey, x: Any, law: Corruption) -> Measurements:
    """Measure each sample by an operator of its own: y_i = A_i x_i + noise n_i.

    Sample i is measured with fold_in(key, i), whatever the others are. Corrupt data once and keep the measurements:
    to corrupt the same samples again, or to flip and crop them before, shows pixels that were hidden.

    Args:
        key: a typed key.
        x: clean samples, (n, *event).
        law: one of `jaxsamp.corruptions`.

    Raises:
        ValueError: the law does not fit the samples, or they are not finite.
        TypeError: `x` is measured already, or `law` is not a law.
    """
    checks.typed_key(key)
    if isinstance(x, Measurements):
        raise TypeError("x must be clean samples (n, *event); got Measurements, which are corrupted already.")
    if not isinstance(law, Corruption):
        raise TypeError(f"law must be one of jaxsamp.corruptions, such as Mask(rate=0.5); got a {type(law).__name__}.")
    x = checks.floating("x", checks.finite("x", x))
    for_law, for_noise = jax.random.split(key)
    operator = law.draw(for_law, len(x), x.shape[1:])
    y = np.asarray(_measured(for_noise, operator, x, law.noise))
    return Measurements(y, jax.tree.map(np.asarray, operator), law, x.shape[1:])


def is_measured(folder: str | Path) -> bool:
    """Whether a folder has measurements that `Measurements.save` has written."""
    return (Path(folder).expanduser() / ABOUT).is_file()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Around whatever reads a file of `Measurements.save`: a file of another kind is a sentence."""
    try:
        yield
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"folder must have measurements as they were written; {path} could not be read ({disk.unread(error)})."
        ) from error


@jax.jit
def _measured(key: Array, operator: Any, x: Array, noise: Any) -> Array:
    def one(i: Array, a: Any, event: Array) -> Array:
        y = a(event)
        n = jax.random.normal(jax.random.fold_in(key, i), y.shape, y.dtype)
        if hasattr(a, "pseudoinverse"):
            n = a(a.pseudoinverse(n))  # no noise in what is not measured
        return y + noise * n

    return jax.vmap(one)(jnp.arange(len(x)), operator, x)


@jax.jit
def _back(operator: Any, y: Array) -> Array:
    return jax.vmap(lambda a, v: a.pseudoinverse(v))(operator, y)


def _std(operator: Any, x: Array, event: tuple[int, ...], noise: float) -> Array:
    seen = jax.vmap(lambda a: a.diagonal(event))(operator)
    mean = x.sum(0) / jnp.maximum(seen.sum(0), 1e-6)
    about = x - jax.vmap(lambda a: a.projector(mean))(operator)
    return jnp.sqrt(jnp.maximum(jnp.sum(about**2) / jnp.sum(seen) - noise**2, 0))


def _written(law: Any) -> dict[str, Any]:
    """The law as JSON: its name and settings."""
    names = [name for name, kind in LAWS.items() if type(law) is kind]
    if not names:
        raise ValueError(f"law must be one of {', '.join(LAWS)} to be written; got {law}.")
    return {"name": names[0]} | {name: value for name, value in describe(law).items() if name != "type"}


def _read(about: dict[str, Any]) -> Corruption:
    settings = {name: value for name, value in about.items() if name != "name"}
    return LAWS[checks.one_of("law", about["name"], LAWS)](**settings)


def _packed(leaf: np.ndarray) -> np.ndarray:
    """Booleans as bits, one row per sample."""
    return np.packbits(leaf.reshape(len(leaf), -1), axis=1) if leaf.dtype == bool else leaf


def _unpacked(leaf: np.ndarray, shape: list[int] | None) -> np.ndarray:
    if shape is None:
        return leaf
    count = int(np.prod(shape))
    return np.unpackbits(leaf, axis=1, count=count).astype(bool).reshape(len(leaf), *shape)
