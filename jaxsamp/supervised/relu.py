"""Linear combinations of ReLUs of Gaussian inputs, from Hermite moments and local search."""

import warnings
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy.stats import chi2

from jaxsamp.core import checks, extras
from jaxsamp.supervised.relu_moments import ALARM, NUMBERS, Rows, Subspace, Summary, subspace, summary
from jaxsamp.supervised.relu_polish import STEPS, SURE, Lines, Polished, polished, simpler
from jaxsamp.supervised.relu_search import DICTIONARY, coefficients, search
from jaxsamp.supervised.relu_signs import signed

MOST = 10  # ReLUs, whose patterns of signs are tried
SEARCHED = 8000  # rows that the search in the subspace sees
HELD_OUT, MOST_HELD = 10, 100_000  # one row of so many judges the fit, and at most so many


@dataclass(frozen=True)
class ReLU:
    """Settings of `fit_relu`.

    Attributes:
        rank: number of directions that the second moment gives; "auto" for those above its noise.
        polish: whether least squares in all dimensions ends the fit, and simplifies it; if not, only directions of the
            subspace are found.
        starts: random starts in the subspace, beside the greedy one.
        contractions: random contractions of the fourth moment.
        multiscale: whether moments of what is left are searched again, as often as that finds more.
    """

    rank: int | str = "auto"
    polish: bool = True
    starts: int = 12
    contractions: int = 12
    multiscale: bool = False


@dataclass(frozen=True)
class ReLUFit:
    """f(x) = constant + sum_i coefficients_i relu(weights_i.x), as `fit_relu` has found it.

    Attributes:
        weights: of unit length, (m, d).
        coefficients: (m,).
        constant: 0 in a noiseless fit of a network without biases.
        linear: the linear part, sum_i coefficients_i weights_i / 2, (d,).
        subspace: the directions that the moments gave, (r, d), orthonormal.
        singular_values: those of the second moment of labels without their linear part, (d,), decreasing.
        noise_level: nu = 2 sd sqrt(d / n), the largest that noise would give.
        merged: by how many lines |w.x| the fit has fewer than k.
        test_r2: share of the variance that the fit explains on rows held out, the last tenth; nan if these are too few,
            or their labels all the same.
        identified: whether the rows decide for the sign of each weight; if not, the function is found, but the signs
            and the last two ReLUs, which carry the rest of the linear part, are one choice of many.
    """

    weights: np.ndarray
    coefficients: np.ndarray
    constant: float
    linear: np.ndarray
    subspace: np.ndarray
    singular_values: np.ndarray
    noise_level: float
    merged: int
    test_r2: float
    identified: bool

    def predict(self, x: Any) -> np.ndarray:
        """f for rows x (n, d), as (n,)."""
        return np.maximum(np.asarray(x, float) @ self.weights.T, 0) @ self.coefficients + self.constant

    def network(self) -> tuple[Any, Any]:
        """The same as a Flax module `models.relu.ReLUNet` and its parameters: `module.apply(params, x)`."""
        with extras.needed("ReLUFit.network"):
            from jaxsamp.models.relu import of_weights

        return of_weights(self.weights, self.coefficients, self.constant)


def fit_relu(key: Any, x: Any, y: Any, k: int, settings: ReLU | None = None) -> ReLUFit:
    """Learn f(x) = sum_i l_i relu(w_i.x), i = 1, ..., k, from rows of N(0, I) and labels with noise of any size.

    A moment E[f He_q(x)] is c_q sum_i l_i |w_i|^(1 - q) w_i^{(x) q}, with c_0 = c_2 = 1 / sqrt(2 pi), c_1 = 1/2 and
    c_4 = -1 / sqrt(2 pi). After the mean and the linear part are removed by regression, the directions with a second
    moment above its noise, and k from squares of random contractions of the fourth if these are fewer than k, span a
    subspace. In it, lines |u.x| are searched by variable projection from a greedy start and from random ones; then
    damped Gauss-Newton in all dimensions, and lines that the rows cannot tell apart become one. The signs of weights
    are then found in the linear part, if it has them.

    Rows are read some at a time, at most three times for the moments, and once for each of a few steps at the end, so
    that x and y can be memory maps: memory is that of some 1e7 numbers and of ((k + 1) d)^2. The theorems need
    d^poly(k) rows; what runs here is a good start and a local search, whose success they do not promise.

    Args:
        key: a typed key, for contractions and starts.
        x: rows, (n, d), from N(0, I), in random order: the last tenth is held out. A warning says by how many standard
            errors a statistic is off; rows of other Gaussians must be whitened.
        y: labels, (n,).
        k: largest number of ReLUs, 1 to 10; it was measured up to 4.
        settings: a `ReLU`.

    Raises:
        ValueError: shapes do not fit, entries are not finite, or a number is out of range.

    Source: Chen, Dou, Goel, Klivans and Meka, "Learning Narrow One-Hidden-Layer ReLU Networks", arXiv 2304.10524, and
        Chen and Narayanan, "A faster and simpler algorithm for learning shallow networks", arXiv 2307.12496, for
        contracted moments; this is a reconstruction from their ideas and not their algorithms.
    """
    settings = ReLU() if settings is None else settings
    train, held = _rows(x, y)
    k, d = checks.at_least("k", k, 1), train.x.shape[1]
    if k > MOST:
        raise ValueError(f"k must be at most {MOST}, because all patterns of signs are tried; got {k}.")
    _check(settings, k, d)
    keys = jax.random.split(checks.typed_key(key), 3)
    sizes = ((settings.contractions, d), (DICTIONARY, 2 * k), (settings.starts * k, 2 * k))
    draws = [np.asarray(jax.random.normal(one, size), float) for one, size in zip(keys, sizes, strict=True)]

    said = summary(train)
    _warn(said)
    scale = max(said.square - said.label**2, np.finfo(float).eps * said.square)
    slope, constant = said.linear()
    nothing = Lines(np.zeros((0, d)), np.zeros(0), slope, constant)
    rank = None if settings.rank == "auto" else int(settings.rank)
    unit = float(np.sqrt(scale)) or 1.0
    first, lines = _stage(train, nothing, k, rank, draws, unit)
    steps = STEPS if settings.polish else 0
    found = polished(train, lines, scale, steps)
    if settings.polish:
        found = simpler(train, found, scale)
    for _ in range(k if settings.multiscale else 0):
        if len(found.lines.v) == k:
            break
        more = _stage(train, found.lines, k - len(found.lines.v), None, draws, unit)[1]
        better = simpler(train, polished(train, more, scale), scale)
        if not _worth(better, found):
            break
        found = better
    made = signed(found, k)
    return ReLUFit(
        made.weights,
        made.coefficients,
        found.lines.constant,
        found.lines.linear,
        first.basis,
        first.values,
        first.noise,
        k - len(found.lines.v),
        _r2(held, found.lines),
        made.identified,
    )


