"""How close does a small network come to the exact score of a mixture?

Six components with Dirichlet(5) weights in 16 and in 64 dimensions, two means 4 apart in root mean square, rotated
covariances with eigenvalues log-uniform in [0.25, 2]; then centered, and scaled to a mean coordinate variance of 1. An
MLP of two residual blocks of width 128 is trained for 5,000 steps on 20,000 samples by `fit` with its defaults. First
table: E|D - D*|^2 / E|x_0 - D*|^2, the excess of the denoising loss, at eight sigma / alpha even in log sigma, and its
mean over them; median over seeds. Second table: the error of the score, E|s - s*|^2 / E|s*|^2. For comparison: the
network before training, which is the best denoiser of a sphere, and the best linear denoiser.
"""

import jax
import numpy as np
from common import arguments, instance, report

import jaxsamp as js

SCHEDULE = js.schedules.VarianceExploding()


def standardized(d, k):
    """The mixture, and the Gaussian of its mean and covariance."""
    weights, means, covariances = instance(d, k)
    means = means - weights @ means
    total = np.einsum("k,kij->ij", weights, covariances) + np.einsum("k,ki,kj->ij", weights, means, means)
    scale = np.sqrt(np.trace(total) / d)
    law = js.targets.GaussianMixture(weights, means / scale, covariances / scale**2)
    return law, js.targets.GaussianMixture([1.0], np.zeros((1, d)), total[None] / scale**2)


def trained(data, seed, steps):
    """The denoiser of the averaged weights after `steps` steps."""
    model = js.models.Model(js.models.MLP(width=128, depth=2), SCHEDULE, sigma_data=1.0)
    loss = js.training.denoising_loss(weighting=js.losses.EDMWeighting(1.0))
    return js.fit(jax.random.key(seed), model, data, steps=steps, loss=loss).denoiser()


def main():
    parser = arguments(__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--components", type=int, default=6)
    parser.add_argument("--data", type=int, default=20_000, help="samples where they are not fresh")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=10_000, help="at each level, for the error")
    options = parser.parse_args()
    tables = {"relative": [], "score": []}
    for d in options.dims:
        law, gaussian = standardized(d, options.components)
        sphere = js.targets.GaussianMixture.spherical([1.0], np.zeros((1, d)), 1.0)
        data = [np.asarray(law.sample(jax.random.key(100 + seed), options.data)) for seed in range(options.seeds)]
        denoisers = {
            "untrained": [sphere.denoiser(SCHEDULE)],
            "best linear": [gaussian.denoiser(SCHEDULE)],
            "MLP": [trained(x, seed, options.steps) for seed, x in enumerate(data)],
        }
        for name, kind in denoisers.items():
            found = [js.score_error(jax.random.key(99), one, law, samples=options.samples) for one in kind]
            levels = [f"{level:.2g}" for level in np.exp(-np.asarray(found[0].lam))]
            for measure, rows in tables.items():
                errors = np.asarray([getattr(one, measure) for one in found])
                averages = errors.mean(1)
                rows.append(
                    {"d": d, "denoiser": name}
                    | {level: float(value) for level, value in zip(levels, np.median(errors, axis=0), strict=True)}
                    | {"average": float(np.median(averages))}
                    | {"least": float(averages.min()), "most": float(averages.max())}
                )
    packages = ("flax", "optax")
    report("learned_score", "E|D - D*|^2 / E|x_0 - D*|^2 by sigma / alpha", tables["relative"], options, packages)
    report("learned_score_of_score", "E|s - s*|^2 / E|s*|^2 by sigma / alpha", tables["score"], options, packages)


if __name__ == "__main__":
    main()
