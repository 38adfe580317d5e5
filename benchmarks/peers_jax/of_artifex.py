"""artifex (PyPI: avitai-artifex): `sample` of its diffusion models, whose backbone is replaced by the exact one.

`sample` draws the starts itself. DDPM and DDIM have the linear betas 1e-4 to 0.02 of its defaults and clip to [-1, 1];
DDPM takes as many steps as it has betas, so it has its 1,000. ScoreDiffusionModel: sigma 0.01 to 50, its defaults.
"""

import jax
import jax.numpy as jnp
from artifex.generative_models.core import configuration
from artifex.generative_models.models.diffusion import DDIMModel, DDPMModel, ScoreDiffusionModel
from flax import nnx
from harness import Entry, Run, denoise, main

BACKBONE = configuration.UNetBackboneConfig(
    name="replaced", hidden_dims=(8, 16), activation="gelu", in_channels=1, out_channels=1
)
SCHEDULE = configuration.NoiseScheduleConfig(name="linear", num_timesteps=1000)


def rngs_of(key):
    return nnx.Rngs(key)


def built(model_class, config_class, law, backbone, **settings):
    shared = {"name": "exact", "backbone": BACKBONE, "noise_schedule": SCHEDULE, "input_shape": law.event_shape}
    model = model_class(config_class(**shared, **settings), rngs=nnx.Rngs(0))
    model.backbone = lambda x, t, conditioning=None: backbone(model, x, t)
    return model


def chain(name, model_class, config_class, scheduler, stochastic=False, steps=None, **settings):
    def make(law, n):
        def noise(model, x, t):
            kept = model.alphas_cumprod[t]
            alpha, sigma = jnp.sqrt(kept), jnp.sqrt(1 - kept)
            return (x - alpha[:, None] * denoise(law, x, alpha, sigma)) / sigma[:, None]

        model = built(model_class, config_class, law, noise, **settings)
        kept = [float(model.alphas_cumprod[i]) for i in (-1, 0)]

        def call(key, z, first):
            return model.sample(len(z), scheduler=scheduler, steps=n, rngs=rngs_of(key))

        def drawn(key, n):
            return jax.random.normal(rngs_of(key).sample(), (n, *law.event_shape))

        return Run(call, ((1 - kept[0]) / kept[0]) ** 0.5, ((1 - kept[1]) / kept[1]) ** 0.5, drawn)

    return Entry(name, "linear betas 1e-4 to 0.02", make, stochastic=stochastic, jit=False, steps=steps)


def score_model(score_scaling=1.0):
    def make(law, n):
        def backbone(model, x, t):  # the score is this over sigma, and x has been divided by sigma
            sigma = model._get_sigma(t)[:, None]
            return (denoise(law, sigma * x, 1.0, sigma) - sigma * x) / sigma

        model = built(ScoreDiffusionModel, configuration.ScoreDiffusionConfig, law, backbone)
        return Run(
            lambda key, z, first: model.sample(len(z), rngs=rngs_of(key), num_steps=n),
            50.0, 0.01, lambda key, n: jax.random.normal(rngs_of(key).sample(), (n, *law.event_shape)),
        )  # fmt: skip

    return Entry("ScoreDiffusionModel", "sigma 0.01 to 50", make, stochastic=True, jit=False)


DDIM = configuration.DDIMConfig
ENTRIES = [
    chain("DDPMModel, ddim", DDPMModel, configuration.DDPMConfig, "ddim"),
    chain("DDIMModel(eta=0)", DDIMModel, DDIM, "ddim", eta=0.0),
    chain("DDIMModel(eta=1)", DDIMModel, DDIM, "ddim", True, eta=1.0),
    chain("DDPMModel, ddpm", DDPMModel, configuration.DDPMConfig, "ddpm", True, (1000,)),
    score_model(),
]

if __name__ == "__main__":
    main("artifex", "avitai-artifex", ENTRIES)
