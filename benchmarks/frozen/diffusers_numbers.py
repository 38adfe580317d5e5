"""Samples, times and levels of diffusers' schedulers, frozen for a test that runs without diffusers.

Writes tests/samplers/frozen/diffusers.json: the loop of a pipeline on the exact denoiser of a small mixture, with the
schedulers as shipped, in float32. Needs only NumPy, torch and diffusers: python benchmarks/frozen/diffusers_numbers.py
"""

import inspect
import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[2] / "tests" / "samplers" / "frozen" / "diffusers.json"

# Narrow enough that DDIM's clipping to [-1, 1], its default, does not act.
WEIGHTS, MEANS, STD = np.array([0.3, 0.7]), np.array([[-0.3, 0.15], [0.45, -0.15]]), 0.1
INIT = [[0.5, -1.0], [1.5, 0.25], [-0.7, 0.9], [-1.2, -0.3]]

LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
ZERO = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
NAMES = ("DDIMScheduler", "UniPCMultistepScheduler", "DPMSolverMultistepScheduler")
CASES = [
    *((name, steps, {}) for name in NAMES for steps in (10, 20)),
    *((name, 10, {"timestep_spacing": "leading", **LATENT}) for name in NAMES[1:]),
    ("DDIMScheduler", 10, {"clip_sample": False, "set_alpha_to_one": False, **LATENT}),
    *((name, 10, {**LATENT, **ZERO}) for name in NAMES),
    ("UniPCMultistepScheduler", 10, {"solver_order": 3, "prediction_type": "sample"}),
    ("UniPCMultistepScheduler", 10, {"final_sigmas_type": "sigma_min"}),
    ("DDIMScheduler", 10, {"beta_schedule": "squaredcos_cap_v2"}),
    ("DDIMScheduler", 10, {"clip_sample_range": 0.4, "use_clipped_model_output": True}),
    ("DDIMScheduler", 10, {"clip_sample_range": 0.4}),
]
SPACINGS = ("leading", "trailing", "linspace")
TABLES = (
    {"beta_schedule": "linear"},
    LATENT,
    {"beta_schedule": "squaredcos_cap_v2"},
    {"rescale_betas_zero_snr": True},
    {"trained_betas": [0.01, 0.02, 0.05, 0.1, 0.3], "num_train_timesteps": 5},
)


def posterior_mean(x, alpha, sigma):
    """E[x_0 given x] of the mixture."""
    variance = (alpha * STD) ** 2 + sigma**2
    delta = x[:, None] - alpha * MEANS
    logs = np.log(WEIGHTS) - 0.5 * (delta**2).sum(-1) / variance
    r = np.exp(logs - logs.max(1, keepdims=True))
    r /= r.sum(1, keepdims=True)
    return (r[..., None] * (MEANS + alpha * STD**2 / variance * delta)).sum(1)


def prediction(kind, x, x0, alpha, sigma):
    noise = x0 if sigma == 0 else (x - alpha * x0) / sigma
    return {"epsilon": noise, "sample": x0, "v_prediction": alpha * noise - sigma * x0}[kind]


def made(name, settings):
    import diffusers

    own = inspect.signature(getattr(diffusers, name)).parameters
    return getattr(diffusers, name)(**{key: value for key, value in settings.items() if key in own})


def run(name, steps, settings):
    """The loop of a pipeline."""
    import torch

    scheduler = made(name, settings)
    scheduler.set_timesteps(steps)
    call = {"use_clipped_model_output": True} if settings.get("use_clipped_model_output") else {}
    x = torch.tensor(INIT, dtype=torch.float64) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        kept = float(scheduler.alphas_cumprod.double()[t])
        alpha, sigma = kept**0.5, (1 - kept) ** 0.5
        x0 = posterior_mean(x.numpy(), alpha, sigma)
        out = prediction(scheduler.config.prediction_type, x.numpy(), x0, alpha, sigma)
        x = scheduler.step(torch.tensor(out), t, x, **call).prev_sample
    return {"scheduler": name, "steps": steps, "settings": settings, "x": x.double().numpy().round(9).tolist()}


def times(name, steps, spacing, offset):
    scheduler = made(name, {"timestep_spacing": spacing, "steps_offset": offset})
    scheduler.set_timesteps(steps)
    return {"scheduler": name, "steps": steps, "spacing": spacing, "steps_offset": offset} | {
        "times": scheduler.timesteps.tolist()
    }


def table(name, settings):
    """Some of alpha^2 at the trained times, and the settings as diffusers saves them."""
    scheduler = made(name, settings)
    config = json.loads(scheduler.to_json_string())
    kept = scheduler.alphas_cumprod.double().numpy()
    return {"config": config, "alphas_cumprod": kept[:: max(1, (len(kept) - 1) // 9)].tolist(), "last": kept[-1]}


def frozen():
    import diffusers

    return {
        "diffusers": diffusers.__version__,
        "weights": WEIGHTS.tolist(),
        "means": MEANS.tolist(),
        "std": STD,
        "init": INIT,
        "samples": [run(*case) for case in CASES],
        "times": [times(n, s, k, o) for n in NAMES for s in (7, 20) for k in SPACINGS for o in (0, 1)],
        "tables": [table(n, s) for n in (NAMES[0], NAMES[2]) for s in TABLES],
    }


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(frozen(), separators=(",", ":")).replace("},{", "},\n{") + "\n")
    print(FILE, FILE.stat().st_size)
