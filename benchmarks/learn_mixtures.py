"""How near to the truth are the centers of mixtures that gradient descent on the DDPM objective finds?

Two Gaussians at +- R along a random direction, components of unit covariance, n samples: root mean square distance of
the estimate from the center, up to its sign, over data sets, beside the Cramer-Rao bound
sqrt((d - 1) / (n I_t) + 1 / (n I_r)), with the Fisher information of one sample across the center,
I_t = E tanh^2(R U), and along it, I_r = E (U tanh(R U) - R)^2, for U ~ N(R, 1). "Exact", "fresh": `DDPMGaussianMixture`
by its two gradients. "EM": of the symmetric model, from the spectral estimate sqrt(l - 1) v with the largest
eigenvalue l of the covariance. "sklearn": `GaussianMixture` of scikit-learn with free centers, weights and variances.
The slow ones, fresh and sklearn, have the first data sets alone.

Starts: of 20 random ones on one data set, how many end within twice the bound. Gradients: time of one, in turn, and of
`fresh` the standard deviation between two draws of the noise. Levels: distance from the truth, and from the minimum
of the data's own objective, after 200 steps at one level from the truth (`fresh`: averaged over the last 100). Barrier:
error over R at R = d^(-1/4), where R^4 = 1 / d. Centers: K of them at random, equal weights, the least distance being c
sqrt(log min(K, d)), from starts a quarter of that away: largest error of a center, mean over data sets. EM has the same
weights and covariance, and runs until it stands. Memory: peak of a process that fits 100,000 samples of 256 numbers.
"""

import json
import resource
import subprocess
import sys
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, interleaved, ratio, show, write
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import jaxsamp as js
from jaxsamp.learning import ddpm_drivers, ddpm_gradients
from jaxsamp.learning.ddpm_gradients import in_blocks, mean_of

warnings.filterwarnings("ignore", category=ConvergenceWarning)
warnings.filterwarnings("ignore", message="X shows no more than one Gaussian")


def two_gaussians(radius, d, n, seed):
    """Samples, float32, and the center."""
    rng = np.random.default_rng([seed, d, int(100 * radius)])
    mu = rng.standard_normal(d)
    mu *= radius / np.linalg.norm(mu)
    x = rng.standard_normal((n, d), np.float32)
    x += rng.choice(np.float32([-1, 1]), n)[:, None] * mu.astype(np.float32)
    return x, mu


def distance(found, mu):
    return float(min(np.linalg.norm(found - mu), np.linalg.norm(found + mu)))


