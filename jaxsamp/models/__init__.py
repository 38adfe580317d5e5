"""Flax networks, and the wrapper that makes denoisers from them.

Every network is a Linen module called as network(x, noise, cond): x is (batch, *event), of about unit variance; noise
is (batch,), log(sigma / alpha) / 4; the output has the shape and dtype of x, and is zero at initialization.
`cond` is None, integer labels (batch,), vectors (batch, k), or a dict of these as "label" and "vector" and of
"channels", arrays of x's shape (one more axis allowed) that are read beside x, such as the mask of an operator.
`Classifier` is called as network(x, noise) and returns one number per sample. `pretrained` and `pretrained_decoder`
load what diffusers has saved, and `save_pretrained` saves as it does; its networks are in `jaxsamp.models.diffusers`.
"""

from jaxsamp.core import extras

with extras.needed("jaxsamp.models"):
    from jaxsamp.models.classifier import Classifier
    from jaxsamp.models.diffusers import pretrained, pretrained_decoder, save_pretrained
    from jaxsamp.models.dit import DiT
    from jaxsamp.models.local import LocalMLP
    from jaxsamp.models.mlp import MLP
    from jaxsamp.models.precondition import Model, coefficients
    from jaxsamp.models.unet import UNet

__all__ = [
    "MLP",
    "Classifier",
    "DiT",
    "LocalMLP",
    "Model",
    "UNet",
    "coefficients",
    "pretrained",
    "pretrained_decoder",
    "save_pretrained",
]
