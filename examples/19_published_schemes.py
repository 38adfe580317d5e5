"""Algorithms of the theory papers, run to the letter on a law whose Lipschitz constant is known.

Drawn: the evaluations that each asks for in d dimensions, with the constants of the theorems set to 1, and the orders
of their predictors. Printed: the log density of the samples against that of the law. UniPC needs far fewer.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js
from jaxsamp.samplers import ExponentialEuler, RandomizedMidpoint, UniPC
from jaxsamp.theory import dpom, dpum, gcc, gcc_parallel

OUT = Path("runs/examples")
N, L, EPSILON, D, SCHEDULE = 256, 2.0, 0.5, 4, js.schedules.OrnsteinUhlenbeck()
DIMENSIONS, STEPS, TICKS = (4, 16, 64, 256, 1024), (32, 64, 128), (0.005, 0.01, 0.02, 0.04)


def main():
    jax.config.update("jax_enable_x64", True)
    law = js.targets.GaussianMixture.spherical([0.5, 0.5], np.eye(D)[:1] * [[-1.0], [1.0]], 0.5)  # 2-Lipschitz score
    denoiser, (for_samples, for_metrics) = law.denoiser(SCHEDULE), jax.random.split(jax.random.key(0))
    draw = partial(js.sample, for_samples, denoiser, (N, D), final_denoise=False)
    plt.style.use(js.plots.STYLE)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    for make in (dpom, dpum, gcc, gcc_parallel):
        scheme = make(L, EPSILON, D)
        report(make.__name__, scheme.sample(for_samples, denoiser, (N, D)), law, for_metrics, scheme.grid[-1])
        left.loglog(DIMENSIONS, [make(L, EPSILON, d).evaluations for d in DIMENSIONS], "o-", label=make.__name__)
    report("UniPC", draw(UniPC(), 16), law, for_metrics, 0.02)
    left.set(xlabel="dimension", ylabel="evaluations", title=f"L = {L:g}, epsilon = {EPSILON:g}")
    flow = draw(UniPC(order=3), 400).x
    for sampler in (ExponentialEuler(), RandomizedMidpoint.paper()):
        errors = [float(jnp.sqrt(jnp.mean((draw(sampler, n).x - flow) ** 2))) for n in STEPS]
        order = -np.polyfit(np.log(STEPS), np.log(errors), 1)[0]
        print(f"{type(sampler).__name__:18} declared order {sampler.convergence_order:.1f}, fitted {order:.2f}")
        right.loglog(STEPS, errors, "o-", label=f"{type(sampler).__name__}, order {order:.2f}")
    right.set(xlabel="steps", ylabel="distance to the flow", title="their predictors", xticks=STEPS, xticklabels=STEPS)
    right.set(yticks=TICKS, yticklabels=TICKS)
    right.minorticks_off()
    left.legend()
    right.legend()
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "19_published_schemes.png")


def report(name, drawn, law, key, sigma):
    found = js.metrics.log_density(drawn.x, law, key, SCHEDULE.level(-jnp.log(sigma)))
    costs = "{:5} evaluations in {:4} rounds".format(*(int(drawn.stats[c][0]) for c in ("evaluations", "rounds")))
    print(f"{name:13}{costs}   log density {found.value:+.3f}, true samples within {found.null_high:.3f}")


if __name__ == "__main__":
    main()
