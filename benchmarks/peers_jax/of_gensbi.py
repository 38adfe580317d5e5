"""gensbi: the solvers of its pipelines, `get_sampler(...)` of each, states (n, d, 1) as it asks for.

Flow matching runs from t = 0 to 1 on CondOT, score matching from T = 1 to 0.001, both with a constant step, Euler
unless said. The exact posterior mean is handed to EDM's preconditioning as the network that it would stand for.
"""

import diffrax
import jax.numpy as jnp
from gensbi.diffusion.path import EDMPath
from gensbi.diffusion.path.scheduler import EDMScheduler, VEEdmScheduler, VESmScheduler, VPEdmScheduler, VPSmScheduler
from gensbi.diffusion.solver.edm_solver import EDMSolver
from gensbi.diffusion.solver.sm_ode_solver import SMODESolver
from gensbi.diffusion.solver.sm_sde_solver import SMSDESolver
from gensbi.flow_matching.solver.fm_ode_solver import FMODESolver
from gensbi.flow_matching.solver.fm_sde_solver import NonSingularSolver, ZeroEndsSolver
from gensbi.utils.model_wrapping import ModelWrapper, ScoreToODEDrift
from harness import Entry, Run, denoise, main

LEVEL = {  # c_noise and its inverse
    "EDM": (EDMScheduler(), lambda s, t: jnp.exp(4 * t)),
    "EDM-VP": (VPEdmScheduler(), lambda s, t: s.sigma(t / (s.M - 1))),
    "EDM-VE": (VEEdmScheduler(), lambda s, t: 2 * jnp.exp(t)),
}
SMALL = 1e-4  # of 1 - t, where a velocity is asked for at the end itself


def of_points(law, obs, alpha, sigma):
    alpha, sigma = (jnp.ravel(v)[0] for v in (alpha, sigma))
    return denoise(law, obs[..., 0], alpha, sigma)[..., None]


def edm(method, name):
    scheduler, sigma_of = LEVEL[name]

    def make(law, steps):
        def network(obs, t, **_):
            sigma = sigma_of(scheduler, t)
            x = obs / scheduler.c_in(sigma)
            return (of_points(law, x, 1.0, sigma) - scheduler.c_skip(sigma) * x) / scheduler.c_out(sigma)

        sampler = EDMSolver(network, EDMPath(scheduler)).get_sampler(nsteps=steps, method=method)
        first = scheduler.time_schedule(jnp.asarray(0.0))
        return Run(lambda key, z, _: sampler(key, z[..., None])[..., 0], float(scheduler.sigma(first)), 0.0)

    calls, fewer = (2, 1) if method == "Heun" else (1, 0)
    return Entry(f"EDMSolver({method})", f"{type(scheduler).__name__}()", make, calls, fewer)


def flow(solver_class, method="Euler", calls=1, **settings):
    stochastic = bool(settings)

    def make(law, steps):
        def velocity(obs, t, **_):
            left = jnp.maximum(1 - t, SMALL)
            return (of_points(law, obs, 1 - left, left) - obs) / jnp.ravel(left)[0]

        d = law.event_shape[0]
        prior = (jnp.zeros((d, 1)), jnp.ones((d, 1))) if stochastic else ()
        solver = solver_class(ModelWrapper(velocity), *prior, **settings)
        sampler = solver.get_sampler(step_size=1 / steps, method=method)

        def call(key, z, first):
            return (sampler(z[..., None], key) if stochastic else sampler(z[..., None]))[..., 0]

        return Run(call, jnp.inf, 0.0)

    name = method if isinstance(method, str) else type(method).__name__
    given = "".join(f", {key}={value:g}" for key, value in settings.items())
    return Entry(f"{solver_class.__name__}({name}{given})", "CondOT", make, calls, stochastic=stochastic)


def score_matching(solver_class, sde, setting, method="Euler", calls=1):
    stochastic = solver_class is SMSDESolver

    def make(law, steps):
        def score(obs, t, **_):
            alpha, sigma = (jnp.ravel(of(jnp.asarray(t)))[0] for of in (sde.marginal_mean_coeff, sde.marginal_std))
            return (alpha * of_points(law, obs, alpha, sigma) - obs) / sigma**2

        wrapped = ModelWrapper(score if stochastic else ScoreToODEDrift(score, sde))
        solver = SMSDESolver(wrapped, sde) if stochastic else SMODESolver(wrapped)
        ends = jnp.array([1.0, 1e-3])
        sampler = solver.get_sampler(step_size=-float(ends[0] - ends[1]) / steps, method=method, time_grid=ends)
        alpha, sigma = sde.marginal_mean_coeff(ends), sde.marginal_std(ends)
        scale = float(sigma[0]) if isinstance(sde, VESmScheduler) else 1.0

        def call(key, z, first):
            x = scale * z[..., None]
            return (sampler(x, key) if stochastic else sampler(x))[..., 0] / alpha[1]

        return Run(call, float(sigma[0] / alpha[0]), float(sigma[1] / alpha[1]))

    name = method if isinstance(method, str) else type(method).__name__
    return Entry(f"{solver_class.__name__}({name})", setting, make, calls, stochastic=stochastic)


VP, VE = VPSmScheduler(0.1, 20.0), VESmScheduler(1e-3, 15.0)
ENTRIES = [
    *(edm(method, name) for name in LEVEL for method in ("Euler", "Heun")),
    flow(FMODESolver),
    flow(FMODESolver, diffrax.Midpoint(), 2),
    flow(ZeroEndsSolver, alpha=1.0),
    flow(NonSingularSolver, alpha=1.0),
    score_matching(SMODESolver, VP, "VPSmScheduler(0.1, 20)"),
    score_matching(SMODESolver, VP, "VPSmScheduler(0.1, 20)", diffrax.Midpoint(), 2),
    score_matching(SMSDESolver, VP, "VPSmScheduler(0.1, 20)"),
    score_matching(SMODESolver, VE, "VESmScheduler()"),
    score_matching(SMSDESolver, VE, "VESmScheduler()"),
    score_matching(SMSDESolver, VPSmScheduler(), "VPSmScheduler(), whose alpha ends at 0.47"),
]

if __name__ == "__main__":
    main("gensbi", "gensbi", ENTRIES)
