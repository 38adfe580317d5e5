"""Measured data: the observations y = A x_0 + noise n, the operators A, and their law. No clean sample is kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core import checks, disk
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.corruptions import files
from jaxsamp.corruptions.laws import Corruption
from jaxsamp.corruptions.linear import stretches

AT_ONCE = 10_000  # measurements whose A^+ y is summed at once, for the standard deviation


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
        if checks.is_readable(self.y) and jnp.issubdtype(jnp.result_type(self.y), jnp.integer):  # counts, or pixels
            object.__setattr__(self, "y", checks.floating("y", self.y))
        leaves = [np.shape(leaf) for leaf in jax.tree.leaves(self.operator)]
        n = np.shape(self.y)[0]
        if any(not shape or shape[0] != n for shape in leaves):
            raise ValueError(f"operator must have one entry per observation, {n}; got arrays of shapes {leaves}.")
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf)[1:], jnp.result_type(leaf)), self.operator)
        event = jax.ShapeDtypeStruct(self.event_shape, jnp.result_type(float))
        try:
            takes = jax.eval_shape(lambda a, x: a(x), one, event).shape
        except (TypeError, ValueError) as error:
            said = f"event_shape must be that of samples which the operators take; got {self.event_shape} ({error})."
            raise ValueError(said) from error
        if np.shape(self.y)[1:] != takes:
            raise ValueError(f"y must be of shape ({n}, {', '.join(map(str, takes))}); got {np.shape(self.y)}.")
        if checks.is_readable(self.y):
            checks.finite("y", self.y)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Any) -> "Measurements":
        rows = one_row(rows, len(self))
        y, operator = jax.tree.map(lambda leaf: leaf[rows], (self.y, self.operator))
        return replace(self, y=y, operator=operator)

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        refuse_array(self)

    @property
    def noise(self) -> Array:
        """Standard deviation of the noise of each observation, (n,)."""
        return jnp.full(len(self), self.law.noise, self.y.dtype)

    @property
    def seen(self) -> float | None:
        """Share of each sample that was seen on average, tr P / d; None if the operators do not say."""
        if not hasattr(self.operator, "diagonal"):
            return None
        return float(_seen(self.operator, self.event_shape))

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
        sum_i |A_i^+ y_i - P_i mean|^2 / sum_i tr P_i less the variance of the noise. Operators with singular values
        other than 0 and 1 change the noise by A_i^+ to a variance of noise^2 v_i on average, v_i = |A_i^+|^2 / tr P_i:
        all sums are then weighted by 1 / v_i, and the noise^2 that is subtracted by the mean of v_i.
        """
        return standard_deviation(self)

    def save(self, folder: str | Path) -> None:
        """Write the observations and operators as .npz files of 10,000, masks as bits, and the law as JSON.

        Of a dtype that NumPy cannot name, such as bfloat16, numbers are written in single precision.

        Raises:
            ValueError: there are none, or the law is not one of `jaxsamp.corruptions`.
            OSError: the disk is full, or the system refuses for another reason.
        """
        if not len(self):
            raise ValueError("measurements must be at least one to be written; got none.")
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        about = {"law": files.written(self.law), "event_shape": self.event_shape, "n": len(self), "format": 1}
        for number, start in enumerate(range(0, len(self), files.SHARD)):
            part = self[start : start + files.SHARD]
            leaves = {f"operator_{i}": files.plain(leaf) for i, leaf in enumerate(jax.tree.leaves(part.operator))}
            arrays = {"y": files.plain(part.y)} | {name: files.packed(leaf) for name, leaf in leaves.items()}
            about |= {"shapes": {name: leaf.shape[1:] for name, leaf in leaves.items() if leaf.dtype == bool}}
            path = folder / files.PART.format(number)
            with disk.writing(path):
                np.savez(path, **arrays)  # type: ignore[arg-type]
        with disk.writing(folder / files.ABOUT):
            (folder / files.ABOUT).write_text(json.dumps(about, indent=2) + "\n")

    @staticmethod
    def load(folder: str | Path) -> "Measurements":
        """Read what `save` has written.

        Raises:
            ValueError: the folder has no measurements, or not all of their files, or one that cannot be read.
        """
        described = files.about(folder)
        law, event = described["law"], described["event_shape"]
        read = []
        for path in files.parts(folder, described["n"]):
            with files.readable(path), np.load(path, allow_pickle=False) as file:
                read.append({name: files.unpacked(file[name], described["shapes"].get(name)) for name in file.files})
        arrays = {name: np.concatenate([part[name] for part in read]) for name in read[0]}
        y = arrays.pop("y")
        leaves = [arrays[f"operator_{i}"] for i in range(len(arrays))]
        return Measurements(y, jax.tree.unflatten(jax.tree.structure(files.like(law, event)), leaves), law, event)


