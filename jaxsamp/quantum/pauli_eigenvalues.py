"""`pauli_eigenvalues`: what shots say about a channel."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, shown
from jaxsamp.quantum import pauli_recovery as recovery
from jaxsamp.quantum.pauli import transformed
from jaxsamp.quantum.pauli_decay import of_decays
from jaxsamp.quantum.pauli_intervals import Intervals, of_counts, of_signs, quantile
from jaxsamp.quantum.pauli_shots import KINDS, BellShots, DecayShots, StabilizerShots, shots_of
from jaxsamp.quantum.pauli_strings import anticommute, check_table, indices_of
from jaxsamp.quantum.stabilizer_groups import generators, members
from jaxsamp_kernels.pauli import fwht

_groupwise = jax.jit(fwht)


class PauliEstimate(NamedTuple):
    """What `pauli_eigenvalues` returns.

    Attributes:
        eigenvalues: `Intervals` of the eigenvalues.
        rates: `Intervals` of the error rates: of all strings, and with "product" of those that were found; None with
            "decay". Estimates may be below zero.
    """

    eigenvalues: Intervals
    rates: Intervals | None = None

    def __repr__(self) -> str:
        return shown.line(self)


def pauli_eigenvalues(
    data: Any,
    method: str | None = None,
    *,
    paulis: Iterable[str] | None = None,
    confidence: float = 0.95,
    simultaneous: bool = False,
) -> PauliEstimate:
    """Estimate the eigenvalues of a Pauli channel, and where the shots tell them its error rates, with intervals.

    | method | estimate of lambda_b | interval |
    |---|---|---|
    | "bell" | mean of (-1)^<a,b> over the errors a that were seen, by one Walsh-Hadamard transform | Wilson |
    | "stabilizer" | mean of (-1)^(c.s) over the syndromes s of the group whose element c is b | Wilson |
    | "decay" | fit of A lambda^m, which does not depend on errors of preparation and measurement | profile likelihood |
    | "product" | from the rates of all strings that are found by population recovery | normal, with what is missing |

    The intervals of "product" cover an eigenvalue at least as often as they say, because errors that were not found
    may have either sign. A decay that is lost after its first depth has the estimate NaN, and an interval all the same;
    so has every eigenvalue but that of the identity where "product" has found no string, as with few shots.

    Args:
        data: `BellShots`, `StabilizerShots`, `DecayShots` or `ProductShots`, recorded, or simulated by
            `jaxsamp.quantum.measure_channel`.
        method: "bell", "stabilizer", "decay" or "product"; by default that of the data, which it must be.
        paulis: labels of the strings whose eigenvalues are wanted; by default all, or those that "decay" has measured.
        confidence: of each interval, between 0 and 1.
        simultaneous: all intervals of eigenvalues hold together at this confidence, and so do those of rates, by the
            union bound.

    Returns:
        A `PauliEstimate`.

    Raises:
        TypeError: `data` are no shots.
        ValueError: `method` is not that of the data, arrays do not fit, a label is unknown or was not measured, or
            there are too many qubits for a table of all strings.

    Source: Chen, Oh, Zhou, Huang and Jiang, "Tight bounds on Pauli channel learning without entanglement", arXiv
    2309.13461 (what ancillas are worth); Flammia and O'Donnell, "Pauli error estimation via Population Recovery", arXiv
    2105.02885 (the probes); the product inverse, the pruning and the intervals are this library's.
    """
    data = shots_of("data", data)
    if checks.one_of("method", data.method if method is None else method, KINDS) != data.method:
        raise ValueError(f"method must be {data.method!r} for a {type(data).__name__}; got {method!r}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}.")
    n = data.qubits
    wanted = None if paulis is None else indices_of(paulis, n)

    def width(intervals: int) -> float:
        return quantile(confidence, max(intervals, 1) if simultaneous else 1)

    if isinstance(data, DecayShots):
        return PauliEstimate(_measured(of_decays(data, width(len(data.paulis))), wanted))
    if isinstance(data, BellShots):
        return _bell(data, wanted, width(4**n if wanted is None else len(wanted)), width(4**n))
    if isinstance(data, StabilizerShots):
        return _stabilizer(data, wanted, width(4**n if wanted is None else len(wanted)), width(4**n))
    if wanted is None:
        wanted = np.arange(4 ** check_table("data, without paulis,", n))
    found = recovery.recovered(data)
    rates = recovery.rates_of(found, width(len(found.indices)), n)
    return PauliEstimate(recovery.eigenvalues_of(found, wanted, width(len(wanted)), n), rates)


def _measured(found: Intervals, wanted: Any) -> Intervals:
    if wanted is None:
        return found
    places = {int(index): place for place, index in enumerate(found.indices)}
    if any(int(index) not in places for index in wanted):
        raise ValueError("paulis must be strings that were measured; got others.")
    return found.taken([places[int(index)] for index in wanted])


def _bell(data: BellShots, wanted: Any, z: float, z_rates: float) -> PauliEstimate:
    n, shots = check_table("data", data.qubits), len(data.errors)
    counts = np.bincount(data.errors, minlength=4**n)
    means = np.asarray(transformed(jnp.asarray(counts / shots)), float)
    indices = np.arange(4**n) if wanted is None else wanted
    return PauliEstimate(of_signs(indices, means[indices], shots, z, n), of_counts(counts, shots, z_rates, n))


def _stabilizer(data: StabilizerShots, wanted: Any, z: float, z_rates: float) -> PauliEstimate:
    n = data.qubits
    groups, shots = data.syndromes.shape
    cells = data.syndromes + 2**n * np.arange(groups)[:, None]
    shares = np.bincount(cells.ravel(), minlength=groups * 2**n).reshape(groups, -1) / shots
    means = np.zeros(4**n)
    means[members(n)] = _groupwise(jnp.asarray(shares))
    indices = np.arange(4**n) if wanted is None else wanted
    return PauliEstimate(of_signs(indices, means[indices], shots, z, n), _rates(shares, shots, z_rates, n))


def _rates(shares: np.ndarray, shots: int, z: float, n: int) -> Intervals:
    """Rates from the shares of syndromes: 4^-n sum_b lambda_b (-1)^<a,b>, group by group, which are independent."""
    rates, variance = np.full(4**n, 1.0), np.zeros(4**n)
    strings, places = np.arange(4**n), 1 << np.arange(n - 1, -1, -1)
    for share, group in zip(shares, generators(n), strict=True):
        seen = share[anticommute(strings[:, None], group, n) @ places]
        rates += 2**n * seen - 1
        variance += seen * (1 - seen) / shots
    rates, error = rates / 4**n, np.sqrt(variance) / 2**n
    half = np.hypot(z * error, z**2 * 2.0**-n / shots)  # not less than what an error that no shot has met may move
    return Intervals(strings, rates, error, np.maximum(rates - half, 0), np.minimum(rates + half, 1), n)
