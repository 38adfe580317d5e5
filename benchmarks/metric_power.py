"""Which metric detects which error of a law, from 10,000 samples?

A random mixture in 8 and in 32 dimensions: eight components with Dirichlet(5) weights, two means 4 apart in root mean
square, rotated covariances with eigenvalues log-uniform in [0.25, 2]. Samples of perturbed mixtures are compared with
the true one. Table: z, the distance of each metric from its mean for true samples in their standard deviations, mean
over `--sets` sample sets. Rao's test is that of the block that is perturbed. Flow TV needs no samples of the perturbed
law but its denoiser: it is the total variation of a converged deterministic sampler's outputs, by their density. "TV"
is the true one, from the two densities.

The perturbations: the heaviest component shifted by 0.2 along the first axis; all components by 0.05; all covariances
times 1.05; weight 0.03 moved between the two components whose means are farthest apart; the fourth component left
out; noise of standard deviation 0.15 added; the first two coordinates' correlation raised by 0.05 in every component.
The instance behind the reference is not known; these components are the ones that come nearest to its true TVs.
"""

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, instance, report
from scipy import stats

import jaxsamp as js

# One draw each of an independent NumPy implementation on an instance of this kind: TV and z by dimension, 8 and 32.
REFERENCE = {
    "none": {},
    "one mean +0.2": {"TV": (0.026, 0.021), "Rao": (14.0,), "energy": (5.0, 1.1), "SW2": (3.9, 0.6),
                      "log p": (0.4, -0.1), "C2ST": (0.7, 1.3)},
    "all means +0.05": {"TV": (0.023, 0.027), "Rao": (6.3,), "energy": (2.9, 1.6), "SW2": (1.9, 0.8),
                        "log p": (0.8, -0.3), "C2ST": (0.0, 0.2)},
    "covariances x 1.05": {"TV": (0.037, 0.077), "Rao": (8.3,), "energy": (0.8, 3.8), "SW2": (1.8, 5.0),
                           "log p": (16.9, 38.0), "C2ST": (0.5, 5.8)},
    "weight 0.03 moved": {"TV": (0.030, 0.030), "energy": (31.0, 15.0), "SW2": (17.0, 7.6),
                          "log p": (2.6, 0.3), "C2ST": (1.6, 1.5)},
    "mode dropped": {"TV": (0.11, 0.17), "energy": (270.0, 219.0), "SW2": (71.0, 62.0),
                     "log p": (7.8, 22.0), "C2ST": (6.2, 28.0)},
    "noise 0.15 added": {"TV": (0.032, 0.070), "Rao": (6.3,), "energy": (-0.2, 1.1), "SW2": (0.4, 1.6),
                         "log p": (12.0, 31.0), "C2ST": (-1.1, 1.4)},
    "correlation +0.05": {"TV": (0.023, 0.023), "Rao": (2.0,), "energy": (-0.6, -0.2), "SW2": (-0.6, 0.0),
                          "log p": (2.0, -0.4), "C2ST": (-0.5, 0.3)},
}  # fmt: skip
MEANT = {
    "none": "means",
    "one mean +0.2": "means",
    "all means +0.05": "means",
    "covariances x 1.05": "cov_diag",
    "weight 0.03 moved": "weights",
    "mode dropped": "weights",
    "noise 0.15 added": "cov_diag",
    "correlation +0.05": "cov_off",
}
DIMS = (8, 32)
LAST, FIRST, STEPS = 0.02, 1000.0, 128


def perturbed(weights, means, covariances):
    """The parameters of every perturbed law, by name."""
    k, d = means.shape
    axis = np.eye(d)[0]
    one = means + 0.2 * axis * (np.arange(k) == weights.argmax())[:, None]
    far = np.linalg.norm(means[:, None] - means, axis=2)
    to, away = np.unravel_index(far.argmax(), far.shape)
    moved = weights + 0.03 * (np.eye(k)[to] - np.eye(k)[away])
    kept = np.arange(k) != min(3, k - 1)
    turned = covariances.copy()
    turned[:, 0, 1] += 0.05 * np.sqrt(covariances[:, 0, 0] * covariances[:, 1, 1])
    turned[:, 1, 0] = turned[:, 0, 1]
    return {
        "none": (weights, means, covariances),
        "one mean +0.2": (weights, one, covariances),
        "all means +0.05": (weights, means + 0.05 * axis, covariances),
        "covariances x 1.05": (weights, means, 1.05 * covariances),
        "weight 0.03 moved": (moved, means, covariances),
        "mode dropped": (weights[kept] / weights[kept].sum(), means[kept], covariances[kept]),
        "noise 0.15 added": (weights, means, covariances + 0.15**2 * np.eye(d)),
        "correlation +0.05": (weights, means, turned),
    }


