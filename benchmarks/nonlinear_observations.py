"""How far from the law given an observation that is not linear are the samples of each way to use it?

Three Gaussians in the plane, of which one number, a saturated image or the distance from the origin was seen with
noise. The law given y is known by quadrature and the denoiser of the prior is exact, so only the error of each way is
measured, at the same number of evaluations, backward passes included. Numbers are means, over observations drawn from
the law itself, of the energy distance to the law given y; `inside` counts the observations at which it lies in the null
band of true samples. DPS and TMP of diffuse-jax, if it is installed (it takes Python 3.12), run as they are, TMP for
the linear observation alone; strengths of DPS, theirs and ours, are the best of several, in hindsight.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, report, steps_within
from peers import optional

import jaxsamp as js
from jaxsamp.corruptions import DenseOperator, SaturationOperator
from jaxsamp.samplers import DDPM, DPMSolverPP, OverdampedCorrector, PredictorCorrector, Sampler, SplitGibbs, UniPC

LAST = 0.02
SCALES = (0.3, 1.0, 3.0, 10.0)  # of our DPS
ZETAS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # of theirs; 0.01 is its default
SCHEDULE = js.schedules.VarianceExploding()
PEER = optional("diffuse")
Way = tuple[str, Any, Callable[[jax.Array], Any]]  # name, strength or None, samples from a key


def mixture() -> js.targets.GaussianMixture:
    """Three modes in the plane, neither far apart nor round."""
    covariances = [[[0.3, 0.1], [0.1, 0.2]], [[0.1, 0.0], [0.0, 0.4]], [[0.2, -0.1], [-0.1, 0.2]]]
    return js.targets.GaussianMixture([0.2, 0.5, 0.3], [[-1.5, 0.5], [0.5, 1.0], [1.0, -1.2]], covariances)


def distance(event: jax.Array) -> jax.Array:
    """From the origin."""
    return jnp.sqrt(jnp.sum(event**2, keepdims=True))


OPERATORS = {
    "linear": DenseOperator(np.array([[0.8, 0.6]], np.float32)),
    "saturated": SaturationOperator(1.0, 1.2),
    "distance": distance,
}


@partial(jax.jit, static_argnames=("sampler", "n", "levels"))
def draw(key: jax.Array, denoiser: Any, sampler: Sampler, n: int, levels: tuple[float, ...]) -> jax.Array:
    """Samples at the last level; not finite if the run diverged."""
    return js.sample(key, denoiser, (n, 2), sampler, grid=np.array(levels), final_denoise=False).x


def ours(y: jax.Array, operator: Any, noise: float, n: int, budget: int) -> Iterator[Way]:
    """Our ways; conjugate gradients take as many iterations as there are numbers in y."""
    prior, m, operator = mixture().denoiser(SCHEDULE), y.size, OPERATORS[operator]
    full = js.posterior(prior, y, operator, noise, iterations=m)
    rows = js.posterior(prior, y, operator, noise, covariance="row_sums")
    corrected = PredictorCorrector(DDPM(), OverdampedCorrector(0.1, 3))
    gibbs = SplitGibbs(DPMSolverPP(stochastic=True), inner_steps=8)
    for name, denoiser, sampler in (
        ("posterior, UniPC", full, UniPC()),
        ("posterior, DDPM", full, DDPM()),
        ("posterior, row sums, DDPM", rows, DDPM()),
        ("posterior, DDPM with 3 Langevin steps each", full, corrected),
        ("SplitGibbs", full, gibbs),
        *(("dps, DDPM", js.denoisers.dps(prior, y, operator, scale), DDPM()) for scale in SCALES),
    ):
        steps = steps_within(sampler, budget // (1 if sampler is gibbs else denoiser.evaluations))
        levels = tuple(np.geomspace(80.0 if sampler is not gibbs else 8.0, LAST, steps + 1).tolist())
        strength = getattr(denoiser, "scale", None)
        yield name, strength, partial(draw, denoiser=denoiser, sampler=sampler, n=n, levels=levels)


@cache
def peer(way: str, integrator: str, operator: str, noise: float, n: int, steps: int) -> Callable[..., jax.Array]:
    """(key, y, zeta) -> samples of diffuse-jax, under its variance-preserving schedule as its own mixtures have it.

    The last level is sigma of about 0.005, so they are compared with the law of x_0 itself.
    """
    from diffuse.base_forward_model import MeasurementState
    from diffuse.denoisers import cond
    from diffuse.diffusion.sde import SDE, LinearSchedule
    from diffuse.integrator import deterministic, stochastic
    from diffuse.predictor import Predictor
    from diffuse.timer.base import VpTimer

    model, target = SDE(LinearSchedule(b_min=0.02, b_max=5.0, t0=0.0, T=2.0)), mixture()
    make = getattr(deterministic if integrator == "DDIM" else stochastic, f"{integrator}Integrator")
    seen_by = OPERATORS[operator]

    class Forward:
        """What was seen, in its protocol."""

        std = noise

        def apply(self, event: jax.Array, state: Any) -> jax.Array:
            return seen_by(event)

        def adjoint(self, seen: jax.Array, state: Any) -> jax.Array:
            return seen_by.adjoint(seen)

    def score(x: jax.Array, t: jax.Array) -> jax.Array:
        return target.score(x[None], js.Level(model.signal_level(t), model.noise_level(t)))[0]

    @jax.jit
    def run(key: jax.Array, y: jax.Array, zeta: Any) -> jax.Array:
        settings = {} if zeta is None else {"zeta": zeta}
        step = make(model=model, timer=VpTimer(n_steps=steps, eps=0.001, tf=2.0))
        known = Predictor(model, score, "score")
        denoiser = getattr(cond, f"{way}Denoiser")(step, model, known, Forward(), (2,), **settings)
        state, _ = denoiser.generate(key, MeasurementState(y, jnp.ones(2)), steps, n)
        return state.integrator_state.position

    return run


def theirs(y: jax.Array, operator: str, noise: float, n: int, budget: int) -> Iterator[Way]:
    """DPS and TMP of diffuse-jax."""
    # DPS: the step, the distance and its gradient. TMP: the mean, the score, three iterations and the guidance.
    for name, cost, strengths in (("DPS", 3, ZETAS), ("TMP", 6, (None,))):
        if PEER and (name == "DPS" or hasattr(OPERATORS[operator], "adjoint")):
            for integrator in ("DDIM", "EulerMaruyama"):
                run = peer(name, integrator, operator, noise, n, budget // cost)
                for zeta in strengths:
                    yield f"diffuse-jax: {name}, {integrator}", zeta, partial(run, y=y, zeta=zeta)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--observations", type=int, default=4)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[480, 1920])
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=list(OPERATORS))
    options = parser.parse_args()

    target, n, found = mixture(), options.samples, {}
    truth = target.sample(jax.random.key(2), options.observations)
    for name in options.operators:
        operator = OPERATORS[name]
        seen = jax.vmap(operator)(truth)
        seen += options.noise * jax.random.normal(jax.random.key(3), seen.shape)
        for y in seen:
            law = js.targets.condition_plane(target, y, operator, options.noise)
            banks = [js.metrics.NullBank(law, n, jax.random.key(5), level) for level in (js.Level(1.0, LAST), None)]
            for budget, (bank, ways) in product(options.evaluations, zip(banks, (ours, theirs), strict=True)):
                for way, strength, run in ways(y, name, options.noise, n, budget):
                    x = run(jax.random.key(4))
                    energy = js.metrics.energy(x, bank) if np.isfinite(x).all() else None
                    values = (np.inf, np.nan, 0) if energy is None else (energy.value, energy.null_high, energy.inside)
                    found.setdefault((name, budget, way, strength), []).append(values)
            print(name, np.asarray(y).round(2), flush=True)
    rows: dict[tuple[str, int, str], dict[str, Any]] = {}
    for (name, budget, way, strength), values in found.items():
        far, high, inside = (float(v) for v in np.mean(values, 0))
        row = {
            "observation": name, "evaluations": budget, "way": way, "strength": strength,
            "energy distance": far if np.isfinite(far) else None, "true samples below": high,
            "inside": f"{round(inside * len(values))} of {len(values)}",
        }  # fmt: skip
        best = rows.get((name, budget, way), {}).get("energy distance")
        if best is None or far < best:
            rows[name, budget, way] = row
    title = f"Samples given what was seen with noise {options.noise}"
    report("nonlinear_observations", title, list(rows.values()), options, ["diffuse-jax"])


if __name__ == "__main__":
    main()
