"""Pauli channels by name and in files, and what was estimated of one, as plain values."""

import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsamp import plots, quantum
from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.quantum.pauli_strings import check_table, letters_of

CHANNELS = ("random", "depolarizing")
CLEAN, STRINGS = 0.8, 24  # of "random": rate of no error, and number of errors
DEPOLARIZED = 0.05  # of "depolarizing": rate of errors of each qubit
ROWS = 48  # strings of a report, which are those of its picture


def pauli_channel(key: Array, channel: str | Path = "random", qubits: int | None = None) -> quantum.PauliChannel:
    """A Pauli channel by name or from a file.

    Args:
        key: a typed key; draws the errors of "random".
        channel: "random", no error at 0.8 and up to 24 strings that share 0.2 evenly by Dirichlet(1); "depolarizing",
            each qubit by itself, with X, Y and Z at 0.05 in all; or a .json file of rates by label, {"II": 0.7, ...}.
        qubits: of a named one; 3 by default.

    Raises:
        ValueError: there is no such channel or file, the file does not hold one, or `qubits` is given with a file.
    """
    if Path(channel).suffix.lower() == ".json":
        if qubits is not None:
            raise ValueError(f"qubits must be left out for a file, whose labels have their own; got {qubits}.")
        return _read(Path(channel))
    checks.one_of("channel, which is no .json file,", str(channel), CHANNELS)
    n = check_table("qubits", checks.at_least("qubits", 3 if qubits is None else qubits, 1))
    if channel == "depolarizing":
        weights = (letters_of(np.arange(4**n), n) > 0).sum(1)
        return quantum.PauliChannel((DEPOLARIZED / 3) ** weights * (1 - DEPOLARIZED) ** (n - weights))
    strings = min(STRINGS, 4**n - 1)
    for_strings, for_rates = jax.random.split(checks.typed_key(key))
    p = np.zeros(4**n)
    p[0] = CLEAN
    chosen = 1 + np.asarray(jax.random.choice(for_strings, 4**n - 1, (strings,), replace=False))
    p[chosen] = (1 - CLEAN) * np.asarray(jax.random.dirichlet(for_rates, np.ones(strings)), float)
    return quantum.PauliChannel(p)


def _read(path: Path) -> quantum.PauliChannel:
    if not path.exists():
        raise ValueError(f"channel must be a file that exists; there is no {path}.")
    try:
        rates = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"channel must be a file of JSON; {path} is not: {error}.") from None
    if not isinstance(rates, dict) or not all(isinstance(rate, int | float) for rate in rates.values()):
        raise ValueError(f'channel must hold rates by label, such as {{"II": 0.7, "XX": 0.3}}; {path} does not.')
    try:
        return quantum.PauliChannel.from_labels(rates)
    except ValueError as error:
        raise ValueError(f"channel must be a Pauli channel; {path} is not: {error}") from None


def pauli_facts(
    data: Any, estimate: quantum.PauliEstimate, channel: quantum.PauliChannel | None = None
) -> dict[str, Any]:
    """What was estimated, beside the true channel if it is known.

    Returns:
        "method", "qubits" and "uses"; "eigenvalues", the 48 smallest, and "rates", the 48 largest, rows of "label",
        "value", "standard_error", "low", "high" and "exact"; and with a channel for each the "largest_error" of all
        that were estimated and the share "inside" of intervals that hold the truth. None is what is not known.
    """
    facts: dict[str, Any] = {"method": data.method, "qubits": data.qubits, "uses": data.uses}
    for name, sign in (("eigenvalues", 1), ("rates", -1)):
        found = getattr(estimate, name)
        if found is None:
            continue
        exact = None if channel is None else np.asarray(getattr(channel, ATTRIBUTES[name]), float)[found.indices]
        shown = np.argsort(sign * found.values, kind="stable")[:ROWS]
        facts[name] = [
            _row(found.taken(shown), i, None if exact is None else float(exact[k])) for i, k in enumerate(shown)
        ]
        if exact is not None:
            known = np.isfinite(found.values)
            off = np.abs(found.values - exact)[known]
            inside = (found.low - ROUNDING <= exact) & (exact <= found.high + ROUNDING)
            facts[f"{name}_largest_error"] = float(off.max()) if off.size else None
            facts[f"{name}_inside"] = float(inside.mean()) if len(exact) else None
    return facts


ATTRIBUTES = {"eigenvalues": "eigenvalues", "rates": "probabilities"}  # of a channel
ROUNDING = 1e-6  # of tables in single precision


def _row(found: quantum.Intervals, i: int, exact: float | None) -> dict[str, Any]:
    numbers = {name: float(getattr(found, name)[i]) for name in ("values", "standard_error", "low", "high")}
    row = {"label": found.labels[i], "value": numbers.pop("values"), **numbers, "exact": exact}
    return {name: value if isinstance(value, str) or _known(value) else None for name, value in row.items()}


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def pauli_picture(facts: dict[str, Any], title: str = "") -> Any:
    """The rows of `pauli_facts` with their intervals, without that of no error, and the truth where it is known."""
    errors = [row for row in facts.get("rates", []) if set(row["label"]) != {"I"}]
    panels = {"smallest eigenvalues": facts["eigenvalues"], "largest error rates": errors}
    return plots.intervals({name: rows for name, rows in panels.items() if rows}, title=title)
