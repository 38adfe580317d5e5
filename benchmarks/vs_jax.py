"""How do the samplers of other JAX libraries compare, at the same error, with the same denoiser and noise?

diffusionjax's solvers and diffuse's integrators (PyPI: diffuse-jax), each moved by its own update inside one jitted
scan, uniformly in log sigma from 80 to 0.02. diffuse has no noise schedule that reaches 80, so it gets one here; its
own conversions add 1e-8 to variances.
"""

import jax
import jax.numpy as jnp
import numpy as np
from peers import HIGH, LOW, Solver, compare, denoise, optional, ours

from jaxsamp.samplers import DDIM, Heun, Midpoint, UniPC

diffusionjax, diffuse = optional("diffusionjax.solvers"), optional("diffuse.integrator")

OURS = {
    "UniPC3": ours(UniPC(order=3, lower_order_final=False)),
    "UniPC2": ours(UniPC(order=2, lower_order_final=False)),
    "Midpoint": ours(Midpoint()),
    "Heun": ours(Heun()),
    "DDIM": ours(DDIM()),
}


def scanned(build, evaluations):
    """`build(steps)` gives a function that carries states (n, 64) from the start to the end."""

    def make(steps, init, dtype):
        init, run = jnp.asarray(init, dtype), jax.jit(build(steps))
        return lambda: (run(init), evaluations * steps)

    return Solver(make, range(1, 1024))


def diffusionjax_solver(name, evaluations=1, **settings):
    """Its loop over times, without the step to sigma = 0 with which it ends."""
    from diffusionjax.utils import get_exponential_sigma_function

    sigma = get_exponential_sigma_function(LOW, HIGH)

    def noise(x, t):
        return (x - denoise(x, sigma(t))) / sigma(t)[:, None]

    def build(steps):
        model = denoise if name.startswith("EDM") else noise
        solver = getattr(diffusionjax, name)(model, sigma=sigma, ts=jnp.linspace(0, 1, steps + 1), **settings)

        def body(x, t):
            return solver.update(jax.random.key(0), x, jnp.full(x.shape[0], t))[0].astype(x.dtype), None

        return lambda x: jax.lax.scan(body, x, solver.ts[:0:-1])[0]

    return scanned(build, evaluations)


def diffuse_solver(name, evaluations=1):
    """One sample's steps, vmapped, in the time log sigma."""
    from diffuse.diffusion.sde import DiffusionModel
    from diffuse.predictor import Predictor
    from diffuse.timer import VpTimer

    class LogSigma(DiffusionModel):
        def noise_level(self, t):
            return jnp.exp(t)

        def signal_level(self, t):
            return jnp.ones_like(t)

        def sde_coefficients(self, t):
            return jnp.zeros_like(t), np.sqrt(2) * jnp.exp(t)

    def build(steps):
        model = LogSigma()
        predictor = Predictor(model, lambda x, t: denoise(x, jnp.exp(t)), "x0")
        method = getattr(diffuse, name)(model, VpTimer(steps, np.log(LOW), np.log(HIGH)))

        def run(x):
            state = jax.vmap(method.init)(x, jax.random.split(jax.random.key(0), len(x)))
            state = state._replace(step=jnp.zeros(len(x), int))
            return jax.lax.scan(lambda s, _: (jax.vmap(lambda s: method(s, predictor))(s), None), state, None, steps)[0]

        return lambda x: run(x).position

    return scanned(build, evaluations)


def solvers():
    yield from OURS.items()
    if diffusionjax:
        yield "diffusionjax DDIM", diffusionjax_solver("DDIMVE", eta=0.0)
        yield "diffusionjax EDM Euler", diffusionjax_solver("EDMEuler")
        yield "diffusionjax EDM Heun", diffusionjax_solver("EDMHeun", 2)
    if diffuse:
        yield "diffuse DDIM", diffuse_solver("DDIMIntegrator")
        yield "diffuse Heun", diffuse_solver("HeunIntegrator", 2)
        yield "diffuse DPM-Solver++(2S)", diffuse_solver("DPMpp2sIntegrator", 2)


if __name__ == "__main__":
    title = "Time to reach the same error as samplers of other JAX libraries"
    compare(__doc__, "vs_jax", title, dict(solvers()), ["diffusionjax", "diffuse-jax"])
