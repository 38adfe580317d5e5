"""What measurements of several copies have returned: in memory, in files, and whether it can be right."""

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, disk, shown
from jaxsamp.core.types import PyTree
from jaxsamp.quantum.states import complex_dtype

PROTOCOLS = ("keyl", "purified", "single")
TOLERANCE = 1e-3  # of unitary frames: above the rounding of float32 after hundreds of rotations
_STATS = "stats_"  # before the names of stats in a file


class Outcomes(NamedTuple):
    """Outcomes of n measurements, each of t copies of a state of dimension d.

    Attributes:
        partition: the Young diagram of each, (n, d) of int32, decreasing, with sum t; of `Purified` always (t, 0, ...),
            because copies of a pure state are symmetric.
        frame: (n, d, d), complex. The columns of a unitary matrix U; of `Single` the first is what was measured. Of
            `Purified` the amplitudes of a unit vector of C^d x C^d, whose first factor is the row.
        stats: arrays of shape (n,). Of `Keyl` with d > 2: `acceptance`, the share of moves of the chain that were made,
            which is 1 unless numbers were not finite, and `split_half`, tr(rho D) for the debiased estimate D at the
            end of the chain less that after half of it: its mean is 0, up to its standard error, if half of the sweeps
            are enough.
        protocol: "keyl", "purified" or "single".
    """

    partition: Any
    frame: Any
    stats: PyTree = {}  # noqa: RUF012  (never written)
    protocol: str = "keyl"

    def __repr__(self) -> str:
        return shown.line(self)

    @property
    def copies(self) -> int:
        """t, the number of copies that each measurement has used."""
        return int(np.asarray(self.partition[0]).sum())

    def save(self, path: str | Path) -> Path:
        """Write to an .npz file, which `Outcomes.load` and NumPy read; returns the path.

        Raises:
            OSError: the file cannot be written.
        """
        path = disk.with_ending(path, ".npz")
        stats: dict[str, Any] = {_STATS + name: np.asarray(value) for name, value in self.stats.items()}
        with disk.writing(path):
            np.savez(
                path,
                partition=np.asarray(self.partition),
                frame=np.asarray(self.frame),
                protocol=self.protocol,
                **stats,
            )
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Outcomes":
        """Read what `save` has written, or any .npz file with arrays `partition` and `frame`.

        Raises:
            ValueError: it is not such a file, or its arrays do not fit each other.
            OSError: there is no such file.
        """
        path = disk.with_ending(path, ".npz")
        held = disk.arrays(path, "an .npz file of outcomes")
        missing = {"partition", "frame"} - {*held}
        if missing:
            raise ValueError(f"path must be an .npz file of outcomes; {path} has no array {sorted(missing)[0]!r}.")
        stats = {name.removeprefix(_STATS): jnp.asarray(a) for name, a in held.items() if name.startswith(_STATS)}
        return check_outcomes(cls(held["partition"], held["frame"], stats, str(held.get("protocol", "keyl"))))


def check_outcomes(out: Any) -> Outcomes:
    """The outcomes as arrays of JAX, if their parts fit each other, else raise an error of one sentence."""
    if not isinstance(out, Outcomes):
        raise TypeError(
            f"out must be jaxsamp.quantum.Outcomes, from measure(...) or Outcomes.load(path); got a "
            f"{type(out).__name__}."
        )
    checks.one_of("protocol", out.protocol, PROTOCOLS)
    partition, frame = np.asarray(out.partition), np.asarray(out.frame)
    if partition.ndim != 2 or not partition.size:
        raise ValueError(f"partition must have shape (n, d); got {partition.shape}.")
    n, d = partition.shape
    if frame.shape != (n, d, d):
        raise ValueError(
            f"frame must have shape (n, d, d) = {(n, d, d)}, as partition has {(n, d)}; got {frame.shape}."
        )
    _check_partition(partition)
    checks.finite("frame", frame)
    if out.protocol == "purified":
        squared = np.sum(np.abs(frame) ** 2, axis=(1, 2))
        apart, what = np.abs(squared - 1), "unit vectors"
        if partition[:, 1:].any():
            raise ValueError("partition must be (t, 0, ...) for the protocol 'purified'; got more rows.")
    else:
        gram = np.einsum("nki,nkj->nij", frame.conj(), frame)
        apart, what = np.abs(gram - np.eye(d)).max((1, 2)), "unitary matrices"
    if apart.max() > TOLERANCE:
        row = int(np.argmax(apart))
        raise ValueError(
            f"frame must hold {what} for the protocol {out.protocol!r}; number {row} is {apart[row]:.3g} from one."
        )
    if out.protocol == "single" and partition[0].sum() != 1:
        raise ValueError(f"partition must have sum 1 for the protocol 'single'; got {partition[0].sum()}.")
    return out._replace(partition=jnp.asarray(partition, jnp.int32), frame=jnp.asarray(frame, complex_dtype()))


def _check_partition(partition: np.ndarray) -> None:
    if not np.issubdtype(partition.dtype, np.integer):
        raise TypeError(f"partition must be integers; got dtype {partition.dtype}.")
    partition = partition.astype(np.int64)  # differences of unsigned numbers are never below zero
    bad = (partition < 0).any(1) | (np.diff(partition, axis=1) > 0).any(1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"partition must have rows of counts that decrease; got {partition[row].tolist()} in row {row}."
        )
    copies = partition.sum(1)
    if copies[0] < 1 or (copies != copies[0]).any():
        raise ValueError(
            f"partition must have rows with one and the same sum, the number of copies, at least 1; got sums from "
            f"{copies.min()} to {copies.max()}."
        )
