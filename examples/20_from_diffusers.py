"""A network that was trained for a scheduler of diffusers, sampled here with the same numbers; diffusers is not needed.

A pipeline's loop is written out below, and `jaxsamp.sample` repeats it. The network is that of a known law, without any
error, so that the distance to the exact flow comes from the few steps alone.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js
from jaxsamp.samplers import DDIM, UniPC

OUT = Path("runs/examples")
TARGET, N, T = js.targets.ring(), 500, 1000
CONFIG = {"num_train_timesteps": T, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
CONFIG |= {"prediction_type": "v_prediction", "timestep_spacing": "trailing"}  # or a path of scheduler_config.json
SCHEDULE, PREDICTION = js.schedules.DiscreteTime.from_diffusers(CONFIG)


def network(params, x, t, cond):
    """v = alpha epsilon - sigma x_0 at the whole numbers t, as networks of diffusers predict it."""
    level = SCHEDULE.at(t)
    return (level.alpha[:, None] * x - TARGET.posterior_mean(x, level)) / level.sigma[:, None]


def pipeline(x, steps):
    """The loop of a pipeline with DDIMScheduler: v gives x_0 and the noise, and these the state at the next time."""
    ends, predict = np.sqrt([CONFIG["beta_start"], CONFIG["beta_end"]]), jax.jit(network)
    kept = np.append(np.cumprod(1 - np.linspace(*ends, T) ** 2), 1.0)  # alphas_cumprod, and 1 after the last step
    for t in range(T - 1, 0, -T // steps):
        (alpha, sigma), v = np.sqrt([kept[t], 1 - kept[t]]), predict(None, x, jnp.full(len(x), t), None)
        x_0, epsilon, after = alpha * x - sigma * v, alpha * v + sigma * x, kept[t - T // steps]
        x = np.sqrt(after) * x_0 + np.sqrt(1 - after) * epsilon
    return x


def main():
    start, denoiser = jax.random.normal(jax.random.key(0), (N, 2)), js.denoiser(network, None, SCHEDULE, PREDICTION)
    draw = partial(js.sample, jax.random.key(1), denoiser, (N, 2), init=start)
    times = js.grids.diffusers(SCHEDULE, 10, "DDIMScheduler", spacing=CONFIG["timestep_spacing"])
    ways = {"DDIM at its times": (DDIM(), times), "UniPC there": (UniPC(lower_order_final="denoise"), times)}
    ways["UniPC at the levels of log_snr"] = UniPC(), js.grids.log_snr(SCHEDULE, 9)
    loop, flow = pipeline(start, 10), draw(UniPC(), grid=js.grids.log_snr(SCHEDULE, 200)).x
    print("distances in ten evaluations     to the pipeline's loop   to the exact flow")
    for name, (sampler, grid) in ways.items():
        x = draw(sampler, grid=grid).x
        distances = (jnp.linalg.norm(x - other, axis=1).mean() for other in (loop, flow))
        print("{:31}{:24.1e}{:20.4f}".format(name, *distances))
    OUT.mkdir(parents=True, exist_ok=True)
    figure = js.plots.scatter(x, TARGET.sample(jax.random.key(2), N), log_prob=TARGET.log_prob, title=name)
    js.plots.save(figure, OUT / "20_from_diffusers.png")


if __name__ == "__main__":
    main()
