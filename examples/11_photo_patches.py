"""Train a small U-Net on patches of photographs, and compare its samples with patches that it has not seen.

Beside them are samples of a Gaussian with the mean and covariance of the same patches: it has the right power spectrum
and none of the edges. The kurtosis of the differences of neighboring pixels shows that, and so do the pictures.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import kurtosis

import jaxsamp as js

OUT = Path("runs/examples")
SCHEDULE, N, STEPS = js.schedules.VarianceExploding(), 400, 500


def main():
    train, test = js.datasets.photo_patches()
    test = np.random.default_rng(0).permutation(test)  # they come in the order of the photographs
    for_training, for_samples, for_metrics = jax.random.split(jax.random.key(0), 3)
    network = js.models.UNet(channels=16, multipliers=(1, 2), blocks=1, attention=())
    rate = js.training.AdamW(learning_rate=3e-3)
    state = js.fit(for_training, network, train, SCHEDULE, STEPS, batch_size=64, optimizer=rate, ema=0.99)
    flat = train.reshape(len(train), -1)
    gaussian = js.targets.GaussianMixture([1.0], flat.mean(0)[None], np.cov(flat.T)[None])
    shown = {
        "patches not seen": test,
        "samples of the U-Net": js.sample(for_samples, state.denoiser(), (N, 8, 8), steps=24).x,
        "samples of a Gaussian": gaussian.sample(for_samples, N).reshape(-1, 8, 8),
    }
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.4))
    print(f"{len(train)} patches to train on, {len(test)} to compare with")
    for axes, (name, x) in zip(panels, shown.items(), strict=True):
        x = np.asarray(x)
        heavy = kurtosis(np.diff(x, axis=2).ravel())
        line = f"{name:22} excess kurtosis of differences {heavy:5.1f}"
        if x is not test:
            energy = js.metrics.energy(x, test, for_metrics)
            line += f"   energy distance {energy.value:.4f}, real patches below {energy.null_high:.4f}"
        print(line)
        axes.imshow(js.plots.sheet(x[:100], limits=(-1, 1)))
        axes.set_title(name)
        axes.set_axis_off()
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "11_photo_patches.png")


if __name__ == "__main__":
    main()
