"""How well is a state known from N copies, measured t at a time?

Errors: t E |rho_hat - rho|^2 (Frobenius) of the estimate from one measurement of t copies, t = 1 .. 64, for the mixed
state and for states of a spectrum. It is what N copies leave, times N, whatever N is. Beside it is the formula where
there is one, and the distance of the mean of all estimates from the state, with what that is without bias.

Budget: mean trace distance of estimates from the same N copies, with its standard error over random states: single
copies, debiased and purified estimates, the two-stage scheme, and, for qubits and where qiskit-experiments is
installed, its linear inversion of measurements in Pauli bases.
"""

import argparse
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import common
import jax
import numpy as np

import jaxsamp as js
from jaxsamp import recipes

q = js.quantum
COPIES = (1, 2, 4, 8, 16, 32, 64)
STATES: dict[str, tuple[float, ...]] = {
    "mixed, d = 2": (0.5, 0.5),
    "(.9, .1)": (0.9, 0.1),
    "mixed, d = 3": (1 / 3,) * 3,
    "(.75, .2, .05)": (0.75, 0.2, 0.05),
    "mixed, d = 4": (0.25,) * 4,
    "(.7, .2, .1, 0)": (0.7, 0.2, 0.1, 0.0),
    "pure, d = 4": (1.0, 0.0, 0.0, 0.0),
    "mixed, d = 8": (0.125,) * 8,
}
BUDGETS = {"(.9, .1)": 2048, "(.75, .2, .05)": 4096, "(.7, .2, .1, 0)": 4096}  # copies for each state


def errors(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of `recipes.copies_against_error`, with a number of measurements that is the same for all t."""
    for name in options.states:
        rho = q.random_state(jax.random.key(0), len(STATES[name]), STATES[name])
        for t in options.copies:
            only = [kind for kind in recipes.tomography.ESTIMATORS if kind != "single" or t == 1]
            start = time.perf_counter()
            found = recipes.copies_against_error(jax.random.key(t), rho, options.measurements * t, (t,), only)
            seconds = time.perf_counter() - start
            for row in found.rows:
                yield {"state": name} | row | {"seconds": seconds}


def arms(options: argparse.Namespace, copies: int) -> dict[str, Callable[[Any, Any], Any]]:
    """Estimates of a state from so many copies, by name."""

    def of(protocol: Any) -> Callable[[Any, Any], Any]:
        return lambda key, rho: q.estimate_state(q.measure(key, rho, (copies // protocol.copies,), protocol)).rho

    made: dict[str, Callable[[Any, Any], Any]] = {"single": of(q.Single())}
    for t in options.budget_copies:
        made[f"debiased, t = {t}"] = of(q.Keyl(t))
        made[f"purified, t = {t}"] = of(q.Purified(t))
        made[f"two-stage, t = {t}"] = lambda key, rho, t=t: q.two_stage(key, rho, copies, t).rho
    return made | peers(copies)


def peers(copies: int) -> dict[str, Callable[[Any, Any], Any]]:
    """Single copies in Pauli bases, each in an equal share of the copies, and the fitter of qiskit-experiments."""
    try:
        from qiskit_experiments.library.tomography import fitters  # noqa: F401
    except ImportError:
        print("qiskit-experiments is not installed; its row is left out.")
        return {}
    return {"qiskit-experiments, Pauli bases": lambda key, rho: qiskit_inversion(key, np.asarray(rho), copies)}


H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
BRAS = {"X": H, "Y": H @ np.diag([1, -1j]), "Z": np.eye(2)}


def qiskit_inversion(key: Any, rho: np.ndarray, copies: int) -> np.ndarray:
    """Counts of every string of Pauli bases, and `linear_inversion` of qiskit-experiments."""
    from qiskit_experiments.library.tomography.basis import PauliMeasurementBasis
    from qiskit_experiments.library.tomography.fitters import linear_inversion

    n, number = int(np.log2(len(rho))), {"Z": 0, "X": 1, "Y": 2}
    strings = [*itertools.product("XYZ", repeat=n)]
    rng = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**31 - 1)))
    counts, shots = [], []
    for i, letters in enumerate(strings):
        bras = functools.reduce(np.kron, (BRAS[letter] for letter in reversed(letters)))  # qiskit's qubit 0 is the last
        chance = np.maximum(np.einsum("ai,ij,aj->a", bras, rho, bras.conj()).real, 0)
        shots.append(copies // len(strings) + (i < copies % len(strings)))
        counts.append(rng.multinomial(shots[-1], chance / chance.sum()))
    settings = np.array([[number[letter] for letter in letters] for letters in strings])
    state, _ = linear_inversion(
        np.array(counts)[None], np.array(shots), settings, np.zeros((len(strings), 0), int),
        measurement_basis=PauliMeasurementBasis(), measurement_qubits=tuple(range(n)),
    )  # fmt: skip
    return np.asarray(state)


def budget(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Mean trace distances over random states of a spectrum."""
    for name in options.budgets:
        p, copies = STATES[name], options.budget or BUDGETS[name]
        for arm, estimate in arms(options, copies).items():
            if "qiskit" in arm and len(p) & (len(p) - 1):
                continue  # bases of qubits
            start, apart = time.perf_counter(), []
            for seed in range(options.seeds):
                rho = q.random_state(jax.random.key(seed), len(p), p)
                apart.append(q.trace_distance(estimate(jax.random.key(1000 + seed), rho), rho))
            error = float(np.std(apart, ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else None
            row = {"state": name, "copies": copies, "estimate": arm, "trace_distance": float(np.mean(apart))}
            yield row | {"se": error, "seconds": time.perf_counter() - start}


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--states", nargs="*", default=[*STATES], choices=STATES, help="states of the first table")
    parser.add_argument("--copies", nargs="+", type=int, default=[*COPIES], help="copies per measurement")
    parser.add_argument("--measurements", type=int, default=20_000, help="measurements for each error")
    parser.add_argument("--budgets", nargs="*", default=[*BUDGETS], choices=STATES, help="spectra of the second table")
    parser.add_argument("--budget-copies", nargs="+", type=int, default=[2, 4, 16], help="t of the second table")
    parser.add_argument("--budget", type=int, default=0, help="copies in all; by default those of each spectrum")
    parser.add_argument("--seeds", type=int, default=16, help="random states of a spectrum")
    options = parser.parse_args()
    packages = ["qiskit-experiments"]
    for part, title in ((errors, "Errors per copy"), (budget, "Trace distance from N copies")):
        rows = []
        for row in part(options):
            rows.append(row)
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
            path = options.results / f"tomography_{part.__name__}.json"
            common.write(path, common.about(title, options, packages) | {"rows": rows})
        if rows:
            common.show(title, rows)


if __name__ == "__main__":
    main()
