"""Restore images of an accelerated scanner with a network that has never seen a complete scan.

Magnetic resonance imaging measures the Fourier transform column by column; here one column in four, others of each
head. Heads are the Shepp-Logan phantom, its ellipses moved, turned, resized and shaded at random, with a smooth phase:
complex images, as two channels. The network learns from 3,000 scans. Its restorations of others are compared with
zeros for what was not measured, and with the mean of the 3,000 there.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT, SIDE, STEPS, LAW = Path("runs/examples"), 32, 1500, js.corruptions.KSpace(acceleration=4, noise=0.01)
PHANTOM = (  # brightness, half axes, center and angle in degrees of each ellipse; the first two are the skull
    *((1, 0.69, 0.92, 0, 0, 0), (-0.8, 0.6624, 0.874, 0, -0.0184, 0), (-0.2, 0.11, 0.31, 0.22, 0, -18)),
    *((-0.2, 0.16, 0.41, -0.22, 0, 18), (0.3, 0.21, 0.25, 0, 0.35, 0), (0.3, 0.12, 0.12, 0, -0.1, 0)),
    *((0.3, 0.12, 0.08, -0.08, -0.6, 0), (0.3, 0.08, 0.12, 0.06, -0.6, 0)),
)
SPREAD = (0.05, 0.015, 0.015, 0.04, 0.04, 8)


def heads(n):
    """Complex images (n, 32, 32, 2)."""
    rng, (up, right) = np.random.default_rng(0), np.mgrid[1 : -1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    images, phase = 0.0, rng.normal(scale=0.4, size=(3, n, 1, 1))
    for k, ellipse in enumerate(PHANTOM):
        drawn = np.array(ellipse) + (k > 1) * rng.normal(scale=SPREAD, size=(n, 6))
        shade, a, b, u, v, angle = drawn.T[:, :, None, None]
        turned = np.exp(-1j * np.deg2rad(angle)) * (right - u + 1j * (up - v))
        images = images + shade * ((turned.real / a) ** 2 + (turned.imag / b) ** 2 <= 1)
    images = images * np.exp(1j * (phase[0] + phase[1] * right + phase[2] * up))
    return np.stack([images.real, images.imag], -1).astype(np.float32)


def main():
    keys, (images, truth) = jax.random.split(jax.random.key(0), 3), np.split(heads(3100), [3000])
    scans, unseen = js.corruptions.corrupt(keys[0], images, LAW), js.corruptions.corrupt(keys[1], truth, LAW)
    options = {"batch_size": 32, "optimizer": js.training.AdamW(2e-3), "ema": 0.99}
    state = js.fit(keys[2], js.models.MLP(256, depth=2), scans, js.schedules.VarianceExploding(), STEPS, **options)
    mean = LAW.full((SIDE, SIDE, 2)).adjoint(scans.y.sum(0) / np.sum(scans.operator.columns, 0)[:, None])
    zeros, rest = unseen.back_projection(), jax.vmap(lambda a: mean - a.projector(mean))(unseen.operator)
    restored = js.denoisers.restore(state.denoiser(), unseen)
    shown = {"true": truth, "zeros for the rest": zeros, "mean for the rest": zeros + rest, "restored": restored}
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 4, figsize=(13, 3.6))
    for axes, (name, x) in zip(panels, shown.items(), strict=True):
        print(f"{name:18}  squared error {np.mean((x - truth) ** 2) / np.mean(truth**2):6.1%} of the image's square")
        axes.imshow(js.plots.sheet(np.hypot(x[..., 0], x[..., 1])[:16], 4, limits=(0, 0.7)))
        axes.set(title=name, xticks=[], yticks=[])
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "24_accelerated_scanner.png")


if __name__ == "__main__":
    main()
