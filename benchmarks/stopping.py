"""Where a sample of ParallelMidpoint stops by itself: is its error within the tolerance?

The cases of rounds_vs_accuracy.py, with and without a surrogate: one window of 64 nodes, at most 14 rounds, tolerances
of 1e-2 and 1e-3. Error: the distance to the converged flow from the same start, root mean square over coordinates, in
the scale of x_0; it includes that of the 64 nodes, which no change between two rounds shows. "beyond 3" counts the
samples that stopped with more than three tolerances, in all runs together; "converged, beyond 3" those of them that
are then called converged. All rounds are made once, with what the sampler would stop on after each of them, and serve
all tolerances; that it stops there by itself is asserted of some samples.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import Counted, EveryRound, arguments, report
from rounds_vs_accuracy import CASES, MICROBATCH, Case

import jaxsamp as js
from jaxsamp.core.pytrees import pytree
from jaxsamp.samplers import UniPC

ROUNDS, NODES, FEW = 14, 64, 8
TOLERANCES = (1e-2, 1e-3)


def drawn(case: Case, start: Any, sampler: Any, steps: int, **more: Any) -> Any:
    """Samples at the last level, from the given starts."""
    options = {"grid": case.grid(), "init": start, "final_denoise": False, "microbatch": MICROBATCH}
    return js.sample(jax.random.key(0), case.denoiser, start.shape, sampler, steps, **options, **more)


@pytree
@dataclass(frozen=True)
class Judged(EveryRound):
    """The same; `stats["residual"]` has what each sweep says of its error, (n, steps, 2): estimate and certificate."""

    def kept(self, known: Any) -> Any:
        """What a sample stops on, and what it is called converged by."""
        return jnp.stack([known.error, known.residual])


class Rounds(NamedTuple):
    """What there is of samples after each of ROUNDS rounds, (n, ROUNDS)."""

    errors: np.ndarray
    estimates: np.ndarray
    residuals: np.ndarray


def rounds_of(case: Case, start: Any, end: Any, surrogate: Any) -> Rounds:
    """All rounds from one set of starts, whose converged flow ends at `end`."""
    found = drawn(case, start, Judged(NODES, surrogate=surrogate), ROUNDS, save_every=1)
    path, judged = np.asarray(found.path)[:, 1:], np.asarray(found.stats["residual"])
    apart = np.square(path - np.asarray(end)[:, None]).reshape(len(path), ROUNDS, -1)
    for tolerance in TOLERANCES:  # the sampler's own stops, of some
        own = Counted(iterations=ROUNDS - 1, midpoints=NODES, tolerance=tolerance, surrogate=surrogate)
        few = drawn(case, start[:FEW], own, 1)
        at = stops(judged[:FEW, :, 0], tolerance)
        assert (np.asarray(few.stats["rounds"]) == at + 1).all()
        np.testing.assert_allclose(few.x, path[np.arange(len(at)), at], atol=0.1 * tolerance)
    return Rounds(np.sqrt(apart.mean(-1, dtype=float)), judged[..., 0], judged[..., 1])


def stops(estimates: np.ndarray, tolerance: float) -> np.ndarray:
    """The round after which each sample stops, counted from 0."""
    within = estimates <= tolerance
    return np.where(within.any(1), within.argmax(1), ROUNDS - 1)


def row(name: str, tolerance: float, found: Rounds) -> dict[str, Any]:
    """What the samples of all runs have in common."""
    at = stops(found.estimates, tolerance)
    errors, residuals = (part[np.arange(len(at)), at] for part in (found.errors, found.residuals))
    converged = residuals <= tolerance
    stopped = (at + 1 < ROUNDS) | converged
    beyond = stopped & (errors > 3 * tolerance)
    return {
        "case": name,
        "tolerance": f"{tolerance:g}",
        "samples": len(errors),
        "rounds": f"{(at + 1).mean():.2f}",
        "stopped": f"{100 * stopped.mean():.2f} %",
        "within": f"{100 * np.mean(errors[stopped] <= tolerance):.2f} %",
        "within 3": f"{100 * np.mean(errors[stopped] <= 3 * tolerance):.2f} %",
        "worst / tolerance": f"{errors[stopped].max() / tolerance:.3g}",
        "converged": f"{100 * converged.mean():.0f} %",
        "beyond 3": int(beyond.sum()),
        "converged, beyond 3": int((beyond & converged).sum()),
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
            runs = [rounds_of(case, s, end, surrogate) for s, end in zip(starts, exact, strict=True)]
            found = Rounds(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))
            rows += [row(f"{name}, {label}", tolerance, found) for tolerance in TOLERANCES]
        title = f"{name}: samples that stopped by themselves"
        report(f"stopping_{name}", title, rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