def true_tv(p, q, n, key):
    """Total variation of two laws from n samples of each, E |tanh(log(p / q) / 2)|; off by 0.5 / sqrt(n) at most."""
    log_ratio = jax.jit(lambda x: p.log_prob(x) - q.log_prob(x))
    keys = jax.random.split(key)
    terms = [np.abs(np.tanh(log_ratio(law.sample(k, n)) / 2)) for law, k in zip((p, q), keys, strict=True)]
    return float(np.mean(terms))


def flow_tv(p, q, n, key):
    """Total variation from p of what the exact denoiser of q draws, and its standard error."""
    denoiser = q.denoiser(js.schedules.OrnsteinUhlenbeck())
    grid = js.grids.log_snr(denoiser.schedule, STEPS, sigma_max=FIRST, sigma_min=LAST)
    flow = js.sample_and_log_prob(key, denoiser, n, js.samplers.UniPC(order=3), grid=grid, microbatch=500)
    found = js.metrics.flow_tv(flow, p, denoiser.schedule.level(-jnp.log(LAST)))
    return found.value, found.stderr


def powers(x, bank, block, key, options):
    """z of every metric."""
    sizes = {"max_points": options.samples, "null_sets": options.null_sets}
    return {
        "Rao": js.metrics.rao_score_test(x, bank, blocks=(block,), true_samples=options.draws)[block].z,
        "energy": js.metrics.energy(x, bank, **sizes).z,
        "MMD": js.metrics.mmd(x, bank, **sizes).z,
        "SW2": js.metrics.sliced_w2(x, bank, null_sets=options.null_sets).z,
        "log p": -js.metrics.log_density(x, bank).z,
        "C2ST": js.metrics.c2st(x, bank, key).z,
    }


def main():
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--flow-samples", type=int, default=2000)
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--null-sets", type=int, default=40)
    parser.add_argument("--draws", type=int, default=100_000, help="for the information matrices of Rao's test")
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS)
    options = parser.parse_args()

    found = {}
    for d in options.dims:
        parameters = instance(d, options.components)
        laws = perturbed(*parameters)
        true = js.targets.GaussianMixture(*parameters)
        bank = js.metrics.NullBank(true, options.samples, jax.random.key(d))
        for i, (name, perturbation) in enumerate(laws.items()):
            key = jax.random.fold_in(jax.random.key(1), i)
            found[d, name] = measured(name, true, js.targets.GaussianMixture(*perturbation), bank, key, options)
            print(d, name, {metric: round(value, 4) for metric, value in found[d, name].items()}, flush=True)
    rows = []
    for name in REFERENCE:
        for metric in found[options.dims[0], name]:
            row = {"perturbation": name, "metric": f"Rao, {MEANT[name]}" if metric == "Rao" else metric}
            for d in options.dims:
                row[f"d = {d}"] = found[d, name][metric]
                row[f"reference, d = {d}"] = known(name, metric, d)
            rows.append(row)
    report("metric_power", "z of each metric, and of a reference implementation", rows, options)
    for d in options.dims:
        agreement({name: found[d, name] for name in REFERENCE}, d)


def measured(name, true, law, bank, key, options):
    """Total variations of one perturbed law from the true one, and z of every metric."""
    for_tv, for_flow, *for_sets = jax.random.split(key, 2 + options.sets)
    flow, error = flow_tv(true, law, options.flow_samples, for_flow)
    values = {"TV": true_tv(true, law, 20 * options.flow_samples, for_tv), "flow TV": flow, "flow TV stderr": error}
    sets = []
    for key in for_sets:
        for_x, for_c2st = jax.random.split(key)
        sets.append(powers(law.sample(for_x, options.samples), bank, MEANT[name], for_c2st, options))
    return values | {metric: float(np.mean([one[metric] for one in sets])) for metric in sets[0]}


def known(name, metric, d):
    """The reference's number, or None."""
    values = dict(zip(DIMS, REFERENCE[name].get("TV" if metric == "flow TV" else metric, ()), strict=False))
    return values.get(d)


def agreement(found, d):
    """Print how the orders of the perturbations agree with the reference's, and the largest difference."""
    for metric in ("TV", "flow TV", "Rao", "energy", "SW2", "log p", "C2ST"):
        pairs = [(found[name][metric], known(name, metric, d)) for name in found]
        pairs = [pair for pair in pairs if pair[1] is not None]
        if len(pairs) > 2:
            order = stats.spearmanr(*zip(*pairs, strict=True)).statistic
            gap = max(abs(a - b) for a, b in pairs)
            print(f"d = {d}, {metric}: rank correlation {order:.2f}, largest difference {gap:.3g}")


if __name__ == "__main__":
    main()
