"""Train a small network on samples of a law in the plane, and look at what it learned.

The law is known, so the learned score can be drawn over the exact one, and the samples tested.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")
TARGET, SCHEDULE = js.targets.pinwheel(), js.schedules.VarianceExploding()
N, SIGMA = 1000, 0.2  # of the score field


def main():
    for_training, for_samples, for_truth, for_metrics = jax.random.split(jax.random.key(0), 4)
    network = js.models.MLP(width=96, depth=2)
    rate = js.training.AdamW(learning_rate=3e-3)
    state = js.fit(for_training, network, TARGET, SCHEDULE, 2500, batch_size=256, optimizer=rate, ema=0.995)
    learned, exact = state.denoiser(), TARGET.denoiser(SCHEDULE)
    level = SCHEDULE.level(-jnp.log(0.02))  # where the default grid ends
    for name, denoiser in (("network", learned), ("exact score", exact)):
        x = js.sample(for_samples, denoiser, (N, 2), steps=32, final_denoise=False).x
        gap = js.evaluate(x, TARGET, for_metrics, metrics=("log_density",), level=level)["log_density"]
        print(
            f"{name:12} mean log density against the truth's {gap.value:+.3f}; true samples within {gap.null_high:.3f}"
        )

    x = js.sample(for_samples, learned, (N, 2), steps=32).x
    side = np.linspace(-2.1, 2.1, 18)
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), jnp.float32)
    level = SCHEDULE.level(-jnp.log(SIGMA))
    grid = grid[TARGET.log_prob(grid, level) > -7]  # elsewhere the network was never trained
    fields = [(denoiser(grid, level) - grid) / SIGMA**2 for denoiser in (exact, learned)]
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.6), sharex=True, sharey=True)
    panels[0].scatter(*TARGET.sample(for_truth, N).T, s=3, c="C1")
    panels[1].scatter(*x.T, s=3, c="C0")
    for field, color, name in zip(fields, ("C1", "C0"), ("exact", "learned"), strict=True):
        panels[2].quiver(*grid.T, *field.T, color=color, angles="xy", scale=150, width=0.005, label=name)
    panels[2].legend(loc="upper right")
    titles = (f"{N} true samples", f"{N} samples of the network", f"score with noise of {SIGMA}")
    for axes, title in zip(panels, titles, strict=True):
        axes.set(title=title, aspect="equal", xlim=(-2.3, 2.3), ylim=(-2.3, 2.3), xlabel="x")
    panels[0].set_ylabel("y")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "08_train_a_toy.png")


if __name__ == "__main__":
    main()
