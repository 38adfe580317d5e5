"""How far is each sampler from the converged flow after a given number of evaluations?

g64: five modes of standard deviation 0.3 in 64 dimensions, exact scores, float64; sigma / alpha from 80 to 0.02,
uniform in log-SNR, no final denoise, full order to the end. Error: median over starts of the root mean square over
coordinates of the distance to the flow from the same start, in VP scale; mean over three seeds of starts and, for
randomized samplers, over `--draws` draws each. The slope is fitted over the last three columns;
UniPC3 shows its order 4 only beyond about 250 evaluations (tests/orders).
"""

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, g64, report, steps_within

import jaxsamp as js
from jaxsamp.samplers import DDIM, DPMSolverPP, ExponentialEuler, Heun, Midpoint, RandomizedMidpoint, UniPC

SAMPLERS = {
    "DDIM": DDIM(),
    "ExponentialEuler, score frame": ExponentialEuler("score"),
    "Midpoint (2S)": Midpoint(),
    "Heun": Heun(),
    "DPMSolverPP, order 2 (2M)": DPMSolverPP(order=2, lower_order_final=False),
    "DPMSolverPP, order 3 (3M)": DPMSolverPP(order=3, lower_order_final=False),
    "UniPC2": UniPC(order=2, lower_order_final=False),
    "UniPC3": UniPC(order=3, lower_order_final=False),
    "RandomizedMidpoint, plain": RandomizedMidpoint(reuse=False, antithetic=False),
    "RandomizedMidpoint, antithetic": RandomizedMidpoint(reuse=False),
    "RandomizedMidpoint, reuse": RandomizedMidpoint(antithetic=False),
    "RandomizedMidpoint, reuse + antithetic (default)": RandomizedMidpoint(),
    "RandomizedMidpoint.paper()": RandomizedMidpoint.paper(),
}
# Median errors at 16 / 32 / 64 evaluations of an independent NumPy implementation, to compare with.
REFERENCE = {
    "DDIM": (4.0e-2, 2.0e-2, 1.0e-2),
    "ExponentialEuler, score frame": (7.5e-2, 3.6e-2, 1.7e-2),
    "Midpoint (2S)": (1.7e-2, 4.8e-3, 1.3e-3),
    "Heun": (6.1e-2, 1.2e-2, 2.8e-3),
    "DPMSolverPP, order 2 (2M)": (5.6e-3, 1.4e-3, 3.5e-4),
    "UniPC2": (3.6e-3, 5.0e-4, 6e-5),
    "UniPC3": (1.4e-3, 4.1e-5, 7e-6),
    "RandomizedMidpoint, plain": (1.7e-2, 7.6e-3, 3.1e-3),
    "RandomizedMidpoint, antithetic": (1.5e-2, 5.1e-3, 1.2e-3),
    "RandomizedMidpoint, reuse": (1.5e-2, 3.8e-3, 1.3e-3),
    "RandomizedMidpoint, reuse + antithetic (default)": (1.3e-2, 3.0e-3, 7.0e-4),
    "RandomizedMidpoint.paper()": (2.5e-1, 4.9e-2, 1.7e-2),
}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--starts", type=int, default=128)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)

    denoiser = g64().denoiser(js.schedules.OrnsteinUhlenbeck())
    sigma = denoiser.schedule.level(-jnp.log(80.0)).sigma
    evaluations = (8, 16, 32, 64, 128)

    def flow(sampler, steps, init, seed):
        return js.sample(jax.random.key(seed), denoiser, init.shape, sampler, steps, init=init, final_denoise=False).x

    starts = [sigma * jax.random.normal(jax.random.key(s), (options.starts, 64)) for s in range(options.seeds)]
    exact = [flow(SAMPLERS["UniPC3"], 1000, start, 0) for start in starts]
    rows = []
    for name, sampler in SAMPLERS.items():
        draws = options.draws if sampler.stochastic else 1
        errors = []
        for budget in evaluations:
            steps = steps_within(sampler, budget)
            seeds = []
            for seed, (start, end) in enumerate(zip(starts, exact, strict=True)):
                x = flow(sampler, steps, jnp.tile(start, (draws, 1)), 100 + seed).reshape(draws, *end.shape)
                seeds.append(jnp.median(jnp.sqrt(jnp.mean((x - end) ** 2, -1)), -1).mean())
            errors.append(float(np.mean(seeds)))
        slope = -np.polyfit(np.log(evaluations[2:]), np.log(errors[2:]), 1)[0]
        known = REFERENCE.get(name)
        off = "" if known is None else f"{max(abs(e / r - 1) for e, r in zip(errors[1:4], known, strict=True)):.0%}"
        row = {"sampler": name} | {str(n): e for n, e in zip(evaluations, errors, strict=True)}
        rows.append(row | {"slope": float(slope), "declared": sampler.convergence_order, "off reference": off})
    report("accuracy_vs_evaluations", "Distance to the flow on g64 against evaluations", rows, options)


if __name__ == "__main__":
    main()