def _stage(
    train: Rows, lines: Lines, k: int, rank: int | None, draws: list[np.ndarray], unit: float
) -> tuple[Subspace, Lines]:
    """The subspace of what the lines leave, and k lines more that were found in it; `unit` is a size of labels."""
    directions, dictionary, starts = draws
    # Squares of labels in other units leave the range of float32.
    made = subspace(train, lambda x, y: (y - lines(x)) / unit, k, rank, _unit(directions))
    made = made._replace(values=unit * made.values, noise=unit * made.noise)
    few, basis = train.first(SEARCHED), made.basis
    x, y = next(few.chunks(len(few)))
    z, rest, r = x @ basis.T, y - lines(x), len(basis)
    starts = _unit(starts[: len(starts) // k * k, :r]).reshape(-1, k, r)
    u = search(z, rest, k, starts, _unit(dictionary[:, :r]))
    constant, slope, a = np.split(coefficients(z, rest, u), [1, 1 + r])
    v, signs = np.abs(a)[:, None] * (u @ basis), np.where(a < 0, -1.0, 1.0)
    more = lines.beside(v, signs)
    return made, more._replace(linear=lines.linear + slope @ basis, constant=lines.constant + float(constant[0]))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _worth(better: Polished, found: Polished) -> bool:
    """Whether more lines explain more than chance."""
    more = len(better.lines.point) - len(found.lines.point)
    return more > 0 and bool(found.loss - better.loss > chi2.ppf(SURE, more) * better.variance)


def _r2(held: Rows, lines: Lines) -> float:
    """1 - (mean of squares that is left) / (variance of the labels)."""
    if len(held) < 2:
        return float("nan")
    sums, offset = np.zeros(3), next(held.first(1).chunks())[1][0]
    for x, y in held.chunks():
        moved = y - offset  # squares of labels far from 0 have no digits for their variance
        sums += np.sum((y - lines(x)) ** 2), moved.sum(), moved @ moved
    variance = sums[2] - sums[1] ** 2 / len(held)
    return float(1 - sums[0] / variance) if variance > 0 else float("nan")


def _rows(x: Any, y: Any) -> tuple[Rows, Rows]:
    """Rows to fit, and those that judge the fit."""
    x, y = (part if hasattr(part, "shape") else np.asarray(part) for part in (x, y))
    if len(x.shape) != 2 or x.shape[1] < 1:
        raise ValueError(f"x must be rows, (n, d); got shape {tuple(x.shape)}.")
    n, d = x.shape
    if tuple(y.shape) != (n,):
        raise ValueError(f"y must have shape ({n},), one label per row of x; got {tuple(y.shape)}.")
    if n < 2:
        raise ValueError(f"x must have at least 2 rows; got {n}.")
    end, size = n - min(n // HELD_OUT, MOST_HELD), max(NUMBERS // d, 1)
    return Rows(x, y, 0, end, size), Rows(x, y, end, n, size)


def _check(settings: ReLU, k: int, d: int) -> None:
    checks.at_least("starts", settings.starts, 0)
    checks.at_least("contractions", settings.contractions, 1)
    if settings.rank != "auto" and checks.at_least("rank", settings.rank, 0) > min(k, d):
        raise ValueError(f"rank must be 'auto' or from 0 to min(k, d) = {min(k, d)}; got {settings.rank}.")


def _warn(said: Summary) -> None:
    name, off = max(said.departures().items(), key=lambda one: one[1])
    if off > ALARM:
        warnings.warn(
            f"x must be standard normal for the moments to point to the weights: its {name} is {off:.3g} standard "
            "errors from that of N(0, I). Whiten rows of other Gaussians, and trust test_r2 alone for others.",
            stacklevel=3,
        )
