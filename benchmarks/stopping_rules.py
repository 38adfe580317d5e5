"""When is a sample of ParallelMidpoint done, and when is it called converged? Rules, on the changes of real samples.

The exact cases of rounds_vs_accuracy.py, one window of 64 nodes, 14 rounds without a surrogate, from other starts than
those of stopping.py. P is the last change of the path, P' the one before, q = P / P', q' the q before, g = max(1, q /
q'), or 2 without q', and r = min(g^2 q, 0.9); a rule names what must be within the tolerance, after two rounds at the
earliest. The first ones are estimates of the error, on which a sample may stop, the last but one of them that of
`tolerance`; the others are for certificates, the last but one of them that of `converged`. "beyond 3" counts the
samples whose error is more than three tolerances where a rule is kept for the first time, and "not yet" those that do
not keep it in 14 rounds; an error is the distance to the converged flow, as in stopping.py. `--folder` keeps the
changes and errors of every run.
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


def left(p: Any, p1: Any, growth: Any = 1.0) -> Any:
    """P r / (1 - r), what is left to change if changes go on to contract by r, g^2 q and at most 0.9."""
    r = np.minimum(growth**2 * p / p1, 0.9)
    return p * r / (1 - r)


def mean(p: Any, p1: Any) -> Any:
    """The geometric mean of the last two changes, or the last one if it is larger."""
    return np.maximum(p, np.sqrt(p * p1))


def grown(p: Any, p1: Any, p2: Any) -> Any:
    """g, the ratio of q to the q before, if it is larger than 1."""
    return np.maximum(1.0, p / p1 / (p1 / p2))


def careful(p: Any, p1: Any, p2: Any) -> Any:
    """What `converged` asks for."""
    g = grown(p, p1, p2)
    return np.maximum(np.maximum(p, np.minimum(p1, np.maximum(2, g**2) * np.sqrt(p * p1))), left(p, p1, g))


Rule = Callable[[Any, Any, Any], Any]
ESTIMATES: dict[str, Rule] = {
    "2 P max(q, 0.1)": lambda p, p1, _: 2 * p * np.clip(p / p1, 0.1, 1),
    "2 P max(q, 0.2)": lambda p, p1, _: 2 * p * np.clip(p / p1, 0.2, 1),
    "3 P max(q, 0.1)": lambda p, p1, _: 3 * p * np.clip(p / p1, 0.1, 1),
    "4 P max(q, 0.1)": lambda p, p1, _: 4 * p * np.clip(p / p1, 0.1, 1),
    "3 P max(g q, 0.1)": lambda p, p1, p2: 3 * p * np.clip(p / p1 * grown(p, p1, p2), 0.1, 1),
    "2 P sqrt(q)": lambda p, p1, _: 2 * p * np.sqrt(np.minimum(p / p1, 1)),
}
CERTIFICATES: dict[str, Rule] = {
    "P": lambda p, *_: p,
    "P, P'/10": lambda p, p1, _: np.maximum(p, 0.1 * p1),
    "P, P'/4": lambda p, p1, _: np.maximum(p, 0.25 * p1),
    "P, sqrt(P P')": lambda p, p1, _: mean(p, p1),
    "P, sqrt(P P'), P q / (1 - q)": lambda p, p1, _: np.maximum(mean(p, p1), left(p, p1)),
    "P, max(2, g^2) sqrt(P P'), P r / (1 - r)": careful,
    "P, P'": lambda p, p1, _: np.maximum(p, p1),
}


def measured(case: Any, samples: int, reference: int, run: int) -> dict[str, np.ndarray]:
    """The change in every round, and the error after it, (samples, rounds)."""
    start = case.sigma_max * jax.random.normal(jax.random.key(100 + run), (samples, *case.event))
    end = np.asarray(drawn(case, start, UniPC(order=3, lower_order_final=False), reference).x)
    found = drawn(case, start, EveryRound(NODES), ROUNDS, save_every=1)
    apart = np.square(np.asarray(found.path)[:, 1:] - end[:, None]).reshape(samples, ROUNDS, -1)
    return {"P": np.asarray(found.stats["residual"]), "E": np.sqrt(apart.mean(-1))}


def stopped(rule: Rule, changes: np.ndarray, tolerance: float) -> np.ndarray:
    """The round after which each sample keeps the rule, counted from 0; -1 if it does not."""
    at = np.full(len(changes), -1)
    before = 2 * changes[:, 0] ** 2 / changes[:, 1]  # at the second change there is no ratio before: as if half of it
    for k in range(1, ROUNDS):
        at[(at < 0) & (rule(changes[:, k], changes[:, k - 1], before) <= tolerance)] = k
        before = changes[:, k - 1]
    return at


def main() -> None:
    parser = arguments(__doc__)
    cases = ["g64", "instance", "mixture", "g1024"]
    parser.add_argument("--cases", nargs="+", choices=cases, default=cases)
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
            for rule, of in (ESTIMATES | CERTIFICATES).items():
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
        report(f"stopping_rules_{name}", f"{name}: samples that keep a rule", rows, options)


if __name__ == "__main__":
    main()
