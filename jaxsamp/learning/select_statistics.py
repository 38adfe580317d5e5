"""The statistic by which `select` finds coordinates, and the controls of the model that it needs."""

import math
from itertools import combinations

import numpy as np
from scipy.stats import norm

CONTROLS = 1000  # most products of coordinates whose |z| is computed as a check
CALIBRATED = 5.0  # least limit of that |z|
FAR = 3.0  # |z| from which tails are computed
REACH, STEPS = 20.0, 20  # of the largest r t, beyond which tanh is 1; and of Newton's method
AT_ONCE = 64  # products at a time
SURE = 1 - 1e-12  # largest |mean| of a spin


def largest(
    spins: np.ndarray,
    means: np.ndarray,
    labels: np.ndarray,
    given: list[int],
    among: list[int],
    min_rows: int,
) -> tuple[int, float] | None:
    """The coordinate `among` some with the largest |z| in a cell of those `given`, and it; None without a cell.

    Tails are computed where they decide: of the largest |z|, until that which is the largest has been.
    """
    order = np.argsort(numbers := cells(spins, given), kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    parts = [(rows, _centered(labels[rows])) for rows in parts if len(rows) >= min_rows]
    if not parts:
        return None
    z = np.array([statistic(r, spins[rows][:, among], means[rows][:, among]) for rows, r in parts])
    known = np.zeros(z.shape, bool)
    while True:
        cell, place = np.unravel_index(z.argmax(), z.shape)
        if known[cell, place] or z[cell, place] <= FAR:
            return among[place], float(z[cell, place])
        rows, r = parts[cell]
        z[cell, place] = root(r, spins[rows, among[place]], means[rows, among[place]])
        known[cell, place] = True


def _centered(labels: np.ndarray) -> np.ndarray:
    """Labels less their mean; exactly 0 where they are all the same, since what rounding leaves would have a z too."""
    return labels - labels.mean() if np.ptp(labels) else np.zeros(len(labels))


def statistic(r: np.ndarray, x: np.ndarray, means: np.ndarray) -> np.ndarray:
    """|z| of each column of x (m, k) for centered labels r, (m,) or (m, L); (k,) or (L, k)."""
    variance = (r**2).T @ (1 - means**2)
    return np.abs(r.T @ (x - means)) / np.sqrt(np.where(variance > 0, variance, np.inf))


def root(r: np.ndarray, x: np.ndarray, means: np.ndarray) -> float:
    """sqrt(2 max_t (t s - K(t))) for s = sum r (x - mean), and its cumulants K if x, (m,), is +-1 with these means.

    K(t) = sum log cosh(t r + a) - log cosh(a) - t r mean, with tanh(a) = mean. K'(t) = s is solved by Newton's steps
    within the interval that is known to hold t; where they end early the result is smaller.
    """
    s = r @ (x - means)
    r = np.sign(s) * r
    a = np.arctanh(np.clip(means, -SURE, SURE))
    low, high, t = 0.0, REACH / np.abs(r).max(), 0.0
    for _ in range(STEPS):
        u = np.tanh(t * r + a)
        short = abs(s) - r @ (u - means)
        low, high = (t, high) if short > 0 else (low, t)
        t += short / max(r**2 @ (1 - u**2), 1e-300)
        if not low < t < high:
            t = (low + high) / 2
    both = t * r + a
    cumulants = np.sum(np.logaddexp(both, -both) - np.logaddexp(a, -a)) - t * (r @ means)
    return float(np.sqrt(2 * max(t * abs(s) - cumulants, 0.0)))


def controls(spins: np.ndarray, means: np.ndarray, labels: np.ndarray, order: int) -> tuple[float, float]:
    """The largest |z| of labels that cannot depend on a coordinate, and its limit.

    Shuffled labels show whether z is near normal, and nothing about the model, because the mean of a shuffled label is
    zero whatever e is. Products of other coordinates show whether the model fits them.
    """
    rng, n = np.random.default_rng(0), spins.shape[1]
    if math.comb(n, order) <= CONTROLS:
        chosen = np.array([*combinations(range(n), order)], int).reshape(-1, order)
    else:
        chosen = np.argsort(rng.random((CONTROLS, n)), 1)[:, :order]
    limit = max(CALIBRATED, float(norm.isf(1e-4 / (2 * n * (len(chosen) + 1)))))
    shuffled = rng.permutation(labels) - labels.mean()
    worst = float(statistic(shuffled, spins, means).max())
    for start in range(0, len(chosen), AT_ONCE):
        some = chosen[start : start + AT_ONCE]
        r = np.prod(spins[:, some], -1, dtype=float)
        r -= r.mean(0)
        z = statistic(r, spins, means)
        np.put_along_axis(z, some, 0, 1)
        for row, i in zip(*np.unravel_index(np.argsort(-z, None), z.shape), strict=True):
            if z[row, i] <= worst:
                break
            far = z[row, i] > limit
            worst = max(worst, root(r[:, row], spins[:, i], means[:, i]) if far else float(z[row, i]))
    return worst, limit


def cells(x: np.ndarray, given: list[int]) -> np.ndarray:
    """The number of each row's state at the given coordinates, (m,)."""
    return ((x[:, given] > 0) @ 2 ** np.arange(len(given))).astype(int)
