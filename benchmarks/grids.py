"""Where should the levels of a few steps be? Grids against methods, at 4 to 32 evaluations.

Exact scores in float64: plane, three modes of standard deviation 0.2 in the plane; g2, eight of 0.1 on a circle; g64;
instance, six rotated components in 16 dimensions; mixture, 20 components with full covariances fitted to the digits.
And in float32, with the sizes of their errors measured on held-out data: network, an MLP trained on the digits in this
run, and unet, the U-Net of image_networks.py on 28 x 28 images, trained here too. sigma / alpha from 80 (network: 40)
to 0.02, no final denoise. Error: the root mean square over coordinates of the distance of each sample to the converged
flow from the same start, in the scale of x_0; median over starts.

A fixed grid is a density of levels in lambda = log(alpha / sigma): even ("log_snr"), uniform in the time of the cosine
schedule, 1 / cosh lambda, or of rectified flow, 1 / cosh^2 (lambda / 2), the rule of Karras et al. with rho = 7 and 3,
the mean of two of these, and "sech", the square root of cosine, between log_snr and cosine. "calibrated" reads the
denoiser. `--placements` adds four more rules for the sizes of errors e_1 and e_2 that it reads, in a JSON of their own:
e_1^(1/2) and e_2^(1/3), the powers of one order, and the mean of "calibrated" and log_snr, or sech. The table has, over
the cases, the geometric mean of the ratio of errors to those on log_snr, and in brackets in how many cases a grid beats
all others; every error is in the JSON, under "runs".
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, show, write
from image_networks import made
from rounds_vs_accuracy import CASES as KNOWN
from rounds_vs_accuracy import Case, exact

import jaxsamp as js
from jaxsamp.calibration.placement import NAMES
from jaxsamp.samplers import DDIM, DPMSolverPP, Heun, Midpoint, UniPC

LOW = 0.02
EVALUATIONS = (4, 6, 8, 12, 16, 32)
METHODS = {
    "UniPC2": UniPC(),
    "UniPC3": UniPC(order=3),
    "DPMSolverPP2": DPMSolverPP(),
    "Heun": Heun(),
    "Heun, straight": Heun(frame="straight"),
    "Midpoint": Midpoint(),
    "DDIM": DDIM(),
}
DENSITIES: dict[str, tuple[Callable[..., Any], ...]] = {
    "log_snr": (np.ones_like,),
    "karras": (lambda lam: np.exp(-lam / 7),),
    "karras, rho 3": (lambda lam: np.exp(-lam / 3),),
    "cosine": (lambda lam: 1 / np.cosh(lam),),
    "rectified flow": (lambda lam: np.cosh(lam / 2) ** -2,),
}
DENSITIES |= {
    "sech": (lambda lam: np.cosh(lam) ** -0.5,),
    "cosine + log_snr": DENSITIES["cosine"] + DENSITIES["log_snr"],
    "flow + log_snr": DENSITIES["rectified flow"] + DENSITIES["log_snr"],
    "karras + cosine": DENSITIES["karras"] + DENSITIES["cosine"],
}
GRIDS = (*DENSITIES, "calibrated")
PLACEMENTS = ("e_1^(1/2)", "e_2^(1/3)", "calibrated + log_snr", "calibrated + sech")


def plane() -> Any:
    """Three modes of standard deviation 0.2 in the plane."""
    return js.targets.GaussianMixture.spherical([0.5, 0.3, 0.2], [[-1.5, 0.0], [1.0, 1.0], [0.5, -1.5]], 0.04)


def ring() -> Any:
    """Eight equal modes of standard deviation 0.1 on a circle."""
    angles = 2 * np.pi * np.arange(8) / 8
    means = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], 1)
    return js.targets.GaussianMixture.spherical([1 / 8] * 8, means, 0.01)


def measured(options: Any) -> Case:
    """The network, with the sizes of the errors of its steps."""
    case = KNOWN["network"](options)
    held_out = js.datasets.digits()[2]
    found = js.calibrate(jax.random.key(1), case.denoiser, held_out, sigma_max=case.sigma_max, grid=True)
    return case._replace(denoiser=case.denoiser.with_calibration(found))


def unet(options: Any) -> Case:
    """The network of image_networks.py, with the sizes of the errors of its steps."""
    net = made(argparse.Namespace(folder=options.folder, data="digits", train_steps=1000, batch=32))
    found = js.calibrate(jax.random.key(1), net.denoiser, net.held_out[:64], grid=True)
    return Case(net.denoiser.with_calibration(found), net.train.shape[1:], converged=400)


NETWORKS = {"network": measured, "unet": unet}  # in float32
CASES = NETWORKS | {
    "plane": lambda _: exact(plane(), 2),
    "g2": lambda _: exact(ring(), 2),
    **{name: KNOWN[name] for name in ("g64", "instance", "mixture")},
}


def spaced(densities: Any, steps: int, high: float) -> np.ndarray:
    """steps + 1 levels with the mean of these densities in lambda, each normalized."""
    lam = np.linspace(-np.log(high), -np.log(LOW), 4097)
    density = sum(of(lam) / np.sum(of(lam)) for of in densities)
    passed = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    inner = np.interp(np.linspace(0, passed[-1], steps + 1)[1:-1], passed, lam)
    return np.concatenate([[high], np.exp(-inner), [LOW]])


def tried(name: str, case: Case, sampler: Any) -> Any:
    """The densities of which another placement is the mean."""
    held, frame = case.denoiser.placement, getattr(sampler, "frame", "data")
    lam, (first, second) = np.asarray(held.log_snr, float), np.asarray(held.sizes, float)[NAMES.index(frame)]
    if "+" in name:
        rho, more = held.density(frame, sampler.convergence_order), DENSITIES[name.split(" + ")[1]]
    else:
        rho, more = first ** (1 / 2) if name == "e_1^(1/2)" else second ** (1 / 3), ()
    return lambda at: np.interp(at, lam, rho), *more


def levels(grid: str, case: Case, sampler: Any, steps: int) -> Any:
    """The levels of a grid by name."""
    if grid in PLACEMENTS:
        return spaced(tried(grid, case, sampler), steps, case.sigma_max)
    if grid != "calibrated":
        return spaced(DENSITIES[grid], steps, case.sigma_max)
    frame, order = getattr(sampler, "frame", "data"), sampler.convergence_order
    schedule, held = case.denoiser.schedule, case.denoiser
    return js.grids.calibrated(schedule, steps, held, frame=frame, order=order, sigma_max=case.sigma_max)


@partial(jax.jit, static_argnames="shape")
def ends(denoiser: Any, sampler: Any, levels: Any, init: Any, shape: Any) -> Any:
    """Where all starts end on each of the grids, (grids, n, *event)."""

    def one(levels: Any) -> Any:
        return js.sample(jax.random.key(0), denoiser, shape, sampler, grid=levels, init=init, final_denoise=False).x

    return jax.lax.map(one, levels)


def begun(case: Case, n: int) -> tuple[Any, Any]:
    """Starts, and the ends of their flow."""
    shape = (n, *case.event)
    init = jnp.asarray(case.sigma_max * np.random.default_rng(0).standard_normal(shape), jnp.result_type(float))
    fine = jnp.asarray(spaced(DENSITIES["log_snr"], case.converged, case.sigma_max), init.dtype)
    best = UniPC(order=3, lower_order_final=False)
    return init, np.asarray(ends(case.denoiser.with_calibration(None), best, fine[None], init, shape)[0], float)


def distance(x: Any, exact: Any) -> float:
    """Median over samples of the root mean square over coordinates."""
    each = np.mean(np.square(np.asarray(x, float) - exact).reshape(len(exact), -1), 1)
    return float(np.median(np.sqrt(each)))


def errors(case: Case, n: int, methods: Any, evaluations: Any, grids: Any = GRIDS) -> Any:
    """Of every method at every number of evaluations, one error per grid."""
    init, flow = begun(case, n)
    bare = case.denoiser.with_calibration(None)
    for name, sampler in methods.items():
        for budget in evaluations:
            steps = budget // sampler.evaluations(1)
            of = jnp.asarray([levels(grid, case, sampler, steps) for grid in grids], init.dtype)
            found = ends(bare, sampler, of, init, init.shape)
            yield name, budget, {grid: distance(x, flow) for grid, x in zip(grids, found, strict=True)}


def options_of_cases(doc: str | None, evaluations: Sequence[int]) -> argparse.ArgumentParser:
    """A parser with the options of a benchmark over these cases."""
    parser = arguments(doc)
    parser.add_argument("--starts", type=int, default=128)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--train-steps", type=int, default=4000)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--evaluations", nargs="+", type=int, default=list(evaluations))
    parser.add_argument("--folder", help="keeps the network, so that another run need not train it")
    parser.add_argument("--into", action="store_true", help="keep what the JSON has of others")
    return parser


def main() -> None:
    parser = options_of_cases(__doc__, EVALUATIONS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--placements", action="store_true", help="also other rules for the measured sizes of errors")
    options = parser.parse_args()
    path = options.results / f"grids{'_placements' * options.placements}.json"
    grids = GRIDS + PLACEMENTS * options.placements
    runs = json.loads(path.read_text())["runs"] if options.into and path.exists() else []
    runs = [run for run in runs if run["case"] not in options.cases or run["method"] not in options.methods]
    title = "Error relative to log_snr, geometric mean over cases (cases in which the grid is best)"
    for name in options.cases:
        with jax.enable_x64(name not in NETWORKS):
            chosen = {method: METHODS[method] for method in options.methods}
            for method, budget, found in errors(
                CASES[name](options), options.starts, chosen, options.evaluations, grids
            ):
                runs.append({"case": name, "method": method, "evaluations": budget, **found})
                print({key: f"{e:.2e}" if isinstance(e, float) else e for key, e in runs[-1].items()}, flush=True)
                write(path, about(title, options) | {"rows": summary(runs), "runs": runs})
    show(title, summary(runs))


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per method and grid."""
    rows = []
    grids = [key for key in runs[0] if key not in ("case", "method", "evaluations")]
    for method in dict.fromkeys(run["method"] for run in runs):
        for grid in grids:
            row: dict[str, Any] = {"method": method, "grid": grid}
            for budget in dict.fromkeys(run["evaluations"] for run in runs):
                same = [run for run in runs if (run["method"], run["evaluations"]) == (method, budget)]
                if not same:
                    continue
                mean = np.exp(np.mean([np.log(run[grid] / run["log_snr"]) for run in same]))
                wins = sum(run[grid] == min(run[other] for other in grids) for run in same)
                row[str(budget)] = f"{mean:.2f} ({wins})"
            rows.append(row)
    return rows


if __name__ == "__main__":
    main()
