"""Numbers of diffusers' schedulers, kept here so that they are compared without diffusers too.

tests/samplers/frozen/diffusers.json is written by benchmarks/frozen/diffusers_numbers.py.
"""

import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import small_mixture

HERE = Path(__file__).parent
FROZEN = json.loads((HERE / "frozen" / "diffusers.json").read_text())
# Their tables of levels are float32, ours float64: the last digits of 1 - alpha^2 at the first trained times differ.
TABLES = 1e-6  # of alpha^2: products of up to 1000 factors, each rounded by 3e-8 of itself on average
SAMPLES = 5e-6  # states are of the order of 1; the largest difference was 1.6e-6
SAMPLERS = {
    "DDIMScheduler": js.samplers.DDIM,
    "UniPCMultistepScheduler": lambda order=2: js.samplers.UniPC(order, lower_order_final="denoise"),
    "DPMSolverMultistepScheduler": lambda order=2: js.samplers.DPMSolverPP(order, lower_order_final="denoise"),
}


def posterior_mean(x, alpha, sigma):
    variance = (alpha * FROZEN["std"]) ** 2 + sigma**2
    delta = x[:, None] - alpha[..., None] * jnp.array(FROZEN["means"])
    logs = jnp.log(jnp.array(FROZEN["weights"])) - 0.5 * (delta**2).sum(-1) / variance
    gain = (alpha * FROZEN["std"] ** 2 / variance)[..., None]
    return (jax.nn.softmax(logs)[..., None] * (jnp.array(FROZEN["means"]) + gain * delta)).sum(1)


def network(kind):
    """The exact network of a prediction; its weights are the schedule."""

    def apply(schedule, x, t, cond):
        alpha, sigma = (part[:, None] for part in schedule.at(t)[:2])
        x0 = posterior_mean(x, alpha, sigma)
        noise = (x - alpha * x0) / sigma
        return {"epsilon": noise, "x0": x0, "v": alpha * noise - sigma * x0}[kind]

    return apply


NETWORKS = {kind: network(kind) for kind in ("epsilon", "x0", "v")}


def ours(case):
    """The samples of a frozen run, by the rules of docs/coming-from-diffusers.md."""
    name, own = case["scheduler"], dict(case["settings"])
    order, clipped = own.pop("solver_order", None), own.pop("use_clipped_model_output", None)
    schedule, prediction = js.schedules.DiscreteTime.from_diffusers({"_class_name": name, **own})
    denoiser = js.denoiser(NETWORKS[prediction], schedule, schedule, prediction)
    if clipped:
        denoiser = js.clip(denoiser, -own["clip_sample_range"], own["clip_sample_range"])
    to_zero = own.get("set_alpha_to_one", True) and own.get("final_sigmas_type", "zero") == "zero"
    sampler = SAMPLERS[name](*([] if order is None else [order]))
    if name.startswith("UniPC") and not to_zero:
        sampler = js.samplers.UniPC(lower_order_final=True)
    grid = js.grids.diffusers(
        schedule,
        case["steps"],
        name,
        spacing=own.get("timestep_spacing"),
        steps_offset=own.get("steps_offset", 0),
        end="zero" if to_zero else "sigma_min",
    )
    init = jnp.array(FROZEN["init"])
    return js.sample(jax.random.key(0), denoiser, init.shape, sampler, grid=grid, init=init, final_denoise=to_zero).x


def named(case):
    return "-".join(map(str, (case["scheduler"][:5], case["steps"], *case["settings"].values())))


@pytest.mark.parametrize("case", FROZEN["samples"][:-1], ids=named)
def test_samples_are_those_of_a_pipeline_of_diffusers(x64, case):
    np.testing.assert_allclose(ours(case), case["x"], atol=SAMPLES)


def test_clipping_without_the_noise_that_belongs_to_it_is_another_method(x64):
    """DDIM's default: x_0 is clipped, epsilon is not; stated on the page, and no sampler here does it."""
    case = FROZEN["samples"][-1]
    assert case["settings"] == {"clip_sample_range": 0.4}
    ours_clipped = ours(case | {"settings": case["settings"] | {"use_clipped_model_output": True}})
    # Both end clipped where clipping acts; it shows in the other coordinate, beyond rounding.
    assert np.abs(ours_clipped - np.array(case["x"])).max() > 5 * SAMPLES


