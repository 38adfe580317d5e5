"""Of which class samples are that were noised to a time and brought back, for any denoiser and classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binomtest, norm

from jaxsamp import grids
from jaxsamp.core import checks
from jaxsamp.core.progress import bar
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.types import Data, PRNGKey, PyTree
from jaxsamp.running.sampling import sample
from jaxsamp.samplers import DDPM, Sampler
from jaxsamp.theory.windows import times as clock
from jaxsamp.theory.windows.averages import Curve
from jaxsamp.theory.windows.crossings import Crossing, crossing


@dataclass(frozen=True)
class Returned:
    """The classes of samples that came back from noise.

    Attributes:
        times: (times,), of the schedule.
        stay: probability that a sample comes back to the group, with its band.
        classes: share of each class among what came back, (times, classes).
        unclear: share of samples whose class is none, a negative number.
        open: E|x' - x_0|^2 / 2 of each number of an event, x' being what came back from x_0, (times, *event). With
            `DDPM` both have the law of x_0 given x_t, so this is E Var(x_0 given x_t): what is not decided at t.
        samples: what came back from the first `keep` samples, (times, keep, *event).
    """

    times: np.ndarray
    stay: Curve
    classes: np.ndarray
    unclear: np.ndarray
    open: np.ndarray
    samples: np.ndarray

    def window(self, floor: float, ends: tuple[float, float] = (0.9, 0.1)) -> tuple[Crossing, Crossing]:
        """(T_after, T_before): where (stay - floor) / (1 - floor), made non-increasing, passes 0.9 and 0.1.

        Args:
            floor: probability of the group when nothing is known, its share of the data.
            ends: the two values, decreasing, in (0, 1).

        Returns:
            Each time with where the ends of the band pass; nan where a value is not passed between the times.

        Raises:
            ValueError: the floor or the ends are outside of their ranges.
        """
        if not 0 <= floor < 1:
            raise ValueError(f"floor must be at least 0 and below 1; got {floor}.")
        if not 1 > ends[0] > ends[1] > 0:
            raise ValueError(f"ends must be decreasing and between 0 and 1; got {ends}.")
        order, values = np.argsort(self.times), [floor + value * (1 - floor) for value in ends]
        times, stay = self.times[order], Curve(*(part[order] for part in self.stay))
        return crossing(times, stay, values[0], from_start=False), crossing(times, stay, values[1], from_start=False)


def noise_and_denoise(
    key: PRNGKey,
    denoiser: Denoiser,
    start: Data,
    classify: Callable[[Any], Any],
    group: int | list[int] | tuple[int, ...],
    times: Data,
    *,
    classes: int,
    confusion: Data | None = None,
    sampler: Sampler = DDPM(),  # noqa: B008  (frozen)
    steps: int = 200,
    cond: PyTree = None,
    confidence: float = 0.95,
    microbatch: int | None = None,
    keep: int = 0,
    progress: bool = False,
) -> Returned:
    """How often samples of a group, noised to a time and brought back, are of the group again.

    x_t = alpha x_0 + sigma z, from which `sampler` goes back to sigma / alpha = 0.02, in `steps` steps whose levels are
    uniform in log(alpha / sigma); then `classify` says what it is. All times start from the same samples, with noise of
    their own. With `DDPM`, the default, the law of what comes back is the posterior, as in the theory; a deterministic
    sampler gives another curve.

    Args:
        key: a typed key.
        denoiser: of any kind.
        start: samples of the group, (n, *event).
        classify: (n, *event) -> (n,) class numbers, negative where it cannot tell.
        group: class number or numbers.
        times: (times,), of the denoiser's schedule.
        classes: how many there are.
        confusion: (classes, classes), the probability that a sample of class i is called j. Shares are then those of
            true classes, p = C^-T p_observed, cut at 0.
        sampler, steps, cond, microbatch: as for `jaxsamp.sample`.
        confidence: of the bands, in (0, 1): Wilson's interval; with a confusion matrix a normal one.
        keep: how many of the samples that came back are returned, for pictures.
        progress: show a bar.

    Raises:
        ValueError: shapes do not fit, classes are unknown, times are below the last level, or a number is outside its
            range.

    Source: Li and Chen, "Critical windows: non-asymptotic theory for feature emergence in diffusion models", arXiv
    2403.01633, whose experiments do this with images.
    """
    x_0 = checks.floating("start", start)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}.")
    checks.at_least("classes", classes, 2)
    checks.at_least("keep", keep, 0)
    checks.at_least("steps", steps, 1)
    inside, back = _group(group, classes), _inverse(confusion, classes)
    x_0, (times, levels) = jnp.asarray(x_0), clock.at(denoiser.schedule, times)
    times = times.reshape(-1)
    if not times.size:
        raise ValueError("times must be at least one time of the denoiser's schedule; got none.")
    first = np.asarray(levels.sigma / levels.alpha)
    if not (first > grids.SIGMA_MIN).all():
        raise ValueError(f"times must have sigma / alpha above {grids.SIGMA_MIN}; the smallest one is {first.min():g}.")
    options = {"cond": cond, "microbatch": microbatch}
    stay, shares, unclear, moved, kept = [], [], [], [], []
    with bar("coming back", len(times), progress) as advance:
        for i, ratio in enumerate(first):
            for_noise, for_sampler = jax.random.split(jax.random.fold_in(checks.typed_key(key), i))
            noise = jax.random.normal(for_noise, x_0.shape, x_0.dtype)
            x_t = levels.alpha[i] * x_0 + levels.sigma[i] * noise
            grid = np.geomspace(ratio, grids.SIGMA_MIN, steps + 1)
            got = sample(for_sampler, denoiser, x_0.shape, sampler, grid=grid, init=x_t, **options).x
            moved.append(np.asarray(jnp.square(got - x_0).mean(0) / 2))
            kept.append(np.asarray(got[:keep]))
            called = _called(classify(got), len(x_0), classes)
            count = np.bincount(called[called >= 0], minlength=classes)
            share = np.clip(back.T @ (count / len(called)), 0, None)
            stay.append(_band(back @ inside, called, confusion is not None, confidence))
            shares.append(share / max(share.sum(), 1e-12))
            unclear.append(1 - count.sum() / len(called))
            advance(1)
    rest = (np.array(part) for part in (shares, unclear, moved, kept))
    return Returned(times, Curve(*np.array(stay).T), *rest)


def _band(value: np.ndarray, called: np.ndarray, corrected: bool, confidence: float) -> tuple[float, float, float]:
    """The mean of value[class], which is 0 of none, and its band."""
    each = np.where(called >= 0, value[called], 0.0)
    if not corrected:
        low, high = binomtest(int(each.sum()), len(each)).proportion_ci(confidence, "wilson")
        return float(each.mean()), float(low), float(high)
    error = norm.ppf(0.5 + confidence / 2) * each.std() / np.sqrt(len(each))
    mean, low, high = np.clip(each.mean() + error * np.array([0, -1, 1]), 0, 1)
    return float(mean), float(low), float(high)


def _group(group: Any, classes: int) -> np.ndarray:
    numbers = np.atleast_1d(np.asarray(group))
    if not np.issubdtype(numbers.dtype, np.integer) or not numbers.size or not np.isin(numbers, range(classes)).all():
        raise ValueError(f"group must be class numbers from 0 to {classes - 1}; got {group!r}.")
    return np.isin(np.arange(classes), numbers).astype(float)


def _inverse(confusion: Data | None, classes: int) -> np.ndarray:
    """The inverse of the confusion matrix; the identity without one."""
    if confusion is None:
        return np.eye(classes)
    matrix = checks.finite("confusion", confusion).astype(float)
    if matrix.shape != (classes, classes) or not np.allclose(matrix.sum(1), 1, atol=1e-4) or (matrix < 0).any():
        raise ValueError(
            f"confusion must be ({classes}, {classes}) probabilities whose rows sum to one; got shape {matrix.shape} "
            f"and sums {matrix.sum(-1)}."
        )
    if np.linalg.cond(matrix) > 1e6:
        raise ValueError("confusion must be invertible: a classifier that cannot tell classes apart decides nothing.")
    return np.linalg.inv(matrix)


def _called(got: Any, n: int, classes: int) -> np.ndarray:
    called = np.asarray(got)
    if called.shape != (n,) or not np.issubdtype(called.dtype, np.integer) or called.max(initial=0) >= classes:
        raise ValueError(
            f"classify must return ({n},) class numbers below {classes}, negative where it cannot tell; got "
            f"{called.dtype} of shape {called.shape}."
        )
    return called
