"""How far from the true law given an observation are the samples of each way to use it?

Five Gaussians in eight dimensions, three of which are seen with noise, so the law given y is a known mixture. The
denoiser of the prior is exact, so only the error of the approximation is measured. Numbers are means, over observations
drawn from the law itself, of the energy distance to the law given y and of the total variation between the weights of
the components; "-" means that a run diverged.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, report

import jaxsamp as js
from jaxsamp.samplers import DDPM, OverdampedCorrector, PredictorCorrector, UniPC

SEEN, DIM, LAST = 3, 8, 0.02
SAMPLERS = {
    "UniPC, 64 steps": (UniPC(order=2), 64),
    "DDPM, 128 steps": (DDPM(), 128),
    "DDPM, 128 steps, 3 Langevin steps each": (PredictorCorrector(DDPM(), OverdampedCorrector(0.1, 3)), 128),
}


def ways(prior, law, y, noise, v):
    """Each denoiser that knows y."""
    mask = np.arange(DIM) < SEEN
    return {
        "law given y, exactly": law.denoiser(prior.schedule),
        "posterior": js.posterior(prior, y, mask, noise),
        "posterior, variance = v": js.posterior(prior, y, mask, noise, variance=v),
        "posterior, variance = 0": js.posterior(prior, y, mask, noise, variance=0.0),
        "inpaint": js.inpaint(prior, y, mask),
    }


@partial(jax.jit, static_argnums=(2, 3))
def draw(denoiser, sampler, n, steps):
    """Samples given y, compiled once for all observations; not finite if the run diverged."""
    return js.sample(jax.random.key(4), denoiser, (n, DIM), sampler, steps, final_denoise=False).x


def main():
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--observations", type=int, default=4)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.1, 0.5])
    options = parser.parse_args()

    target = js.targets.GaussianMixture.random(jax.random.key(0), components=5, dim=DIM)
    prior, v = target.denoiser(js.schedules.VarianceExploding()), float(target.sample(jax.random.key(1), 10_000).var())
    level, n, found = prior.schedule.level(-jnp.log(LAST)), options.samples, {}
    truth = target.sample(jax.random.key(2), options.observations)
    for noise in options.noise:
        seen = np.asarray(truth + noise * jax.random.normal(jax.random.key(3), truth.shape))
        for y in seen:
            law = target.condition(y[:SEEN], np.eye(DIM)[:SEEN], noise)
            bank = js.metrics.NullBank(law, n, jax.random.key(5), level)
            for way, denoiser in ways(prior, law, y, noise, v).items():
                for name, (sampler, steps) in SAMPLERS.items():
                    x = draw(denoiser, sampler, n, steps)
                    values = found.setdefault((noise, name, way), [])
                    if np.isfinite(x).all():
                        energy = js.metrics.energy(x, bank)
                        weights = np.abs(law.responsibilities(x, level).mean(0) - law.weights).sum() / 2
                        values.append((energy.value, energy.null_high, weights))
                    else:
                        values.append((np.inf, np.nan, np.nan))
    rows = []
    for (noise, sampler, way), values in found.items():
        row = {"noise": noise, "sampler": sampler, "denoiser": way}
        # A distance above that between the prior and any observation's law means that the run diverged.
        means = [float(m) for m in np.mean(values, 0)] if np.max(values, 0)[0] < 1e3 else [None] * 3
        names = ("energy distance", "true samples below", "error of the weights")
        rows.append(row | dict(zip(names, means, strict=True)))
    report("inverse_problems", f"Samples given {SEEN} of {DIM} coordinates, v = {v:.3g}", rows, options)


if __name__ == "__main__":
    main()
