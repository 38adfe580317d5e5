"""diffuse (PyPI: diffuse-jax): its `Denoiser`, begun by `init` from the given starts and moved by `step` in a scan.

This is what its `generate` does, which draws the starts and one key for each sample. Models and their times as in its
examples: SDE with LinearSchedule(0.02, 5, 0, 2) and VpTimer from 2 to 0.001, Flow with VpTimer from 1 to 0.001, and
EDM with HeunTimer, whose levels the model clips to 0.999, as well as with the largest level that it can represent.
"""

import jax
import jax.numpy as jnp
from diffuse import integrator as integrators
from diffuse.denoisers.denoiser import Denoiser
from diffuse.diffusion.sde import EDM, SDE, Flow, LinearSchedule
from diffuse.predictor import Predictor
from diffuse.timer.base import HeunTimer, VpTimer
from harness import Entry, Run, denoise, main

MODELS = {
    "SDE, LinearSchedule(0.02, 5, 0, 2)": (SDE(LinearSchedule(0.02, 5.0, 0.0, 2.0)), lambda n: VpTimer(n, 1e-3, 2.0)),
    "Flow": (Flow(), lambda n: VpTimer(n, 1e-3, 1.0)),
    "EDM, HeunTimer": (EDM(), lambda n: HeunTimer(n)),
    "EDM, VpTimer to 0.999": (EDM(), lambda n: VpTimer(n, 2e-3, 0.999)),
}


def entry(name, model_name, calls=1, stochastic=False):
    model, timer_of = MODELS[model_name]

    def make(law, steps):
        timer = timer_of(steps)

        def network(x, t):
            return denoise(law, x[None], model.signal_level(t), model.noise_level(t))[0]

        method = getattr(integrators, name)(model=model, timer=timer)
        denoiser = Denoiser(method, model, Predictor(model, network, "x0"), law.event_shape)
        high, low = (jnp.asarray(float(timer(i))) for i in (0, steps))
        scale = float(high) if "HeunTimer" in model_name else float(model.noise_level(high))

        def call(key, z, first):
            keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(len(z)))
            state = jax.vmap(denoiser.init)(scale * z, keys)
            state, _ = jax.lax.scan(lambda s, _: (jax.vmap(denoiser.step)(s), None), state, None, steps)
            return state.integrator_state.position / model.signal_level(low)

        def ratio(t):
            return float(model.noise_level(t) / model.signal_level(t))

        return Run(call, float(high) if "HeunTimer" in model_name else ratio(high), ratio(low))

    return Entry(name, model_name, make, calls, stochastic=stochastic)


ENTRIES = [
    made
    for model in MODELS
    for made in (
        entry("DDIMIntegrator", model),
        entry("EulerIntegrator", model),
        entry("HeunIntegrator", model, 2),
        entry("DPMpp2sIntegrator", model, 2),
        entry("EulerMaruyamaIntegrator", model, stochastic=True),
    )
]

if __name__ == "__main__":
    main("diffuse", "diffuse-jax", ENTRIES)
