"""Learn handwritten digits of which half of the pixels are missing, and nobody ever sees a whole one.

Every digit is measured once, through a mask of its own. The network sees a little less than each measurement and is
asked for the rest of it. It restores digits in one evaluation, and draws new ones: each through a mask of its own, or
through one that hides nothing, which the network has never seen; which is better is a matter of the data.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")
LAW, FURTHER, STEPS, N = js.corruptions.Mask(rate=0.5), 0.1, 2000, 500


def main():
    digits, _, held_out = js.datasets.digits()
    keys = jax.random.split(jax.random.key(0), 6)
    measured = js.corruptions.corrupt(keys[0], digits, LAW)  # from here on, no clean pixel
    network = js.models.MLP(width=384, depth=2)
    loss, rate = js.training.ambient_loss(FURTHER), js.training.AdamW(learning_rate=1e-3)
    options = {"loss": loss, "optimizer": rate, "batch_size": 128, "ema": 0.995}
    state = js.fit(keys[1], network, measured, js.schedules.VarianceExploding(), STEPS, **options)
    denoiser = state.denoiser()

    unseen = js.corruptions.corrupt(keys[2], held_out, LAW)
    restored, hidden = np.asarray(js.denoisers.restore(denoiser, unseen)), ~np.asarray(unseen.operator.mask)
    mean = np.broadcast_to(digits.mean(0), held_out.shape)
    for name, guess in (("network", restored), ("mean digit", mean), ("zeros", 0 * mean)):
        print(f"{name:10}  mean squared error of missing pixels {np.mean((guess - held_out)[hidden] ** 2):.3f}")

    event, features = digits.shape[1:], js.datasets.digit_features()
    masks = LAW.draw(keys[3], N, event, further=FURTHER)
    whole = js.denoisers.with_operator(denoiser, LAW.full(event))
    fixed = js.sample(keys[4], denoiser, (N, *event), steps=18, cond=masks).x
    drawn = {"a mask of its own": fixed, "no mask": js.sample(keys[4], whole, (N, *event), steps=18).x}
    for name, x in drawn.items():
        result = js.evaluate(x, held_out, keys[5], features=features, metrics=("frechet",))["frechet"]
        print(f"{name:17}  Frechet distance {result.value:.2f} (other real digits: up to {result.null_high:.2f})")

    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 4, figsize=(12, 3.4))
    shown = {"measured": unseen.y, "restored": restored, "held-out digits": held_out, "new digits": fixed}
    for axes, (title, images) in zip(panels, shown.items(), strict=True):
        axes.imshow(js.plots.sheet(np.asarray(images)[:60], limits=(-1, 1)))
        axes.set(title=title, xticks=[], yticks=[])
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "16_missing_pixels.png")


if __name__ == "__main__":
    main()
