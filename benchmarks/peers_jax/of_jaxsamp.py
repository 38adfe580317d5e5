"""Ours under the same tests, each sampler in one compiled run on the default grid."""

from harness import Entry, Run, main

import jaxsamp as js
from jaxsamp import samplers

HIGH, LOW = 80.0, 0.02


def entry(name, sampler, stochastic=False):
    def make(law, steps):
        def call(key, z, first):
            init, d = HIGH * z, law.denoiser(js.schedules.VarianceExploding())
            return js.sample(key, d, z.shape, sampler, steps, init=init, final_denoise=False, first=first).x

        return Run(call, HIGH, LOW)

    setting = f"even in log-SNR, sigma {HIGH:g} to {LOW}"
    return Entry(name, setting, make, sampler.evaluations(2) - sampler.evaluations(1), stochastic=stochastic)


ENTRIES = [
    entry("UniPC2", samplers.UniPC()),
    entry("UniPC3", samplers.UniPC(order=3)),
    entry("DPMSolverPP2", samplers.DPMSolverPP()),
    entry("Heun", samplers.Heun()),
    entry("Midpoint", samplers.Midpoint()),
    entry("DDIM", samplers.DDIM()),
    entry("DDPM", samplers.DDPM(), stochastic=True),
    entry("DPMSolverPP2, stochastic", samplers.DPMSolverPP(stochastic=True), stochastic=True),
    entry("RandomizedMidpoint", samplers.RandomizedMidpoint(), stochastic=True),
]

if __name__ == "__main__":
    main("jaxsamp", "jaxsamp", ENTRIES)
