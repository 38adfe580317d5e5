"""How hard a Boolean function is for polynomials: exact degrees by linear programs, and their dual witnesses."""

from math import comb
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog

from jaxsamp.core import checks

FLOOR = 1e-8  # of half the range of f: errors below it are not known well
SOLVED = {name: 1e-10 for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance")}
TIE = 1e-9  # of half the range: errors that are equal to a bound count as within it: ties at 1/3 are real
MOST, MOST_GENERAL = 200, 12  # variables of a symmetric function, and of one given by all its values


class Witness(NamedTuple):
    """The dual of a best approximation.

    Attributes:
        weights: of the values' shape. Of a symmetric function the total weight of all x with |x| = k, evenly divided
            among them. Absolute values sum to 1.
        correlation: sum of weights times values, which no polynomial below that degree approximates better than.
    """

    weights: np.ndarray
    correlation: float


def best_error(values: Any, degree: int) -> float:
    """min over polynomials p of at most that degree of max_x |p(x) - f(x)|, by a linear program.

    It is known to about 1e-9 of half the range of f: smaller errors may be returned as 0.

    Args:
        values: of f: at |x| = 0 ... n for a symmetric function on {0, 1}^n, (n + 1,), n <= 200; or at all x,
            (2,) * n, n <= 12.
        degree: at least 0.

    Raises:
        ValueError: values have another shape or are not finite, n is too large, or degree is negative.
    """
    flat, rows = _given(values, degree)
    flat, half = _in_units(flat)
    ones = np.ones((len(rows), 1))
    # Variables: the coefficients, and the error.
    above = np.block([[rows, -ones], [-rows, -ones]])
    cost = np.append(np.zeros(rows.shape[1]), 1.0)
    found = _solved(cost, A_ub=above, b_ub=np.concatenate([flat, -flat]), bounds=[(None, None)] * len(cost))
    return max(float(found.fun), 0.0) * half


def approximate_degree(values: Any, error: float = 1 / 3) -> int:
    """The least degree of a polynomial with |p(x) - f(x)| <= error at all x; `values` as for `best_error`.

    The error must be at least 1e-8 of half the range of f: smaller ones are not known well.

    Source: Nisan and Szegedy, "On the degree of Boolean functions as real polynomials", Comput. Complexity 4 (1994).

    Raises:
        ValueError: as `best_error`, error is not positive, or it is below 1e-8 of half the range of f.
    """
    if not 0 < error < np.inf:
        raise ValueError(f"error must be a positive number; got {error}.")
    values = _checked(values)
    if error < FLOOR * (half := np.ptp(values) / 2):
        raise ValueError(
            f"error must be at least {FLOOR:g} of half the range of f, {half:g}: smaller ones are not known well; "
            f"got {error}."
        )
    n = values.ndim if values.ndim > 1 else len(values) - 1
    low, high = -1, n  # a polynomial of degree n is exact
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if best_error(values, middle) <= error + TIE * half else (middle, high)
    return high


def threshold_degree(signs: Any) -> int:
    """The least degree of a polynomial whose sign is that of f at all x.

    Of a symmetric function it is the number of sign changes of f(0) ... f(n); otherwise linear programs look for p with
    f(x) p(x) >= 1.

    Args:
        signs: -1 and +1, of a shape as the values of `best_error`.

    Source: Minsky and Papert, "Perceptrons" (1969), for symmetric functions.

    Raises:
        ValueError: as `best_error`, or an entry is neither -1 nor +1.
    """
    signs = _checked(signs)
    if not np.isin(signs, (-1, 1)).all():
        raise ValueError("signs must be -1 or +1; got other values.")
    if signs.ndim == 1:
        return int(np.sum(signs[1:] != signs[:-1]))
    low, high = -1, signs.ndim
    while high - low > 1:
        middle = (low + high) // 2
        flat, rows = _given(signs, middle)
        free = [(None, None)] * rows.shape[1]
        cost = np.zeros(rows.shape[1])
        tried = linprog(cost, A_ub=-flat[:, None] * rows, b_ub=-np.ones(len(rows)), bounds=free, method="highs")
        low, high = (low, middle) if tried.status == 0 else (middle, high)
    return high


def dual_witness(values: Any, degree: int) -> Witness:
    """Weights of total size 1, orthogonal to all polynomials of less than that degree, with the largest correlation.

    By duality of linear programs the correlation with f is `best_error(values, degree - 1)`; where that is 0, because f
    is such a polynomial, there is nothing to witness, and the weights may all be 0. Examples drawn from
    |weights| with their signs as labels show f to no query of less than that degree, see `csq_norm`.

    Args:
        values: as for `best_error`.
        degree: at least 1.

    Raises:
        ValueError: as `best_error`.
    """
    checks.at_least("degree", degree, 1)
    flat, rows = _given(values, degree - 1)
    flat, half = _in_units(flat)
    cost = np.concatenate([-flat, flat])  # weights = plus - minus
    equal = np.vstack([np.hstack([rows.T, -rows.T]), np.ones(2 * len(flat))])
    found = _solved(cost, A_eq=equal, b_eq=np.append(np.zeros(rows.shape[1]), 1.0), bounds=(0, None))
    weights = found.x[: len(flat)] - found.x[len(flat) :]
    return Witness(weights.reshape(np.shape(values)), half * float(flat @ weights))


def csq_norm(weights: Any, n: int) -> np.ndarray:
    """How much parities of k coordinates correlate with a symmetric witness on hidden coordinates, for each k.

    A symmetric function of m coordinates with these weights is placed on m random ones of n. A parity of k of the n
    correlates with it only if all k are among the m, which has probability C(m, k) / C(n, k), and then by the Fourier
    coefficient of the weights, so that the root mean square over places is

        |w^(k)| sqrt(C(m, k) / C(n, k)),    w^(k) = sum_j w_j K_k(j) / C(m, k),

    with Krawtchouk's polynomials K. It is 0 for k below the degree of the witness and O(n^(-k / 2)) from there on: a
    learner that sees correlations alone, with tolerance above that, learns nothing from such queries.

    Args:
        weights: of `dual_witness` of a symmetric function, (m + 1,).
        n: number of coordinates, at least m.

    Returns:
        The root mean squares, (m + 1,).

    Raises:
        ValueError: weights are not (m + 1,), or n is below m.

    Source: Gollakota, Karmalkar and Klivans, "The Polynomial Method is Universal for Distribution-Free Correlational SQ
    Learning", arXiv 2010.11925, for the use of dual witnesses; the formula is derived here.
    """
    weights = np.asarray(weights, float)
    if weights.ndim != 1 or len(weights) < 2:
        raise ValueError(f"weights must be those of a symmetric function, (m + 1,); got shape {weights.shape}.")
    m = len(weights) - 1
    checks.at_least("n", n, m)
    out = []
    for k in range(m + 1):
        krawtchouk = [sum((-1) ** i * comb(j, i) * comb(m - j, k - i) for i in range(k + 1)) for j in range(m + 1)]
        shares = np.array([value / comb(m, k) for value in krawtchouk])
        out.append(abs(float(weights @ shares)) * (comb(m, k) / comb(n, k)) ** 0.5)
    return np.array(out)


def _checked(values: Any) -> np.ndarray:
    values = checks.finite("values", np.asarray(values, float))
    if values.ndim == 1 and 2 <= len(values) <= MOST + 1:
        return values
    if values.ndim > 1 and set(values.shape) == {2}:
        if values.ndim > MOST_GENERAL:
            raise ValueError(f"values must be of at most {MOST_GENERAL} variables; got {values.ndim}.")
        return values
    raise ValueError(
        f"values must have shape (n + 1,) for a symmetric function, n from 1 to {MOST}, or (2,) * n for any other; got "
        f"{values.shape}."
    )


def _given(values: Any, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """The values in a row, and a basis of the polynomials of at most that degree at the same places."""
    values = _checked(values)
    checks.at_least("degree", degree, 0)
    if values.ndim == 1:  # of |x| alone
        return values, _orthonormal(len(values) - 1, min(degree, len(values) - 1))
    cube = np.stack(np.meshgrid(*[[1, -1]] * values.ndim, indexing="ij"), -1).reshape(-1, values.ndim)
    sets = [s for s in range(2**values.ndim) if s.bit_count() <= degree]
    members = np.array([[s >> i & 1 for i in range(values.ndim)] for s in sets], bool)
    return values.reshape(-1), np.stack([cube[:, one].prod(1) for one in members], 1).astype(float)


def _orthonormal(n: int, degree: int) -> np.ndarray:
    """Polynomials at 0, ..., n that are orthonormal there, by Arnoldi's steps: others are dependent in float64."""
    at, made = 2 * np.arange(n + 1) / n - 1, np.full((n + 1, 1), (n + 1) ** -0.5)
    for _ in range(degree):
        new = at * made[:, -1]
        for _ in range(2):
            new = new - made @ (made.T @ new)
        made = np.column_stack([made, new / np.linalg.norm(new)])
    return made


def _in_units(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Values from -1 to 1, because tolerances of linear programs are absolute, and half of their range."""
    half = float(np.ptp(values)) / 2
    return (values - (values.min() + half)) / (half or 1.0), half


def _solved(cost: np.ndarray, **rest: Any) -> Any:
    found = linprog(cost, method="highs", options=SOLVED, **rest)
    if found.status != 0:
        raise RuntimeError(f"the linear program was not solved: {found.message}")
    return found
