"""How near do polynomials come to a concept whose labels an adversary has flipped, and what do random directions cost?

adversary: six normal coordinates, the label says whether the first two are positive, and 8.75 % of the labels, those of
the half-space on the far side of that quadrant, are flipped. Errors are those of 50,000 new rows with their flips.
projection: 400 coordinates of unit vectors, two of them .229 away from 0; the label says whether both are positive.
The polynomial sees few random directions.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import common
import jax
import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

import jaxsamp as js

FLIPPED, SIGMA = 0.0875, 0.2


def quadrant(seed: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, the concept, and the labels with flips."""
    x = np.random.default_rng(seed).standard_normal((m, 6))
    concept = np.where((x[:, 0] > 0) & (x[:, 1] > 0), 1, -1)
    return x, concept, np.where((x[:, 0] + x[:, 1]) / np.sqrt(2) < -norm.isf(FLIPPED), -concept, concept)


def wedge(seed: int, m: int, d: int = 400, margin: float = 0.229) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors and whether their first two coordinates are positive."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, d))
    x[:, :2] = margin * rng.choice([-1, 1], (m, 2))
    x[:, 2:] *= np.sqrt((1 - 2 * margin**2) / (x[:, 2:] ** 2).sum(1))[:, None]
    return x, np.where((x[:, :2] > 0).all(1), 1, -1)


def ours(loss: str) -> Callable[..., Any]:
    def fitted(x: np.ndarray, y: np.ndarray, degree: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        found = js.supervised.fit_smooth(x, y, SIGMA, degree, loss, key=jax.random.key(seed)).classifier
        return lambda rows: np.asarray(found(rows))

    return fitted


def peer(model: Callable[[int], Any]) -> Callable[..., Any]:
    def fitted(x: np.ndarray, y: np.ndarray, degree: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        found = model(degree).fit(x, y)
        return found.decision_function if hasattr(found, "decision_function") else found.predict

    return fitted


def of_degree(model: Any) -> Callable[[int], Any]:
    """The model on polynomial features, scaled."""
    return lambda degree: make_pipeline(PolynomialFeatures(degree, include_bias=False), StandardScaler(), model)


METHODS = {
    "l1": ours("l1"),
    "logistic": ours("logistic"),
    "hinge": ours("hinge"),
    "scikit-learn, least squares": peer(of_degree(LinearRegression())),
    "scikit-learn, logistic": peer(of_degree(LogisticRegression(max_iter=5000))),
    "scikit-learn, SVC(poly)": peer(lambda degree: SVC(kernel="poly", degree=degree, coef0=1.0)),
}


def adversary(options: Any) -> Iterator[dict[str, Any]]:
    for degree in options.degrees:
        for method in options.only:
            errors, excess, seconds = [], [], []
            for seed in options.seeds:
                x, _, y = quadrant(seed, options.rows)
                fresh, concept, labels = quadrant(seed + 1000, options.fresh)
                start = time.perf_counter()
                found = METHODS[method](x, y, degree, seed)
                seconds.append(time.perf_counter() - start)
                errors.append(float(np.mean((found(fresh) > 0) != (labels > 0))))
                excess.append(errors[-1] - float(np.mean(concept != labels)))
            row = {"degree": degree, "method": method, "error": statistics.median(errors)}
            spread = {"excess over the concept": statistics.median(excess), "largest excess": max(excess)}
            yield row | spread | {"seconds": statistics.median(seconds), "seeds": {"error": errors}}


def projection(options: Any) -> Iterator[dict[str, Any]]:
    for directions in options.directions:
        for degree in (1, 2):
            errors = []
            for seed in options.seeds:
                x, y = wedge(seed, options.projected)
                fresh, labels = wedge(seed + 1000, options.fresh)
                made = js.supervised.fit_smooth(
                    x, y, 0.0, degree, project=directions, key=jax.random.key(seed)
                ).classifier
                parts = np.array_split(np.arange(len(fresh)), 20)
                scores = np.concatenate([np.asarray(made(fresh[part])) for part in parts])
                errors.append(float(np.mean((scores > 0) != (labels > 0))))
            most = float(np.mean(labels > 0))
            row = {"directions": directions, "degree": degree, "error": statistics.median(errors)}
            yield row | {"majority": min(most, 1 - most), "seeds": {"error": errors}}


PARTS = {"adversary": adversary, "projection": projection}


def main() -> None:
    warnings.filterwarnings("ignore", module="sklearn")
    parser = common.arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--fresh", type=int, default=50_000)
    parser.add_argument("--degrees", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", default=[*METHODS], choices=METHODS, help="methods")
    parser.add_argument("--projected", type=int, default=4000, help="rows of 400 coordinates")
    parser.add_argument("--directions", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--parts", nargs="+", default=[*PARTS], choices=PARTS)
    options = parser.parse_args()
    for name in options.parts:
        title, rows = f"Smoothed learning: {name}", []
        for row in PARTS[name](options):
            rows.append(row)
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
            content = common.about(title, options, ["scikit-learn"]) | {"rows": rows}
            common.write(options.results / f"smoothed_learning_{name}.json", content)
        common.show(title, rows)


if __name__ == "__main__":
    main()
