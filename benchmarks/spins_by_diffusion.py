"""Are spins that diffusion samplers draw as good as independent draws, and as those of chains?

Twelve spins of the Sherrington-Kirkpatrick model at beta = 1, in small fields, with the exact denoiser: the total
variation from the law is compared with that of independent draws of the same number. And 512 spins at beta = 0.3, 0.5
and 0.8 with the TAP denoiser: the mean exponent per spin is compared with that of heat-bath chains. Sequential samplers
take 32 steps, samplers in parallel the rounds that they take.
"""

import argparse
import math
import time
import warnings
from collections.abc import Iterator
from typing import Any

import common
import jax
import numpy as np

import jaxsamp as js

SAMPLERS = {
    "UniPC": (js.samplers.UniPC(), 32),
    "DDIM": (js.samplers.DDIM(), 32),
    "ancestral": (js.samplers.DDPM(), 32),
    "SlidingWindow": (js.samplers.SlidingWindow(), 32),
    "ParallelMidpoint, 8 iterations": (js.samplers.ParallelMidpoint(iterations=8), 1),
}
SCHEDULE = js.schedules.VarianceExploding()


def drawn(key: Any, denoiser: Any, shape: tuple[int, int], name: str, microbatch: int) -> tuple[np.ndarray, dict]:
    """Spins by a sampler, and what they took."""
    sampler, steps = SAMPLERS[name]
    start = time.perf_counter()
    for_samples, for_rounding = jax.random.split(key)
    found = js.sample(for_samples, denoiser, shape, sampler, steps, microbatch=microbatch)
    x = np.asarray(js.discrete.round_spins(for_rounding, found.x))
    took = {"rounds": float(found.stats["rounds"].mean()), "evaluations": float(found.stats["evaluations"].mean())}
    return x, took | {"seconds": time.perf_counter() - start}


def distance(x: np.ndarray, p: np.ndarray) -> float:
    """Total variation of draws from the law."""
    cells = (x > 0) @ 2 ** np.arange(x.shape[1])
    return float(np.abs(np.bincount(cells, minlength=len(p)) / len(x) - p).sum() / 2)


def exact(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Distances of twelve spins, means over seeds."""
    n = 12
    dense = js.discrete.sk(jax.random.key(12), n, 1.0)
    law = js.discrete.Ising(dense.couplings, 0.15 * np.sin(1 + 2 * np.arange(n)))
    p, shape = np.asarray(law.probabilities(), float), (options.samples, n)
    keys = jax.random.split(jax.random.key(0), options.seeds)
    iid = [distance(np.asarray(law.sample(key, options.samples)), p) for key in keys]
    case = f"n = {n}, exact, total variation"
    yield row(case, "independent draws", iid, iid)
    for name in options.only:
        each = [drawn(key, law.denoiser(SCHEDULE), shape, name, options.microbatch) for key in keys]
        yield row(case, name, [distance(x, p) for x, _ in each], iid, each[-1][1])


def glass(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Mean exponents per spin of glasses."""
    n, chains = options.spins, options.chains
    for beta in options.betas:
        law = js.discrete.sk(jax.random.key(1), n, beta)
        start = time.perf_counter()
        run = js.sample_spins(
            jax.random.key(2),
            law,
            (chains, n),
            steps=options.sweeps,
            warmup=options.sweeps,
            thin=max(1, options.sweeps // 10),
        )
        known = np.asarray(run.exponent).mean(1) / n
        case = f"n = {n}, beta = {beta:g}, TAP, exponent / n"
        sweeps = {"rounds": 2.0 * options.sweeps, "evaluations": 0.0, "seconds": time.perf_counter() - start}
        yield row(case, "heat bath", known, known, sweeps)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            denoiser = law.denoiser(SCHEDULE, method="tap")
        for name in options.only:
            if name.startswith("ParallelMidpoint"):
                continue  # its calibrated frame needs samples of the law
            x, took = drawn(jax.random.key(3), denoiser, (chains, n), name, options.microbatch)
            yield row(case, name, np.asarray(law.exponent(x)) / n, known, took) | {"warned": len(caught)}


def row(case: str, name: str, values: Any, known: Any, took: dict[str, float] | None = None) -> dict[str, Any]:
    """One line: the mean of values with its standard error, and its ratio to and difference from that of others."""
    mean, other = float(np.mean(values)), float(np.mean(known))
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
    costs = took or {"rounds": 0.0, "evaluations": 0.0, "seconds": 0.0}
    found = {"mean": mean, "s.e.": error, "ratio": mean / other, "difference": mean - other}
    return {"case": case, "sampler": name} | found | costs | {"warned": 0}


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--samples", type=int, default=5_000, help="draws of twelve spins")
    parser.add_argument("--seeds", type=int, default=4, help="repetitions of them")
    parser.add_argument("--spins", type=int, default=512, help="spins of the glasses")
    parser.add_argument("--chains", type=int, default=128, help="draws, and chains, of the glasses")
    parser.add_argument("--sweeps", type=int, default=300, help="sweeps before, and after, the first draw of a chain")
    parser.add_argument("--betas", type=float, nargs="*", default=[0.3, 0.5, 0.8], help="of the glasses")
    parser.add_argument("--microbatch", type=int, default=4096, help="samples at a time")
    parser.add_argument("--only", nargs="+", default=[*SAMPLERS], choices=SAMPLERS, help="samplers")
    options = parser.parse_args()
    title, rows = "Spins by diffusion", []
    for part in (exact, glass):
        for one in part(options):
            rows.append(one)
            print(one, flush=True)
            common.write(options.results / "spins_by_diffusion.json", common.about(title, options) | {"rows": rows})
    common.show(title, rows)


if __name__ == "__main__":
    main()
