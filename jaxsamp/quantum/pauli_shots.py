"""What experiments on a Pauli channel return: recorded, or simulated by `jaxsamp.quantum.measure_channel`."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsamp.core import checks, disk


class BellShots(NamedTuple):
    """Bell measurements after a channel on one half of n Bell pairs: n ancillas, and each outcome is an error itself.

    Attributes:
        errors: indices of the errors, (shots,); see `js.quantum.indices_of`.
        qubits: n.
    """

    errors: Any
    qubits: int

    method = "bell"

    @property
    def uses(self) -> int:
        """How often the channel was used."""
        return len(self.errors)


class StabilizerShots(NamedTuple):
    """Syndromes, without ancillas: an eigenstate of a group goes through the channel and is measured in its basis.

    Attributes:
        syndromes: of the groups of `js.quantum.stabilizer_groups(n)`, (2^n + 1, shots): bit n - 1 - j is set where the
            error anticommutes with generator j of the group.
        qubits: n, at most 6.
    """

    syndromes: Any
    qubits: int

    method = "stabilizer"

    @property
    def uses(self) -> int:
        """How often the channel was used."""
        return int(np.size(self.syndromes))


class DecayShots(NamedTuple):
    """Signals after many uses: an eigenstate of a string, the channel m times, and a measurement of the string.

    The signal is A lambda^m, where A is what preparation and measurement leave of it.

    Attributes:
        paulis: indices of the strings, (k,).
        depths: numbers of uses m, (d,), increasing.
        positives: how often the outcome was +1, (k, d).
        shots: measurements of each string at each depth.
        qubits: n.
    """

    paulis: Any
    depths: Any
    positives: Any
    shots: int
    qubits: int

    method = "decay"

    @property
    def uses(self) -> int:
        """How often the channel was used."""
        return int(np.sum(self.depths)) * len(self.paulis) * self.shots


class ProductShots(NamedTuple):
    """Random product probes, without ancillas: an eigenstate of a random X, Y or Z on each qubit, measured as prepared.

    Attributes:
        axes: 1, 2 or 3 for X, Y or Z of each qubit, (shots, n).
        flips: whether the outcome differs from what was prepared, (shots, n).
    """

    axes: Any
    flips: Any

    method = "product"

    @property
    def qubits(self) -> int:
        """n."""
        return int(np.shape(self.axes)[1])

    @property
    def uses(self) -> int:
        """How often the channel was used."""
        return len(self.axes)


MOST_USES = 2**53  # up to which whole numbers are exact as floats
KINDS = {kind.method: kind for kind in (BellShots, StabilizerShots, DecayShots, ProductShots)}


def save_shots(data: Any, path: str | Path) -> None:
    """Write shots as a plain .npz file of their arrays and their method."""
    arrays: dict[str, Any] = {"method": shots_of("data", data).method}
    arrays |= {name: np.asarray(value) for name, value in data._asdict().items()}
    with disk.writing(path), open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def load_shots(path: str | Path) -> Any:
    """Shots that `save_shots` has written, or that were recorded: an .npz file of the same arrays.

    Raises:
        ValueError: it is no such file, or its arrays are not those of its method.
    """
    what = "an .npz file with a method and its arrays"
    try:
        arrays: dict[str, Any] = {**disk.arrays(Path(path), what)}
    except FileNotFoundError:
        raise ValueError(f"data must be a file that exists; there is no {path}.") from None
    except ValueError as error:
        raise ValueError(checks.renamed(error, "data", "path")) from None
    except OSError as error:
        raise ValueError(f"data must be {what}; {path}: {error}.") from None
    try:
        kind = KINDS[str(arrays.pop("method"))]
        data = kind(**{name: value if value.ndim else int(value) for name, value in arrays.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"data must be {what}; {path}: {error}.") from None
    return shots_of("data", data)


def shots_of(argument: str, got: Any) -> Any:
    """Return shots whose arrays fit each other, as NumPy and int64, else raise."""
    if not isinstance(got, tuple(KINDS.values())):
        names = ", ".join(kind.__name__ for kind in KINDS.values())
        raise TypeError(f"{argument} must be one of {names}; got a {type(got).__name__}.")
    if isinstance(got, ProductShots):
        axes, flips = np.asarray(got.axes), np.asarray(got.flips)
        if axes.ndim != 2 or not axes.size or axes.shape != flips.shape:
            raise ValueError(f"axes and flips must have one shape (shots, n); got {axes.shape} and {flips.shape}.")
        flips = flips.astype(np.int64) if flips.dtype == bool else flips
        return ProductShots(_within("axes", axes, 1, 3), _within("flips", flips, 0, 1))
    n = checks.at_least("qubits", got.qubits, 1)
    if isinstance(got, BellShots):
        errors = np.asarray(got.errors).reshape(-1)
        return BellShots(_within("errors", errors, 0, 4**n - 1), n)
    if isinstance(got, StabilizerShots):
        syndromes = np.asarray(got.syndromes)
        if syndromes.ndim != 2 or len(syndromes) != 2**n + 1:
            raise ValueError(f"syndromes must have shape (2^n + 1 = {2**n + 1}, shots); got {syndromes.shape}.")
        return StabilizerShots(_within("syndromes", syndromes, 0, 2**n - 1), n)
    paulis, depths, positives = (np.asarray(each) for each in (got.paulis, got.depths, got.positives))
    shots = checks.at_least("shots", got.shots, 1)
    if positives.shape != (*paulis.shape, *depths.shape) or positives.ndim != 2:
        raise ValueError(f"positives must have shape {(*paulis.shape, *depths.shape)}; got {positives.shape}.")
    paulis, depths = _within("paulis", paulis, 0, 4**n - 1), check_depths(depths)
    return DecayShots(paulis, depths, _within("positives", positives, 0, shots), shots, n)


def check_depths(depths: Any) -> np.ndarray:
    """Return depths as integers if an exponential decay and its sign can be read off, else raise ValueError."""
    got = np.asarray(depths)
    numbers = got.astype(float) if got.dtype.kind in "iuf" else np.full(got.shape, np.nan)
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) <= MOST_USES)
    depths = np.where(whole, numbers, 0).astype(np.int64)
    odd = depths.ndim == 1 and len(depths) >= 2 and depths[0] >= 1 and depths[0] % 2 == 1
    if not odd or not whole.all() or (np.diff(depths) <= 0).any():
        raise ValueError(
            "depths must be two or more increasing whole numbers of uses, the first of them odd, which shows the sign; "
            f"got {got.tolist()}."
        )
    return depths


def _within(name: str, values: np.ndarray, low: int, high: int) -> np.ndarray:
    if not values.size or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name} must be whole numbers, at least one; got {values.size} of dtype {values.dtype}.")
    if values.min() < low or values.max() > high:
        bad = values.min() if values.min() < low else values.max()
        raise ValueError(f"{name} must be from {low} to {high}; got {bad}.")
    return values.astype(np.int64)  # what fits into fewer bits may not when it is doubled or shifted
