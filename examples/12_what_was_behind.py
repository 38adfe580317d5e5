"""Half of a digit was seen, with noise: what may the rest look like?

A denoiser that knows the observation wraps one that does not, and every sampler takes it. The digits are a mixture of
Gaussians fitted to real ones, so their law given the observation is known exactly, and each way of using only
a denoiser can be compared with it. With a trained network everything is the same, but the first row is not available.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js
from jaxsamp.samplers import DDPM

OUT = Path("runs/examples")
N, NOISE, CHOSEN = 200, 0.2, (3, 8, 12)


def main():
    digits, _, held_out = js.datasets.digits()
    law = js.learning.fit_gaussian_mixture(digits, components=10, reg_covar=0.01)
    prior = law.denoiser(js.schedules.VarianceExploding())
    mask = np.repeat(np.arange(8) < 4, 8)  # the upper half
    for_noise, for_samples, for_metrics = jax.random.split(jax.random.key(0), 3)
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(len(CHOSEN), 1, figsize=(7, 6.2), layout="compressed")
    print("energy distance to the law given the observation; evaluations of the score, backward passes included")
    for axes, which in zip(panels, CHOSEN, strict=True):
        digit = held_out[which].ravel()
        y = np.asarray(digit + NOISE * jax.random.normal(for_noise, digit.shape))
        exact = law.condition(y[mask], np.eye(64)[mask], NOISE)
        bank = js.metrics.NullBank(exact, N, for_metrics)
        ways = {
            "exact": exact.denoiser(prior.schedule),
            "posterior": js.posterior(prior, y, mask, NOISE),
            "posterior, v = 0.5": js.posterior(prior, y, mask, NOISE, variance=0.5),
            "inpaint": js.inpaint(prior, y, mask),
        }
        rows = []
        for name, denoiser in ways.items():
            drawn = js.sample(for_samples, denoiser, (N, 64), DDPM(), 64)
            energy = js.metrics.energy(drawn.x, bank)
            cost = int(drawn.stats["evaluations"][0])
            print(f"{name:20} {energy.value:7.3f}   true samples below {energy.null_high:.3f}   {cost:4}")
            rows.append([digit, np.where(mask, y, 1), *np.asarray(drawn.x[:10])])
        axes.imshow(js.plots.sheet(np.reshape(rows, (-1, 8, 8)), columns=12, limits=(-1, 1)))
        axes.set(xticks=[4, 13, 62], xticklabels=["digit", "seen", "samples"], yticks=9 * np.arange(4) + 4)
        axes.set_yticklabels(ways)
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "12_what_was_behind.png")


if __name__ == "__main__":
    main()
