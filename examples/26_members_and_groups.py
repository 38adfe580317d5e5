"""Which digits has a network learned from, and when does it decide for its own shares? Two uses of critical windows.

A network of 200 digits gives them away: noised to below their window and brought back, they end nearer to themselves
than others, and stay the same digit longer; with 1,297 it hardly shows. And a network of four times as many 3s as 8s
leaves a half of each what it is below its window, and gives its own share above. Li and Chen (arXiv 2403.01633) propose
windows for both, by experiments with Stable Diffusion; after their abstract, this is a substitute in small.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT, N, LEVELS = Path("runs/examples"), 200, np.geomspace(0.1, 15, 9)
READER, DATA, SCHEDULE = js.datasets.digit_classifier(), js.recipes.load("digits"), js.schedules.VarianceExploding()


def windows(key, learned, sets, axes):
    keys, found = jax.random.split(key, 3), []
    denoiser = js.fit(keys[0], js.models.MLP(256, depth=2), learned, SCHEDULE, 2000, ema=0.995).denoiser()
    for key, (name, start, read, group) in zip(keys[1:], sets, strict=True):
        got = js.theory.noise_and_denoise(key, denoiser, start, read, group, LEVELS, classes=2, steps=50, keep=N)
        axes.fill_between(LEVELS, got.stay.low, got.stay.high, alpha=0.2)
        axes.plot(LEVELS, got.stay.mean, label=name)
        found.append((got.stay.mean, ((got.samples - start) ** 2).sum((2, 3))))
    axes.legend()
    axes.set(xscale="log", xlabel="noise level")
    return found


def main():
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.2), sharex=True, sharey=True)
    keys = jax.random.split(jax.random.key(0), 3)
    known = (DATA.train[:N], DATA.labels[:N], "learned"), (DATA.held_out[:N], DATA.held_out_labels[:N], "not seen")
    sets = [(name, x, lambda back, own=own: (READER(back) != own).astype(int), 0) for x, own, name in known]
    for key, axes, count in zip(keys, panels, (N, len(DATA.train)), strict=False):
        (own, near), (other, far) = windows(key, DATA.train[:count], sets, axes)
        axes.set_title(f"learned {count:,}: the same digit again")
        print(f"learned {count:,}: level, same digit of both, learned one nearer to itself (by chance 0.44 to 0.56)")
        for row in zip(LEVELS, own, other, (near[:, :, None] < far[:, None]).mean((1, 2)), strict=True):
            print("   ".join(f"{value:5.2f}" for value in row))
    threes, eights = (DATA.train[DATA.labels == digit] for digit in (3, 8))
    few, unseen = len(threes) // 4, DATA.held_out[DATA.held_out_labels == 3]
    read = lambda x: np.select([READER(x) == 3, READER(x) == 8], [0, 1], -1)  # noqa: E731
    sets = ("from 3s", unseen, read, 1), ("from 8s", eights[few:], read, 1)
    found = windows(keys[2], np.concatenate([threes, eights[:few]]), sets, panels[2])
    print("8s of an even mixture:", " ".join(f"{share:.2f}" for share in (found[0][0] + found[1][0]) / 2))
    panels[2].axhline(few / (few + len(threes)), color="grey", ls=":")
    panels[2].set_title("8s of what comes back; dotted: of what it learned")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "26_members_and_groups.png")


if __name__ == "__main__":
    main()
