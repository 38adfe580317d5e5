"""Training: `fit`, its parts for your own loops, checkpoints and weights. Needs `pip install "jaxsamp[train]"`."""

from jaxsamp.core import extras

with extras.needed("jaxsamp.training"):
    from jaxsamp.training.ambient import ambient_loss
    from jaxsamp.training.checkpoint import latest_step, load_weights
    from jaxsamp.training.load import load_denoiser
    from jaxsamp.training.loop import fit
    from jaxsamp.training.objective import denoising_loss
    from jaxsamp.training.omni import omni_loss
    from jaxsamp.training.optimizer import AdamW
    from jaxsamp.training.state import TrainState, ema_decay, train_step
    from jaxsamp.training.weights import load_safetensors, save_safetensors

__all__ = [
    "AdamW",
    "TrainState",
    "ambient_loss",
    "denoising_loss",
    "ema_decay",
    "fit",
    "latest_step",
    "load_denoiser",
    "load_safetensors",
    "load_weights",
    "omni_loss",
    "save_safetensors",
    "train_step",
]
