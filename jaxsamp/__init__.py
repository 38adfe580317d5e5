"""jaxsamp: sampling with diffusion models in JAX.

A target or a trained network gives a denoiser. A schedule says how noise grows. A grid says when. A sampler says
how to step. `sample` runs it. Metrics compare the samples with the law.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxsamp.core.version import VERSION

__version__ = VERSION

# Public names and the rooms that they live in, in the groups of the documentation.
_HOMES = {
    # Sampling
    "sample": "running",
    "Samples": "core.types",
    "Level": "core.types",
    "sample_shards": "running.shards",
    "sample_density_shards": "running.shards",
    "sample_spins_shards": "running.shards",
    "Shards": "running.shards",
    # Denoisers
    "denoiser": "denoisers",
    "guide": "denoisers",
    "clip": "denoisers",
    "posterior": "denoisers",
    "inpaint": "denoisers",
    "calibrate": "calibration",
    # Chains
    "sample_density": "running",
    "Chains": "running",
    "sample_spins": "running",
    "SpinChains": "running",
    # Densities
    "sample_and_log_prob": "density",
    "log_likelihood": "density",
    "bits_per_dim": "density",
    # Metrics
    "evaluate": "metrics",
    "score_error": "metrics",
    # Training
    "fit": "training",
    "distill": "learning",
    # Theory
    "critical_windows": "theory",
    # Devices
    "mesh": "devices",
    "initialize_distributed": "devices",
    # Adding things
    "pytree": "core.pytrees",
}
_MODULES = (
    "calibration",
    "core",
    "corruptions",
    "datasets",
    "denoisers",
    "density",
    "devices",
    "discrete",
    "grids",
    "learning",
    "losses",
    "mcmc",
    "metrics",
    "models",
    "plots",
    "quantum",
    "recipes",
    "running",
    "samplers",
    "schedules",
    "sparameters",
    "supervised",
    "targets",
    "theory",
    "training",
)

__all__ = sorted([*_HOMES, *_MODULES])  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from jaxsamp import calibration as calibration
    from jaxsamp import core as core
    from jaxsamp import corruptions as corruptions
    from jaxsamp import datasets as datasets
    from jaxsamp import denoisers as denoisers
    from jaxsamp import density as density
    from jaxsamp import devices as devices
    from jaxsamp import discrete as discrete
    from jaxsamp import grids as grids
    from jaxsamp import learning as learning
    from jaxsamp import losses as losses
    from jaxsamp import mcmc as mcmc
    from jaxsamp import metrics as metrics
    from jaxsamp import models as models
    from jaxsamp import plots as plots
    from jaxsamp import quantum as quantum
    from jaxsamp import recipes as recipes
    from jaxsamp import running as running
    from jaxsamp import samplers as samplers
    from jaxsamp import schedules as schedules
    from jaxsamp import sparameters as sparameters
    from jaxsamp import supervised as supervised
    from jaxsamp import targets as targets
    from jaxsamp import theory as theory
    from jaxsamp import training as training
    from jaxsamp.calibration import calibrate as calibrate
    from jaxsamp.core.pytrees import pytree as pytree
    from jaxsamp.core.types import Level as Level
    from jaxsamp.core.types import Samples as Samples
    from jaxsamp.denoisers import clip as clip
    from jaxsamp.denoisers import denoiser as denoiser
    from jaxsamp.denoisers import guide as guide
    from jaxsamp.denoisers import inpaint as inpaint
    from jaxsamp.denoisers import posterior as posterior
    from jaxsamp.density import bits_per_dim as bits_per_dim
    from jaxsamp.density import log_likelihood as log_likelihood
    from jaxsamp.density import sample_and_log_prob as sample_and_log_prob
    from jaxsamp.devices import initialize_distributed as initialize_distributed
    from jaxsamp.devices import mesh as mesh
    from jaxsamp.learning import distill as distill
    from jaxsamp.metrics import evaluate as evaluate
    from jaxsamp.metrics import score_error as score_error
    from jaxsamp.running import Chains as Chains
    from jaxsamp.running import SpinChains as SpinChains
    from jaxsamp.running import sample as sample
    from jaxsamp.running import sample_density as sample_density
    from jaxsamp.running import sample_spins as sample_spins
    from jaxsamp.running.shards import Shards as Shards
    from jaxsamp.running.shards import sample_density_shards as sample_density_shards
    from jaxsamp.running.shards import sample_shards as sample_shards
    from jaxsamp.running.shards import sample_spins_shards as sample_spins_shards
    from jaxsamp.theory import critical_windows as critical_windows
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
