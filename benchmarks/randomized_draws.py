"""What do random nodes buy? The law of a Gaussian with draws per sample or shared, and a score with a hidden ripple.

1. N(0, diag(logspace(-4, 0, 64))), exact score, float64, sigma / alpha from 80 to 0.002 uniform in log-SNR, started
   from its noised law. The sampler is linear, so its output has a known second moment: the squared multiplier of each
   coordinate, averaged over draws if every sample has its own; with one draw shared by a batch, the batch has the
   multiplier of that draw, and the distance is the root mean square over draws. W2 and KL are those of the Gaussian
   with that second moment, to the law at the last level.
2. g64 with 0.3 sigma cos(2 pi (lambda - lambda_0) / h) added to every coordinate of the posterior mean, h the step
   of each sampler at 32 evaluations: fixed nodes see a constant. Median root mean square distance to the converged
   flow of the same score; randomized samplers: mean over draws.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, g64, report, steps_within

import jaxsamp as js
from jaxsamp.core.pytrees import pytree
from jaxsamp.denoisers import BaseDenoiser, per_event
from jaxsamp.samplers import DDIM, DPMSolverPP, Heun, Midpoint, RandomizedMidpoint, UniPC

PLAIN = RandomizedMidpoint(reuse=False, antithetic=False)


@pytree
@dataclasses.dataclass(frozen=True)
class Rippled(BaseDenoiser):
    """A denoiser plus 0.3 sigma cos(2 pi (lambda - start) / period)."""

    inner: Any
    start: Any
    period: Any

    @property
    def schedule(self):
        return self.inner.schedule

    def __call__(self, x, level, cond=None):
        ripple = 0.3 * level.sigma * jnp.cos(2 * jnp.pi * (level.log_snr - self.start) / self.period)
        return self.inner(x, level) + per_event(ripple, x)


def distances(variance, true):
    """W2 and KL between centered Gaussians with these variances per coordinate (last axis)."""
    ratio = variance / true
    w2 = jnp.sqrt(jnp.sum((jnp.sqrt(variance) - jnp.sqrt(true)) ** 2, -1))
    return w2, 0.5 * jnp.sum(ratio - 1 - jnp.log(ratio), -1)


def gaussian(options):
    variances = jnp.logspace(-4, 0, 64)
    target = js.targets.GaussianMixture.diagonal([1.0], np.zeros((1, 64)), variances[None])
    denoiser = target.denoiser(js.schedules.OrnsteinUhlenbeck())
    samplers = {
        "DDIM": DDIM(),
        "Midpoint (2S)": Midpoint(),
        "Heun": Heun(),
        "DPMSolverPP (2M)": DPMSolverPP(lower_order_final=False),
        "RandomizedMidpoint, plain": PLAIN,
        "RandomizedMidpoint() (default)": RandomizedMidpoint(),
        "RandomizedMidpoint.paper()": RandomizedMidpoint.paper(),
    }
    rows = []
    for name, sampler in samplers.items():
        draws = options.draws if sampler.stochastic else 1
        kinds = ("own", "shared") if sampler.stochastic else ("none",)
        found = {kind: {} for kind in kinds}
        for budget in options.evaluations:
            grid = js.grids.log_snr(denoiser.schedule, steps_within(sampler, budget), sigma_min=0.002)
            first, last = (denoiser.schedule.level(-jnp.log(s)) for s in (grid[0], grid[-1]))
            ones = jnp.ones((draws, 64))
            multiplier = js.sample(jax.random.key(0), denoiser, ones.shape, sampler, grid=grid, init=ones,
                                   final_denoise=False).x  # fmt: skip
            start, true = (level.alpha**2 * variances + level.sigma**2 for level in (first, last))
            for kind in kinds:
                squared = multiplier**2 if kind == "shared" else jnp.mean(multiplier**2, 0)
                w2, kl = distances(squared * start, true)
                found[kind][f"W2 {budget}"] = float(jnp.sqrt(jnp.mean(w2**2)))
                found[kind][f"KL {budget}"] = float(jnp.mean(kl))
        rows += [{"sampler": name, "draws": kind} | found[kind] for kind in kinds]
    report("randomized_draws_gaussian", "Second-moment law of a Gaussian against evaluations", rows, options)


def ripple(options):
    denoiser = g64().denoiser(js.schedules.OrnsteinUhlenbeck())
    sigma = denoiser.schedule.level(-jnp.log(80.0)).sigma
    init = sigma * jax.random.normal(jax.random.key(1), (options.starts, 64))
    samplers = {
        "DDIM": DDIM(),
        "Midpoint (2S)": Midpoint(),
        "DPMSolverPP (2M)": DPMSolverPP(lower_order_final=False),
        "UniPC": UniPC(lower_order_final=False),
        "RandomizedMidpoint, plain": PLAIN,
        "RandomizedMidpoint, reuse": RandomizedMidpoint(antithetic=False),
        "RandomizedMidpoint() (default)": RandomizedMidpoint(),
    }

    def flow(denoiser, sampler, steps, init):
        return js.sample(jax.random.key(0), denoiser, init.shape, sampler, steps, init=init, final_denoise=False).x

    rows = []
    for name, sampler in samplers.items():
        steps, draws = steps_within(sampler, 32), options.ripple_draws if sampler.stochastic else 1
        start, span = -np.log(80.0), np.log(80 / 0.02)
        rippled = Rippled(denoiser, jnp.asarray(start), jnp.asarray(span / steps))
        errors = {}
        for label, score, resolution in (("smooth", denoiser, 1024), ("rippled", rippled, 256 * steps)):
            exact = flow(score, UniPC(order=3), resolution, init)
            x = flow(score, sampler, steps, jnp.tile(init, (draws, 1))).reshape(draws, *init.shape)
            distance = jnp.sqrt(jnp.mean((x - exact) ** 2, -1))
            errors[label] = float(jnp.median(distance, -1).mean())
        rows.append({"sampler": name, "steps": steps} | errors)
    report("randomized_draws_ripple", "Distance to the flow on g64 at 32 evaluations", rows, options)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--draws", type=int, default=4096)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[40, 80, 160, 320])
    parser.add_argument("--starts", type=int, default=256)
    parser.add_argument("--ripple-draws", type=int, default=20)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    gaussian(options)
    ripple(options)


if __name__ == "__main__":
    main()
