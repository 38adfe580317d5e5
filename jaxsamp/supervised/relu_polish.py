"""Sums of absolute values of projections in all dimensions: fitted to all rows, and simpler where rows allow it."""

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from jaxsamp.supervised.relu_moments import Rows
from jaxsamp.supervised.relu_search import Normal, levenberg_marquardt

FEW, FEW_STEPS, STEPS = 20, 40, 4  # rows per parameter that most steps see; steps on these, and on all rows
EXACT = 1e-12  # variance of what is left, in units of that of the labels, that is taken for rounding
SURE = 0.999  # of the chi-squared law: a loss that grows by more is not from chance
WIDEST = 0.5  # largest angle of two lines that may become one


class Lines(NamedTuple):
    """f(x) = constant + linear.x + sum_i signs_i |v_i.x|, with v (k, d)."""

    v: np.ndarray
    signs: np.ndarray
    linear: np.ndarray
    constant: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """f for rows (n, d)."""
        return np.abs(x @ self.v.T) @ self.signs + x @ self.linear + self.constant

    @property
    def point(self) -> np.ndarray:
        """v, linear and constant as one array."""
        return np.concatenate([self.v.reshape(-1), self.linear, [self.constant]])

    def at(self, point: np.ndarray) -> "Lines":
        """These signs with the parameters of one array."""
        k, d = self.v.shape
        return Lines(point[: k * d].reshape(k, d), self.signs, point[k * d : -1], float(point[-1]))

    def without(self, *dropped: int) -> "Lines":
        """All but some lines."""
        kept = [i for i in range(len(self.v)) if i not in dropped]
        return self._replace(v=self.v[kept], signs=self.signs[kept])

    def beside(self, v: np.ndarray, signs: np.ndarray) -> "Lines":
        """With more lines."""
        return self._replace(v=np.concatenate([self.v, v]), signs=np.concatenate([self.signs, signs]))


class Polished(NamedTuple):
    """Lines after least squares, the sum of squares that is left, and the covariance of their parameters.

    `exact` says whether what is left is rounding.
    """

    lines: Lines
    loss: float
    variance: float
    covariance: np.ndarray
    exact: bool = False


def polished(rows: Rows, lines: Lines, scale: float, steps: int = STEPS) -> Polished:
    """Gauss-Newton (damped) on all parameters: most steps see 20 rows per parameter, the last few all of them.

    The signs are kept, and v has the size of the coefficients in it, so that no parameter is there twice. `scale` is
    the variance of the labels. With `steps` = 0 the lines stay as they are.
    """
    point, few = lines.point, rows.first(max(FEW * len(lines.point), 4000))
    if steps:
        point, _ = levenberg_marquardt(lambda p: normal(few, lines.at(p)), point, FEW_STEPS)
    point, (loss, _, gram) = levenberg_marquardt(
        lambda p: normal(rows, lines.at(p)), point, steps if len(few) < len(rows) else 0, tolerance=1e-9
    )
    variance = max(loss * len(rows) / max(len(rows) - len(point), 1), EXACT * scale)
    covariance = variance / len(rows) * np.linalg.pinv(gram, rcond=1e-12, hermitian=True)
    return Polished(lines.at(point), loss * len(rows), variance, covariance, bool(variance <= EXACT * scale))


def normal(rows: Rows, lines: Lines) -> Normal:
    """The mean of squares of f(x) - y, half of its gradient, and J^T J, in one pass."""
    k, d = lines.v.shape
    size = (k + 1) * d + 1
    loss, back, gram = 0.0, np.zeros(size), np.zeros((size, size))
    for x, y in rows.chunks(max(rows.size // (k + 1), 1)):
        jacobian = np.ones((len(x), size))
        sides = np.sign(x @ lines.v.T) * lines.signs
        for i in range(k):
            np.multiply(sides[:, i, None], x, out=jacobian[:, i * d : (i + 1) * d])
        jacobian[:, k * d : -1] = x
        rest = lines(x) - y
        loss, back, gram = loss + rest @ rest, back + rest @ jacobian, gram + jacobian.T @ jacobian
    return float(loss) / len(rows), back / len(rows), gram / len(rows)


def simpler(rows: Rows, found: Polished, scale: float) -> Polished:
    """With fewer lines, as long as the sum of squares does not grow by more than chance would let it.

    Tried are lines whose length is below 3 standard errors, which are dropped, and pairs whose angle is below 3
    standard errors, which become one line with both of their coefficients. Lines that fit to rounding may
    differ where there are no rows: of these all pairs within half a radian are tried.
    """
    trying = True
    while trying:
        trying = False
        for fewer in _candidates(found):
            tried = polished(rows, fewer, scale)
            limit = chi2.ppf(SURE, len(found.lines.point) - len(tried.lines.point))
            if tried.loss - found.loss <= limit * found.variance:
                found, trying = tried, True
                break
    return found


def _candidates(found: Polished) -> list[Lines]:
    """Lines with one less."""
    lines, (k, d) = found.lines, found.lines.v.shape
    length = np.linalg.norm(lines.v, axis=1)
    unit = lines.v / np.maximum(length, 1e-300)[:, None]
    blocks = [found.covariance[i * d : (i + 1) * d, i * d : (i + 1) * d] for i in range(k)]
    made = [lines.without(i) for i in range(k) if length[i] <= 3 * np.sqrt(unit[i] @ blocks[i] @ unit[i])]
    turned = np.array([np.trace(block) for block in blocks]) / np.maximum(length**2, 1e-300)  # variance of angles
    for i in range(k):
        for j in range(i):
            cosine = unit[i] @ unit[j]
            limit = WIDEST if found.exact else min(3 * np.sqrt(turned[i] + turned[j]) + 1e-6, WIDEST)
            if abs(cosine) > 1 - limit**2 / 2:
                both = lines.signs[i] * lines.v[i] + np.sign(cosine) * lines.signs[j] * lines.v[j]
                sign = np.sign(both @ unit[i]) or 1.0
                made.append(lines.without(i, j).beside(both[None], np.array([sign])))
    return made
