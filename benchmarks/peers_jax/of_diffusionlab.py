"""diffusionlab: `sample(key, sampler, predictor, batch_size, time_schedule)` on `uniform_schedule`, as in its README.

Its loop is a Python loop over steps. Its noise is its process's, so the starts are handed over by that method. Its
last step returns the posterior mean, or takes t = 0 to be its level; times end at 0.
"""

import jax.numpy as jnp
from diffusionlab.processes import gaussian
from diffusionlab.sampling import DDMSampler, EulerSampler, sample, uniform_schedule
from diffusionlab.typing import Prediction
from harness import Entry, Run, denoise, main

PROCESSES = {
    "VPCosine": (lambda d: gaussian.VPCosine((d,)), jnp.inf),
    "VPLinear": (lambda d: gaussian.VPLinear((d,)), 152.0),
    "VE": (lambda d: gaussian.VE((d,), sigma_min=0.002, sigma_max=80.0), 80.0),
    "EDM": (lambda d: gaussian.EDM((d,)), 80.0),
    "FlowMatching": (lambda d: gaussian.FlowMatching((d,)), jnp.inf),
}


def entry(name, process_name, sampler_of, jit=False, **more):
    def make(law, steps):
        process = PROCESSES[process_name][0](*law.event_shape)

        def predictor(x, s, t, cond, aux):
            return Prediction(value=denoise(law, x, process.alpha(t), process.sigma(t)), kind="x_0")

        def call(key, z, first):
            process.sample_from_terminal = lambda key, n: (process.sigma(jnp.ones(n))[:, None] * z, {})
            return sample(key, sampler_of(process), predictor, len(z), uniform_schedule(steps, len(z)))

        return Run(call, PROCESSES[process_name][1], 0.0)

    compiled = ", inside jax.jit" if jit else ""
    return Entry(name, f"{process_name}, uniform_schedule, x_0 prediction{compiled}", make, jit=jit, **more)


ENTRIES = [
    *(entry("DDMSampler(eta=0)", name, DDMSampler) for name in PROCESSES),
    *(entry("DDMSampler(eta=1)", name, lambda p: DDMSampler(p, eta=1.0), stochastic=True) for name in PROCESSES),
    *(entry("EulerSampler", name, EulerSampler) for name in ("VPCosine", "FlowMatching", "EDM", "VE")),
]

if __name__ == "__main__":
    main("diffusionlab", "diffusionlab", ENTRIES)
