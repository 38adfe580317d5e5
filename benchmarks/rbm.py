"""Restricted Boltzmann machines: is log Z between its bounds, what are unlabeled samples worth, how likely are digits?

brackets: annealing forward and backward on machines of 10 spins and 4 hidden ones, whose log Z is known.
supervised: squared error of E[y | x] with 20,000 unlabeled samples and few or many labels, of all three stages of
`fit_supervised_rbm`, of the same network from random starts (the best of three by held-out loss), and of logistic
regression on all products of at most D spins. Medians over machines.
digits: mean log probability in nats of held-out digits, 51 pixels that vary, black or white, by one annealing for all:
of `fit_rbm`, of scikit-learn's BernoulliRBM and, where it is installed, of `rbms` (pip install rbms), with the same
updates, chains and sweeps; each at the best of the given learning rates for the held-out digits; and of independent
pixels. scikit-learn has batches and chains of its own, so its epochs are chosen for about the same time.
"""

import importlib
import importlib.util
import time

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, show, write
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM

import jaxsamp as js
from jaxsamp_kernels import hermite

SPINS, HIDDEN = 10, 4
CERTAINTY = 0.84  # mean of E[y | x]^2: with the couplings as drawn it is up to 0.996, and labels say nearly all


def machine(seed):
    """A labeled machine, and the law of x and y."""
    rng = np.random.default_rng(seed)
    w, b, c = 0.6 * rng.standard_normal((SPINS, HIDDEN)), 0.2 * rng.standard_normal(SPINS), 0.2 * rng.standard_normal(4)
    head = rng.choice([-1, 1], HIDDEN) * rng.uniform(0.75, 2.25, HIDDEN)
    return js.discrete.LabeledRBM(js.discrete.RBM(w, b, c), head, 0.1)


def unsure(labeled):
    """The same machine with the couplings of its label scaled so that the mean of E[y | x]^2 is `CERTAINTY`."""

    def scaled(by):
        return js.discrete.LabeledRBM(labeled.rbm, by * labeled.head, labeled.bias)

    return scaled(brentq(lambda by: law_of(scaled(by))[2] - CERTAINTY, 0.01, 10, xtol=1e-3))


def law_of(labeled):
    """Probabilities of all states of x, E[y | x] at each, and the mean of its square."""
    p = np.asarray(labeled.joint().probabilities(), float).reshape(2, -1).sum(0)
    mean = np.asarray(labeled.conditional_mean(js.discrete.states(SPINS)), float)
    return p, mean, float(p @ mean**2)


def brackets(options):
    for temperatures in options.temperatures:
        for seed in options.seeds:
            rbm = machine(seed).rbm
            exact = float(rbm.log_partition())
            found = js.discrete.log_partition(jax.random.key(seed), rbm, temperatures, options.chains)
            yield {
                "temperatures": temperatures,
                "seed": seed,
                "lower - exact": found.lower - exact,
                "error of lower": found.lower_error,
                "upper - exact": found.upper - exact,
                "error of upper": found.upper_error,
                "estimate - exact": found.estimate - exact,
                "error of estimate": found.estimate_error,
                "ess": found.ess,
            }


def supervised(options):
    states = js.discrete.states(SPINS)
    table = {}
    for seed in options.seeds:
        labeled = unsure(machine(seed))
        p, truth, square = law_of(labeled)
        xy = np.asarray(labeled.joint().sample(jax.random.key(seed), 2 * options.unlabeled))
        rows, unlabeled = np.split(xy, 2)
        fit = {"steps": options.steps, "chains": options.fit_chains, "learning_rate": 0.02}
        rbm = js.learning.fit_rbm(jax.random.key(seed), unlabeled[:, :SPINS], HIDDEN, **fit)

        def error(mean, p=p, truth=truth):
            return float(p @ (np.asarray(mean, float) - truth) ** 2)

        law = np.asarray(rbm.probabilities(), float)
        of_law = {"KL of the law": float(p @ np.log(p / law)), "E m^2": square}
        for count in options.labels:
            x, y = rows[:count, :SPINS], rows[:count, SPINS]
            found = js.learning.fit_supervised_rbm(jax.random.key(seed), x, y, rbm=rbm)
            row = {"frozen": error(found.frozen.conditional_mean(states))}
            row["tuned"] = error(found.tuned.conditional_mean(states))
            row["accepted"] = float(found.accepted)
            row["returned"] = error(found.model.conditional_mean(states))
            starts = []
            for start in range(3):
                w = np.random.default_rng(start).standard_normal((SPINS, HIDDEN)) / np.sqrt(SPINS)
                starts.append(js.learning.fit_supervised_rbm(jax.random.key(1), x, y, rbm=js.discrete.RBM(w)))
            best = min(starts, key=lambda made: made.tuned_loss)
            row["net, random start"] = error(best.tuned.conditional_mean(states))
            for degree in (1, 2, 3):
                of = hermite.products(SPINS, degree, distinct=True)
                features = [np.asarray(hermite.monomials(jnp.asarray(part, float), of)) for part in (x, states)]
                model = LogisticRegression(C=1000 / count, max_iter=1000, fit_intercept=False).fit(features[0], y)
                row[f"degree {degree}"] = error(2 * model.predict_proba(features[1])[:, 1] - 1)
            table.setdefault(count, []).append(row | of_law)
            print(seed, count, {column: round(v, 4) for column, v in row.items()}, flush=True)
    for count, rows in table.items():
        name = {"labels": count, "machines": len(rows)}
        yield name | {column: float(np.median([row[column] for row in rows])) for column in rows[0]}