def one_row(rows: Any, n: int) -> Any:
    """What slices arrays of n rows: a slice of one row for an integer; raises IndexError if there is no such row."""
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer):
        return rows
    if not -n <= rows < n:  # or a loop over all of them would never end
        raise IndexError(f"rows must be among the {n} measurements; got {rows}.")
    return slice(rows, rows + 1 or None)


def refuse_array(measured: Any) -> NoReturn:
    """Raise TypeError where measurements are taken for an array of clean samples."""
    raise TypeError(
        f"clean samples are needed here, (n, *event); got {type(measured).__name__}, whose A^+ y, back_projection(), "
        "lacks what was not seen."
    )


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


@partial(jax.jit, static_argnums=1)
def _seen(operator: Any, event: tuple[int, ...]) -> Array:
    return jnp.mean(jax.vmap(lambda a: a.diagonal(event))(operator))


def standard_deviation(measured: Any) -> float:
    """`Measurements.std`, also of measurements that are read part by part."""
    one = next(_parts(measured[:1]))
    changed = measured.law.noise > 0 and hasattr(one.operator, "projector")
    changed = changed and stretches(jax.tree.map(lambda leaf: leaf[0], one.operator), one.event_shape)
    first, seen = _total(_first(part, changed) for part in _parts(measured))
    mean = first / jnp.maximum(seen, 1e-6)
    squares, count, plain = _total(_second(part, mean, changed) for part in _parts(measured))
    return float(jnp.sqrt(jnp.maximum(squares / count - measured.law.noise**2 * (plain / count), 0)))


def _parts(measured: Any) -> Iterator[Measurements]:
    for start in range(0, len(measured), AT_ONCE):
        part = measured[start : start + AT_ONCE]
        yield part if isinstance(part, Measurements) else part.read()


def _total(sums: Iterator[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Of one part its own sums, to the bit."""
    return reduce(lambda a, b: tuple(map(jnp.add, a, b)), sums)


def _first(part: Measurements, changed: bool) -> tuple[Array, Array]:
    back, diagonal = part.back_projection(), _diagonal(part)
    if changed:
        weight = _weights(part, diagonal)
        back, diagonal = weight * back, weight * diagonal
    return back.sum(0), diagonal.sum(0)


def _second(part: Measurements, mean: Array, changed: bool) -> tuple[Array, Array, Array]:
    about = part.back_projection() - jax.vmap(lambda a: a.projector(mean))(part.operator)
    squares, diagonal = about**2, _diagonal(part)
    plain = jnp.sum(diagonal)
    if not changed:
        return jnp.sum(squares), plain, plain
    weight = _weights(part, diagonal)
    return jnp.sum(weight * squares), jnp.sum(weight * diagonal), plain


def _diagonal(part: Measurements) -> Array:
    return jax.vmap(lambda a: a.diagonal(part.event_shape))(part.operator)


def _weights(part: Measurements, diagonal: Array) -> Array:
    """1 / v_i = tr P_i / |A_i^+|^2 of each sample, of a shape that divides samples."""
    sizes = _sizes(part.operator, np.shape(part.y)[1:])
    each = diagonal.reshape(len(sizes), -1).sum(1) / sizes
    return each.reshape(-1, *(1,) * (diagonal.ndim - 1))


@partial(jax.jit, static_argnums=1)
def _sizes(operator: Any, shape: tuple[int, ...]) -> Array:
    """|A_i^+|^2, the sum of all squares, from the images of the unit vectors of y; a few samples at a time."""
    units = jnp.eye(int(np.prod(shape))).reshape(-1, *shape)
    return jax.lax.map(lambda a: jnp.sum(jax.vmap(a.pseudoinverse)(units) ** 2), operator, batch_size=16)
