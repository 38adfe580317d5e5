"""How many rounds does each sampler need for an error? A round is a network call that waits for the one before.

Exact scores in float64: g64; g1024; instance, six rotated components in 16 dimensions; mixture, 20 components with full
covariances fitted to the digits. And network: an MLP trained on the digits in this run, in float32, calibrated on the
held-out ones. sigma / alpha from 80 (network: 40) to 0.02, uniform in log-SNR, no final denoise. Error: the root mean
square over coordinates of the distance of each sample to the converged flow from the same start (for the network, its
own flow), in the scale of x_0; the median over samples, then over `--seeds` seeds of starts; "95 %" is that percentile
instead of the median. The table shows, for each family of settings, the fewest rounds whose median error is within
1e-2, 1e-3, .., and in brackets the evaluations of that setting; all settings are in the JSON, under "runs". Rounds of
samplers that stop by themselves are means over samples ("most" is the slowest sample). With `--surrogates` only UniPC3,
ParallelMidpoint with 64 nodes, and the same with a surrogate: for the network a draft, an MLP distilled from it on its
own samples; for g64 and g1024 a mixture fitted to samples; for the mixture a draft again. "arithmetic" is that of the
surrogate's calls as a share of the network's, by XLA's count of operations. Parareal (SRDS, arXiv
2412.08292) is counted plainly and pipelined; "pipelined" rounds overlap the coarse steps with the fine ones.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import Counted, arguments, g64, g1024, instance, report

import jaxsamp as js
from jaxsamp.datasets import digits
from jaxsamp.recipes import law_of
from jaxsamp.running.trajectory import evaluator
from jaxsamp.samplers import DDIM, DPMSolverPP, ParaDiGMS, SlidingWindow, SpeculativeDDPM, UniPC

TARGETS = (1e-2, 6e-3, 1e-3, 1e-4, 1e-5, 1e-6)
STEPS = (4, 8, 12, 16, 18, 20, 24, 28, 32, 48, 64)
SEQUENTIAL = {
    "UniPC2": UniPC(lower_order_final=False),
    "UniPC3": UniPC(order=3, lower_order_final=False),
    "DPMSolverPP2": DPMSolverPP(lower_order_final=False),
    "DDIM": DDIM(),
}
ROUNDS = range(2, 10)
MICROBATCH = 128  # 64 nodes in 1,024 dimensions fill the memory
BLOCKED = {2: (1, 2, 4), 4: (1, 2, 3), 8: (1, 2, 3)}  # iterations, by windows


class Case(NamedTuple):
    """A denoiser, the shape of a sample, its noisiest level and the steps of UniPC3 that count as converged."""

    denoiser: Any
    event: tuple[int, ...]
    sigma_max: float = 80.0
    converged: int = 1500
    surrogates: Callable[[], dict[str, Any]] = dict  # by name, made when they are needed

    def grid(self) -> Callable[..., Any]:
        """Uniform in log-SNR."""
        return partial(js.grids.log_snr, sigma_max=self.sigma_max)


class Run(NamedTuple):
    """One setting of one family: where it ended, and for each sample its rounds and evaluations."""

    family: str
    setting: str
    x: Any
    rounds: Any
    evaluations: Any
    arithmetic: float = 0.0  # of a surrogate, as a share of the network's


def exact(law: Any, d: int, surrogates: Callable[[], dict[str, Any]] = dict) -> Case:
    """A law with exact scores."""
    return Case(law.denoiser(js.schedules.VarianceExploding()), (d,), surrogates=surrogates)


def fitted(law: Any, data: int, components: int, covariance: str) -> dict[str, Any]:
    """The denoiser of a mixture fitted to samples of the law."""
    samples = law.sample(jax.random.key(5), data)
    found = js.learning.fit_gaussian_mixture(samples, components, covariance=covariance)
    return {f"fitted mixture of {components}": found.denoiser(js.schedules.VarianceExploding())}


def drafts(case: Case, options: Any, name: str) -> dict[str, Any]:
    """Networks distilled from the denoiser on its own samples; kept in `--folder`."""
    start, dtype = time.perf_counter(), jnp.float32
    own = js.sample(
        jax.random.key(3), case.denoiser, (4096, *case.event), UniPC(order=3), 32, grid=case.grid(), microbatch=1024
    ).x.astype(dtype)
    found = {}
    for width in options.drafts:
        distilled = js.distill(
            jax.random.key(4), case.denoiser, own, js.models.MLP(width, 2), options.draft_steps,
            sigma_max=case.sigma_max, resume=True,
            checkpoint=options.folder and f"{options.folder}/{name}_draft_{width}_{options.draft_steps}",
        )  # fmt: skip
        print(f"draft of width {width} after {time.perf_counter() - start:.0f} s: {distilled.trial}", flush=True)
        found[f"draft {width} x 2"] = distilled.draft
    return found


def operations(denoiser: Any, event: tuple[int, ...]) -> float:
    """Floating-point operations of one call, for one of 64 samples."""
    call = lambda denoiser, x: denoiser(x, denoiser.schedule.level(jnp.zeros(())))  # noqa: E731
    compiled = jax.jit(call).lower(denoiser.with_calibration(None), jnp.zeros((64, *event))).compile()
    return float(compiled.cost_analysis()["flops"]) / 64


def trained(options: Any) -> Case:
    """A network of the digits, by the recipe of digits_training.py."""
    images, _, held_out = digits()
    start = time.perf_counter()
    weighting = js.losses.EDMWeighting(float(np.std(images - images.mean(0))))
    loss = js.training.denoising_loss(js.losses.LogNormal(-0.5, 1.2), weighting)
    network, schedule = js.models.MLP(options.width, 3), js.schedules.VarianceExploding()
    state = js.fit(
        jax.random.key(0), network, images, schedule, options.train_steps, batch_size=128, loss=loss, resume=True,
        checkpoint=options.folder and f"{options.folder}/network_{options.width}_{options.train_steps}",
    )  # fmt: skip
    denoiser = state.denoiser()
    print(f"trained in {time.perf_counter() - start:.0f} s", flush=True)
    calibration = js.calibrate(jax.random.key(1), denoiser, held_out, sigma_max=40.0)
    case = Case(denoiser.with_calibration(calibration), (8, 8), 40.0, 768)
    return case._replace(surrogates=partial(drafts, case, options, "network"))


def digits_mixture(options: Any) -> Case:
    """A mixture with 20 full covariances fitted to the digits, with exact scores."""
    case = exact(law_of(digits()[0]), 64)
    return case._replace(surrogates=partial(drafts, case, options, "mixture"))


CASES = {
    "network": trained,  # first: the others switch to float64
    "g64": lambda _: exact(g64(), 64, lambda: fitted(g64(), 8192, 5, "spherical")),
    "g1024": lambda _: exact(g1024(), 1024, lambda: fitted(g1024(), 8192, 10, "diag")),
    "instance": lambda _: exact(js.targets.GaussianMixture(*instance(16, 6)), 16),
    "mixture": digits_mixture,
}


def with_surrogates(case: Case, options: Any) -> list[tuple[str, str, Any, int]]:
    """UniPC3, one window of 64 nodes, and the same with each surrogate of the case."""
    found: list[Any] = [("UniPC3", f"{n} steps", SEQUENTIAL["UniPC3"], n) for n in STEPS]
    for name, surrogate in {"64 nodes": None, **case.surrogates()}.items():
        for n in range(1, max(options.rounds) + 1):
            sampler = Counted(iterations=n - 1, midpoints=64, surrogate=surrogate)
            found.append((f"ParallelMidpoint, {name}", f"{n - 1} iterations", sampler, 1))
    return found


def samplers(rounds: Any) -> list[tuple[str, str, Any, int]]:
    """Family, setting, sampler and steps of all but parareal."""
    found: list[Any] = [(name, f"{n} steps", sampler, n) for name, sampler in SEQUENTIAL.items() for n in STEPS]
    windows = {
        "ParallelMidpoint": (ROUNDS, {}),
        "ParallelMidpoint, 64 nodes": (range(4, 10), {"midpoints": 64}),
        "ParallelMidpoint, 64 antithetic": ((4, 5, 6, 7, 9), {"midpoints": 64, "nodes": "antithetic"}),
        "ParallelMidpoint, data frame": ((5, 7, 9), {"frame": "data"}),
    }
    for name, (counts, settings) in windows.items():
        for n in set(counts) & set(rounds):
            found.append((name, f"{n - 1} iterations", Counted(iterations=n - 1, **settings), 1))
    for n, sweeps in BLOCKED.items():
        for k in sweeps:
            setting = f"{n} windows, {k} iterations"
            found.append(("ParallelMidpoint.blocked", setting, Counted.blocked(iterations=k), n))
    return found + adaptive()


def adaptive() -> list[tuple[str, str, Any, int]]:
    """Samplers that stop by themselves."""
    found: list[Any] = []
    for n, w, tolerance in ((48, 16, 1e-2), (64, 16, 3e-3), (64, 16, 1e-3), (96, 24, 1e-3), (256, 64, 1e-4)):
        setting = f"{n} steps, window {w}, tolerance {tolerance:g}"
        found.append(("SlidingWindow", setting, SlidingWindow(w, tolerance), n))
    for w in (16, 32, 64):
        setting = f"64 steps, window {w}, tolerance 0.003"
        found.append(("SlidingWindow, calibrated", setting, SlidingWindow(w, frame="calibrated"), 64))
    for n, w, tolerance in ((100, 25, 0.1), (100, 25, 0.03), (250, 250, 0.3)):
        setting = f"{n} steps, window {w}, tolerance {tolerance:g}"
        found.append(("ParaDiGMS(DDIM)", setting, ParaDiGMS(DDIM(), w, tolerance), n))
    for name, guesses in (("SpeculativeDDPM", "latest"), ("SpeculativeDDPM, as published", "start")):
        found.append((name, "200 steps, lookahead 16", SpeculativeDDPM(lookahead=16, guesses=guesses), 200))
    return found


def parareal(case: Case, dtype: Any, blocks: int, fine: int) -> Any:
    """(starts, sweeps) -> ends.

    X_{i+1} <- F(X_i) + G(Xnew_i) - G(X_i): F of `fine` DDIM steps on all blocks at once, G of one, block by block.
    """
    denoise = evaluator(case.denoiser, None)
    levels = js.grids.log_snr(case.denoiser.schedule, blocks * fine, sigma_max=case.sigma_max)
    lam = -jnp.log(jnp.asarray(levels, dtype))

    def ddim(x: Any, at: Any, to: Any) -> Any:
        s = jnp.exp(at - to)
        return s * x + (1 - s) * denoise(x, at)

    def one(x: Any, sweeps: Any) -> Any:
        at, to = lam[:-1:fine], lam[fine::fine]
        inner = lam[:-1].reshape(blocks, fine), lam[1:].reshape(blocks, fine)
        coarse = lambda x, ends: (ddim(x, *ends),) * 2  # noqa: E731
        path = jnp.concatenate([x[None], jax.lax.scan(coarse, x, (at, to))[1]])

        def sweep(_: Any, path: Any) -> Any:
            def refine(x: Any, at: Any, to: Any) -> Any:
                return jax.lax.scan(lambda x, ends: (ddim(x, *ends), None), x, (at, to))[0]

            correction = jax.vmap(refine)(path[:-1], *inner) - jax.vmap(ddim)(path[:-1], at, to)

            def block(x: Any, terms: Any) -> Any:
                after = ddim(x, *terms[1:]) + terms[0]
                return after, after

            return path.at[1:].set(jax.lax.scan(block, x, (correction, at, to))[1])

        return jax.lax.fori_loop(0, sweeps, sweep, path)[-1]

    return jax.jit(jax.vmap(one, (0, None)))


def runs(case: Case, start: Any, options: Any) -> Any:
    """Every setting from the same starts."""
    asked = lambda family: not options.only or family.startswith(tuple(options.only))  # noqa: E731
    chosen = with_surrogates(case, options) if options.surrogates else samplers(options.rounds)
    network = operations(case.denoiser, case.event) if options.surrogates else 0.0
    for family, setting, sampler, steps in chosen:
        if not asked(family):
            continue
        found = js.sample(
            jax.random.key(7), case.denoiser, start.shape, sampler, steps, grid=case.grid(), init=start,
            final_denoise=False, microbatch=MICROBATCH,
        )  # fmt: skip
        surrogate, share = getattr(sampler, "surrogate", None), 0.0
        if surrogate is not None:
            calls = found.stats["surrogate_evaluations"] / found.stats["evaluations"]
            share = float(calls.mean()) * operations(surrogate, case.event) / network
        yield Run(family, setting, found.x, found.stats["rounds"], found.stats["evaluations"], share)
    if options.surrogates or not asked("parareal"):
        return
    for n in (4, 8, 10, 25):
        run = parareal(case, start.dtype, n, n)
        for p in (1, 2, 3):
            x, calls = run(start, p), n + p * (n * n + n)
            yield Run("parareal", f"{n} blocks of {n} steps, {p} sweeps", x, n + 2 * n * p, calls)
            yield Run("parareal, pipelined", f"{n} blocks of {n} steps, {p} sweeps", x, n + n * p, calls)


def measured(run: Run, end: Any, seeds: int) -> dict[str, Any]:
    """The errors of one setting."""
    rms = np.sqrt(np.mean(np.square(np.asarray(run.x - end, float)), tuple(range(1, end.ndim)))).reshape(seeds, -1)
    follows = not run.family.startswith("SpeculativeDDPM")  # it samples the law, and no path of the flow
    return {
        "family": run.family,
        "setting": run.setting,
        "rounds": float(np.mean(run.rounds)),
        "most": int(np.max(run.rounds)),
        "evaluations": float(np.mean(run.evaluations)),
        "error": float(np.median(np.median(rms, 1))) if follows else None,
        "error, 95 %": float(np.median(np.quantile(rms, 0.95, axis=1))) if follows else None,
        "error, 99 %": float(np.median(np.quantile(rms, 0.99, axis=1))) if follows else None,
        "arithmetic": run.arithmetic,
    }


def fewest(found: list[dict[str, Any]], target: float, column: str) -> dict[str, Any] | None:
    """The setting of fewest rounds within the target."""
    within = [run for run in found if run[column] is not None and run[column] <= target]
    return min(within, key=lambda run: (run["rounds"], run["evaluations"]), default=None)


def cell(run: dict[str, Any] | None) -> str:
    """Rounds and, in brackets, evaluations; the slowest sample's rounds after a slash if they differ."""
    if run is None:
        return "-"
    slowest = "" if run["most"] == run["rounds"] else f"/{run['most']}"
    return f"{run['rounds']:.3g}{slowest} ({run['evaluations']:.0f})"


