"""Flax networks, and the wrapper that makes denoisers of them.

Every network is a Linen module called as network(x, noise, cond): x is (batch, *event), about of unit variance; noise
is (batch,), a quarter of log(sigma / alpha); the output has the shape and dtype of x, and is zero at initialization.
`cond` is None, integer labels (batch,), vectors (batch, k), or a dict of these as "label" and "vector" and of
"channels", arrays of x's shape (one more axis allowed) that are read beside x, such as the mask of an operator.
"""

from jaxsamp.models.dit import DiT
from jaxsamp.models.mlp import MLP
from jaxsamp.models.precondition import Model, coefficients
from jaxsamp.models.unet import UNet

__all__ = ["MLP", "DiT", "Model", "UNet", "coefficients"]
