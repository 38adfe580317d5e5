"""How close does a small network come to the exact score of a mixture?

Six components with Dirichlet(5) weights in 16 and in 64 dimensions, two means 4 apart in root mean square, rotated
covariances with eigenvalues log-uniform in [0.25, 2]; then centred, and scaled to a mean coordinate variance of 1. An
MLP of two residual blocks of width 128 is trained for 5,000 steps by `fit` as it stands, on fresh samples or on 20,000
of them. Table: E|D - D*|^2 / E|x_0 - D*|^2 at eight sigma / alpha even in log sigma, and its mean over them; median
over seeds. For scale: the network before training, which is the best denoiser of a sphere, and the best linear one.
"""

import jax
import numpy as np
from common import arguments, instance, report

import jaxsamp as js

SCHEDULE = js.schedules.VarianceExploding()


def standardised(d, k):
    """The mixture, and the Gaussian of its mean and covariance."""
    weights, means, covariances = instance(d, k)
    means = means - weights @ means
    total = np.einsum("k,kij->ij", weights, covariances) + np.einsum("k,ki,kj->ij", weights, means, means)
    scale = np.sqrt(np.trace(total) / d)
    law = js.targets.GaussianMixture(weights, means / scale, covariances / scale**2)
    return law, js.targets.GaussianMixture([1.0], np.zeros((1, d)), total[None] / scale**2)


def trained(law, data, seed, options):
    """The denoiser of the averaged weights after so many steps."""
    network = js.models.MLP(width=128, depth=2)
    loss = js.training.denoising_loss(weighting=js.losses.EDMWeighting(1.0))
    return js.fit(
        jax.random.key(seed), js.models.Model(network, SCHEDULE, sigma_data=1.0), data, steps=options.steps, loss=loss
    ).denoiser()


def main():
    parser = arguments(__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--components", type=int, default=6)
    parser.add_argument("--data", type=int, default=20_000, help="samples where they are not fresh")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=10_000, help="at each level, for the error")
    options = parser.parse_args()
    rows = []
    for d in options.dims:
        law, gaussian = standardised(d, options.components)
        sphere = js.targets.GaussianMixture.spherical([1.0], np.zeros((1, d)), 1.0)
        fixed = [np.asarray(law.sample(jax.random.key(100 + seed), options.data)) for seed in range(options.seeds)]
        denoisers = {
            "untrained": [sphere.denoiser(SCHEDULE)],
            "best linear": [gaussian.denoiser(SCHEDULE)],
            "MLP, fresh samples": [trained(law, law, seed, options) for seed in range(options.seeds)],
            f"MLP, {options.data:,} samples": [trained(law, x, seed, options) for seed, x in enumerate(fixed)],
        }
        for name, kind in denoisers.items():
            found = [js.metrics.score_error(jax.random.key(99), one, law, samples=options.samples) for one in kind]
            relative = np.asarray([one.relative for one in found])
            levels = [f"{level:.2g}" for level in np.exp(-np.asarray(found[0].lam))]
            averages = relative.mean(1)
            rows.append(
                {"d": d, "denoiser": name}
                | {level: float(value) for level, value in zip(levels, np.median(relative, axis=0), strict=True)}
                | {"average": float(np.median(averages)), "least": float(averages.min()), "most": float(averages.max())}
            )
    report("learned_score", "E|D - D*|^2 / E|x_0 - D*|^2 by sigma / alpha", rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
