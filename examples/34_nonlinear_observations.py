"""What may a point have been, of which only a saturated reading, or the distance from the origin, was seen?

In the plane the law given any observation is known by quadrature, so each way to use a denoiser and an observation that
is not linear can be compared with it. With a network everything but the exact law is the same.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js
from jaxsamp.corruptions import SaturationOperator
from jaxsamp.samplers import DDPM, DPMSolverPP, SplitGibbs

OUT, N, NOISE = Path("runs/examples"), 500, 0.3


def distance(point):
    """From the origin."""
    return jnp.sqrt(jnp.sum(point**2, keepdims=True))


def main():
    target = js.targets.GaussianMixture.spherical([0.2, 0.5, 0.3], [[-1.5, 0.5], [0.5, 1.0], [1.0, -1.2]], 0.2)
    prior = target.denoiser(js.schedules.VarianceExploding())
    seen = {"a saturated reading": (SaturationOperator(1.0, 1.2), [0.8, 0.2]), "a distance": (distance, [1.4])}
    gibbs = SplitGibbs(DPMSolverPP(stochastic=True), inner_steps=8)
    annealed = np.geomspace(8.0, 0.02, 61)
    key, for_law, for_metrics = jax.random.split(jax.random.key(0), 3)
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(2, 4, figsize=(11, 5.6), sharex=True, sharey=True, layout="compressed")
    for row, (name, (operator, y)) in zip(panels, seen.items(), strict=True):
        y = jnp.array(y)
        law = js.targets.condition_plane(target, y, operator, NOISE)
        known = js.posterior(prior, y, operator, NOISE, iterations=y.size)
        pulled = js.denoisers.dps(prior, y, operator, scale=1.0)
        drawn = {
            "posterior": js.sample(key, known, (N, 2), DDPM(), 480 // known.evaluations),
            "SplitGibbs": js.sample(key, known, (N, 2), gibbs, grid=annealed),
            "dps": js.sample(key, pulled, (N, 2), DDPM(), 240),
        }
        bank = js.metrics.NullBank(law, N, for_metrics)
        for way, samples in drawn.items():
            energy, calls = js.metrics.energy(samples.x, bank), int(samples.stats["evaluations"][0])
            print(f"{name:20} {way:11} energy distance {energy.value:.4f} of {calls} evaluations")
        print(f"{name:20} {'true samples':11} below {energy.null_high:.4f}")
        shown = {"exact": law.sample(for_law, N)} | {way: samples.x for way, samples in drawn.items()}
        for axes, (way, x) in zip(row, shown.items(), strict=True):
            axes.scatter(*np.asarray(x).T, s=3)
            axes.set(title=f"{way}, {name}", aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "34_nonlinear_observations.png")


if __name__ == "__main__":
    main()
