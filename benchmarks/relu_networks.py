"""Do Hermite moments help to find a network of few ReLUs?

Labels of networks of k ReLUs at standard normal rows: random ones; four lines in a plane with alternating signs, whose
second moment is zero; and a pair that nearly cancels, beside a third. Compared are `fit_relu`; the same search and the
same polishing in all dimensions from random directions, without moments, from one start or the best of six by the loss
on the 8,000 rows that the search sees; and scikit-learn's MLPRegressor (Adam) with as many hidden neurons, or 64; and
k neurons of Flax trained by optax, Adam with the same batches and passes, from six starts, the best by the same loss.
R^2 is for clean labels of new rows; `found` is the share of sets in which each weight has a neuron with |cos| > 0.99.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import common
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.neural_network import MLPRegressor

import jaxsamp as js
from jaxsamp.supervised.relu_moments import Rows
from jaxsamp.supervised.relu_polish import Lines, polished, simpler
from jaxsamp.supervised.relu_search import coefficients, search

CASES = {  # kind, k, d, rows, standard deviation of the noise of labels
    "cancelling, k = 4, d = 10": ("cancelling", 4, 10, 40_000, 0.0),
    "close pair, k = 3, d = 10": ("close", 3, 10, 40_000, 0.0),
    "generic, k = 3, d = 20": ("generic", 3, 20, 100_000, 0.0),
    "cancelling, k = 4, d = 50": ("cancelling", 4, 50, 200_000, 0.0),
    "close pair, k = 3, d = 50": ("close", 3, 50, 200_000, 0.0),
    "generic, k = 3, d = 50": ("generic", 3, 50, 100_000, 0.0),
    "generic, k = 3, d = 100": ("generic", 3, 100, 100_000, 0.0),
    "generic, k = 3, d = 50, noise 0.5": ("generic", 3, 50, 100_000, 0.5),
    "generic, k = 4, d = 100, noise 0.5": ("generic", 4, 100, 200_000, 0.5),
}
SEEN = 8000  # rows of the search
BATCH, PASSES, RATE = 500, 40, 3e-3  # of the perceptrons; the rate is of Flax, and falls to zero
Predict = Callable[[np.ndarray], np.ndarray]
Found = tuple[Predict, np.ndarray]  # the function, and the directions of its neurons (m, d)


def unit(w: np.ndarray) -> np.ndarray:
    return w / np.linalg.norm(w, axis=-1, keepdims=True)


def teacher(rng: np.random.Generator, kind: str, k: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (k, d) and coefficients (k,)."""
    if kind == "generic":
        return unit(rng.standard_normal((k, d))), rng.choice([-1, 1], k) * rng.uniform(0.5, 1.5, k)
    if kind == "cancelling":
        angle, plane = np.arange(4) * np.pi / 4, np.linalg.qr(rng.standard_normal((d, 2)))[0]
        return np.stack([np.cos(angle), np.sin(angle)], 1) @ plane.T, np.array([1.0, -1, 1, -1])
    first, turned, other = unit(rng.standard_normal((3, d)))
    return np.stack([first, first + 0.3 * turned, other]), np.array([1.0, -0.9, 1.0])


def moments(seed: int, x: np.ndarray, y: np.ndarray, k: int) -> Found:
    fit = js.supervised.fit_relu(jax.random.key(seed), x, y, k)
    return fit.predict, fit.weights