def bound(radius, d, n):
    """The Cramer-Rao bound of the root mean square error."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    u, weights = nodes + radius, weights / weights.sum()
    across = weights @ np.tanh(radius * u) ** 2
    along = weights @ (u * np.tanh(radius * u) - radius) ** 2
    return float(np.sqrt((d - 1) / (n * across) + 1 / (n * along)))


def half(learner):
    return (learner.means_[0] - learner.means_[1]) / 2


def by_ddpm(x, gradient, seed=0):
    return half(js.learning.DDPMGaussianMixture(gradient=gradient, random_state=seed).fit(x))


def spectral(x):
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    return np.sqrt(max(values[-1] - 1, 0.05)) * vectors[:, -1]


@jax.jit
def symmetric_em(blocks, mu):
    """Until a step is below 1e-5, or 400 of them."""

    def step(state):
        mu, _, i = state
        after = mean_of(lambda x, share, _: (share * jnp.tanh(x @ mu)) @ x, blocks)
        return after, jnp.linalg.norm(after - mu), i + 1

    return jax.lax.while_loop(lambda s: (s[1] > 1e-5) & (s[2] < 400), step, (mu, jnp.inf, 0))[0]


@jax.jit
def em(blocks, means):
    """Of equal weights and unit covariance, until no center moves by 1e-4, or 1,000 steps."""

    def step(state):
        means, _, i = state

        def sums(x, share, _):
            p = share[:, None] * jax.nn.softmax(x @ means.T - 0.5 * jnp.square(means).sum(1))
            return jnp.concatenate([p.T @ x, p.sum(0)[:, None]], 1)

        found = mean_of(sums, blocks)
        after = found[:, :-1] / found[:, -1:]
        return after, jnp.abs(after - means).max(), i + 1

    return jax.lax.while_loop(lambda s: (s[1] > 1e-4) & (s[2] < 1000), step, (means, jnp.inf, 0))[0]


def scikit_learn(x, components, start=None):
    made = GaussianMixture(components, covariance_type="spherical", means_init=start, tol=1e-4, random_state=0)
    return made.fit(x)


def of_two(options):
    """The table of two Gaussians."""
    for radius in options.radii:
        for d in options.dims:
            sets = options.sets if d <= 16 else options.large_sets
            errors = {name: [] for name in ("exact", "fresh", "EM", "spectral", "sklearn")}
            for seed in range(sets):
                x, mu = two_gaussians(radius, d, options.samples, seed)
                errors["exact"].append(distance(by_ddpm(x, "exact", seed), mu))
                centered = x - x.mean(0)
                first = spectral(centered)
                errors["spectral"].append(distance(first, mu))
                errors["EM"].append(distance(symmetric_em(in_blocks(centered), jnp.asarray(first)), mu))
                if seed < options.few:
                    errors["sklearn"].append(distance(half(scikit_learn(x, 2)), mu))
                    if d <= options.fresh_dim:
                        errors["fresh"].append(distance(by_ddpm(x, "fresh", seed), mu))
            best = bound(radius, d, options.samples)
            errors["exact, first sets"] = errors["exact"][: options.few]  # to compare with the slow ones
            found = {name: float(np.sqrt(np.mean(np.square(each)))) if each else None for name, each in errors.items()}
            row = {
                "R": radius,
                "d": d,
                "sets": sets,
                "Cramer-Rao": best,
                **found,
                "exact / bound": found["exact"] / best,
            }
            yield row


def of_starts(options):
    """How many random starts succeed."""
    radius, d = 1.0, max(d for d in options.dims if d <= 64)
    x, mu = two_gaussians(radius, d, options.samples, 0)
    errors = [distance(by_ddpm(x, "exact", seed), mu) for seed in range(options.starts)]
    good = sum(error < 2 * bound(radius, d, options.samples) for error in errors)
    return {"R": radius, "d": d, "starts": options.starts, "successes": good, "largest error": max(errors)}


def level_of(t):
    return float(np.exp(-t)), float(np.sqrt(-np.expm1(-2 * t)))


def of_gradients(options):
    """Time and noise of one gradient at the truth, at low noise."""
    alpha, sigma = level_of(ddpm_drivers.LOW)
    for d in options.dims:
        x, mu = two_gaussians(1.0, d, options.samples, 0)
        blocks, m, key = in_blocks(x), jnp.asarray(alpha * mu, jnp.float32), jax.random.key(0)
        calls = {
            name: partial(jax.jit(partial(ddpm_gradients.descent, name)), m, None, blocks, key, alpha, sigma)
            for name in ("exact", "stein", "fresh")
        }
        seconds = interleaved(calls, options.repeats)
        draw = jax.jit(lambda key, m=m, b=blocks: ddpm_gradients.descent("fresh", m, None, b, key, alpha, sigma))
        noise = np.std([draw(key) for key in jax.random.split(key, 10)], 0)
        yield {
            "d": d,
            **{f"{name}, ms": 1e3 * float(np.median(each)) for name, each in seconds.items()},
            "fresh / exact": ratio(seconds["fresh"], seconds["exact"]),
            "noise of fresh": float(np.linalg.norm(noise)),
        }


def of_levels(options):
    """Errors by level: `exact` at any, `fresh` at none below 0.01."""
    radius, d = 1.5, 16
    x, mu = two_gaussians(radius, d, options.samples, 0)
    blocks, key = in_blocks(x - x.mean(0)), jax.random.key(0)
    run = jax.jit(
        lambda gradient, t: (
            ddpm_drivers.stage(
                gradient, None, key, jnp.asarray(mu, jnp.float32), blocks=blocks, steps=200, tol=1e-6, t=t, rate=0.5
            ).means
        ),
        static_argnums=0,
    )
    for t in options.times:
        alpha, sigma = level_of(t)
        m = jnp.asarray(alpha * mu, jnp.float32)
        draw = jax.jit(lambda key, m=m, a=alpha, s=sigma: ddpm_gradients.descent("fresh", m, None, blocks, key, a, s))
        least = np.asarray(run("exact", jnp.asarray(t)))
        row = {"t": t, "noise of fresh": float(np.linalg.norm(np.std([draw(k) for k in jax.random.split(key, 10)], 0)))}
        for name in ("exact", "stein", "fresh"):
            found = np.asarray(run(name, jnp.asarray(t)))
            row |= {name: distance(found, mu), f"{name}, from the minimum": distance(found, least)}
        yield row


def of_barrier(options):
    """Relative errors at R = d^(-1/4)."""
    n = 2 * options.samples
    for d in options.dims:
        radius = d**-0.25
        errors, said = [], 0
        for seed in range(options.few):
            x, mu = two_gaussians(radius, d, n, seed)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                errors.append(distance(by_ddpm(x, "exact", seed), mu) / radius)
            said += any("no more than one Gaussian" in str(each.message) for each in caught)
        yield {
            "d": d,
            "R": radius,
            "n": n,
            "error / R": float(np.sqrt(np.mean(np.square(errors)))),
            "sqrt(d / n) / R^2": float(np.sqrt(d / n) / radius**2),
            "Cramer-Rao / R": bound(radius, d, n) / radius,
            "warned": f"{said} of {options.few}",
        }


def of_centers(options):
    """The table of K centers."""
    for components, d in options.components:
        for c in options.separations:
            errors = {name: [] for name in ("stein", "fresh", "EM", "sklearn")}
            for seed in range(options.center_sets):
                rng = np.random.default_rng([seed, components, int(c)])
                means = rng.standard_normal((components, d))
                gaps = np.linalg.norm(means[:, None] - means, axis=-1)[np.triu_indices(components, 1)]
                separation = c * np.sqrt(np.log(min(components, d)))
                means *= separation / gaps.min()
                x = means[rng.integers(components, size=options.samples)] + rng.standard_normal((options.samples, d))
                away = rng.standard_normal(means.shape)
                start = means + separation / 4 * away / np.linalg.norm(away, axis=1, keepdims=True)
                found = {}
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for name in ("stein", "fresh") if seed < options.few else ("stein",):
                        learner = js.learning.DDPMGaussianMixture(
                            components, gradient=name, symmetric=False, means_init=start, random_state=seed
                        )
                        found[name] = learner.fit(x).means_
                found["EM"] = em(in_blocks(x), jnp.asarray(start, jnp.float32))
                if seed < options.few:
                    found["sklearn"] = scikit_learn(x, components, start).means_
                for name, each in found.items():
                    errors[name].append(float(np.linalg.norm(each - means, axis=1).max()))
            row = {"K": components, "d": d, "c": c, "sets": options.center_sets}
            row |= {name: float(np.mean(each)) for name, each in errors.items()}
            row |= {
                "stein / EM": float(np.mean(errors["stein"]) / np.mean(errors["EM"])),
                "sqrt(K d / n)": float(np.sqrt(components * d / options.samples)),
            }
            yield row


def measure_memory(n, d):
    """In a process of its own: megabytes of the data, and the peak before and after the fit."""

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    x, rng = np.empty((n, d), np.float32), np.random.default_rng(0)
    for first in range(0, n, 1000):  # so that making the data takes no more than they do
        x[first : first + 1000] = rng.standard_normal((min(1000, n - first), d), np.float32)
    x[:, 0] += rng.choice([-2, 2], n)
    js.learning.DDPMGaussianMixture(random_state=0).fit(x[:1000])  # loads and compiles what any fit does
    before = peak()
    js.learning.DDPMGaussianMixture(random_state=0).fit(x)
    print(json.dumps({"n": n, "d": d, "data, MB": x.nbytes / 2**20, "before, MB": before, "peak, MB": peak()}))


def main():
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--radii", type=float, nargs="+", default=[2.0, 1.0, 0.5])
    parser.add_argument("--dims", type=int, nargs="+", default=[4, 16, 64, 256])
    parser.add_argument("--sets", type=int, default=100, help="data sets of at most 16 dimensions")
    parser.add_argument("--large-sets", type=int, default=20, help="data sets of more")
    parser.add_argument("--few", type=int, default=2, help="data sets of what is slow")
    parser.add_argument("--fresh-dim", type=int, default=64, help="largest dimension for `fresh`")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=15, help="of each gradient that is timed")
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 0.3, 0.1, 0.01, 0.001], help="levels")
    parser.add_argument("--center-sets", type=int, default=5, help="data sets of each K")
    parser.add_argument("--separations", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    parser.add_argument("--components", type=int, nargs=2, action="append", help="K and d")
    parser.add_argument("--memory", type=int, nargs=2, default=[100_000, 256], help="n and d of the fit")
    parser.add_argument("--measure-memory", action="store_true", help="print this measurement alone")
    options = parser.parse_args()
    options.components = options.components or [[4, 8], [8, 16], [16, 32]]
    if options.measure_memory:
        measure_memory(*options.memory)
        return
    command = [sys.executable, __file__, "--measure-memory", "--memory", *map(str, options.memory)]
    parts = {
        "rows": of_two,
        "starts": lambda options: [of_starts(options)],
        "gradients": of_gradients,
        "levels": of_levels,
        "barrier": of_barrier,
        "memory": lambda _: [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)],
        "centers": of_centers,
    }
    found = {}
    for name, rows in parts.items():
        found[name] = []
        for row in rows(options):
            print({column: round(v, 4) if isinstance(v, float) else v for column, v in row.items()}, flush=True)
            found[name].append(row)
            write(options.results / "learn_mixtures.json", about("Mixtures", options, ["scikit-learn"]) | found)
    for name, rows in found.items():
        show("Two Gaussians" if name == "rows" else name.capitalize(), rows)


if __name__ == "__main__":
    main()
