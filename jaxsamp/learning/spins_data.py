"""Samples of spins as learners read them: checked once, then some rows at a time, wherever they are stored."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

ROWS = 2**16  # that are read at once when data are checked
SAME = 1e-9  # of 1 less a moment, below which all rows have the same value
CONDENSED = 16  # most spins of which each state is counted, where that leaves fewer rows


class SpinRows:
    """Rows of n spins, +1 or -1, with weights whose mean is 1.

    Nothing is copied but the rows that are read at a time, except for few spins: where there are fewer states than
    rows, the rows are counted.

    Args:
        x: (m, n), of -1 and +1 or of 0 and 1, an array of any kind; or an iterable of such arrays, such as a list, that
            can be read more than once.
        weights: (m,), at least 0; None for equal ones. Integers are counts of samples; of real numbers only the ratios
            matter.
        finite: what must be finite where a likelihood is largest: "fields", then no column may be constant; or
            "nothing", then one row is enough. For couplings there is `refuse_equal_columns`.

    Attributes:
        n, rows: numbers of spins and of rows.
        longest: most rows of one array.
        samples: the sum of the weights if they are counts, else the number of rows.
        mean: weighted mean, (n,); None if nothing must be finite.

    Raises:
        TypeError: x or weights are not numbers, or x can be read only once.
        ValueError: x is not of spins, or has fewer than two rows; a column is constant; weights do not fit x.
    """

    def __init__(self, x: Any, weights: Any = None, finite: str = "fields"):
        self._parts = _parts(x)
        self.rows, self.n, self.longest = 0, 0, 0
        zero_one = minus_one = False
        for part in _every(self._parts):
            if part.ndim != 2 or (self.n and part.shape[1] != self.n) or not part.shape[1]:
                raise ValueError(f"x must have shape (m, n), samples of n spins; got {part.shape}.")
            self.n = part.shape[1]
            for start in range(0, len(part), ROWS):
                piece = np.asarray(part[start : start + ROWS])
                _refuse_other_values(piece, self.rows + start)
                zero_one, minus_one = zero_one or bool((piece == 0).any()), minus_one or bool((piece == -1).any())
            self.rows, self.longest = self.rows + len(part), max(self.longest, len(part))
        if self.rows < (least := 1 if finite == "nothing" else 2):
            raise ValueError(f"x must have at least {least} row{'s' * (least > 1)}; got {self.rows}.")
        if zero_one and minus_one:
            raise ValueError("x must be of -1 and +1, or of 0 and 1; got -1, 0 and 1.")
        self._zero_one = zero_one
        if zero_one:
            warnings.warn("x is of 0 and 1, which are read as the spins 2 x - 1.", stacklevel=4)
        self._weights, self.samples = self._checked_weights(weights)
        self.mean: Any = None
        if finite != "nothing":
            self.mean = self._moments()[0]
            constant = np.flatnonzero(1 - np.abs(self.mean) < SAME)
            if constant.size:
                raise ValueError(f"x must vary in every column; {_listed(constant)} constant, without a finite field.")

    def chunks(
        self, size: int, order: np.ndarray | None = None, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Spins (size, n) as int8 and weights (size,), in turn; rows that fill a chunk have weight 0.

        Of the rows first, ..., last - 1, in an `order`, numbers of rows, if `x` is one array and there is one.
        """
        offset, last = 0, self.rows if last is None else last
        for part in _every(self._parts):
            stop = min(len(part), last - offset)
            for start in range(max(0, first - offset), stop, size):
                here = slice(start, min(start + size, stop))
                rows = here if order is None else order[here]
                count = here.stop - start
                found, weights = np.ones((size, self.n), np.int8), np.zeros(size)
                found[:count] = part[rows]
                if self._zero_one:
                    found[:count] = 2 * found[:count] - 1
                place = slice(offset + start, offset + here.stop) if order is None else rows
                weights[:count] = 1 if self._weights is None else self._weights[place]
                yield found, weights
            offset += len(part)
            if offset >= last:
                return

    def condensed(self) -> "SpinRows":
        """The same with each state once, if that leaves fewer rows; the order is lost."""
        if self.n > CONDENSED or 2**self.n >= self.rows:
            return self
        powers, counts = 2 ** np.arange(self.n), np.zeros(2**self.n)
        for x, w in self.chunks(min(ROWS, self.longest)):
            counts += np.bincount((x > 0) @ powers, w, len(counts))
        kept = np.flatnonzero(counts)
        return self._with_rows((2 * (kept[:, None] // powers % 2) - 1).astype(np.int8), counts[kept])

    def thinned(self, count: int) -> "SpinRows":
        """One row drawn from each of `count` stretches of equal weight, so that sorted rows are seen evenly."""
        places = (np.arange(count) + np.random.default_rng(0).random(count)) * (self.rows / count)
        if self._weights is not None:
            places = np.searchsorted(np.cumsum(self._weights), places, side="right")
        numbers, counts = np.unique(np.minimum(places.astype(int), self.rows - 1), return_counts=True)
        kept, first = [], 0
        for part in _every(self._parts):
            for start in range(0, len(part), ROWS):  # slices, which arrays of any kind have
                piece = np.asarray(part[start : start + ROWS])
                here = numbers[slice(*np.searchsorted(numbers, [first, first + len(piece)]))] - first
                kept.append(piece[here])
                first += len(piece)
        x = np.concatenate(kept).astype(np.int8)
        return self._with_rows(2 * x - 1 if self._zero_one else x, counts)

    def _with_rows(self, x: np.ndarray, weights: np.ndarray) -> "SpinRows":
        made = object.__new__(SpinRows)
        made._parts, made._zero_one, made.rows, made.longest = [x], False, len(x), len(x)
        made.n, made.samples, made.mean = self.n, self.samples, self.mean
        made._weights = weights * len(x) / weights.sum()
        return made

    def refuse_equal_columns(self) -> None:
        """Raise ValueError if two columns decide each other, because their coupling is not finite."""
        i, j = np.nonzero(np.triu(1 - np.abs(self._moments(with_pairs=True)[1]) < SAME, 1))
        if i.size:
            raise ValueError(
                "x must not have columns that are equal or opposite in every row, because their coupling is not finite "
                f"without a penalty; got columns {i[0]} and {j[0]}."
            )

    @property
    def is_one_array(self) -> bool:
        """Whether rows can be read in any order."""
        return isinstance(self._parts, list) and len(self._parts) == 1

    def _moments(self, with_pairs: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Weighted means of x_i, (n,), and of x_i x_j, (n, n), which are zero if they are not needed."""
        mean, pairs = np.zeros(self.n), np.zeros((self.n, self.n))
        # Sums of ones are exact in float32; those of other weights would not show that a column is constant.
        dtype = np.float32 if self._weights is None else float
        for x, w in self.chunks(min(ROWS, self.longest)):
            y, w = x.astype(dtype), w.astype(dtype)
            mean += w @ y
            if with_pairs:
                pairs += (w[:, None] * y).T @ y
        return mean / self.rows, pairs / self.rows

    def _checked_weights(self, weights: Any) -> tuple[np.ndarray | None, float]:
        if weights is None:
            return None, float(self.rows)
        found = np.asarray(weights)
        if found.dtype == bool or not np.issubdtype(found.dtype, np.number) or np.iscomplexobj(found):
            raise TypeError(f"weights must be real numbers; got dtype {found.dtype}.")
        if found.shape != (self.rows,):
            raise ValueError(f"weights must have shape (m,) = ({self.rows},), as the rows of x; got {found.shape}.")
        total = float(found.sum(dtype=float))
        if not (np.isfinite(found).all() and (found >= 0).all() and total > 0):
            raise ValueError(
                f"weights must be finite, at least 0 and not all zero; got {found.min()} to {found.max()}."
            )
        counted = np.issubdtype(found.dtype, np.integer)
        return found * (self.rows / total), total if counted else float(self.rows)


def _parts(x: Any) -> Any:
    """A list or iterable of arrays."""
    if isinstance(x, list | tuple) and len(x) and np.ndim(x[0]) == 2:
        return list(x)
    if hasattr(x, "shape") and hasattr(x, "__getitem__") and not hasattr(x, "iloc"):
        return [x]
    if hasattr(x, "__next__"):
        raise TypeError(f"x must be an array, or arrays that can be read more than once; got a {type(x).__name__}.")
    if isinstance(x, Iterable) and not isinstance(x, list | tuple | str | dict) and not hasattr(x, "__array__"):
        return x
    return [np.asarray(x)]


def _every(parts: Any) -> Iterator[Any]:
    for part in parts:
        yield part if hasattr(part, "shape") else np.asarray(part)


def _refuse_other_values(piece: np.ndarray, first: int) -> None:
    if not (np.issubdtype(piece.dtype, np.number) or piece.dtype == bool) or np.iscomplexobj(piece):
        raise TypeError(f"x must be numbers; got dtype {piece.dtype}.")
    other = ~((piece == 1) | (piece == 0) | (piece == -1))
    if other.any():
        row, column = (int(i) for i in np.argwhere(other)[0])
        raise ValueError(
            f"x must be of -1 and +1, or of 0 and 1; got {piece[row, column]} in row {first + row}, column {column}."
        )


def _listed(columns: np.ndarray) -> str:
    names = ", ".join(map(str, columns[:8])) + (", ..." if len(columns) > 8 else "")
    return f"column {names} is" if len(columns) == 1 else f"columns {names} are"


def rows_of(x: Any) -> np.ndarray:
    """All samples of x as one array of int8, -1 and +1, (m, n), where columns may be constant.

    Raises:
        TypeError, ValueError: as by `SpinRows`.
    """
    data = SpinRows(x, finite="nothing")
    return np.concatenate([part[weights > 0] for part, weights in data.chunks(min(ROWS, data.longest))])
