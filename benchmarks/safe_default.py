"""Does ParallelMidpoint() end within 1 % of the data, or say that it does not? Beside the same with 4 iterations.

The cases of rounds_vs_accuracy.py; sigma / alpha from 80 (network: 40) to 0.02, no final denoise. Error: the distance
of each sample to the converged flow from the same start, root mean square over coordinates, in standard deviations of
the data (the root of the mean variance that the calibration has). "beyond 3 %" counts samples further away than 0.03,
and "unsaid" those of them of which `stats` says that they have converged.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, report
from rounds_vs_accuracy import CASES, MICROBATCH, Case

import jaxsamp as js
from jaxsamp.samplers import ParallelMidpoint, UniPC

SAMPLERS = {
    "ParallelMidpoint()": ParallelMidpoint(),
    "ParallelMidpoint(64)": ParallelMidpoint(64),
    "ParallelMidpoint(iterations=4)": ParallelMidpoint(iterations=4),
}


def drawn(case: Case, start: Any, sampler: Any, steps: int | None) -> Any:
    """Samples at the last level, from the given starts."""
    options = {"grid": case.grid(), "init": start, "final_denoise": False, "microbatch": MICROBATCH}
    return js.sample(jax.random.key(0), case.denoiser, start.shape, sampler, steps, **options)


def row(name: str, error: Any, stats: dict[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    rounds, converged = (np.asarray(stats[key]) for key in ("rounds", "converged"))
    return {
        "sampler": name,
        "rounds": float(rounds.mean()),
        "most": int(rounds.max()),
        "median": float(np.median(error)),
        "95 %": float(np.quantile(error, 0.95)),
        "worst": float(error.max()),
        "converged": float(converged.mean()),
        "beyond 3 %": int((error > 0.03).sum()),
        "unsaid": int((converged & (error > 0.03)).sum()),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=["network", "g64", "instance", "mixture"])
    parser.add_argument("--starts", type=int, default=256)
    parser.add_argument("--train-steps", type=int, default=4000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--folder", type=Path, help="keeps the network, so that another run need not train it")
    options = parser.parse_args()
    for name in sorted(options.cases, key=list(CASES).index):
        if name != "network":
            jax.config.update("jax_enable_x64", True)
        case = CASES[name](options)
        start = case.sigma_max * jax.random.normal(jax.random.key(0), (options.starts, *case.event))
        end = drawn(case, start, UniPC(order=3, lower_order_final=False), case.converged // 2).x
        std = float(jnp.sqrt(jnp.mean(case.denoiser.calibration.variance)))
        rows = []
        for title, sampler in SAMPLERS.items():
            found = drawn(case, start, sampler, None)
            apart = np.square(np.asarray(found.x - end, float)).reshape(len(end), -1)
            rows.append(row(title, np.sqrt(apart.mean(1)) / std, found.stats))
        report(f"safe_default_{name}", f"{name}: errors in standard deviations", rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
