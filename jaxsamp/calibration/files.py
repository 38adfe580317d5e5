"""Calibrations read from files, whose arrays are checked first."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.calibration.bases import from_arrays
from jaxsamp.calibration.placement import NAMES, Placement
from jaxsamp.calibration.tables import PLACED, Calibration, fitting, frame_of, moment
from jaxsamp.core import checks, disk
from jaxsamp.core.types import Array
from jaxsamp_kernels.frame import Calibrated

KIND = "a file written by Calibration.save"


def load(path: str | Path) -> Calibration:
    """Read what `Calibration.save` wrote.

    Raises:
        ValueError: the file does not hold a calibration.
        OSError: there is no such file, or the system refuses to read it.
    """
    path = disk.with_ending(path, ".npz")
    held = disk.arrays(path, KIND)
    try:
        return _calibration(held)
    except KeyError as missing:
        raise ValueError(f"path must be {KIND}; {path} has no {missing}.") from None
    except (TypeError, IndexError, ValueError) as error:
        raise ValueError(f"path must be {KIND}; in {path} {error}") from None


def _calibration(held: dict[str, np.ndarray]) -> Calibration:
    """The calibration of these arrays; errors speak of them by name."""
    tables, basis = _tables(held), from_arrays(held)
    mean, variance = moment("mean", held["mean"]), moment("variance", held["variance"], 0.0)
    return fitting(Calibration(frame_of(tables), mean, variance, basis, _placement(held)))


def _tables(held: dict[str, np.ndarray]) -> Calibrated:
    tables = Calibrated(*(_finite(name, held[name]) for name in Calibrated._fields))
    for name in ("start", "spacing"):
        if getattr(tables, name).ndim:
            raise ValueError(f"{name} must be a number; got shape {getattr(tables, name).shape}.")
    if not tables.spacing > 0:
        raise ValueError(f"spacing must be above 0; got {tables.spacing}.")
    shape = tables.log_scale.shape
    if len(shape) not in (1, 2) or shape[0] < 2:
        raise ValueError(f"log_scale must be of shape (knots,) or (knots, d), with 2 knots or more; got {shape}.")
    if tables.slope.shape != shape:
        raise ValueError(f"slope must have the shape of log_scale, {shape}; got {tables.slope.shape}.")
    return tables


def _placement(held: dict[str, np.ndarray]) -> Placement | None:
    """The sizes of the errors of steps, or None if they were not measured."""
    if not any(name.startswith(PLACED) for name in held):
        return None
    lam, sizes = (_finite(PLACED + name, held[PLACED + name]) for name in ("log_snr", "sizes"))
    if lam.ndim != 1 or len(lam) < 2 or (jnp.diff(lam) <= 0).any():
        raise ValueError(f"{PLACED}log_snr must increase, and be of shape (levels,); got shape {lam.shape}.")
    if sizes.shape != (shape := (len(NAMES), 2, len(lam))):
        raise ValueError(f"{PLACED}sizes must be of shape {shape}; got {sizes.shape}.")
    if (sizes < 0).any():
        raise ValueError(f"{PLACED}sizes must be at least 0; got {sizes.min()}.")
    return Placement(lam, sizes)


def _finite(name: str, array: Any) -> Array:
    return jnp.asarray(checks.finite(name, array), jnp.result_type(float))
