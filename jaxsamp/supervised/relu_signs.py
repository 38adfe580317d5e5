"""From lines to ReLUs: the sign of each weight is in the linear part alone."""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from jaxsamp.supervised.relu_polish import Polished

CHANCE = 0.0027  # of the chi-squared law, that of 3 standard errors
CLOSEST = 8  # patterns of signs that are tested


class Signed(NamedTuple):
    """sum_i coefficients_i relu(weights_i.x), with unit weights (m, d), and whether their signs are known."""

    weights: np.ndarray
    coefficients: np.ndarray
    identified: bool


def signed(found: Polished, k: int) -> Signed:
    """ReLUs that add up to the lines and the linear part b.

    Because relu(u) = u / 2 + |u| / 2, a line a |u.x| is 2 a relu(s u.x) less a s u.x with s = 1 or -1, or, with s = 0,
    two opposite ones, a relu(u.x) + a relu(-u.x). If b = sum_i s_i a_i u_i within chance (99.73 % of the chi-squared
    law, with the covariance of all parameters) for one pattern of at most k ReLUs, and for no other, signs are
    identified. If not, each line has s = 1, and two ReLUs r.x = relu(r.x) - relu(-r.x) carry what is left of b.
    """
    lines, (m, d) = found.lines, found.lines.v.shape
    length = np.linalg.norm(lines.v, axis=1)
    unit, scaled = lines.v / np.maximum(length, 1e-300)[:, None], lines.signs[:, None] * lines.v
    patterns = np.array([s for s in product((1, -1, 0), repeat=m) if m + s.count(0) <= k], float)
    rest = lines.linear - patterns @ scaled
    closest = np.argsort(np.linalg.norm(rest, axis=1))[:CLOSEST]
    fits = [c for c in closest if _statistic(found, patterns[c], rest[c]) < chi2.isf(CHANCE, d)]
    if len(fits) == 1:
        s = patterns[fits[0]]
        single, double = s != 0, s == 0
        weights = [s[single, None] * unit[single], unit[double], -unit[double]]
        a = lines.signs * length
        return Signed(np.concatenate(weights), np.concatenate([2 * a[single], a[double], a[double]]), True)
    left = lines.linear - scaled.sum(0)
    size = np.linalg.norm(left)
    extra = np.stack([left, -left]) / size if size > 0 else np.zeros((0, d))
    a = np.concatenate([2 * lines.signs * length, [size, -size][: len(extra)]])
    return Signed(np.concatenate([unit, extra]), a, False)


def _statistic(found: Polished, s: np.ndarray, rest: np.ndarray) -> float:
    """rest^T (its covariance)^-1 rest."""
    m, d = found.lines.v.shape
    turn = np.concatenate([*(-s[i] * found.lines.signs[i] * np.eye(d) for i in range(m)), np.eye(d)], 1)
    covariance = turn @ found.covariance[:-1, :-1] @ turn.T
    return float(rest @ np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ rest)
