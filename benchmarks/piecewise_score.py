"""How near does score regression by piecewise polynomials come to the law, against EM with the same samples?

Mixtures of k Gaussians in d dimensions (separation 2, eigenvalues of the covariances from 0.25 to 2), 20,000 samples,
k known. Total variation from the law of the discrete flow of 64 steps of UniPC, from its own density; of EM, and of
crude cells, from theirs. Arms, of which each changes one thing:

- EM: scikit-learn, tol 1e-4, 3 starts;
- default: crude cells by EM on all samples, and corrections where they lower the held-out loss;
- wide: crude cells from 4,000 samples alone, with 0.05 of the data's variance added; degree 0 has no correction;
- sharper: the same without the 0.05; plain targets: samples instead of posterior means at high noise; hard: the most
  probable cell alone; iterated: the crude cells of the law that the wide arm samples; k-means: no EM in 2 k wide cells;
- k - 1, BIC: the number of cells.

With `--large` 100,000 samples in many dimensions: time, peak memory, score error, and what is said of k - 1 cells.
"""

import resource
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, show, write
from sklearn.mixture import GaussianMixture as Sklearn

import jaxsamp as js
from jaxsamp.learning import piecewise_cells, piecewise_gram, start

SCHEDULE = js.schedules.VarianceExploding()
CASES, ALL_ARMS, TWO_ARMS = ((2, 3), (8, 4), (2, 6), (16, 6), (4, 4)), ((4, 4),), ((8, 4),)
FIRST = 1000.0  # first level of the flow, where the law's mean is drowned too
WIDE = {"iterations": 0, "floor": 0.05}
Score = js.learning.PiecewisePolynomialScore


def density_tv(fitted: Any, law: Any, n: int) -> dict[str, float]:
    """E_q (1 - p / q)_+ of a law q with a density."""
    x = fitted.sample(jax.random.key(1), n)
    terms = -np.expm1(np.minimum(np.asarray(law.log_prob(x) - fitted.log_prob(x), float), 0))
    return {"TV": float(terms.mean()), "+-": float(1.96 * terms.std() / n**0.5)}


def flow_tv(denoiser: Any, law: Any, last: float, n: int) -> dict[str, float]:
    grid = js.grids.log_snr(SCHEDULE, 64, sigma_max=FIRST, sigma_min=last)
    flow = js.sample_and_log_prob(
        jax.random.key(2), denoiser, (n, *law.event_shape), js.samplers.UniPC(order=3), grid=grid, microbatch=1000
    )
    found = js.metrics.flow_tv(flow, law, SCHEDULE.level(-jnp.log(last)))
    return {"TV": found.value, "+-": 1.96 * (found.stderr or 0.0)}


def learned(arm: str, k: int, x: np.ndarray) -> Any:
    """The learner of one arm, after its fit."""
    kept = piecewise_gram.HIGH, piecewise_cells.started
    degree = 3 if x.shape[1] <= 4 else 2
    made = {
        "default": Score(k, degree=degree),
        "wide, degree 0": Score(k, degree=0, **WIDE),
        "wide": Score(k, degree=degree, **WIDE),
        "sharper": Score(k, degree=degree, iterations=0),
        "plain targets": Score(k, degree=degree, **WIDE),
        "hard": Score(k, degree=degree, cells="hard", **WIDE),
        "k-means": Score(2 * k, degree=degree, **WIDE),
        "k - 1": Score(k - 1, degree=degree),
        "BIC": Score(degree=degree),
    }
    if arm == "iterated":
        first = made["wide"].set_params(random_state=0).fit(x)
        again = Score(k, degree=degree, random_state=1).fit(first.sample(jax.random.key(3), len(x)))
        return Score(again.crude_, degree=degree, random_state=0).fit(x)
    if arm == "plain targets":
        piecewise_gram.HIGH = np.inf
    if arm == "k-means":
        piecewise_cells.started = centers
    try:
        return made[arm].set_params(random_state=0).fit(x)
    finally:
        piecewise_gram.HIGH, piecewise_cells.started = kept


def centers(x: np.ndarray, components: int, seed: int, starts: int, floor: float) -> Any:
    """k-means alone, with the covariance within the cells."""
    part = x[: piecewise_cells.SUBSET]
    means = start.k_means_start(part, components, seed, 20)
    nearest = np.argmin(np.square(means).sum(1) - 2 * part @ means.T, 1)
    within = np.cov((part - means[nearest]).T) + floor * np.eye(x.shape[1])
    weights = np.bincount(nearest, minlength=components) / len(part)
    return piecewise_cells.Cells(weights, means, np.tile(within, (components, 1, 1))), 0.0


