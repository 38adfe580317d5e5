"""What the schedulers of the library diffusers do, from their settings: trained levels, visited times, words."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.core import checks

FILE = "scheduler_config.json"
BETAS = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
# Settings of the schedule with their defaults; those of BETAS have others in a few classes.
SCHEDULE = BETAS | {"trained_betas": None, "rescale_betas_zero_snr": False, "prediction_type": "epsilon"}
OTHER_DEFAULTS = ("HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "LCMScheduler")
SHAPES = ("linear", "scaled_linear", "squaredcos_cap_v2")
# Settings of the grid and the steps, which a schedule does not depend on.
STEPS = """
    algorithm_type clip_sample clip_sample_range disable_corrector dynamic_thresholding_ratio euler_at_final
    final_sigmas_type flow_shift interpolation_type lambda_min_clipped lower_order_final predict_x0 sample_max_value
    set_alpha_to_one skip_prk_steps solver_order solver_type steps_offset time_shift_type timestep_spacing
""".split()
# Settings that are not supported, with the values that turn them off.
OFF = {
    "thresholding": (False,),
    "variance_type": (None, "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
    "timestep_type": ("discrete",),
    **dict.fromkeys(("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"), (False, None)),
    **dict.fromkeys(("use_lu_lambdas", "use_flow_sigmas", "use_dynamic_shifting"), (False, None)),
    **dict.fromkeys(("shift_terminal", "solver_p", "sigma_min", "sigma_max"), (None,)),
}
# With a last alpha^2 of 0, these put the smallest positive number of float16 in its place.
NEVER_PURE_NOISE = (
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
)
# The default spacing of each scheduler, and how many times it makes after the last one that it evaluates.
SPACINGS = ("leading", "trailing", "linspace")
SCHEDULERS = {
    "DDIMScheduler": ("leading", 0),
    "DDPMScheduler": ("leading", 0),
    "DPMSolverMultistepScheduler": ("linspace", 1),
    "UniPCMultistepScheduler": ("linspace", 1),
}


def settings(config: Any) -> dict[str, Any]:
    """The settings of a config: a dict, a JSON file, or a folder with a scheduler_config.json; unknown ones raise."""
    if isinstance(config, str | Path):
        path = Path(config)
        path = path / FILE if path.is_dir() else path
        try:
            config = json.loads(path.read_text())
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"config must be a dict, a JSON file or a folder with {FILE}; got {path} ({error})."
            ) from None
    if not isinstance(config, Mapping):
        raise TypeError(f"config must be a dict, a JSON file or a folder with {FILE}; got a {type(config).__name__}.")
    name = str(config.get("_class_name", ""))
    flow = next((word for word in (name, config.get("prediction_type")) if "flow" in str(word).lower()), None)
    if flow or config.get("use_flow_sigmas"):
        raise ValueError(
            f"config must be of a scheduler with betas; got {flow or 'use_flow_sigmas'!r}: use "
            "jaxsamp.schedules.RectifiedFlow() and 'velocity'."
        )
    given = {key: value for key, value in config.items() if not str(key).startswith("_")}
    for key, value in given.items():
        if key in OFF and value not in OFF[key]:
            raise ValueError(
                f"config must not set {key}, which is not supported, to {value!r}; it may be {OFF[key][0]!r}."
            )
        if key not in OFF and key not in SCHEDULE and key not in STEPS:
            hint = checks.hint(key, (*SCHEDULE, *OFF, *STEPS), 0.8)
            raise ValueError(f"config must hold known settings of diffusers' schedulers only; got {key!r}.{hint}")
    trained = given.get("trained_betas")
    lacks = [] if trained is not None else [key for key in BETAS if key not in given]
    if name in OTHER_DEFAULTS and lacks:
        raise ValueError(f"config of {name} must hold {', '.join(lacks)}, which it does not.")
    count = {} if trained is None else {"num_train_timesteps": np.size(trained)}
    if trained is not None and given.get("num_train_timesteps", np.size(trained)) != np.size(trained):
        raise ValueError(
            f"num_train_timesteps must be the number of trained_betas, {np.size(trained)}; "
            f"got {given['num_train_timesteps']}."
        )
    return {"_class_name": name, **SCHEDULE, **count, **given}


def alphas_cumprod(config: Mapping[str, Any]) -> np.ndarray:
    """alpha^2 at the trained times, (T,), of `settings`, in float64."""
    if config["trained_betas"] is not None:
        betas = checks.finite("trained_betas", config["trained_betas"]).astype(float)
        if betas.ndim != 1 or betas.size < 2 or (betas <= 0).any() or (betas >= 1).any():
            shown = np.array2string(betas, threshold=6, precision=4)
            raise ValueError(f"trained_betas must be at least 2 numbers between 0 and 1; got {shown}.")
    else:
        betas = _betas(config)
    kept = np.cumprod(1 - betas)
    if config["rescale_betas_zero_snr"]:
        root = np.sqrt(kept)
        kept = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        kept[-1] = 2.0**-24 if config["_class_name"] in NEVER_PURE_NOISE else 0.0
        if kept[-1] >= kept[-2]:  # as of linear betas
            raise ValueError(
                f"rescale_betas_zero_snr of {config['_class_name']} puts 2^-24 in place of the last alpha^2, which "
                f"must be below the one before it, {kept[-2]:.2g}; without _class_name, config gets 0."
            )
    return kept


def _betas(config: Mapping[str, Any]) -> np.ndarray:
    count = checks.at_least("num_train_timesteps", config["num_train_timesteps"], 2)
    shape = checks.one_of("beta_schedule", config["beta_schedule"], SHAPES)
    if shape == "squaredcos_cap_v2":
        curve = [math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(count + 1)]
        return np.minimum(1 - np.array(curve[1:]) / curve[:-1], 0.999)
    power = 2 if shape == "scaled_linear" else 1
    start, end = config["beta_start"], config["beta_end"]
    if not all(isinstance(beta, int | float) and 0 < beta < 1 for beta in (start, end)):
        raise ValueError(f"beta_start and beta_end must be numbers between 0 and 1; got {start!r} and {end!r}.")
    return np.linspace(start ** (1 / power), end ** (1 / power), count) ** power


def prediction(config: Mapping[str, Any]) -> str:
    """What a network of this config predicts, in the words of `jaxsamp.denoiser`."""
    names = {"epsilon": "epsilon"} | {key: checks.DIFFUSERS[key] for key in ("sample", "v_prediction")}
    return names[checks.one_of("prediction_type", config["prediction_type"], names)]


def times(count: int, evaluations: int, scheduler: str, spacing: str | None, offset: int) -> np.ndarray:
    """The trained times that a scheduler evaluates, decreasing, (evaluations,)."""
    default, after = SCHEDULERS[checks.one_of("scheduler", scheduler, SCHEDULERS)]
    spacing = default if spacing is None else checks.one_of("spacing", spacing, SPACINGS)
    checks.at_least("steps_offset", offset, 0)
    if checks.at_least("evaluations", evaluations, 1) + after * (spacing != "trailing") > count:
        raise ValueError(f"evaluations must be at most {count - after}, for {count} trained times; got {evaluations}.")
    if spacing == "trailing":
        return np.round(np.arange(count, 0, -count / evaluations)).astype(int)[:evaluations] - 1
    many = evaluations + after
    if spacing == "linspace":
        visited = np.round(np.linspace(0, count - 1, many)).astype(int)
    else:
        visited = np.arange(many) * (count // many) + offset
    visited = visited[::-1][:evaluations]
    if visited[0] >= count:
        raise ValueError(f"steps_offset must keep times below {count}, the number of trained ones; got {offset}.")
    return visited
