"""How much must be seen? Digits of which half of the pixels are missing, and digits of which 90 % are.

The error of the missing pixels of held-out digits while a network learns, beside that of the mean digit, which needs no
network. With half of the pixels missing the network is far better. With six pixels per digit, 8,000 numbers in all, it
is at best as good as the mean digit: draw such a curve before you trust a network that has seen very little.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT, STEPS, FURTHER = Path("runs/examples"), 1500, {0.5: 0.1, 0.9: 0.3}  # where more is missing, more is to be hidden


def learn(missing, digits, held_out, key):
    """Errors of the mean digit and, by step, of the network; and what is seen of held-out digits, and made of it."""
    law, keys = js.corruptions.Mask(missing), jax.random.split(key, 3)
    measured, unseen = js.corruptions.corrupt(keys[0], digits, law), js.corruptions.corrupt(keys[1], held_out, law)
    hidden, curve = ~np.asarray(unseen.operator.mask), {}

    def error(guess):
        return float(np.mean((guess - held_out)[hidden] ** 2))

    def look(step, state):
        curve[step] = error(np.asarray(js.denoisers.restore(state.denoiser(), unseen)))

    options = {"loss": js.training.ambient_loss(FURTHER[missing]), "optimizer": js.training.AdamW(1e-3)}
    options |= {"batch_size": 128, "ema": 0.99, "callback": look, "callback_every": 100}
    state = js.fit(keys[2], js.models.MLP(256, depth=2), measured, js.schedules.VarianceExploding(), STEPS, **options)
    mean = measured.y.sum(0) / np.maximum(measured.operator.mask.sum(0), 1)  # of measurements alone
    return error(mean), curve, np.where(hidden, np.nan, held_out), js.denoisers.restore(state.denoiser(), unseen)


def main():
    plt.style.use(js.plots.STYLE)
    figure, (left, *panels) = plt.subplots(1, 3, figsize=(12, 3.8), width_ratios=(1.4, 1, 1))
    digits, _, held_out = js.datasets.digits()
    for missing, axes in zip(FURTHER, panels, strict=True):
        mean, curve, seen, restored = learn(missing, digits, held_out, jax.random.key(0))
        best = min(curve, key=curve.get)
        print(f"{missing:.0%} of the pixels missing: mean squared error there {mean:.3f} by the mean digit,")
        print(f"  {curve[best]:.3f} by the network at its best, after {best} steps, {curve[STEPS]:.3f} after {STEPS}")
        (line,) = left.plot(list(curve), list(curve.values()), label=f"network, {missing:.0%} missing")
        left.axhline(mean, color=line.get_color(), linestyle=":", label=f"mean digit, {missing:.0%} missing")
        rows = [part[i : i + 8] for i in (0, 8) for part in (seen, np.asarray(restored), held_out)]
        axes.imshow(js.plots.sheet(np.concatenate(rows), 8, limits=(-1, 1), missing=(0.55, 0.65, 0.85)))
        axes.set(title=f"{missing:.0%} missing: seen, restored, true", xticks=[], yticks=[])
    left.set(xlabel="steps", ylabel="mean squared error of missing pixels", ylim=(0, None))
    left.legend()
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "21_hardly_any_pixel.png")


if __name__ == "__main__":
    main()
