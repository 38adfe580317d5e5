"""flaxdiff: `generate_samples(params, ..., priors=, diffusion_steps=, rngstate=)` of each sampler, a Python loop.

States are images (n, 1, 1, d). The last step returns the posterior mean, and everything is clipped to [-1, 1].
CosineNoiseScheduler(1000) is its cosine schedule, KarrasVENoiseScheduler(1), of sigma 0.002 to 80, its schedule with
alpha = 1, begun at step 1000 as in its trainer. `MultiStepDPM` keeps its history after a run; it is emptied here.
"""

import contextlib
import functools
import io

import jax.numpy as jnp
from flaxdiff.inputs import DiffusionInputConfig
from flaxdiff.predictors import DirectPredictionTransform
from flaxdiff.samplers.rk4_sampler import RK4Sampler
from flaxdiff.schedulers import CosineNoiseScheduler, KarrasVENoiseScheduler
from flaxdiff.utils import RandomMarkovState
from harness import Entry, Run, denoise, main

SCHEDULES = {"cosine": CosineNoiseScheduler(1000), "VE": KarrasVENoiseScheduler(1)}


def found(name):
    for module in ("ddpm", "ddim", "euler", "heun_sampler", "multistep_dpm"):
        with contextlib.suppress(AttributeError):
            return getattr(__import__(f"flaxdiff.samplers.{module}", fromlist=["*"]), name)
    return {"RK4Sampler": RK4Sampler}[name]


class Same:
    """A law by identity, to be a key of a cache."""

    def __init__(self, law):
        self.law = law

    def __hash__(self):
        return id(self.law)

    def __eq__(self, other):
        return self.law is other.law


class Exact:
    """A network whose prediction is the posterior mean; `temb` is what its schedule makes of a step."""

    def __init__(self, law, schedule, name):
        self.law, self.schedule, self.name = law, schedule, name

    def apply(self, params, x, temb):
        if self.name == "VE":  # temb = log(sigma) / 4
            alpha, sigma = 1.0, jnp.exp(4 * temb)
        else:
            alpha, sigma = self.schedule.get_rates(temb)
        return denoise(self.law, x[:, 0, 0], alpha, sigma)[:, None, None]


def entry(name, schedule_name, calls=1, fewer=0, stochastic=False, steps=None, **settings):
    schedule = SCHEDULES[schedule_name]

    @functools.cache  # one sampler for all numbers of steps, because each compiles its model
    def built(d, law):
        inputs = DiffusionInputConfig("x", (1, 1, d), [])
        model = Exact(law.law, schedule, schedule_name)
        return found(name)(model, schedule, DirectPredictionTransform(), inputs, **settings)

    def make(law, n):
        sampler = built(law.event_shape[0], Same(law))
        alpha, sigma = (float(jnp.ravel(v)[0]) for v in schedule.get_rates(jnp.asarray(schedule.max_timesteps)))
        scale = (alpha**2 + sigma**2) ** 0.5

        def call(key, z, first):
            if hasattr(sampler, "history"):
                sampler.history.clear()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                x = sampler.generate_samples(
                    {}, len(z), 1, diffusion_steps=n, start_step=1000, priors=scale * z[:, None, None],
                    rngstate=RandomMarkovState(key),
                )  # fmt: skip
            return x[:, 0, 0]

        return Run(call, sigma / alpha, 0.0)

    given = ", ".join(f"{key}={value:g}" for key, value in settings.items())
    return Entry(f"{name}({given})", schedule_name, make, calls, fewer, stochastic, jit=False, steps=steps)


ENTRIES = [
    made
    for name in SCHEDULES
    for made in (
        entry("DDIMSampler", name),
        entry("DDIMSampler", name, stochastic=True, eta=1.0),
        entry("EulerSampler", name),
        entry("SimplifiedEulerSampler", name),
        entry("EulerAncestralSampler", name, stochastic=True),
        entry("HeunSampler", name, 2, 1),
        entry("RK4Sampler", name, 4, 3),
        entry("MultiStepDPM", name),
        entry("SimpleDDPMSampler", name, stochastic=True),
        entry("DDPMSampler", name, stochastic=True),
    )
]

if __name__ == "__main__":
    main("flaxdiff", "flaxdiff", ENTRIES)