def random_starts(number: int) -> Callable[..., Found]:
    def fitted(seed: int, x: np.ndarray, y: np.ndarray, k: int) -> Found:
        d = x.shape[1]
        starts = unit(np.random.default_rng(seed).standard_normal((number, k, d)))
        # The greedy start of k directions takes all of them: one more random start.
        u = search(x[:SEEN], y[:SEEN], k, starts[1:], starts[0])
        constant, slope, a = np.split(coefficients(x[:SEEN], y[:SEEN], u), [1, 1 + d])
        lines = Lines(np.abs(a)[:, None] * u, np.where(a < 0, -1.0, 1.0), slope, float(constant[0]))
        rows, scale = Rows(x, y, 0, len(x), max(2_000_000 // d, 1)), float(y.var())
        lines = simpler(rows, polished(rows, lines, scale), scale).lines
        return lines, unit(lines.v)

    return fitted


def perceptron(width: int | None) -> Callable[..., Found]:
    def fitted(seed: int, x: np.ndarray, y: np.ndarray, k: int) -> Found:
        settings: dict[str, Any] = {"hidden_layer_sizes": (width or k,), "batch_size": BATCH, "max_iter": PASSES}
        made: Any = MLPRegressor(**settings, random_state=seed).fit(x, y)
        return made.predict, unit(np.asarray(made.coefs_[0]).T)

    return fitted


def flax_starts(number: int) -> Callable[..., Found]:
    """All starts at once, on the same batches."""

    def fitted(seed: int, x: np.ndarray, y: np.ndarray, k: int) -> Found:
        module, width = nn.Sequential([nn.Dense(k), nn.relu, nn.Dense(1)]), min(BATCH, len(x))
        per_pass = len(x) // width
        adam = optax.adam(optax.cosine_decay_schedule(RATE, PASSES * per_pass))
        rows = jnp.asarray(x[: per_pass * width], jnp.float32).reshape(per_pass, width, -1)
        labels = jnp.asarray(y[: per_pass * width], jnp.float32).reshape(per_pass, width)

        def loss(params: Any, x: Any, y: Any) -> Any:
            return jnp.mean((jnp.asarray(module.apply(params, x))[..., 0] - y) ** 2)

        def step(carry: Any, batch: Any) -> Any:
            params, state = carry
            updates, state = adam.update(jax.grad(loss)(params, *batch), state)
            return (optax.apply_updates(params, updates), state), None

        @jax.jit
        @jax.vmap
        def run(key: Any) -> Any:
            params = module.init(key, rows[0])
            carry = (params, adam.init(params))
            params = jax.lax.scan(lambda c, _: (jax.lax.scan(step, c, (rows, labels))[0], None), carry, None, PASSES)[
                0
            ][0]
            return params, loss(params, x[:SEEN].astype(np.float32), y[:SEEN].astype(np.float32))

        made, losses = run(jax.random.split(jax.random.key(seed), number))
        best = jax.tree.map(lambda leaf: leaf[jnp.argmin(losses)], made)
        directions = np.asarray(best["params"]["layers_0"]["kernel"]).T
        return lambda x: np.asarray(module.apply(best, jnp.asarray(x, jnp.float32)))[:, 0], unit(directions)

    return fitted


METHODS: dict[str, Callable[..., Found]] = {
    "fit_relu": moments,
    "one random start": random_starts(1),
    "best of six": random_starts(6),
    "MLPRegressor, k": perceptron(None),
    "MLPRegressor, 64": perceptron(64),
    "flax + optax, best of six": flax_starts(6),
}


def measured(case: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    kind, k, d, n, noise = CASES[case]
    results: dict[str, list[tuple[float, ...]]] = {name: [] for name in options.only}
    for seed in range(options.sets):
        rng = np.random.default_rng(seed)
        w, a = teacher(rng, kind, k, d)
        x, fresh = rng.standard_normal((min(n, options.most), d)), rng.standard_normal((20_000, d))
        y, clean = np.maximum(x @ w.T, 0) @ a, np.maximum(fresh @ w.T, 0) @ a
        y += noise * rng.standard_normal(len(x))
        for name in options.only:
            start = time.perf_counter()
            predict, directions = METHODS[name](seed, x, y, k)
            seconds = time.perf_counter() - start
            missed = float(np.mean((predict(fresh) - clean) ** 2) / clean.var())
            least = float(np.abs(unit(w) @ directions.T).max(1).min())
            results[name].append((missed, least, seconds))
    for name, each in results.items():
        missed, least, seconds = np.array(each).T
        yield {
            "label": case,
            "method": name,
            "R^2 > .999": float(np.mean(missed < 1e-3)),
            "found": float(np.mean(least > 0.99)),
            "1 - R^2, median": float(np.median(missed)),
            "worst": float(missed.max()),
            "seconds": float(np.median(seconds)),
        }


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--sets", type=int, default=8, help="networks and rows of each case")
    parser.add_argument("--most", type=int, default=1_000_000, help="most rows")
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=CASES, help="networks")
    parser.add_argument("--only", nargs="+", default=[*METHODS], choices=METHODS, help="methods")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of scikit-learn, that it has not converged
    title, rows = "Networks of few ReLUs: share of sets that are learned", []
    for case in options.cases:
        for one in measured(case, options):
            rows.append(one)
            print(one, flush=True)
            content = common.about(title, options, ["scikit-learn", "flax", "optax"]) | {"rows": rows}
            common.write(options.results / "relu_networks.json", content)
    common.show(title, rows)


if __name__ == "__main__":
    main()