def small(options: Any) -> None:
    arms = ["wide", "wide, degree 0", "sharper", "iterated", "plain targets", "k-means", "hard", "k - 1", "BIC"]
    rows = []
    for d, k in options.cases:
        law = js.targets.GaussianMixture.random(jax.random.key(100 * d + 10 * k), k, d)
        x = np.asarray(law.sample(jax.random.key(7), options.data), float)
        case, begun = f"d = {d}, k = {k}", time.process_time()
        fitted = js.targets.GaussianMixture.from_sklearn(
            Sklearn(k, tol=1e-4, n_init=3, max_iter=500, random_state=0).fit(x)
        )
        em = density_tv(fitted, law, 10 * options.samples)
        rows.append({"case": case, "arm": "EM", **em, "over EM": 1.0, "fit cpu s": time.process_time() - begun})
        rows.append({"case": case, "arm": "exact score", **flow_tv(law.denoiser(SCHEDULE), law, 0.05, options.samples)})
        for arm in ["default", *(arms if (d, k) in ALL_ARMS else arms[:1] if (d, k) in TWO_ARMS else ())]:
            if options.only and arm not in options.only:
                continue
            begun = time.process_time()
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", UserWarning)
                found = learned(arm, k, x)
            row = {"case": case, "arm": arm, "fit cpu s": time.process_time() - begun}
            denoiser = found.denoiser(SCHEDULE)
            if arm == "wide, degree 0":
                row |= density_tv(found.crude_, law, 10 * options.samples)
            elif arm != "hard":
                row |= flow_tv(denoiser, law, float(found.levels_[-1]), options.samples)
            if "TV" in row:
                row["over EM"] = row["TV"] / em["TV"]
            error = js.score_error(jax.random.key(4), denoiser, law, found.levels_, samples=2048).relative
            row |= {"score error": float(error.max()), "cells": len(found.crude_.weights)}
            row |= {
                "degrees": found.degrees_.tolist(),
                "said": [str(w.message) for w in said if w.category is UserWarning],
            }
            rows.append(row)
            print({name: value for name, value in row.items() if name != "degrees"}, flush=True)
            write(options.results / "piecewise_score.json", about("Score regression", options) | {"rows": rows})
    write(options.results / "piecewise_score.json", about("Score regression", options) | {"rows": rows})
    show(
        "Total variation from the law", [{n: v for n, v in row.items() if n not in ("degrees", "said")} for row in rows]
    )


def large(options: Any) -> None:
    rows = []
    for d in options.dims:
        k = 4
        law = js.targets.GaussianMixture.random(jax.random.key(d), k, d)
        x = np.asarray(law.sample(jax.random.key(7), options.large_data))
        for components in (k, k - 1):
            begun, clock = time.process_time(), time.time()
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", UserWarning)
                found = Score(components, levels=options.levels, random_state=0).fit(x)
            row = {
                "d": d,
                "k": k,
                "cells": components,
                "fit cpu s": time.process_time() - begun,
                "s": time.time() - clock,
            }
            row |= {
                "peak GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
                "data GiB": x.nbytes / 2**30,
            }
            denoiser = found.denoiser(SCHEDULE)
            error = js.score_error(jax.random.key(4), denoiser, law, found.levels_, samples=512).relative
            row |= {
                "score error": float(error.max()),
                "said": [str(w.message) for w in said if w.category is UserWarning],
            }
            row["degrees"] = found.degrees_.tolist()
            rows.append(row)
            print(row, flush=True)
            write(options.results / "piecewise_score_large.json", about("Score regression", options) | {"rows": rows})
    show("Many dimensions", rows)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=int, default=20_000)
    parser.add_argument("--samples", type=int, default=2000, help="outputs whose density is computed")
    parser.add_argument("--only", nargs="*", help="names of arms")
    parser.add_argument("--cases", nargs="*", type=lambda case: tuple(map(int, case.split("x"))), default=CASES)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--large-data", type=int, default=100_000)
    parser.add_argument("--dims", nargs="*", type=int, default=[64, 256])
    parser.add_argument("--levels", type=int, default=10, help="of the large cases")
    options = parser.parse_args()
    (large if options.large else small)(options)


if __name__ == "__main__":
    main()
