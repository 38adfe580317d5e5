"""What has to be within the tolerance before a sample of ParallelMidpoint is called converged?

The exact cases of rounds_vs_accuracy.py, one window of 64 nodes, 14 rounds without a surrogate, from other starts than
those of stopping.py. P is the last change of the path, P' the one before, and a rule names what must be within the
tolerance, after two rounds at the earliest; the last rule but one is that of `converged`. "beyond 3" counts the samples
that it calls converged with an error of more than three tolerances, and "not yet" those that it does not in 14 rounds;
an error is the distance to the converged flow, as in stopping.py. `--folder` keeps the changes and errors of every run.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from common import EveryRound, arguments, report
from rounds_vs_accuracy import CASES
from stopping import NODES, ROUNDS, TOLERANCES, drawn

from jaxsamp.samplers import UniPC


def left(p: Any, p1: Any) -> Any:
    """P r / (1 - r), what is left to change if changes go on to contract by r, the last ratio and at most 0.9."""
    r = np.minimum(p / p1, 0.9)
    return p * r / (1 - r)


RULES: dict[str, Callable[[Any, Any], Any]] = {
    "P": lambda p, p1: p,
    "P, P'/10": lambda p, p1: np.maximum(p, 0.1 * p1),
    "P, P'/4": lambda p, p1: np.maximum(p, 0.25 * p1),
    "P, P'/10, P r / (1 - r)": lambda p, p1: np.maximum(np.maximum(p, 0.1 * p1), left(p, p1)),
    "P, sqrt(P P')": lambda p, p1: np.maximum(p, np.sqrt(p * p1)),
    "P, sqrt(P P'), P r / (1 - r)": lambda p, p1: np.maximum(np.maximum(p, np.sqrt(p * p1)), left(p, p1)),
    "P, P'": np.maximum,
}


def measured(case: Any, samples: int, reference: int, run: int) -> dict[str, np.ndarray]:
    """The change in every round, and the error after it, (samples, rounds)."""
    start = case.sigma_max * jax.random.normal(jax.random.key(100 + run), (samples, *case.event))
    end = np.asarray(drawn(case, start, UniPC(order=3, lower_order_final=False), reference).x)
    found = drawn(case, start, EveryRound(NODES), ROUNDS, save_every=1)
    apart = np.square(np.asarray(found.path)[:, 1:] - end[:, None]).reshape(samples, ROUNDS, -1)
    return {"P": np.asarray(found.stats["residual"]), "E": np.sqrt(apart.mean(-1))}


def stopped(rule: Callable[[Any, Any], Any], changes: np.ndarray, tolerance: float) -> np.ndarray:
    """The round after which each sample is called converged, counted from 0; -1 if it is not."""
    at = np.full(len(changes), -1)
    for k in range(1, ROUNDS):
        at[(at < 0) & (rule(changes[:, k], changes[:, k - 1]) <= tolerance)] = k
    return at


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--cases", nargs="+", choices=["g64", "instance", "mixture"], default=["g64", "instance", "mixture"]
    )
    parser.add_argument("--samples", type=int, default=1024, help="of each run")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--reference", type=int, default=400, help="steps of UniPC3 that count as converged")
    parser.add_argument("--folder", type=Path, help="keeps runs, so that more of them can be added")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    for name in options.cases:
        case, runs, rows = CASES[name](options), [], []
        for run in range(8, 8 + options.runs):  # stopping.py has those before
            kept = options.folder and options.folder / f"{name}_{run}.npz"
            if not (kept and kept.exists()):
                found = measured(case, options.samples, options.reference, run)
                print(f"{name}: run {run - 7} of {options.runs}", flush=True)
                if kept:
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    np.savez(kept, **found)
            else:
                found = dict(np.load(kept))
            runs.append(found)
        changes, errors = (np.concatenate([found[part] for found in runs]) for part in ("P", "E"))
        for tolerance in (5e-2, *TOLERANCES):
            for rule, of in RULES.items():
                at = stopped(of, changes, tolerance)
                done, error = at >= 0, errors[np.arange(len(at)), at]
                rows.append(
                    {
                        "case": name,
                        "tolerance": f"{tolerance:g}",
                        "within the tolerance": rule,
                        "samples": len(at),
                        "rounds": f"{np.where(done, at + 1, ROUNDS).mean():.2f}",
                        "beyond 3": int((error[done] > 3 * tolerance).sum()),
                        "worst / tolerance": f"{error[done].max() / tolerance:.3g}",
                        "not yet": int((~done).sum()),
                    }
                )
        report(f"stopping_rules_{name}", f"{name}: samples that are called converged", rows, options)


if __name__ == "__main__":
    main()
