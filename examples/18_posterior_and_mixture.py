"""What a statistician brings: a posterior of parameters, one of them positive, and a mixture fitted by scikit-learn.

First the effects of a course in eight schools (Rubin, 1981), of which ArviZ prints the table. Then the measurements of
150 irises: what are the petals of a flower of which the sepals alone were measured?
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

import jaxsamp as js
from jaxsamp.targets import Positive, Real, transformed

OUT, N = Path("runs/examples"), 300
EFFECTS = jnp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]), jnp.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def log_posterior(data, p):
    """Effects mean + scale * z, measured with known errors; a normal prior on the mean, half a Cauchy on the scale."""
    measured, errors = data
    normal = jax.scipy.stats.norm.logpdf
    likelihood = normal(measured, p["mean"] + p["scale"] * p["z"], errors).sum()
    return likelihood + normal(p["z"]).sum() + normal(p["mean"], 0, 5) - jnp.log1p((p["scale"] / 5) ** 2)


def schools(key):
    like = {"mean": jnp.zeros(()), "scale": jnp.ones(()), "z": jnp.zeros(8)}
    maps = {"mean": Real(), "scale": Positive(), "z": Real()}
    posterior = transformed(Partial(log_posterior, EFFECTS), maps, like)
    u = jnp.array([4.0, 4.0] + [0.25] * 8)  # the mean and the scale may take longer steps than the others
    chains = js.sample_density(key, posterior, (32, 10), js.mcmc.Underdamped(0.5, 2.0, True, u), 2000, thin=20)
    print(chains.summary(posterior.forward).to_string(max_rows=6))


def irises(keys):
    flowers = np.random.default_rng(0).permutation(load_iris().data)
    fitted = GaussianMixture(3, covariance_type="tied", random_state=0).fit(flowers[:100])
    law = js.targets.GaussianMixture.from_sklearn(fitted)
    gap = np.abs(law.log_prob(jnp.asarray(flowers[100:], jnp.float32)) - fitted.score_samples(flowers[100:])).max()
    print(f"log densities of 50 other flowers: {gap:.0e} from those of scikit-learn")
    x = js.sample(keys[0], law.denoiser(js.schedules.VariancePreserving()), (N, 4), steps=24).x
    energy = js.metrics.energy(x, flowers[100:].astype(np.float32), keys[1])
    print(f"samples against them: energy distance {energy.value:.3f}; true samples below {energy.null_high:.3f}")
    sepals = law.condition(jnp.array([6.3, 2.9]), np.eye(4)[:2], 0.05)  # measured to half a millimeter
    petals = js.sample(keys[2], sepals.denoiser(js.schedules.VariancePreserving()), (N, 4), steps=24).x[:, 2:]
    options = {"title": "length and width of petals, cm", "labels": ("given sepals of 6.3 x 2.9 cm", "all flowers")}
    figure = js.plots.scatter(petals, flowers[:, 2:], **options)
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "18_posterior_and_mixture.png")


if __name__ == "__main__":
    schools(jax.random.key(0))
    irises(jax.random.split(jax.random.key(1), 3))
