"""Is a posterior calibrated? Ranks of true points among posterior draws, and coverage about reference points.

One coordinate of each point of a correlated Gaussian is seen with noise. `posterior` is exact for such data. DPS is
not: with a large scale its draws are too close to the observation, and with a small one they nearly ignore it. Draws
that ignore the observation still rank as they should, coordinate by coordinate; their likelihood does not.
"""

from pathlib import Path

import jax
import jax.numpy as jnp

import jaxsamp as js
from jaxsamp.denoisers import Observed, dps

OUT = Path("runs/examples")
N, DRAWS, NOISE = 400, 39, 0.5  # points, posterior draws for each, and the standard deviation of the noise
LAW = js.targets.GaussianMixture([1.0], [[0.5, -1.0]], [[[1.0, 0.6], [0.6, 0.5]]])


def drawn(key, denoiser, y):
    """Draws given the observation of each point, (N, DRAWS, 2)."""
    seen = jnp.broadcast_to(jnp.array([True, False]), (N * DRAWS, 2))
    observed = jnp.stack([jnp.repeat(y, DRAWS), jnp.zeros(N * DRAWS)], 1)
    cond = Observed(observed, seen)
    return js.sample(key, denoiser, (N * DRAWS, 2), steps=24, cond=cond).x.reshape(N, DRAWS, 2)


def with_fit(x, y):
    """Both coordinates, and the logarithm of the likelihood, up to a constant."""
    return jnp.concatenate([x, -((x[..., :1] - y) ** 2)], -1)


def main():
    for_truth, for_noise, for_draws, for_tests = jax.random.split(jax.random.key(1), 4)
    truth = LAW.sample(for_truth, N)
    y = truth[:, 0] + NOISE * jax.random.normal(for_noise, (N,))
    prior = LAW.denoiser(js.schedules.VarianceExploding())
    ways = {
        "posterior": js.posterior(prior, noise=NOISE),
        "DPS, scale 2": dps(prior, scale=2.0),
        "DPS, scale 0.2": dps(prior, scale=0.2),
    }
    names, curves = ("first coordinate", "second coordinate", "likelihood"), {}
    references = jnp.stack([y, jnp.full(N, -1.0)], 1)  # near the observation, which the coverage then depends on
    OUT.mkdir(parents=True, exist_ok=True)
    print(f"{'':16}" + "".join(f"{name:>20}" for name in (*names, "coverage")) + "   p-values")
    for k, (way, denoiser) in enumerate(ways.items()):
        x = drawn(for_draws, denoiser, y)
        ranks = js.metrics.sbc_ranks(with_fit(truth, y[:, None]), with_fit(x, y[:, None, None]), for_tests)
        curves[way] = js.metrics.tarp(truth, x, for_tests, references)
        found = (*ranks.metrics, curves[way].metric)
        print(f"{way:16}" + "".join(f"{metric.p_value:20.2g}" for metric in found))
        js.plots.save(js.plots.rank_histogram(ranks, names, title=way), OUT / f"35_ranks_{k}.png")
    js.plots.save(js.plots.coverage(curves, title="coverage"), OUT / "35_coverage.png")


if __name__ == "__main__":
    main()
