"""Do the samplers give the same numbers as diffusers' schedulers?

The same noise, the same integer times (the scheduler's own) of a linear schedule of 1000 trained levels, the same
exact denoiser of a mixture in the plane, written once more in NumPy. The largest difference of any coordinate, with
the scheduler's levels widened to float64 and, in the last column, kept in float32 as shipped. For agreement, note that

- a step to sigma = 0 ends diffusers' runs and returns the posterior mean: `final_denoise=True`. Under
  `final_sigmas_type="sigma_min"`, or DDIM's `set_alpha_to_one=False`, runs end at the lowest trained level: append it
  to the grid and turn `final_denoise` off.
- DPM-Solver++ lowers the order of its last step before sigma = 0, and otherwise below 15 steps only. Of its order 3
  the weight of the second difference is half of what makes it exact for quadratics, and so half of ours.
- UniPC lowers the order of its last p - 1 steps and counts the step to sigma = 0 as one of them:
  `lower_order_final="denoise"`. True counts the steps down to the last level.
  Its variant bh1 gives NaN at sigma = 0: here only the lowest trained level is compared.
- DDIM clips to [-1, 1] without `clip_sample=False`, and steps by 1000 // steps times, whatever its own times are:
  under "linspace" it lands between them, which no grid of trained levels can follow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, report
from peers import MISSING, optional

import jaxsamp as js
from jaxsamp.samplers import DDIM, DPMSolverPP, UniPC

torch, diffusers = optional("torch"), optional("diffusers")

WEIGHTS = np.array([0.3, 0.7])
MEANS = np.array([[-1.0, 0.5], [1.5, -0.5]])
COVARIANCES = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.05, 0.0], [0.0, 0.4]]])


@dataclass(frozen=True)
class Case:
    """A scheduler's settings, the sampler that should agree with it, their number of steps, and where both end."""

    scheduler: str
    settings: dict[str, Any]
    sampler: Callable[[int], Any]
    end: str  # "denoised" or "lowest trained level"
    agrees: bool = True


def ddim(spacing, end="denoised", agrees=True):
    settings = {"clip_sample": False, "timestep_spacing": spacing, "set_alpha_to_one": end == "denoised"}
    return Case("DDIMScheduler", settings, lambda _: DDIM(), end, agrees)


def dpm(order, end, lowered, agrees=True):
    settings = {"solver_order": order, "final_sigmas_type": "sigma_min" if end == "lowest trained level" else "zero"}
    sampler = lambda steps: DPMSolverPP(order=order, lower_order_final=lowered(steps))  # noqa: E731
    return Case("DPMSolverMultistepScheduler", settings, sampler, end, agrees)


def unipc(order, variant, end, lowered, agrees=True):
    ends = "sigma_min" if end == "lowest trained level" else "zero"
    settings = {"solver_order": order, "solver_type": variant, "final_sigmas_type": ends}
    sampler = lambda _: UniPC(order=order, variant=variant, lower_order_final=lowered)  # noqa: E731
    return Case("UniPCMultistepScheduler", settings, sampler, end, agrees)


def few(steps):
    return steps < 15


CASES = {
    "DDIM, leading": ddim("leading"),
    "DDIM, trailing": ddim("trailing"),
    "DDIM, set_alpha_to_one=False": ddim("trailing", "lowest trained level"),
    "DDIM, linspace": ddim("linspace", agrees=False),
    "DPM-Solver++(2M)": dpm(2, "denoised", lambda _: False),
    "DPM-Solver++(2M), sigma_min": dpm(2, "lowest trained level", few),
    "DPM-Solver++(3M), sigma_min": dpm(3, "lowest trained level", few, agrees=False),
    "UniPC2": unipc(2, "bh2", "denoised", "denoise"),
    "UniPC2, sigma_min": unipc(2, "bh2", "lowest trained level", True),
    "UniPC2, bh1, sigma_min": unipc(2, "bh1", "lowest trained level", True),
    "UniPC3": unipc(3, "bh2", "denoised", "denoise"),
    "UniPC3, sigma_min": unipc(3, "bh2", "lowest trained level", True),
    "UniPC3, bh1, sigma_min": unipc(3, "bh1", "lowest trained level", True),
    "UniPC3, final_denoise and full order": unipc(3, "bh2", "denoised", False, agrees=False),
    "UniPC3, final_denoise and lower orders": unipc(3, "bh2", "denoised", True, agrees=False),
}


