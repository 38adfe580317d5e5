"""100 clean patches of photographs, and 2,000 that are blurred or strongly compressed: what are these worth?

Noise hides damage: from which level on, Gaussians that are fitted to the patches say. Beside a network that uses this
(Omni) are two that learn from the clean patches alone, and from all as if they were clean (naive).
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from scipy.fft import dctn

import jaxsamp as js
from jaxsamp.corruptions.images import JPEG, GaussianBlur

OUT, CLEAN, EACH, STEPS = Path("runs/examples"), 100, 1000, 800


def roughness(x):
    """What blur destroys: the mean square of differences of neighboring pixels, over twice the variance."""
    return (np.mean(np.diff(x, axis=1) ** 2) + np.mean(np.diff(x, axis=2) ** 2)) / 4 / np.var(x)


def spectrum(x):
    """Mean square of the coefficients of the cosine transform by frequency, 0 to 7, along one axis or the other."""
    squares = np.mean(dctn(x, axes=(1, 2), norm="ortho") ** 2, 0)
    return [squares[np.maximum(*np.indices((8, 8))) == k].mean() for k in range(8)]


def main():
    keys = jax.random.split(jax.random.key(0), 4)
    patches, test = (np.random.default_rng(0).permutation(x) for x in js.datasets.photo_patches(stride=4, block=32))
    clean, first, second = np.split(patches[: CLEAN + 2 * EACH], (CLEAN, CLEAN + EACH))
    mixed = np.concatenate([clean, GaussianBlur(1.0)(keys[0], first), JPEG(quality=10)(keys[1], second)])
    notes = js.learning.annotate_gaussian(mixed, np.repeat((0, 1, 2), (CLEAN, EACH, EACH)))
    print(f"blurred patches train above {notes.sigma_min[CLEAN]:.2f}, compressed ones above {notes.sigma_min[-1]:.2f}")
    model = js.models.Model(js.models.LocalMLP(width=128), js.schedules.VarianceExploding(), sigma_data=clean.std())
    options = {"batch_size": 64, "optimizer": js.training.AdamW(learning_rate=2e-3), "ema": 0.99}
    plt.style.use(js.plots.STYLE)
    figure, (left, *panels) = plt.subplots(1, 5, figsize=(15, 3.4), width_ratios=(1.3, 1, 1, 1, 1))
    arms = {"held-out patches": None, "clean alone": (clean, None), "naive": (mixed, None), "Omni": (mixed, notes)}
    for axes, (name, arm) in zip(panels, arms.items(), strict=True):
        x, frechet = test, 0.0
        if arm:
            state = js.fit(keys[2], model, arm[0], steps=STEPS, annotations=arm[1], **options)
            x = np.asarray(js.sample(keys[3], state.denoiser(), (EACH, 8, 8), steps=20).x)
            frechet = js.metrics.frechet_distance(x.reshape(EACH, -1), test.reshape(len(test), -1))
        print(f"{name:16} roughness {roughness(x):.3f}   Frechet distance {frechet:.2f}")
        left.semilogy(spectrum(x), label=name)
        axes.imshow(js.plots.sheet(x[:100], limits=(-1, 1)))
        axes.set(title=name, xticks=[], yticks=[])
    left.legend(title="mean square by frequency")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "22_few_clean_patches.png")


if __name__ == "__main__":
    main()
