"""How often does a sampler wait for the network? Whole trajectories in one window, against one step after the other.

The score is that of a mixture fitted to digits, exact. Solid: the median over samples of the distance to the converged
flow from the same noise; dotted: all but one in twenty samples. Samples near a boundary between two digits settle last.
"""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxsamp as js
from jaxsamp.samplers import ParallelMidpoint, SlidingWindow, UniPC

OUT = Path("runs/examples")


def main():
    train = js.datasets.digits()[0]
    target = js.learning.fit_gaussian_mixture(train, 20, reg_covar=1e-3)
    denoiser, key = target.denoiser(js.schedules.VariancePreserving()), jax.random.key(0)

    def draw(sampler, steps=None):
        return js.sample(key, denoiser, (128, 64), sampler, steps, final_denoise=False)

    flow = draw(UniPC(order=3), 300).x
    parallel = ParallelMidpoint()
    lines = {
        "UniPC": [(UniPC(order=3), n) for n in (8, 16, 32)],
        "ParallelMidpoint": [(replace(parallel, iterations=k), None) for k in (2, 4, 6)],
        "SlidingWindow, calibrated": [(SlidingWindow(frame="calibrated", window=32), None)],
    }
    plt.style.use(js.plots.STYLE)
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, runs in lines.items():
        points = []
        for sampler, steps in runs:
            drawn = draw(sampler, steps)
            error = jnp.quantile(jnp.sqrt(jnp.mean((drawn.x - flow) ** 2, 1)), jnp.array([0.5, 0.95]))
            points.append((float(drawn.stats["rounds"].mean()), *map(float, error)))
        rounds, median, late = zip(*points, strict=True)
        (line,) = axes.loglog(rounds, median, "o-", label=name)
        axes.loglog(rounds, late, ":", marker=".", color=line.get_color())
        print(f"{name:26}" + "".join(f"{n:6.1f} rounds {e:.0e}" for n, e, _ in points))
    axes.plot([], [], "k:", label="all but one in twenty")
    axes.set(xlabel="rounds", ylabel="distance to the exact flow", xticks=(4, 8, 16, 32), xticklabels=(4, 8, 16, 32))
    axes.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2)
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "14_parallel_in_time.png")


if __name__ == "__main__":
    main()
