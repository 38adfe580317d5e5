"""diffusionjax: `get_sampler(shape, solver)(rng, x_0)` with its solvers and default schedules, times by `get_times`.

The library denoises at the end (its default), so the last step of all its chains goes to no noise.
"""

import jax.numpy as jnp
from diffusionjax import sde, solvers, utils
from harness import Entry, Run, denoise, main

BETA, MEAN_COEFF = utils.get_linear_beta_function(beta_min=0.1, beta_max=20.0)
SIGMA = utils.get_exponential_sigma_function(sigma_min=0.01, sigma_max=378.0)
KARRAS = utils.get_karras_sigma_function(sigma_min=0.002, sigma_max=80.0, rho=7)


def entry(name, family, build, calls=1, fewer=0, stochastic=False, **settings):
    def make(law, steps):
        ts, _ = utils.get_times(steps, t0=0.0) if family == "Karras" else utils.get_times(steps)
        scale = {"VP": 1.0, "VE": 378.0, "Karras": 80.0}[family]

        def rates(t):  # a chain's own levels, which are not those of the SDE
            if family != "VP":
                return jnp.ones_like(t), SIGMA(t)
            chain = hasattr(solver, "sqrt_alphas_cumprod")
            at = utils.get_timestep(t, solver.t0, solver.t1, solver.num_steps)
            alpha = solver.sqrt_alphas_cumprod[at] if chain else MEAN_COEFF(t)
            return alpha, jnp.sqrt(1 - alpha**2)

        def noise(x, t):
            alpha, sigma = rates(t)
            return (x - alpha[:, None] * denoise(law, x, alpha, sigma)) / sigma[:, None]

        def score(x, t):
            return -noise(x, t) / rates(t)[1][:, None]

        model = {"noise": noise, "score": score, "denoise": lambda x, sigma: denoise(law, x, 1.0, sigma)}
        solver = build(model, ts)

        def call(key, z, first):
            return utils.get_sampler(z.shape, solver)(key, scale * z)[0]

        alpha, sigma = rates(ts[-1])
        high = float(sigma[0] / alpha[0]) if family == "VP" else scale
        return Run(call, high, 0.0)

    schedule = {"VP": "linear beta 0.1 to 20", "VE": "exponential sigma 0.01 to 378", "Karras": "0.002 to 80"}[family]
    return Entry(name, f"{family}, {schedule}, denoised", make, calls, fewer, stochastic=stochastic)


def euler_maruyama(forward):
    return lambda model, ts: solvers.EulerMaruyama(forward.reverse(model["score"]), ts)


ENTRIES = [
    entry("DDIMVP(eta=0)", "VP", lambda m, ts: solvers.DDIMVP(m["noise"], 0.0, BETA, ts)),
    entry("DDIMVP(eta=1)", "VP", lambda m, ts: solvers.DDIMVP(m["noise"], 1.0, BETA, ts), stochastic=True),
    entry("DDPM", "VP", lambda m, ts: solvers.DDPM(m["score"], BETA, ts), stochastic=True),
    entry("EulerMaruyama", "VP", euler_maruyama(sde.VP(BETA, MEAN_COEFF)), stochastic=True),
    entry("DDIMVE(eta=0)", "VE", lambda m, ts: solvers.DDIMVE(m["noise"], 0.0, SIGMA, ts)),
    entry("DDIMVE(eta=1)", "VE", lambda m, ts: solvers.DDIMVE(m["noise"], 1.0, SIGMA, ts), stochastic=True),
    entry("SMLD", "VE", lambda m, ts: solvers.SMLD(m["score"], SIGMA, ts), stochastic=True),
    entry("EulerMaruyama", "VE", euler_maruyama(sde.VE(SIGMA)), stochastic=True),
    entry("EDMEuler", "Karras", lambda m, ts: solvers.EDMEuler(m["denoise"], KARRAS, ts=ts)),
    entry("EDMHeun", "Karras", lambda m, ts: solvers.EDMHeun(m["denoise"], KARRAS, ts=ts), 2),
]

if __name__ == "__main__":
    main("diffusionjax", "diffusionjax", ENTRIES)
