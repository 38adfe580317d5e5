"""The exact score of a data set samples the data set; that of a mixture fitted to it makes new samples.

A network trained to zero loss on finite data would have the first score. The data are handwritten digits, 8 x 8 pixels.
"""

from pathlib import Path

import jax
import numpy as np
from sklearn.datasets import load_digits

import jaxsamp as js

OUT = Path("runs/examples")
N = 100


def nearest(x, data):
    """The data point nearest to each x."""
    return data[((x[:, None] - data) ** 2).sum(-1).argmin(1)]


def main():
    digits = np.random.default_rng(0).permutation((load_digits().data / 8 - 1).astype(np.float32))
    train, held_out = digits[:1297], digits[1297:]
    laws = {
        "empirical": js.targets.Empirical(train),
        "mixture": js.learning.fit_gaussian_mixture(train, components=10, reg_covar=0.01),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    for name, law in laws.items():
        denoiser = law.denoiser(js.schedules.Cosine())
        x = np.asarray(js.sample(jax.random.key(0), denoiser, (N, 64), steps=16).x)
        copies = js.metrics.memorization(x, train, held_out)
        print(f"{name:10} {copies.value:4.0%} of the samples are copies; of real digits at most {copies.null_high:.0%}")
        figure = js.plots.images(
            x.reshape(-1, 8, 8),
            nearest(x, train).reshape(-1, 8, 8),
            title=name,
            labels=("samples", "nearest training digits"),
            rows=5,
        )
        js.plots.save(figure, OUT / f"06_{name}.png")


if __name__ == "__main__":
    main()