def summary(found: list[dict[str, Any]], surrogates: bool = False) -> list[dict[str, Any]]:
    """One row per family."""
    rows = []
    for family in dict.fromkeys(run["family"] for run in found):
        own = [run for run in found if run["family"] == family]
        row = {"sampler": family} | {f"{t:g}": cell(fewest(own, t, "error")) for t in TARGETS}
        for part in ("95 %", "99 %")[: 2 if surrogates else 1]:
            row |= {f"{t:g}, {part}": cell(fewest(own, t, f"error, {part}")) for t in (1e-2, 1e-3)}
        if surrogates:
            row["arithmetic"] = f"{100 * max(run['arithmetic'] for run in own if run['rounds'] >= 4):.0f} %"
        if all(run["error"] is None for run in own):
            row["sampler"] = f"{family}, {own[0]['setting']}: {cell(own[0])}, of the law of DDPM"
        rows.append(row)
    return rows


def main():
    parser = arguments(__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--starts", type=int, default=128, help="of each seed")
    parser.add_argument("--seeds", type=int, default=3, help="of starts")
    parser.add_argument("--rounds", type=int, nargs="+", default=list(ROUNDS), help="of one window")
    parser.add_argument("--only", nargs="+", default=(), help="families whose names begin so")
    parser.add_argument("--train-steps", type=int, default=4000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--surrogates", action="store_true", help="windows with surrogates, beside what they replace")
    parser.add_argument("--drafts", type=int, nargs="+", default=[128], help="widths of distilled networks")
    parser.add_argument("--draft-steps", type=int, default=4000)
    parser.add_argument("--folder", help="keeps the networks, so that another run need not train them")
    options = parser.parse_args()
    for name in sorted(options.cases, key=list(CASES).index):
        if name != "network":
            jax.config.update("jax_enable_x64", True)
        case = CASES[name](options)
        noise = [
            jax.random.normal(jax.random.key(seed), (options.starts, *case.event)) for seed in range(options.seeds)
        ]
        start = case.sigma_max * jnp.concatenate(noise)
        end = js.sample(
            jax.random.key(0), case.denoiser, start.shape, UniPC(order=3, lower_order_final=False), case.converged,
            grid=case.grid(), init=start, final_denoise=False,
        ).x  # fmt: skip
        found = [measured(run, end, options.seeds) for run in runs(case, start, options)]
        title = f"{name}: fewest rounds (evaluations) for a median error"
        file = f"rounds_vs_accuracy_{name}{'_surrogates' * options.surrogates}"
        report(file, title, summary(found, options.surrogates), options, ("flax", "optax"), runs=found)


if __name__ == "__main__":
    main()
