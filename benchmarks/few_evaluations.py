"""At 8 and 16 evaluations, how far is each library's best from the flow, on the best of its own grids?

The cases of grids.py, with one denoiser for all: other libraries call it through NumPy. Everyone starts from the same
states and is compared at the same last level, with the same converged flow. Ours: UniPC in the data, rotation and
straight frames and DPMSolverPP3 in the noise frame, on the grids of grids.py. diffusers: UniPC and DPM-Solver++ of
orders 2 and 3 on exponential levels (even in log-SNR), Karras and beta ones, UniPC also on levels even in the time of
rectified flow; its last step, to sigma = 0, is left out. azula: DDIM, Heun, Adams-Bashforth and exponential
Adams-Bashforth methods, in the time of its VE, cosine and rectified schedules. hackable_diffusion: Heun and DDIM steps
in the time of its cosine and rectified schedules; its Heun ends with an Euler step and makes one evaluation less than
it is granted. Rows have the smallest error over methods and grids, and which those were; ratios are to the best of the
others.

hackable_diffusion asks for Python 3.12 but runs under 3.11; what an installation lacks is left out, and said. `--into`
keeps the cases that the JSON has already.
"""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import about, show, write
from grids import CASES, GRIDS, LOW, NETWORKS, begun, distance, ends, levels, options_of_cases
from peers import MISSING, optional

from jaxsamp.samplers import DPMSolverPP, UniPC

FULL = {"lower_order_final": False}
OURS = {
    "UniPC2": UniPC(),
    "UniPC3": UniPC(order=3),
    "UniPC2, rotation": UniPC(frame="rotation"),
    "UniPC2, straight": UniPC(frame="straight"),
    "UniPC3, rotation": UniPC(order=3, frame="rotation", **FULL),
    "DPMSolverPP3, noise": DPMSolverPP(order=3, frame="noise", **FULL),
}
PEERS = ("diffusers", "azula", "hackable_diffusion")


