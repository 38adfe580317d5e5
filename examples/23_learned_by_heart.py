"""What a network learns by heart: 100 digits seen whole, and the same digits with half of their pixels missing.

A diffusion model of few images draws those images again: copies are less than half as far from one training digit as
from all others. A network that sees a part of each digit cannot copy what it has never seen; but its digits are less
like digits, as the Frechet distance says. The picture has the nearest training digit below each new one.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")
SCHEDULE, COUNT, STEPS, N, LAW = js.schedules.VarianceExploding(), 100, 2500, 300, js.corruptions.Mask(rate=0.5)


def nearest(x, digits):
    """The nearest training digit of each sample, and how far it is."""
    squares = ((x[:, None] - digits[None]) ** 2).sum((2, 3))
    return digits[squares.argmin(1)], np.sqrt(squares.min(1)).mean()


def main():
    digits, _, held_out = js.datasets.digits()
    digits = np.random.default_rng(0).permutation(digits)[:COUNT]
    keys, features = jax.random.split(jax.random.key(0), 5), js.datasets.digit_features()
    measured = js.corruptions.corrupt(keys[0], digits, LAW)
    network, rate = js.models.MLP(width=256, depth=2), js.training.AdamW(learning_rate=2e-3)
    options = {"batch_size": 100, "optimizer": rate, "ema": 0.995}
    whole = js.fit(keys[1], network, digits, SCHEDULE, STEPS, **options).denoiser()
    part = js.fit(keys[2], network, measured, SCHEDULE, STEPS, **options).denoiser()
    masks = LAW.draw(keys[3], N, (8, 8), further=0.1)
    drawn = {
        "100 digits seen whole": js.sample(keys[4], whole, (N, 8, 8), steps=18).x,
        "half of each missing": js.sample(keys[4], part, (N, 8, 8), steps=18, cond=masks).x,
        "real digits, held out": held_out,
    }
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.2))
    for axes, (name, x) in zip(panels, drawn.items(), strict=True):
        x = np.asarray(x)
        near, distance = nearest(x, digits)
        copies = js.metrics.memorization(x, digits)
        frechet = js.metrics.frechet_distance(features(x), features(held_out))
        says = "" if x is held_out else f"   Frechet distance {frechet:5.1f}"
        print(f"{name:22} copies {copies.value:6.1%}   nearest training digit at {distance:.2f}{says}")
        rows = [np.concatenate([x[i : i + 10], near[i : i + 10]]) for i in (0, 10, 20)]
        axes.imshow(js.plots.sheet(np.concatenate(rows), limits=(-1, 1)))
        axes.set(title=f"{name}: {copies.value:.0%} copies", xticks=[], yticks=[])
        axes.set_xlabel("below each, the training digit next to it")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "23_learned_by_heart.png")


if __name__ == "__main__":
    main()
