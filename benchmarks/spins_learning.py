"""How near do the couplings of spins come to the truth, by each learner, and what does a learner cost?

Samples are exact draws, from sums over all states:

- ten spins, all coupled, width 4.73 (the law of the tests), 5,000, 20,000 and 100,000 samples;
- pairs: Sherrington-Kirkpatrick, 16 spins, beta 1 with 20,000 samples and beta 1.5 with 200,000;
- triples: the 3-spin model, 12 spins, beta 0.5 and 1 with 60,000.

Medians over keys (of samples; of models too, except for the ten spins) of the largest error of a coupling, the total
variation of the laws, and the asymmetry. "the samples themselves" is the law of their frequencies.

With `--large`, pairs of 64 spins at beta 1 from chains of heat-bath sweeps, in a file: time, in a process of its own
for each learner, and how much its memory has grown. A first fit of a tenth of the file compiles. "nodes by
scikit-learn" is one `LogisticRegression` per spin, without a penalty, which is also what PyPLM (pseudolm) runs.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
from common import arguments, medians, report
from sklearn.linear_model import LogisticRegression

import jaxsamp as js

ARMS: dict[str, dict[str, Any]] = {
    "rple": {},
    "rise": {"method": "rise"},
    "Sparsitron": {"method": "sparsitron"},
    "Sparsitron, step 8": {"method": "sparsitron", "step": 8.0},
    "Sparsitron, step 1": {"method": "sparsitron", "step": 1.0},
    "Sparsitron, published": {"method": "sparsitron", "step": 1.0, "choose": "held out"},
}
LARGE = ("rple", "rise", "Sparsitron", "nodes by scikit-learn")


def ten_spins() -> js.discrete.Ising:
    i = np.arange(10)
    upper = np.triu(1.1 / np.sqrt(10) * np.cos(2 + 7 * i[:, None] + 11 * i + i[:, None] * i), 1)
    return js.discrete.Ising(upper + upper.T, 0.15 * np.sin(1 + 2 * i))


def by_nodes(x: np.ndarray) -> np.ndarray:
    """Couplings from a logistic regression of each spin on the others."""
    n = x.shape[1]
    found = np.zeros((n, n))
    for i in range(n):
        others = np.arange(n) != i
        found[i, others] = LogisticRegression(C=np.inf).fit(x[:, others], x[:, i]).coef_[0] / 2
    return (found + found.T) / 2


def couplings_of(model: Any) -> dict[tuple[int, ...], float]:
    """Weights of pairs, or of all terms of three."""
    if isinstance(model, js.discrete.MRF):
        return {term: weight for term, weight in model.terms.items() if len(term) == 3}
    j = np.asarray(model.couplings)
    return {(a, b): j[a, b] for a, b in zip(*np.triu_indices(len(j), 1), strict=True)}


def judged(fit: Any, law: Any, seconds: float) -> dict[str, float]:
    truth, found = couplings_of(law), couplings_of(fit.model)
    difference = [found.get(term, 0.0) - weight for term, weight in truth.items()]
    p, q = np.asarray(law.probabilities(), float), np.asarray(fit.model.probabilities(), float)
    return {
        "max error": float(np.abs(difference).max()),
        "TV": float(0.5 * np.abs(p - q).sum()),
        "asymmetry": float(fit.asymmetry),
        "width": float(fit.width),
        "s": seconds,
    }


def timed(arm: str, x: np.ndarray, order: int) -> tuple[Any, float]:
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a width that is too small
        found = js.learning.fit_spins(x, order, **ARMS[arm])
    return found, time.perf_counter() - begun


def cases(options: Any) -> Any:
    """Name, law of a seed, order and number of samples."""
    sk, three = js.discrete.sk, js.discrete.p_spin
    for m in (5_000, 20_000, 100_000):
        yield f"ten spins, {m:,}", lambda seed: ten_spins(), 2, m, options.seeds
    yield "pairs, beta 1", lambda seed: sk(jax.random.key(seed), 16, 1.0), 2, 20_000, options.models
    yield "pairs, beta 1.5", lambda seed: sk(jax.random.key(seed), 16, 1.5), 2, 200_000, options.models
    yield "triples, beta 0.5", lambda seed: three(jax.random.key(seed), 12, 0.5), 3, 60_000, options.models
    yield "triples, beta 1", lambda seed: three(jax.random.key(seed), 12, 1.0), 3, 60_000, options.models


def small(options: Any) -> None:
    rows = []
    for case, law_of, order, m, seeds in cases(options):
        if options.only and not case.startswith(tuple(options.only)):
            continue
        found: dict[str, list[dict[str, float]]] = {}
        for seed in range(seeds):
            law = law_of(seed)
            p = np.asarray(law.probabilities(), float)
            states = np.asarray(js.discrete.states(law.sites))
            m = min(m, options.most)
            x = states[np.random.default_rng(seed).choice(len(states), m, p=p / p.sum())]
            for arm in ARMS:
                fit, seconds = timed(arm, x, order)
                found.setdefault(arm, []).append(judged(fit, law, seconds))
            q = np.bincount(codes(x), minlength=len(states)) / m
            found.setdefault("the samples themselves", []).append({"TV": float(0.5 * np.abs(p - q).sum())})
        for arm, each in found.items():
            rows.append({"case": case, "arm": arm} | medians(each))
        print(case, {arm: round(float(np.median([one["TV"] for one in each])), 4) for arm, each in found.items()})
    report("spins_learning", "Couplings from samples: medians", rows, options)


def codes(x: np.ndarray) -> np.ndarray:
    """The number of each state among all."""
    return (x > 0) @ (1 << np.arange(x.shape[1]))


def large(options: Any) -> None:
    law = js.discrete.sk(jax.random.key(0), options.spins, 1.0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        chains = min(4000, options.large_data)
        kept = -(-options.large_data // chains)
        draws = js.sample_spins(jax.random.key(1), law, (chains, options.spins), steps=4 * kept, thin=4).draws
        x = (
            np.asarray(draws).swapaxes(0, 1).reshape(-1, options.spins)[: options.large_data]
        )  # rows of other chains follow
        np.save(path, x)
        for arm in LARGE:
            if arm == "nodes by scikit-learn" and len(x) > options.most:
                continue
            command = [sys.executable, __file__, "--one", arm, str(path)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(said.splitlines()[-1])
            difference = (np.asarray(found.pop("couplings")) - np.asarray(law.couplings))[np.triu_indices(len(x[0]), 1)]
            row = {"arm": arm, "max error": float(np.abs(difference).max()), "rms": float(np.std(difference))}
            rows.append(row | found)
            print(rows[-1], flush=True)
    title = f"{len(x):,} samples of {options.spins} spins, beta 1, from a file of {x.nbytes / 2**20:.0f} MiB"
    report("spins_learning_large", title, rows, options)


def one(arm: str, path: str) -> None:
    """A learner in a process of its own."""
    x: Any = np.load(path, mmap_mode="r")
    fit = (lambda x: by_nodes(np.asarray(x))) if arm == "nodes by scikit-learn" else lambda x: timed(arm, x, 2)[0]
    fit(x[: len(x) // 10])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, clock = time.process_time(), time.perf_counter()
    found = fit(x)
    took, wall = time.process_time() - begun, time.perf_counter() - clock
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    couplings = found if isinstance(found, np.ndarray) else np.asarray(found.model.couplings)
    said = {"cpu s": took, "s": wall, "peak MiB": before / 2**10, "grown by MiB": grown / 2**10}
    print(json.dumps(said | {"couplings": couplings.tolist()}))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=9, help="draws of the ten spins")
    parser.add_argument("--models", type=int, default=3, help="models, with their draws, of the other cases")
    parser.add_argument("--most", type=int, default=200_000, help="most samples of a case, or of scikit-learn")
    parser.add_argument("--only", nargs="*", help="beginnings of cases")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--large-data", type=int, default=1_000_000)
    parser.add_argument("--spins", type=int, default=64)
    parser.add_argument("--one", nargs=2, metavar=("ARM", "FILE"), help="one learner, as --large starts it")
    options = parser.parse_args()
    if options.one:
        one(*options.one)
    elif options.large:
        large(options)
    else:
        small(options)


if __name__ == "__main__":
    main()