class Called:
    """The posterior mean for NumPy arrays: states alpha x_0 + sigma z, one level for all."""

    def __init__(self, case: Any) -> None:
        self.high, self.dtype = case.sigma_max, jnp.result_type(float)
        denoiser = case.denoiser.with_calibration(None)
        self._mean = jax.jit(lambda x, lam: denoiser(x, denoiser.schedule.level(lam)))

    def __call__(self, x: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
        lam = np.log(float(alpha)) - np.log(float(sigma))
        return np.asarray(self._mean(jnp.asarray(x / float(alpha), self.dtype), jnp.asarray(lam, self.dtype)))


def ours(case: Any, init: Any, budget: int) -> Any:
    """Setting and ends of every method on every grid."""
    bare = case.denoiser.with_calibration(None)
    for name, sampler in OURS.items():
        steps = budget // sampler.evaluations(1)
        of = jnp.asarray([levels(grid, case, sampler, steps) for grid in GRIDS], init.dtype)
        for grid, x in zip(GRIDS, ends(bare, sampler, of, init, init.shape), strict=True):
            yield f"{name}, {grid}", x


def of_diffusers(mean: Called, init: np.ndarray, budget: int) -> Any:
    """Its schedulers in the loop of its pipelines."""
    torch, diffusers = optional("torch"), optional("diffusers")
    trained = np.geomspace(LOW, mean.high, 1000)
    kept = 1 / (1 + trained**2)
    betas = 1 - kept / np.concatenate([[1.0], kept[:-1]])
    flow = np.linspace(mean.high / (1 + mean.high), LOW / (1 + LOW), budget + 1)
    for method, orders in (("UniPCMultistepScheduler", (2, 3)), ("DPMSolverMultistepScheduler", (2, 3))):
        for order in orders:
            for grid in ("exponential", "karras", "beta", "flow")[: 4 if "UniPC" in method else 3]:
                made = getattr(diffusers, method)(
                    trained_betas=betas, solver_order=order, **{f"use_{grid}_sigmas": True},
                    prediction_type="flow_prediction" if grid == "flow" else "sample",
                )  # fmt: skip
                made.set_timesteps(**({"sigmas": flow} if grid == "flow" else {"num_inference_steps": budget + 1}))
                sigmas = made.sigmas.double().numpy()
                if abs(sigmas[0] / (flow[0] if grid == "flow" else mean.high) - 1) > 1e-3:
                    raise ValueError(f"{method} starts at {sigmas[0]}.")
                scale = 1 - sigmas if grid == "flow" else (1 + sigmas**2) ** -0.5
                x = torch.tensor(init * scale[0])
                for i, t in enumerate(made.timesteps[:-1]):
                    sigma = sigmas[i] if grid == "flow" else sigmas[i] * scale[i]
                    out = mean(x.numpy(), scale[i], sigma)
                    out = (x.numpy() - out) / sigma if grid == "flow" else out
                    x = made.step(torch.tensor(out, dtype=x.dtype), t, x, return_dict=False)[0]
                yield f"{method[:-9]} {order}, {grid}", x.numpy() / scale[budget]


def of_azula(mean: Called, init: np.ndarray, budget: int) -> Any:
    """Its samplers, in the times of its schedules."""
    torch, sample, denoise, noise = (optional(n) for n in ("torch", "azula.sample", "azula.denoise", "azula.noise"))
    least = ((1 + LOW**2) / (1 + mean.high**2)) ** 0.5
    schedules = {
        "VE": noise.VESchedule(LOW, mean.high),
        "cosine": noise.CosineSchedule(least, LOW),
        "rectified": noise.RectifiedSchedule(1 / mean.high, LOW),
    }

    class Exact(denoise.Denoiser):
        def __init__(self, schedule: Any) -> None:
            super().__init__()
            self.schedule = schedule

        def forward(self, x: Any, t: Any, **_: Any) -> Any:
            alpha, sigma = (float(value) for value in self.schedule(t))
            return denoise.DiracPosterior(mean=torch.tensor(mean(x.numpy(), alpha, sigma), dtype=x.dtype))

    methods = [("DDIMSampler", 1, {}), ("HeunSampler", 2, {})]
    methods += [(f"{kind}Sampler", 1, {"order": order}) for kind in ("zAB", "vAB", "zEAB", "xEAB") for order in (2, 3)]
    for name, calls, settings in methods:
        for grid, schedule in schedules.items():
            made = getattr(sample, name)(
                Exact(schedule), steps=budget // calls, silent=True, dtype=torch.float64, **settings
            )
            alphas = [float(schedule(torch.tensor(t, dtype=torch.float64))[0]) for t in (1.0, 0.0)]
            with torch.inference_mode():
                x = made(torch.tensor(init * alphas[0]))
            yield f"{name[:-7]} {settings.get('order', '')}, {grid}", x.numpy() / alphas[1]


def of_hackable_diffusion(mean: Called, init: np.ndarray, budget: int) -> Any:
    """Its samplers, even in the times of its schedules."""
    room = "hackable_diffusion.lib."
    steps, sampling, base = (optional(room + f"sampling.{n}") for n in ("gaussian_step_sampler", "sampling", "base"))
    gaussian, schedules = optional(room + "corruption.gaussian"), optional(room + "corruption.schedules")
    flow, cosine = lambda s: s / (1 + s), lambda s: 2 / np.pi * np.arctan(s)
    x0 = init.astype(np.asarray(jnp.zeros(())).dtype)
    for grid, schedule, time_of in (
        ("rectified", schedules.RFSchedule(), flow),
        ("cosine", schedules.CosineSchedule(), cosine),
    ):
        process = gaussian.GaussianProcess(schedule=schedule)
        first, last = (float(schedule.alpha(jnp.full((1, 1), time_of(s)))[0, 0]) for s in (mean.high, LOW))

        class Times:
            """Of points, the second, fourth, ... of which Heun's method does not visit, but for the last."""

            def __init__(self, points: int, heun: bool) -> None:
                ends = time_of(mean.high), time_of(LOW)  # noqa: B023
                even = np.linspace(*ends, points // 2 + 1 if heun else points)
                self.at = np.append(np.repeat(even[:-1], 2)[: points - 1], even[-1]) if heun else even

            def all_step_infos(self, rng: Any, num_steps: int, data_spec: Any) -> Any:
                shape = (num_steps, len(data_spec), *(1,) * (data_spec.ndim - 1))
                at = jnp.broadcast_to(jnp.asarray(self.at).reshape(-1, *(1,) * data_spec.ndim), shape)
                return base.StepInfo(step=jnp.arange(num_steps), time=at, rng=jax.random.split(rng, num_steps))

        def inference(xt: Any, conditioning: Any, time: Any) -> Any:
            alpha, sigma = schedule.alpha(time), schedule.sigma(time)  # noqa: B023
            level = (jnp.log(alpha) - jnp.log(sigma)).ravel()[0]
            return {"x0": mean._mean(xt / alpha, level)}

        for name in ("HeunStep", "DDIMStep"):
            heun = name == "HeunStep"
            points = budget if heun else budget + 1
            times = Times(points, heun)
            more = {"HeunStep": {"time_schedule": times, "num_steps": points}, "VelocityStep": {"epsilon": 0.0}}
            more |= {"DDIMStep": {"stoch_coeff": 0.0}}
            stepper = getattr(steps, name)(corruption_process=process, **more[name])
            loop = sampling.DiffusionSampler(
                time_schedule=times, stepper=stepper, num_steps=points, store_trajectory=False
            )
            x = loop(inference, jax.random.key(0), jnp.asarray(x0 * first))[0].xt
            yield f"{name[:-4]}, {grid}", np.asarray(x) / last


OTHERS = {"diffusers": of_diffusers, "azula": of_azula, "hackable_diffusion": of_hackable_diffusion}
NEEDED = {
    "diffusers": ("torch", "diffusers"),
    "azula": ("torch", "azula.sample"),
    "hackable_diffusion": ("hackable_diffusion.lib.sampling.sampling",),
}


def main() -> None:
    parser = options_of_cases(__doc__, (8, 16))
    parser.add_argument("--only", nargs="+", default=["jaxsamp", *PEERS], choices=["jaxsamp", *PEERS])
    options = parser.parse_args()
    path = options.results / "few_evaluations.json"
    runs = json.loads(path.read_text())["runs"] if options.into else []
    runs = [run for run in runs if run["case"] not in options.cases]
    for name in options.cases:
        with jax.enable_x64(name not in NETWORKS):
            case = CASES[name](options)
            init, flow = begun(case, options.starts)
            for library in options.only:
                if library in OTHERS and not all(optional(module) for module in NEEDED[library]):
                    continue
                for budget in options.evaluations:
                    of = OTHERS.get(library)
                    found = of(Called(case), np.asarray(init, float), budget) if of else ours(case, init, budget)
                    error = {setting: distance(x, flow) for setting, x in found}
                    best = min(error, key=lambda setting: (not np.isfinite(error[setting]), error[setting]))
                    row = {"case": name, "evaluations": budget, "library": library}
                    runs.append({**row, "error": error[best], "setting": best, "all": error})
                    print({key: value for key, value in runs[-1].items() if key != "all"}, flush=True)
        finish(options, runs, path)


def finish(options: Any, runs: list[dict[str, Any]], path: Any) -> None:
    """Write what there is, and print it."""
    title = "Smallest error of each library on the best of its grids"
    rows: list[dict[str, Any]] = [
        row for name in CASES for budget in options.evaluations if (row := compared(runs, name, budget))
    ]
    rows += [{"case": f"{package} is left out: {reason}"} for package, reason in MISSING.items()]
    if rows:
        show(title, rows)
    write(path, about(title, options, ["torch", *PEERS]) | {"rows": rows, "runs": runs})


def compared(runs: list[dict[str, Any]], case: str, budget: int) -> dict[str, Any]:
    """One row: the best error of each library, and ours over the best of the others."""
    same = {run["library"]: run for run in runs if (run["case"], run["evaluations"]) == (case, budget)}
    if "jaxsamp" not in same:
        return {}
    row = {"case": case, "evaluations": budget} | {
        name: same.get(name, {}).get("error") for name in ("jaxsamp", *PEERS)
    }
    others = [row[name] for name in PEERS if row[name] is not None]
    return row | {"ratio": row["jaxsamp"] / min(others) if others else None, "with": same["jaxsamp"]["setting"]}


if __name__ == "__main__":
    main()
