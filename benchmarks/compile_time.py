"""Does compile time grow with the number of steps, and do new values recompile?

For each sampler: seconds to trace and compile at 8, 32 and 512 steps, and the number of compilations caused by new
weights, a new key, a new guidance scale and new grid values, which must be zero.
"""

import time

import jax
import jax.numpy as jnp
from common import SAMPLERS, arguments, report

import jaxsamp as js

SCHEDULE = js.schedules.OrnsteinUhlenbeck()


class Network:
    """A small conditional network that counts how often it is traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, params, x, t, cond):
        self.traces += 1
        hidden = jnp.tanh(x @ params["in"] + t[:, None] + cond[:, None])
        return hidden @ params["out"]


def seconds_to_compile(denoiser, sampler, steps, n):
    call = jax.jit(lambda key, cond: js.sample(key, denoiser, (n, 16), sampler, steps, cond=cond).x)
    start = time.perf_counter()
    call.lower(jax.random.key(0), jnp.zeros(n)).compile()
    return time.perf_counter() - start


def recompilations(sampler, n):
    network = Network()

    def run(seed, weight, scale, sigma_min):
        params = {"in": jnp.full((16, 32), weight), "out": jnp.full((32, 16), weight)}
        guided = js.guide(js.denoiser(network, params, SCHEDULE, "v"), scale, null=0.0)
        grid = js.grids.log_snr(SCHEDULE, 8, sigma_min=sigma_min)
        return js.sample(jax.random.key(seed), guided, (n, 16), sampler, grid=grid, cond=jnp.ones(n))

    run(0, 0.1, 1.0, 0.02)
    before = network.traces
    for change in ((1, 0.1, 1.0, 0.02), (0, 0.2, 1.0, 0.02), (0, 0.1, 3.0, 0.02), (0, 0.1, 1.0, 0.05)):
        run(*change)
    return network.traces - before


def main():
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    params = {"in": jnp.ones((16, 32)), "out": jnp.ones((32, 16))}
    denoiser = js.denoiser(Network(), params, SCHEDULE, "v")
    rows = []
    for name, sampler in SAMPLERS.items():
        times = {
            steps: min(seconds_to_compile(denoiser, sampler, steps, options.samples) for _ in range(options.repeats))
            for steps in (8, 32, 512)
        }
        rows.append(
            {"sampler": name}
            | {f"{steps} steps, s": value for steps, value in times.items()}
            | {"512 over 8": times[512] / times[8], "recompilations": recompilations(sampler, options.samples)}
        )
    report("compile_time", "Compile time against steps, and recompilations on new values", rows, options)


if __name__ == "__main__":
    main()
