"""When a network decides which digit it draws, and when which pixel: digits are noised, brought back and read again.

A little noise changes no digit, much noise makes any other of it; between the two lies the critical window of each
digit. The reader errs for 2.4 % of held-out digits, which its confusion matrix corrects. What is open of a pixel at a
noise level is its variance among digits that come back, E|x' - x_0|^2 / 2, over its variance in the data.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js
from jaxsamp.losses import EDMWeighting, LogNormal

OUT = Path("runs/examples")
LEVELS, EACH, STEPS = np.geomspace(0.1, 15, 12), 103, 100  # 1,030 starts at each of 12 noise levels


def trained(key, digits):
    loss = js.training.denoising_loss(LogNormal(-0.5), EDMWeighting(float(digits.std())))
    options = {"batch_size": 128, "loss": loss, "optimizer": js.training.AdamW(learning_rate=2e-3), "ema": 0.995}
    network = js.models.MLP(width=256, depth=2)  # it is given no labels
    return js.fit(key, network, digits, js.schedules.VarianceExploding(), 2000, **options).denoiser()


def main():
    data, keys = js.recipes.load("digits"), jax.random.split(jax.random.key(0))
    reader, denoiser = js.recipes.reader_of(data), trained(keys[0], data.train)
    options = {"starts": EACH, "steps": STEPS, "keep": 1}
    found = js.recipes.learned_windows(keys[1], data, denoiser, [[k] for k in range(10)], LEVELS, reader, **options)
    print("digit   decided below         open above")
    for w in found:
        ends = [f"{t.point:4.2f} ({t.low:4.2f} to {t.high:5.2f})" for t in (w.T_after, w.T_before)]
        print(f"{w.group[0]:5}   " + "   ".join(ends).replace("nan", "   "))
    total, still = data.train.var(0), np.mean([w.returned.open for w in found], 0)
    pixels = np.where(total > 0.02, still / np.maximum(total, 0.02), np.nan)
    stay = np.mean([w.stay.mean for w in found], 0)
    half = np.sqrt(sum((w.stay.high - w.stay.low) ** 2 for w in found)) / 20
    print("noise level   same digit        open, all pixels")
    for i, level in enumerate(LEVELS):
        print(f"{level:11.2f}   {stay[i]:.3f} +- {half[i]:.3f}   {still[i].sum() / total.sum():.3f}")

    OUT.mkdir(parents=True, exist_ok=True)
    figure = js.plots.timeline(found, [str(k) for k in range(10)], time="noise level sigma / alpha", log=True)
    js.plots.save(figure, OUT / "25_when_digits_are_decided.png")
    starts, names = np.stack([w.start[0] for w in found]), [f"{level:.2g}" for level in LEVELS]
    figure = js.plots.strips(starts, np.concatenate([w.returned.samples for w in found], 1), names, limits=(-1, 1))
    js.plots.save(figure, OUT / "25_what_comes_back.png")
    plt.style.use(js.plots.STYLE)
    figure, axes = plt.subplots(figsize=(9, 1.6))
    axes.imshow(js.plots.sheet(pixels, len(LEVELS), limits=(0, 1), missing=(0.55, 0.68, 0.8)))
    axes.set(xticks=9 * np.arange(len(LEVELS)) + 3.5, xticklabels=names, yticks=[], xlabel="black decided, blue unused")
    js.plots.save(figure, OUT / "25_which_pixels_are_open.png")


if __name__ == "__main__":
    main()