def posterior_mean(x, alpha, sigma):
    """E[x_0 given x] by the textbook: components weighed by their densities, each a linear regression."""
    delta = x - alpha * MEANS[:, None]
    noised = alpha**2 * COVARIANCES + sigma**2 * np.eye(2)
    solved = np.linalg.solve(noised[:, None], delta[..., None])[..., 0]
    logs = np.log(WEIGHTS / np.sqrt(np.linalg.det(noised)))[:, None] - 0.5 * (delta * solved).sum(-1)
    r = np.exp(logs - logs.max(0))
    each = MEANS[:, None] + alpha * np.einsum("kij,knj->kni", COVARIANCES, solved)
    return np.einsum("kn,kni->ni", r / r.sum(0), each)


def theirs(case, steps, init, float64):
    """The loop of a diffusers pipeline; also its times and trained alpha^2."""
    scheduler = getattr(diffusers, case.scheduler)(**case.settings)
    kept = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(steps)
    times = scheduler.timesteps.numpy()
    if float64 and case.scheduler == "DDIMScheduler":
        scheduler.alphas_cumprod = kept
        scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    elif float64:
        levels = ((1 - kept) / kept) ** 0.5
        last = levels[:1] if case.end == "lowest trained level" else torch.zeros(1)
        scheduler.sigmas = torch.cat([levels[times.copy()], last])
    x = torch.tensor(init)
    for t in scheduler.timesteps:
        alpha, sigma = float(kept[t] ** 0.5), float((1 - kept[t]) ** 0.5)
        noise = (x - alpha * torch.tensor(posterior_mean(x.numpy(), alpha, sigma))) / sigma
        x = scheduler.step(noise, t, x).prev_sample
    return x.numpy(), times, kept.numpy()


def ours(case, steps, init, times, kept):
    schedule = js.schedules.DiscreteTime(jnp.asarray(kept))
    if case.end == "lowest trained level" and times[-1] != 0:
        times = np.append(times, 0)
    grid = np.exp(-np.asarray(schedule.at(times).log_snr))
    denoiser = js.targets.GaussianMixture(WEIGHTS, MEANS, COVARIANCES).denoiser(schedule)
    ends = {"grid": grid, "init": jnp.asarray(init), "final_denoise": case.end == "denoised"}
    return np.asarray(js.sample(jax.random.key(0), denoiser, init.shape, case.sampler(steps), **ends).x)


def difference(case, steps, n=256, float64=True):
    """The largest difference of a coordinate; call it with x64 enabled."""
    init = np.random.default_rng(0).standard_normal((n, 2))
    x, times, kept = theirs(case, steps, init, float64)
    return float(np.abs(ours(case, steps, init, times, kept) - x).max())


def main():
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 20, 50])
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rows: list[dict[str, Any]] = [{"scheduler": f"{name} is left out: {why}"} for name, why in MISSING.items()]
    if diffusers and torch:
        rows = [
            {"scheduler": name, "ours": repr(case.sampler(options.steps[0])).split("(")[0], "end": case.end}
            | {f"{steps} steps": difference(case, steps, options.samples) for steps in options.steps}
            | {"float32 levels": max(difference(case, s, options.samples, False) for s in options.steps)}
            | {"should agree": case.agrees}
            for name, case in CASES.items()
        ]
    report("vs_diffusers_numbers", "Largest difference from diffusers' schedulers", rows, options, ["diffusers"])


if __name__ == "__main__":
    main()