def digits(options):
    train, _, test = js.datasets.digits()
    x, held = (np.where(part.reshape(len(part), -1) > 0, 1, -1).astype(np.int8) for part in (train, test))
    varies = x.min(0) < x.max(0)
    x, held = x[:, varies], held[:, varies]
    zero_one = (x + 1) // 2
    size, hidden, updates = options.batch, options.hidden, options.updates

    def ours(rate):
        sizes = {"batch_size": size, "chains": options.fit_chains, "sweeps": options.sweeps}
        return js.learning.fit_rbm(jax.random.key(0), x, hidden, steps=updates, learning_rate=rate, **sizes)

    def sklearn(rate):
        # Its own batches of 10 do better than large ones; a last one that is smaller would be weighted wrongly.
        made = BernoulliRBM(hidden, learning_rate=rate, n_iter=options.epochs, random_state=0)
        made.fit(zero_one[: len(x) // 10 * 10])
        return js.discrete.RBM.from_binary(made.components_.T, made.intercept_visible_, made.intercept_hidden_)

    def rbms(rate):
        import torch
        from rbms.bernoulli_bernoulli.classes import BBRBM
        from rbms.dataset.dataset_class import RBMDataset
        from rbms.training.pcd import fit_batch_pcd

        torch.manual_seed(0)
        data = zero_one.astype(np.float32)
        ones = np.ones(len(data), np.float32)
        names = np.array([str(i) for i in range(len(data))])
        given = RBMDataset(data, np.zeros(len(data)), ones, names, "digits", True, device="cpu")
        made = BBRBM.init_parameters(hidden, given, torch.device("cpu"), torch.float32)
        chains = made.init_chains(options.fit_chains)
        optimizer = torch.optim.SGD(made.parameters(), lr=rate, maximize=True)
        with torch.no_grad():
            for _ in range(updates):
                rows = torch.randperm(len(data))[:size]
                optimizer.zero_grad(set_to_none=False)
                for part in made.parameters():
                    part.grad = torch.zeros_like(part) if part.grad is None else part.grad
                chains, _ = fit_batch_pcd((given.data[rows], given.weights[rows]), chains, made, options.sweeps, 1.0)
                optimizer.step()
        parts = made.named_parameters()
        return js.discrete.RBM.from_binary(*(np.asarray(parts[k]) for k in ("weight_matrix", "vbias", "hbias")))

    machines = {"fit_rbm": ours, "scikit-learn BernoulliRBM": sklearn}
    machines |= {"rbms": rbms} if importlib.util.find_spec("rbms") else {}
    machines = {name: fit for name, fit in machines.items() if name in (options.machines or machines)}
    ours(options.rates[0])  # compiles
    if "rbms" in machines:
        importlib.import_module("rbms.training.pcd")
    for name, fit in machines.items():
        found = []
        for rate in options.rates:
            began = time.perf_counter()
            rbm = fit(rate)
            seconds = time.perf_counter() - began
            z = js.discrete.log_partition(jax.random.key(1), rbm, max(options.temperatures), options.chains)
            likely = [float(rbm.exponent(jnp.asarray(part)).mean()) - z.estimate for part in (held, x)]
            found.append({"machine": name, "rate": rate, "held out": likely[0], "training": likely[1]})
            found[-1] |= {"bracket": z.upper - z.lower, "error": z.estimate_error, "ess": z.ess, "s": seconds}
        yield max(found, key=lambda row: row["held out"])
    independent = js.discrete.RBM(np.zeros((x.shape[1], 1)), np.arctanh(x.mean(0)))
    yield {"machine": "independent pixels", "held out": float(independent.log_prob(jnp.asarray(held)).mean())}


PARTS = {"brackets": brackets, "supervised": supervised, "digits": digits}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="machines")
    parser.add_argument("--temperatures", type=int, nargs="+", default=[30, 100, 1000])
    parser.add_argument("--chains", type=int, default=500, help="of annealing")
    parser.add_argument("--unlabeled", type=int, default=20_000)
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 1000, 5000, 20_000])
    parser.add_argument("--steps", type=int, default=2000, help="of the machine that labels are added to")
    parser.add_argument("--fit-chains", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=64, help="of digits, as what follows")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=60, help="of scikit-learn")
    parser.add_argument("--machines", nargs="+", help="of digits; all by default")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--sweeps", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03, 0.1])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    for name in options.only:
        rows = []
        for row in PARTS[name](options):
            print({column: round(v, 4) if isinstance(v, float) else v for column, v in row.items()}, flush=True)
            rows.append(row)
            content = about(f"RBMs: {name}", options, ["scikit-learn", "rbms", "torch"]) | {"rows": rows}
            write(options.results / f"rbm_{name}.json", content)
        show(name.capitalize(), rows)


if __name__ == "__main__":
    main()
