"""Are spins that diffusion samplers draw as good as independent draws, and as those of chains?

Twelve spins of the Sherrington-Kirkpatrick model in small fields, with the exact denoiser: the total variation from the
law is compared with that of independent draws of the same number. And 512 spins with the TAP denoiser: the mean
exponent per spin is compared with that of tempered chains, and, which shows a bias much sooner, with that of the spins
that `BASE` makes of the same noise. A run replaces its own rows in the file of results, and leaves others.
"""

import argparse
import json
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
    "UniPC, 32 steps": (js.samplers.UniPC(), 32),
    "UniPC, 16 steps": (js.samplers.UniPC(), 16),
    "UniPC, 11 steps": (js.samplers.UniPC(), 11),
    "ancestral, 32 steps": (js.samplers.DDPM(), 32),
    "SlidingWindow, 32 steps": (js.samplers.SlidingWindow(), 32),
    "SlidingWindow, 16 steps": (js.samplers.SlidingWindow(), 16),
    "ParallelMidpoint, 10 iterations": (js.samplers.ParallelMidpoint(iterations=10), 1),
    "ParallelMidpoint, 20 iterations": (js.samplers.ParallelMidpoint(iterations=20), 1),
}
BASE = "UniPC, 32 steps"
SCHEDULE = js.schedules.VarianceExploding()


def drawn(key: Any, denoiser: Any, shape: tuple[int, int], name: str, microbatch: int) -> tuple[np.ndarray, dict]:
    """Spins by a sampler, and what they took."""
    sampler, steps = SAMPLERS[name]
    start = time.perf_counter()
    for_samples, for_rounding = jax.random.split(key)
    found = js.sample(for_samples, denoiser, shape, sampler, steps, microbatch=microbatch)
    x = np.asarray(js.discrete.round_spins(for_rounding, found.x))
    took = {name: float(found.stats[name].mean()) for name in ("rounds", "evaluations")}
    took |= {"most rounds": float(found.stats["rounds"].max())}
    return x, took | {"seconds": time.perf_counter() - start}


def distance(x: np.ndarray, p: np.ndarray) -> float:
    """Total variation of draws from the law."""
    cells = (x > 0) @ 2 ** np.arange(x.shape[1])
    return float(np.abs(np.bincount(cells, minlength=len(p)) / len(x) - p).sum() / 2)


def exact(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Distances of twelve spins, means over seeds."""
    n, shape = 12, (options.samples, 12)
    keys = jax.random.split(jax.random.key(0), options.seeds)
    for beta in options.few_betas:
        dense = js.discrete.sk(jax.random.key(12), n, beta)
        law = js.discrete.Ising(dense.couplings, 0.15 * np.sin(1 + 2 * np.arange(n)))
        p = np.asarray(law.probabilities(), float)
        iid = [distance(np.asarray(law.sample(key, options.samples)), p) for key in keys]
        case = f"n = {n}, beta = {beta:g}, exact, total variation"
        yield row(case, "independent draws", iid, iid)
        denoiser = law.denoiser(SCHEDULE)
        for name in options.only:
            each = [drawn(key, denoiser, shape, name, options.microbatch) for key in keys]
            yield row(case, name, [distance(x, p) for x, _ in each], iid, each[-1][1])


def glass(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Mean exponents per spin of glasses."""
    n, chains = options.spins, options.chains
    for beta in options.betas:
        law = js.discrete.sk(jax.random.key(1), n, beta)
        case = f"n = {n}, beta = {beta:g}, TAP, exponent / n"
        tempered, sweeps = js.discrete.Tempering(levels=options.levels), options.sweeps
        known = draws = None
        for name, sampler in (("tempering", tempered), ("heat bath", js.discrete.HeatBath())):
            start = time.perf_counter()
            counts = {"steps": sweeps, "warmup": sweeps, "thin": max(1, sweeps // 10)}
            run = js.sample_spins(jax.random.key(2), law, (chains, n), sampler, **counts)
            each = np.asarray(run.exponent).mean(1) / n
            if known is None:
                known, draws = each, np.asarray(run.draws, np.float32).reshape(-1, n)
                print({name: float(run.stats[name].mean()) for name in ("swaps", "least_swaps", "round_trips")})
            done = {"rounds": 2.0 * sweeps, "evaluations": 0.0, "most rounds": 2.0 * sweeps}
            yield row(case, name, each, known, done | {"seconds": time.perf_counter() - start})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            denoiser = law.denoiser(SCHEDULE, method="tap")
        if any(name.startswith("ParallelMidpoint") for name in options.only):
            denoiser = denoiser.with_calibration(js.calibrate(jax.random.key(4), denoiser, draws, basis="pca"))
        base = None
        for name in options.only:
            x, took = drawn(jax.random.key(3), denoiser, (chains, n), name, options.microbatch)
            each = np.asarray(law.exponent(x)) / n
            base = each if name == BASE else base
            made = row(case, name, each, known, took) | {"warned": len(caught)}
            yield made if base is None else made | paired(each - base)


def paired(differences: np.ndarray) -> dict[str, float]:
    """What the same noise gives elsewhere: the mean difference and its standard error."""
    error = float(differences.std(ddof=1) / math.sqrt(len(differences)))
    return {"less that of BASE": float(differences.mean()), "its s.e.": error}


def row(case: str, name: str, values: Any, known: Any, took: dict[str, float] | None = None) -> dict[str, Any]:
    """One line: the mean of values with its standard error, and its ratio to and difference from that of others."""
    mean, other = float(np.mean(values)), float(np.mean(known))
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
    costs = took or {"rounds": 0.0, "evaluations": 0.0, "most rounds": 0.0, "seconds": 0.0}
    found = {"mean": mean, "s.e.": error, "ratio": mean / other, "difference": mean - other}
    made = {"case": case, "sampler": name, "values": len(values)} | found | costs
    return made | {"warned": 0, "less that of BASE": None, "its s.e.": None}


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--samples", type=int, default=20_000, help="draws of twelve spins")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions of them")
    parser.add_argument("--few-betas", type=float, nargs="*", default=[0.5, 1.0, 1.5], help="of twelve spins")
    parser.add_argument("--spins", type=int, default=512, help="spins of the glasses")
    parser.add_argument("--chains", type=int, default=128, help="draws, and chains, of the glasses")
    parser.add_argument("--sweeps", type=int, default=300, help="sweeps before, and after, the first draw of a chain")
    parser.add_argument("--levels", type=int, default=8, help="of tempering")
    parser.add_argument("--betas", type=float, nargs="*", default=[0.3, 0.5, 0.8], help="of the glasses")
    parser.add_argument("--microbatch", type=int, default=4096, help="samples at a time")
    parser.add_argument("--only", nargs="+", default=[*SAMPLERS], choices=SAMPLERS, help="samplers")
    options = parser.parse_args()
    title, path, rows = "Spins by diffusion", options.results / "spins_by_diffusion.json", []
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    for part in (exact, glass):
        for one in part(options):
            rows.append(one)
            print(one, flush=True)
            mine = {(row["case"], row["sampler"]) for row in rows}
            others = [row for row in before if (row["case"], row["sampler"]) not in mine]
            common.write(path, common.about(title, options) | {"rows": others + rows})
    common.show(title, rows)


if __name__ == "__main__":
    main()
