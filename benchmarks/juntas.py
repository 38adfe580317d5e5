"""Which coordinates does a label depend on, where coordinates depend on each other?

Twelve spins on a ring with chords (|J| = 0.6 and 0.3) in fields that are uniform in +-0.5; the label is a function of a
few of them, with 5 % of the labels flipped. Counted are the sets in which a method finds exactly those few. `select` is
not told their number; all others are.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import common
import jax
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE, mutual_info_classif
from sklearn.linear_model import LogisticRegression

import jaxsamp as js
from jaxsamp.learning import select_statistics

N, FLIPS = 12, 0.05
CASES = {  # number of coordinates, labels and rows
    "3, random": (3, "random", 20_000, 0.5),
    "4, random": (4, "random", 20_000, 0.5),
    "4, parity": (4, "parity", 20_000, 0.5),
    "4, parity, 100,000 rows": (4, "parity", 100_000, 0.5),
    "4, parity, no fields": (4, "parity", 20_000, 0.0),
}


def law_of(rng: np.random.Generator, fields: float) -> js.discrete.Ising:
    """A ring with chords."""
    couplings = np.zeros((N, N))
    for i in range(N):
        couplings[i, (i + 1) % N] = 0.6 * rng.choice([-1, 1])
    for i in range(N):
        couplings[i, (i + 3) % N] = 0.3 * rng.choice([-1, 1])
    return js.discrete.Ising(couplings + couplings.T, rng.uniform(-fields, fields, N))


def table_of(rng: np.random.Generator, k: int, kind: str) -> np.ndarray:
    """Labels of the 2^k states, which depend on each coordinate."""
    while True:
        table = rng.choice([-1, 1], 2**k) if kind == "random" else np.asarray(js.discrete.states(k)).prod(1)
        cube = table.reshape((2,) * k)
        if all((cube.take(0, axis) != cube.take(1, axis)).any() for axis in range(k)):
            return table


def top(values: np.ndarray, k: int) -> tuple[int, ...]:
    """The numbers of the k largest, increasing."""
    return tuple(sorted(int(i) for i in np.argsort(-np.abs(np.asarray(values, float)))[:k]))


def single(x: np.ndarray, y: np.ndarray, k: int, law: js.discrete.Ising) -> tuple[int, ...]:
    """The k largest |z| of all rows, with the known law."""
    means = np.asarray(law.conditional_mean(jax.numpy.asarray(x)))
    return top(select_statistics.statistic(y - y.mean(), x, means), k)


FOREST = RandomForestClassifier(10, min_samples_leaf=50, random_state=0, n_jobs=1)
METHODS: dict[str, Callable[..., tuple[int, ...]]] = {
    "select": lambda x, y, k, law: js.learning.select(x, y).indices,
    "select, law known": lambda x, y, k, law: js.learning.select(x, y, conditional_mean=law.conditional_mean).indices,
    "one z of all rows": single,
    "covariance": lambda x, y, k, law: top(np.cov(x.T, y)[-1, :-1], k),
    "mutual information": lambda x, y, k, law: top(mutual_info_classif(x, y, discrete_features=True), k),
    "LASSO (l1 logistic)": lambda x, y, k, law: top(
        LogisticRegression(l1_ratio=1.0, C=0.1, solver="liblinear").fit(x, y).coef_[0], k
    ),
    "RFE, random forest": lambda x, y, k, law: top(RFE(FOREST, n_features_to_select=k).fit(x, y).support_, k),
}


def found(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for case in options.cases:
        k, kind, rows, fields = CASES[case]
        rng = np.random.default_rng(1)
        exact, seconds = dict.fromkeys(options.only, 0), dict.fromkeys(options.only, 0.0)
        missed = dict.fromkeys(options.only, 0)
        for _ in range(options.sets):
            law, table = law_of(rng, fields), table_of(rng, k, kind)
            key, of = jax.random.key(int(rng.integers(2**31))), np.sort(rng.choice(N, k, replace=False))
            x = np.asarray(law.sample(key, min(rows, options.most)))
            y = table[(x[:, of] > 0) @ 2 ** np.arange(k)] * np.where(rng.random(len(x)) < FLIPS, -1, 1)
            for name in options.only:
                start = time.perf_counter()
                got = METHODS[name](x, y, k, law)
                seconds[name] += (time.perf_counter() - start) / options.sets
                exact[name] += got == tuple(int(i) for i in of)
                missed[name] += bool(set(of) - set(got))
        for name in options.only:
            shares = {"exact": exact[name] / options.sets, "missed one": missed[name] / options.sets}
            yield {"label": case, "method": name} | shares | {"seconds": seconds[name]}


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--sets", type=int, default=20, help="laws, labels and samples of each case")
    parser.add_argument("--most", type=int, default=100_000, help="most rows")
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=CASES, help="kinds of labels")
    parser.add_argument("--only", nargs="+", default=[*METHODS], choices=METHODS, help="methods")
    options = parser.parse_args()
    title, rows = "The coordinates of a label: share of sets that are found exactly", []
    for one in found(options):
        rows.append(one)
        print(one, flush=True)
        content = common.about(title, options, ["scikit-learn"]) | {"rows": rows}
        common.write(options.results / "juntas.json", content)
    common.show(title, rows)


if __name__ == "__main__":
    main()
