"""Where a sample of ParallelMidpoint stops by itself: is its error within the tolerance?

The cases of rounds_vs_accuracy.py, with and without a surrogate: one window of 64 nodes, at most 14 rounds, tolerances
of 1e-2 and 1e-3. Error: the distance to the converged flow from the same start, root mean square over coordinates, in
the scale of x_0; it includes that of the 64 nodes, which no change between two rounds shows. "beyond 3" counts the
samples that stopped with more than three tolerances, in all runs together; "converged, beyond 3" those of them of which
`stats` says that they have converged.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import Counted, arguments, report
from rounds_vs_accuracy import CASES, MICROBATCH, Case

import jaxsamp as js
from jaxsamp.samplers import UniPC

ROUNDS, NODES = 14, 64
TOLERANCES = (1e-2, 1e-3)


def drawn(case: Case, start: Any, sampler: Any, steps: int, **more: Any) -> Any:
    """Samples at the last level, from the given starts."""
    options = {"grid": case.grid(), "init": start, "final_denoise": False, "microbatch": MICROBATCH}
    return js.sample(jax.random.key(0), case.denoiser, start.shape, sampler, steps, **options, **more)


def row(name: str, tolerance: float, errors: Any, stats: list[dict[str, Any]]) -> dict[str, Any]:
    """What the samples of all runs have in common."""
    joined = {
        key: np.concatenate([np.asarray(one[key]) for one in stats]) for key in ("rounds", "residual", "converged")
    }
    stopped = (joined["rounds"] < ROUNDS) | joined["converged"]
    beyond = stopped & (errors > 3 * tolerance)
    return {
        "case": name,
        "tolerance": f"{tolerance:g}",
        "samples": len(errors),
        "rounds": f"{joined['rounds'].mean():.2f}",
        "stopped": f"{100 * stopped.mean():.2f} %",
        "within": f"{100 * np.mean(errors[stopped] <= tolerance):.2f} %",
        "within 3": f"{100 * np.mean(errors[stopped] <= 3 * tolerance):.2f} %",
        "worst / tolerance": f"{errors[stopped].max() / tolerance:.3g}",
        "converged": f"{100 * joined['converged'].mean():.0f} %",
        "beyond 3": int(beyond.sum()),
        "converged, beyond 3": int((beyond & joined["converged"]).sum()),
    }


def main():
    parser = arguments(__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--samples", type=int, default=1024, help="of each run")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--reference", type=int, default=400, help="steps of UniPC3 that count as converged")
    parser.add_argument("--train-steps", type=int, default=4000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--drafts", type=int, nargs="*", default=[128], help="widths of distilled networks")
    parser.add_argument("--draft-steps", type=int, default=4000)
    parser.add_argument("--folder", type=Path, help="keeps the networks, so that another run need not train them")
    parser.add_argument("--plain", action="store_true", help="without surrogates alone")
    options = parser.parse_args()
    for name in sorted(options.cases, key=list(CASES).index):
        if name != "network":
            jax.config.update("jax_enable_x64", True)
        case = CASES[name](options)
        starts = [
            case.sigma_max * jax.random.normal(jax.random.key(100 + run), (options.samples, *case.event))
            for run in range(options.runs)
        ]
        exact = [drawn(case, s, UniPC(order=3, lower_order_final=False), options.reference).x for s in starts]
        rows = []
        for label, surrogate in {"none": None, **({} if options.plain else case.surrogates())}.items():
            for tolerance in TOLERANCES:
                sampler = Counted(iterations=ROUNDS - 1, midpoints=NODES, tolerance=tolerance, surrogate=surrogate)
                found = [drawn(case, s, sampler, 1) for s in starts]
                apart = [jnp.square(one.x - end).reshape(len(end), -1) for one, end in zip(found, exact, strict=True)]
                errors = np.sqrt(np.concatenate([np.mean(np.asarray(a, float), 1) for a in apart]))
                rows.append(row(f"{name}, {label}", tolerance, errors, [one.stats for one in found]))
        title = f"{name}: samples that stopped by themselves"
        report(f"stopping_{name}", title, rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
