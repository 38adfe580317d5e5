"""Which sampler is nearest to the exact flow after a given number of evaluations?

Left: the exact score of a mixture, which is smooth; multistep methods win. Right: the same score with a ripple whose
period is one of 32 steps. Methods with nodes at fixed fractions of a step always see the ripple in the same phase and
mistake it for a trend; a randomized node does not. A grid that is fine enough for the ripple helps the others, too.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxsamp as js
from jaxsamp.samplers import DDIM, Heun, RandomizedMidpoint, UniPC

OUT = Path("runs/examples")
SCHEDULE, BUDGETS = js.schedules.VarianceExploding(), (16, 32, 64)
PERIOD = jnp.log(80.0 / 0.02) / 32  # in log-SNR; the grid runs from sigma = 80 to 0.02


def rippled(params, x, t, cond):
    """The exact posterior mean plus a ripple of amplitude a * sigma, where sigma = t."""
    target, a = params
    phase = 2 * jnp.pi * jnp.log(80.0 / t) / PERIOD
    return target.posterior_mean(x, js.Level(1.0, t)) + (a * t * jnp.cos(phase))[:, None]


def main():
    jax.config.update("jax_enable_x64", True)
    target = js.targets.GaussianMixture.random(jax.random.key(0), components=5, dim=16)
    init = 80 * jax.random.normal(jax.random.key(1), (64, 16))

    def flow(sampler, steps, ripple):
        denoiser = js.denoiser(rippled, (target, ripple), SCHEDULE, "x0")
        return js.sample(jax.random.key(2), denoiser, init.shape, sampler, steps, init=init, final_denoise=False).x

    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    exact = [flow(UniPC(order=3), 640, ripple) for ripple in (0.0, 0.3)]
    for sampler in (DDIM(), Heun(), UniPC(), RandomizedMidpoint()):
        name = type(sampler).__name__
        steps = [n // 2 if isinstance(sampler, Heun) else n for n in BUDGETS]
        for axes, ripple, end in zip(panels, (0.0, 0.3), exact, strict=True):
            runs = [flow(sampler, n, ripple) for n in steps]
            errors = [float(jnp.median(jnp.sqrt(jnp.mean((x - end) ** 2, 1)))) for x in runs]
            axes.loglog([sampler.evaluations(n) for n in steps], errors, "o-", label=name)
            print(f"ripple {ripple}  {name:20}" + "".join(f"{e:10.1e}" for e in errors))
    for axes, title in zip(panels, ("smooth score", "score with a ripple"), strict=True):
        axes.set(title=title, xlabel="evaluations", xticks=BUDGETS, xticklabels=BUDGETS)
        axes.minorticks_off()
    panels[0].set_ylabel("distance to the exact flow")
    panels[0].legend()
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "03_which_sampler.png")


if __name__ == "__main__":
    main()
