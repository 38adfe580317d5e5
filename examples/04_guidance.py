"""Classifier-free guidance, with exact scores for each class and for both together.

At scale 1 the samples have the law of their class. A larger scale pushes them away from the other class and together:
every sample is recognized as its class, but the law is no longer that of the class.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js
from jaxsamp.targets import GaussianMixture

OUT = Path("runs/examples")
SCHEDULE = js.schedules.VarianceExploding()
N, NOBODY = 400, 2  # classes 0 and 1; label 2 is "no class given"


def classes():
    """Two classes of three Gaussians each, side by side and touching, and the law of both together."""
    means = np.array([[[-0.9, 0.8], [-0.7, -0.8], [-0.3, 0.0]], [[0.9, 0.8], [0.7, -0.8], [0.3, 0.0]]])
    first, second = (GaussianMixture.spherical(np.full(3, 1 / 3), mean, 0.09) for mean in means)
    return first, second, GaussianMixture.spherical(np.full(6, 1 / 6), means.reshape(6, 2), 0.09)


def apply(laws, x, t, label):
    """The posterior mean of the law of each label: a conditional network without any error."""
    level = SCHEDULE.at(t)
    return jnp.stack([law.posterior_mean(x, level) for law in laws])[label, jnp.arange(len(x))]


def main():
    laws = classes()
    conditional = js.denoiser(apply, laws, SCHEDULE, prediction="x0")
    labels = jnp.zeros(N, int)
    for_samples, for_metrics = jax.random.split(jax.random.key(0))
    print("scale   mean P(class given x)   energy distance   true samples below")
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.4), sharex=True, sharey=True)
    for axes, scale in zip(panels, (1.0, 2.0, 4.0), strict=True):
        guided = js.guide(conditional, scale, null=NOBODY)  # a new scale does not recompile
        x = js.sample(for_samples, guided, (N, 2), steps=24, cond=labels).x
        recognized = jax.nn.sigmoid(laws[0].log_prob(x) - laws[1].log_prob(x)).mean()
        law = js.metrics.energy(x, laws[0], for_metrics)
        print(f"{scale:5.1f}   {recognized:21.3f}   {law.value:15.3f}   {law.null_high:18.3f}")
        axes.scatter(*laws[2].sample(for_metrics, 2 * N).T, s=3, c="lightgrey", label="both classes")
        axes.scatter(*x.T, s=3, c="C0", label="guided to one")
        axes.set(title=f"guidance scale {scale:g}", aspect="equal")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=3)
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "04_guidance.png")


if __name__ == "__main__":
    main()
