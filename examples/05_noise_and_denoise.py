"""Add noise to given samples and take it away again: how much noise does it take to forget where they came from?

`init=` starts the sampler from a state that is already noised. At every level the law of the result is that of the
target; what changes is how much of each sample survives. Below a certain level every sample returns to its own mode,
above it to any mode.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxsamp as js

OUT = Path("runs/examples")
LEVELS = (0.05, 0.2, 0.5, 1.0, 2.0, 8.0)
N = 4000


def main():
    target, schedule = js.targets.ring(), js.schedules.VariancePreserving()
    denoiser = target.denoiser(schedule)
    for_data, for_noise, for_samples = jax.random.split(jax.random.key(0), 3)
    clean, noise = target.sample(for_data, N), jax.random.normal(for_noise, (N, 2))
    mode = target.responsibilities(clean).argmax(1)
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, len(LEVELS), figsize=(12, 2.7), sharex=True, sharey=True)

    print("noise level   same mode   distance moved   mean log density")
    for axes, sigma in zip(panels, LEVELS, strict=True):
        grid = js.grids.log_snr(schedule, 48, sigma_max=sigma, sigma_min=0.005)
        level = schedule.level(-jnp.log(grid[0]))
        init = level.alpha * clean + level.sigma * noise
        x = js.sample(for_samples, denoiser, (N, 2), grid=grid, init=init).x  # a new grid does not recompile
        same = (target.responsibilities(x).argmax(1) == mode).mean()
        moved = jnp.linalg.norm(x - clean, axis=1).mean()
        print(f"{sigma:11.2f}   {same:9.2f}   {moved:14.2f}   {target.log_prob(x).mean():16.2f}")
        axes.scatter(*clean.T, s=1, c="lightgrey", label="data")
        axes.scatter(*x[mode == 0].T, s=1, c="C0", label="from one mode")
        axes.set(title=f"noised to {sigma:g}", aspect="equal")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=6)
    print(f"{'data':>11}   {1:9.2f}   {0:14.2f}   {target.log_prob(clean).mean():16.2f}")

    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "05_noise_and_denoise.png")


if __name__ == "__main__":
    main()
