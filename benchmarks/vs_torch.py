"""How do the samplers that run under torch compare, at the same error, with the same denoiser and noise?

diffusers' schedulers in the loop of its pipelines, azula's samplers and k-diffusion's, on as many CPU threads as XLA
uses, without gradients. All step uniformly in log sigma from 80 to 0.02: k-diffusion gets the levels, azula its
VESchedule, and diffusers 1000 trained levels uniform in log sigma, of which `use_exponential_sigmas` picks the
uniform grid; its DDIM, which knows integer times only, gets as many trained levels as steps. The step to
sigma = 0 that diffusers appends is left out for everyone, and its orders stay full to the end.
"""

import os

import numpy as np
from peers import HIGH, LOW, MEANS, WEIGHTS, Solver, compare, optional, ours, posterior_mean

from jaxsamp.samplers import DDIM, DPMSolverPP, Heun, UniPC

torch, diffusers = optional("torch"), optional("diffusers")
azula, k_diffusion = optional("azula.sample"), optional("k_diffusion.sampling", bare=True)

OURS = {
    "UniPC2": ours(UniPC(order=2, lower_order_final=False)),
    "UniPC3": ours(UniPC(order=3, lower_order_final=False)),
    "DPM-Solver++(2M)": ours(DPMSolverPP(order=2, lower_order_final=False)),
    "Heun": ours(Heun()),
    "DDIM": ours(DDIM()),
}


def mixture(dtype):
    """The denoiser in torch: (x, alpha, sigma) -> E[x_0 | x]."""
    log_weights, means = torch.tensor(np.log(WEIGHTS), dtype=dtype), torch.tensor(MEANS, dtype=dtype)
    return lambda x, alpha, sigma: posterior_mean(x, alpha, sigma, log_weights, means, torch.softmax)


def solver(run, evaluations=lambda steps: steps, most=2000):
    """`run(steps, dtype)` gives a function from starts to states, both in the coordinates x_0 + sigma z."""

    def make(steps, init, dtype):
        torch.set_num_threads(os.cpu_count() or 1)
        dtype = getattr(torch, dtype)
        init, function = torch.tensor(init, dtype=dtype), run(steps, dtype)

        @torch.inference_mode()
        def call():
            return function(init), evaluations(steps)

        return call

    return Solver(make, range(1, most))


def levels(steps):
    """sigma, (steps + 1,), from noisy to clean."""
    return np.geomspace(HIGH, LOW, steps + 1)


def betas(sigmas):
    """The betas whose trained levels, from clean to noisy, are `sigmas`."""
    kept = 1 / (1 + sigmas**2)
    return 1 - kept / np.concatenate([[1.0], kept[:-1]])


def diffusers_solver(name, **settings):
    """Variance-preserving: states are divided by sqrt(1 + sigma^2)."""

    def run(steps, dtype):
        denoise = mixture(dtype)
        trained = levels(steps if name == "DDIMScheduler" else 999)[::-1]
        made = getattr(diffusers, name)(
            num_train_timesteps=len(trained), trained_betas=betas(trained), prediction_type="sample", **settings
        )
        kept = torch.tensor(1 / (1 + trained**2), dtype=dtype)

        def loop(x):
            made.set_timesteps(steps + 1)
            x = x / np.sqrt(1 + HIGH**2)
            for i, t in enumerate(made.timesteps[:-1]):
                if name == "DDIMScheduler":
                    alpha, sigma = kept[t] ** 0.5, (1 - kept[t]) ** 0.5
                else:
                    alpha = (1 + made.sigmas[i] ** 2) ** -0.5
                    sigma = made.sigmas[i] * alpha
                x = made.step(denoise(x, alpha, sigma), t, x, return_dict=False)[0]
            return x * np.sqrt(1 + LOW**2)

        return loop

    return solver(run)


def azula_solver(name, evaluations=lambda steps: steps, **settings):
    from azula.denoise import Denoiser, DiracPosterior
    from azula.noise import VESchedule

    class Mixture(Denoiser):
        def __init__(self, dtype):
            super().__init__()
            self.schedule, self.denoise = VESchedule(LOW, HIGH), mixture(dtype)

        def forward(self, x, t, **_):
            return DiracPosterior(mean=self.denoise(x, *self.schedule(t)))

    def run(steps, dtype):
        return getattr(azula, name)(Mixture(dtype), steps=steps, silent=True, dtype=dtype, **settings)

    return solver(run, evaluations)


def k_diffusion_solver(name, evaluations=lambda steps: steps):
    def run(steps, dtype):
        denoise, sigmas = mixture(dtype), torch.tensor(levels(steps), dtype=dtype)
        method = getattr(k_diffusion, name)
        return lambda x: method(lambda x, sigma: denoise(x, 1.0, sigma[:, None]), x, sigmas, disable=True)

    return solver(run, evaluations)


def twice(steps):
    return 2 * steps


def solvers():
    yield from OURS.items()
    if diffusers and torch:
        grid = {"use_exponential_sigmas": True}
        yield "diffusers UniPC2", diffusers_solver("UniPCMultistepScheduler", solver_order=2, **grid)
        yield "diffusers UniPC3", diffusers_solver("UniPCMultistepScheduler", solver_order=3, **grid)
        yield "diffusers DPM-Solver++(2M)", diffusers_solver("DPMSolverMultistepScheduler", **grid)
        yield "diffusers DDIM", diffusers_solver("DDIMScheduler", clip_sample=False, timestep_spacing="trailing")
    if azula and torch:
        yield "azula EAB2 (data)", azula_solver("xEABSampler", order=2)
        yield "azula EAB3 (data)", azula_solver("xEABSampler", order=3)
        yield "azula AB3 (noise)", azula_solver("zABSampler", order=3)
        yield "azula Heun", azula_solver("HeunSampler", twice)
        yield "azula DDIM", azula_solver("DDIMSampler")
    if k_diffusion and torch:
        yield "k-diffusion dpmpp_2m", k_diffusion_solver("sample_dpmpp_2m")
        yield "k-diffusion lms", k_diffusion_solver("sample_lms")
        yield "k-diffusion heun", k_diffusion_solver("sample_heun", twice)
        yield "k-diffusion euler", k_diffusion_solver("sample_euler")


if __name__ == "__main__":
    title = "Time to reach the same error as samplers under torch"
    compare(__doc__, "vs_torch", title, dict(solvers()), ["torch", "diffusers", "azula", "k-diffusion"])
