"""Copies against error: how well a state is known from one number of copies, measured few or many at a time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import quantum
from jaxsamp.core import checks, disk
from jaxsamp.core.types import Array, Data
from jaxsamp.quantum.shapes import MOST
from jaxsamp.quantum.states import check_state

ESTIMATORS: Mapping[str, tuple[Callable[[int], Any], str]] = {  # protocol for t copies, method
    "debiased": (quantum.Keyl, "debiased"),
    "keyl": (quantum.Keyl, "keyl"),
    "purified": (quantum.Purified, "debiased"),
    "single": (lambda t: quantum.Single(), "debiased"),
}
STATES = ("random", "mixed", "pure")


class CopyCurves(NamedTuple):
    """What `copies_against_error` has found.

    Attributes:
        rows: plain values, one row per estimator and number t of copies per measurement: "estimator", "t",
            "measurements", "squared_error", t times the mean squared Frobenius distance of the estimate from one
            measurement, "squared_error_se", its standard error, "exact", what it is by a formula, or None,
            "distance", the Frobenius distance of the mean of all estimates, "noise", what that is on average without
            bias, "trace_distance", and what the chains say, "acceptance" and "split_half" with "split_half_se".
        estimates: per estimator and t, such as "debiased_16", the `StateEstimate` without its batches.
    """

    rows: list[dict[str, Any]]
    estimates: dict[str, quantum.StateEstimate]


def quantum_state(key: Array, state: str = "random", dim: int = 4) -> Array:
    """A density matrix: "random" of the Hilbert-Schmidt law, "mixed", "pure", or one from an .npy file.

    Raises:
        ValueError: there is no such name and no such file, or the file does not hold a state.
    """
    if state in STATES:
        checks.at_least("dim", dim, 2)
        if state == "mixed":
            return jnp.eye(dim, dtype=jnp.result_type(complex)) / dim
        return quantum.random_state(key, dim, np.eye(dim)[0] if state == "pure" else None)
    path = Path(state)
    if not path.is_file():
        raise ValueError(f"state, where no such file exists, must be one of {', '.join(STATES)}; got {state!r}.")
    try:
        made = np.load(path)
        if not isinstance(made, np.ndarray):
            made.close()
            raise ValueError("it holds several arrays, as an .npz file does")
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"state must be an .npy file; {path}: {disk.unread(error)}.") from None
    return jnp.asarray(check_state("state", made), jnp.result_type(complex))


def copies_against_error(
    key: Array,
    rho: Data,
    copies: int = 20_000,
    per_measurement: Sequence[int] = (1, 2, 4, 8, 16),
    estimators: Sequence[str] = ("debiased", "keyl", "purified", "single"),
    **settings: Any,
) -> CopyCurves:
    """Estimate a state from the same number of copies, measured t at a time, for several t and estimators.

    "debiased" and "keyl" see the same outcomes. "single" measures copies one by one whatever t is, and has one row.

    Args:
        key: a typed key.
        rho: the state, (d, d).
        copies: N, the copies of each row; floor(N / t) measurements are made.
        per_measurement: numbers t.
        estimators: names of `ESTIMATORS`.
        **settings: `mesh`, `microbatch` and `progress`, as for `jaxsamp.quantum.measure`.

    Raises:
        ValueError: an estimator is unknown, a list is empty, t is below 1, or N does not suffice for two measurements.
    """
    state = check_state("rho", rho)
    for name, got in (("per_measurement", per_measurement), ("estimators", estimators)):
        if not len(got):
            raise ValueError(f"{name} must hold at least one value.")
    for name in estimators:
        checks.one_of("estimators", name, ESTIMATORS)
    for t in per_measurement:
        checks.at_least("per_measurement", t, 1)
    checks.at_least("copies", copies, 2 * max(per_measurement))
    rows, estimates, drawn = [], {}, {}
    for name in estimators:
        for t in per_measurement if name != "single" else (1,):
            make, method = ESTIMATORS[name]
            if (made := (make, t)) not in drawn:
                own = jax.random.fold_in(key, t)  # estimators are compared on the same random numbers
                drawn[made] = quantum.measure(own, state, (copies // t,), make(t), **settings)
            est = quantum.estimate_state(drawn[made], method)
            rows.append({"estimator": name, "t": t} | _row(state, est, t) | _chains(drawn[made]))
            rows[-1]["exact"] = _exact(name, state, t)
            estimates[f"{name}_{t}"] = est._replace(batches=None)
        if name != "debiased":  # whose outcomes "keyl" needs again
            drawn = {made: out for made, out in drawn.items() if made[0] is quantum.Keyl}
    return CopyCurves(rows, estimates)


def _row(state: np.ndarray, est: quantum.StateEstimate, t: int) -> dict[str, Any]:
    squared = np.asarray(jnp.sum(jnp.abs(est.batches - state) ** 2, (1, 2)), float)
    apart = np.asarray(est.rho) - state
    return {
        "measurements": len(squared),
        "squared_error": t * float(squared.mean()),
        "squared_error_se": t * float(squared.std(ddof=1) / np.sqrt(len(squared))),
        "distance": float(np.linalg.norm(apart)),
        "noise": float(np.linalg.norm(np.asarray(est.standard_error))),
        "trace_distance": quantum.trace_distance(est.rho, state),
    }


def _chains(out: quantum.Outcomes) -> dict[str, float | None]:
    if "split_half" not in out.stats:
        return {"acceptance": None, "split_half": None, "split_half_se": None}
    apart = np.asarray(out.stats["split_half"], float)
    return {
        "acceptance": float(np.mean(np.asarray(out.stats["acceptance"]))),
        "split_half": float(apart.mean()),
        "split_half_se": float(apart.std(ddof=1) / np.sqrt(len(apart))),
    }


def _exact(name: str, state: np.ndarray, t: int) -> float | None:
    """t E ||rho_hat - rho||_F^2 by a formula."""
    d, p = len(state), np.linalg.eigvalsh(state)
    if name == "purified" and d > 1:
        return float(t * quantum.purified_error(d, t, float((p**2).sum())))
    if name in ("debiased", "single") and t <= MOST:
        return t * quantum.keyl_error(np.maximum(p, 0) / np.maximum(p, 0).sum(), t)
    return None
