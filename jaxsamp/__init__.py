"""jaxsamp: sampling with diffusion models in JAX.

A target or a trained network gives a denoiser. A schedule says how noise grows. A grid says when. A sampler says
how to step. `sample` runs it. Metrics compare the samples with the law.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "sample": "sampling",
    "sample_shards": "shards",
    "mesh": "sharding",
    "initialize_distributed": "hosts",
    "sample_density": "chains",
    "Chains": "chains",
    "sample_and_log_prob": "flows",
    "log_likelihood": "likelihood",
    "bits_per_dim": "likelihood",
    "evaluate": "metrics",
    "score_error": "metrics",
    "fit": "training",
    "calibrate": "calibration",
    "denoiser": "denoisers",
    "guide": "denoisers",
    "clip": "denoisers",
    "posterior": "inverse",
    "inpaint": "inverse",
    "Level": "types",
    "Samples": "types",
}
_MODULES = (
    "calibration",
    "collectives",
    "datasets",
    "denoisers",
    "grids",
    "inverse",
    "langevin",
    "losses",
    "metrics",
    "models",
    "plots",
    "published",
    "random",
    "recipes",
    "samplers",
    "schedules",
    "sharding",
    "shards",
    "targets",
    "training",
    "types",
)

__all__ = sorted([*_HOMES, *_MODULES])  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from jaxsamp import calibration as calibration
    from jaxsamp import datasets as datasets
    from jaxsamp import denoisers as denoisers
    from jaxsamp import devices
    from jaxsamp import grids as grids
    from jaxsamp import inverse as inverse
    from jaxsamp import losses as losses
    from jaxsamp import mcmc as langevin
    from jaxsamp import metrics as metrics
    from jaxsamp import models as models
    from jaxsamp import plots as plots
    from jaxsamp import recipes as recipes
    from jaxsamp import samplers as samplers
    from jaxsamp import schedules as schedules
    from jaxsamp import targets as targets
    from jaxsamp import theory as published
    from jaxsamp import training as training
    from jaxsamp.calibration import calibrate as calibrate
    from jaxsamp.core import random as random
    from jaxsamp.core import types as types
    from jaxsamp.core.types import Level as Level
    from jaxsamp.core.types import Samples as Samples
    from jaxsamp.denoisers import clip as clip
    from jaxsamp.denoisers import denoiser as denoiser
    from jaxsamp.denoisers import guide as guide
    from jaxsamp.density.flows import sample_and_log_prob as sample_and_log_prob
    from jaxsamp.density.likelihood import bits_per_dim as bits_per_dim
    from jaxsamp.density.likelihood import log_likelihood as log_likelihood
    from jaxsamp.devices import collectives as collectives
    from jaxsamp.devices.hosts import initialize_distributed as initialize_distributed
    from jaxsamp.devices.mesh import mesh as mesh
    from jaxsamp.inverse import inpaint as inpaint
    from jaxsamp.inverse import posterior as posterior
    from jaxsamp.metrics import evaluate as evaluate
    from jaxsamp.metrics import score_error as score_error
    from jaxsamp.running import shards as shards
    from jaxsamp.running.chains import Chains as Chains
    from jaxsamp.running.chains import sample_density as sample_density
    from jaxsamp.running.sampling import sample as sample
    from jaxsamp.running.shards import sample_shards as sample_shards
    from jaxsamp.training import fit as fit


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import jaxsamp` stays cheap."""
    if name in _MODULES:
        return import_module(f"jaxsamp.{name}")
    if name in _HOMES:
        return getattr(import_module(f"jaxsamp.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'jaxsamp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
