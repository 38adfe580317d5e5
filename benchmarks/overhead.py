"""What does `sample` cost over the denoiser calls and random draws that it cannot avoid?

n = 4096, d = 64, full-covariance mixture of 8 components. The baseline is a jitted scan of as many bare denoiser calls
at the same levels, plus the same draws; the ratio is the median over interleaved pairs.
"""

import jax
import jax.numpy as jnp
from common import SAMPLERS, arguments, interleaved, ratio, report

import jaxsamp as js
from jaxsamp.core.random import Rng, sample_keys
from jaxsamp.samplers import DDPM, RandomizedMidpoint
from jaxsamp_kernels.frame import DATA


def bare(denoiser, sampler, n, d, steps):
    """Equally many denoiser calls, one after another, at levels of the same kind, with the same random draws."""
    lam = -jnp.log(js.grids.log_snr(denoiser.schedule, steps))
    calls = sampler.evaluations(steps)
    shared = jnp.interp(jnp.linspace(0, 1, calls), jnp.linspace(0, 1, steps + 1), lam)
    uses_normal, uses_uniform = isinstance(sampler, DDPM), isinstance(sampler, RandomizedMidpoint)

    @jax.jit
    def run(key, denoiser):
        keys = sample_keys(key, n)

        def draw(method, *step):
            return jax.vmap(lambda k: getattr(Rng(k, (d,), "float32"), method)(*step))(keys)

        def body(x, i):
            level = denoiser.schedule.level(shared[i])
            if uses_uniform:
                cell = jnp.minimum(i, steps - 1)
                level = denoiser.schedule.level(DATA.advance(lam[cell], draw("uniform", i // 2), lam[cell + 1]))
            # The sum keeps the calls sequential, like those of a sampler.
            x = 0.5 * x + 0.5 * denoiser(x, level)
            return (x + draw("normal", i) if uses_normal else x), None

        return jax.lax.scan(body, draw("prior"), jnp.arange(calls))[0]

    return run


def main():
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    target = js.targets.GaussianMixture.random(jax.random.key(0), 8, options.dim)
    denoiser = target.denoiser(js.schedules.OrnsteinUhlenbeck())
    n, d, steps, key = options.samples, options.dim, options.steps, jax.random.key(1)
    rows = []
    for name, sampler in SAMPLERS.items():
        baseline = bare(denoiser, sampler, n, d, steps)
        seconds = interleaved(
            {
                "sample": lambda s=sampler: js.sample(key, denoiser, (n, d), s, steps, final_denoise=False).x,
                "bare": lambda b=baseline: b(key, denoiser),
            },
            options.repeats,
        )
        rows.append(
            {
                "sampler": name,
                "evaluations": sampler.evaluations(steps),
                "sample s": min(seconds["sample"]),
                "bare calls s": min(seconds["bare"]),
                "ratio (median of pairs)": ratio(seconds["sample"], seconds["bare"]),
            }
        )
    report("overhead", "sample() over bare denoiser calls", rows, options)


if __name__ == "__main__":
    main()