@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_grids_hold_the_times_of_diffusers(x64, scheduler):
    schedule, _ = js.schedules.DiscreteTime.from_diffusers({})
    for case in FROZEN["times"]:
        if case["scheduler"] == scheduler:
            grid = js.grids.diffusers(
                schedule, case["steps"], scheduler, spacing=case["spacing"], steps_offset=case["steps_offset"]
            )
            np.testing.assert_array_equal(schedule.level(-jnp.log(grid)).t, case["times"])


def understood(case):
    """Of linear betas rescaled to pure noise, the multistep schedulers' table goes up at its end: it is refused."""
    config = case["config"]
    return config["_class_name"] == "DDIMScheduler" or not config["rescale_betas_zero_snr"]


@pytest.mark.parametrize(
    "case", [*filter(understood, FROZEN["tables"])], ids=lambda case: case["config"]["beta_schedule"]
)
def test_levels_are_those_of_diffusers(case, tmp_path):
    (tmp_path / "scheduler_config.json").write_text(json.dumps(case["config"]))
    for config in (case["config"], tmp_path, str(tmp_path / "scheduler_config.json")):
        schedule, prediction = js.schedules.DiscreteTime.from_diffusers(config)
        kept = schedule.alphas_cumprod
        np.testing.assert_allclose(kept[:: max(1, (len(kept) - 1) // 9)], case["alphas_cumprod"], atol=TABLES)
        np.testing.assert_allclose(kept[-1], case["last"], atol=0, rtol=3e-5)  # 0 is 0
        assert prediction == "epsilon"


@pytest.mark.slow
def test_the_frozen_numbers_are_still_those_of_diffusers():
    pytest.importorskip("diffusers", reason="diffusers and torch are in the extra 'bench'")
    spec = importlib.util.spec_from_file_location(
        "freeze", HERE.parents[1] / "benchmarks" / "frozen" / "diffusers_numbers.py"
    )
    assert spec is not None and spec.loader is not None
    freeze = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(freeze)
    live = json.loads(json.dumps(freeze.frozen()))
    assert live["times"] == FROZEN["times"]
    for now, then in zip(live["samples"], FROZEN["samples"], strict=True):
        np.testing.assert_allclose(now["x"], then["x"], atol=1e-6)
    for now, then in zip(live["tables"], FROZEN["tables"], strict=True):
        np.testing.assert_allclose(now["alphas_cumprod"], then["alphas_cumprod"], atol=1e-7)


# UniPCMultistepScheduler of diffusers 0.42, solver_order=3, its other settings left alone, in float64: 8 steps.
TIMES = np.array([999, 874, 749, 624, 500, 375, 250, 125])
START = np.array([[0.5, -1.0], [1.5, 0.25]])
UNIPC3 = [[1.53380757, -0.97598006], [1.63722211, -0.33685902]]


@pytest.mark.parametrize(("lowered", "agrees"), [("denoise", True), (True, False), (False, False)])
def test_unipc_of_order_3_ends_as_in_diffusers(x64, lowered, agrees):
    schedule = js.schedules.DiscreteTime(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)))
    sampler = js.samplers.UniPC(order=3, lower_order_final=lowered)
    grid = np.exp(-schedule.lam[TIMES])
    x = js.sample(jax.random.key(0), small_mixture().denoiser(schedule), (2, 2), sampler, grid=grid, init=START).x
    assert (np.abs(x - np.array(UNIPC3)).max() < 1e-5) == agrees  # their table is in float32
    if not agrees:
        assert np.abs(x - np.array(UNIPC3)).max() > 1e-3


def test_names_of_the_last_orders_are_one_sentence():
    for sampler in (js.samplers.UniPC(lower_order_final="end"), js.samplers.DPMSolverPP(lower_order_final="end")):
        with pytest.raises(ValueError, match="lower_order_final must be one of True, False, 'denoise'; got 'end'"):
            sampler.check()
