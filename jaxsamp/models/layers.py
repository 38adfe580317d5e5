"""What the networks share: Fourier features of the noise level, conditions, and modulation by both."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Array, PyTree

FREQUENCIES = 16
MIN_FREQUENCY, MAX_FREQUENCY = 0.125, 8.0  # cycles per unit of c_noise; sigma / alpha from 0.002 to 80 is 2.6 units
ZERO = nn.initializers.zeros_init()
KEYS = ("label", "vector", "channels")


def fourier(noise: Array) -> Array:
    """sin and cos of 2 pi f noise at 16 geometrically spaced frequencies f; (batch,) -> (batch, 32), in float32."""
    frequencies = MIN_FREQUENCY * (MAX_FREQUENCY / MIN_FREQUENCY) ** (jnp.arange(FREQUENCIES) / (FREQUENCIES - 1))
    angles = 2 * jnp.pi * noise.astype(jnp.float32)[:, None] * frequencies
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


def parts(cond: PyTree) -> dict[str, Array]:
    """Those of "label", "vector" and "channels" that a condition has.

    Raises:
        TypeError: `cond` is neither None, an array, nor a dict of "label", "vector" and "channels".
    """
    if cond is None:
        return {}
    if isinstance(cond, dict):
        if unknown := [key for key in cond if key not in KEYS]:
            raise TypeError(f"cond must be a dict of {', '.join(map(repr, KEYS))}; got the key {unknown[0]!r}.")
        return {key: value for key, value in cond.items() if value is not None}
    if not hasattr(cond, "dtype"):
        raise TypeError(f"cond must be None, an array, or a dict of {', '.join(map(repr, KEYS))}; got {type(cond)}.")
    return {"label" if jnp.issubdtype(cond.dtype, jnp.integer) else "vector": cond}


def check_labels(cond: PyTree, classes: int, null: int | None) -> None:
    """Raise ValueError if the labels in a condition are not integers from 0 to classes - 1, or `null`, "no label".

    Only labels whose values are known on this host are checked, and only if there are classes.
    """
    label: Any = cond.get("label") if isinstance(cond, dict) else cond
    if not classes or not hasattr(label, "dtype") or isinstance(cond, dict) and "label" not in cond:
        return
    if not jnp.issubdtype(label.dtype, jnp.integer):
        if isinstance(cond, dict) or label.ndim < 2:  # more axes: vectors
            raise ValueError(
                f"cond must have integer labels for a network of classes={classes}; got {label.dtype}. Vectors are "
                'of shape (n, k), or in a dict as "vector".'
            )
        return
    if not checks.is_readable(label):
        return
    values = np.asarray(label)
    low, high = values.min(), values.max()
    if low < 0 or high > (classes - 1 if null is None else null):
        none = "" if null is None else f" or {null} for no label,"
        raise ValueError(
            f"cond must have labels from 0 to {classes - 1},{none} for a network of classes="
            f"{classes}; got labels from {low} to {high}. jaxsamp.datasets.renumber_labels numbers others from 0."
        )


def with_channels(x: Array, cond: PyTree, axes: int) -> Array:
    """x as (batch, ..., channels) with `axes` axes, and the condition's channels appended to its own."""
    extra = parts(cond).get("channels")
    arrays = [x] if extra is None else [x, jnp.asarray(extra, x.dtype)]
    return jnp.concatenate([a[..., None] if a.ndim < axes else a for a in arrays], -1)


def groups(channels: int) -> int:
    """Number of groups of a GroupNorm: at most 32, of at least four channels each if possible."""
    return math.gcd(math.gcd(32, max(1, channels // 4)), channels)


class Embedding(nn.Module):
    """Noise level and conditions as one vector: (batch,) -> (batch, width).

    Label `classes`, or a missing label, means "no label"; a vector of zeros means "no vector".
    """

    width: int
    classes: int = 0
    dtype: Any = None

    @nn.compact
    def __call__(self, noise: Array, cond: PyTree) -> Array:
        """Raises ValueError if there are labels but no classes, or not one label per sample."""
        given = parts(cond)
        h = nn.silu(nn.Dense(self.width, dtype=self.dtype)(fourier(noise)))
        h = nn.Dense(self.width, dtype=self.dtype)(h)
        if self.classes:
            label = given.get("label", jnp.full(noise.shape, self.classes))
            if label.shape != noise.shape:
                raise ValueError(
                    f"cond must have labels of shape {noise.shape}, one per sample; got shape {label.shape}."
                )
            h += nn.Embed(self.classes + 1, self.width, dtype=self.dtype)(label)
        elif "label" in given:
            raise ValueError(
                "cond has labels, for which the network needs classes=, the number of classes; got classes=0."
            )
        if "vector" in given:
            h += nn.Dense(self.width, use_bias=False, dtype=self.dtype)(given["vector"].reshape(len(noise), -1))
        return nn.silu(h)


class Modulate(nn.Module):
    """h (1 + scale) + shift, both linear in the embedding and zero at initialization."""

    dtype: Any = None

    @nn.compact
    def __call__(self, h: Array, embedding: Array) -> Array:
        """`h` is (batch, ..., channels), `embedding` (batch, width)."""
        both = nn.Dense(2 * h.shape[-1], kernel_init=ZERO, dtype=self.dtype)(embedding)
        both = both.reshape(h.shape[0], *(1,) * (h.ndim - 2), -1)
        scale, shift = jnp.split(both, 2, -1)
        return h * (1 + scale) + shift


class Attention(nn.Module):
    """Self-attention over (batch, tokens, channels) whose output is zero at initialization unless `zero` is off."""

    heads: int
    dtype: Any = None
    zero: bool = True

    @nn.compact
    def __call__(self, h: Array) -> Array:
        """softmax(q k^T / sqrt(d)) v; `heads` must divide the channels. The softmax is computed in float32."""
        width = h.shape[-1]
        qkv = nn.DenseGeneral((3, self.heads, width // self.heads), dtype=self.dtype)(h)
        q, k, v = jnp.moveaxis(qkv, -3, 0)
        out = jax.nn.dot_product_attention(q, k, v)
        init = ZERO if self.zero else nn.initializers.lecun_normal()
        return nn.Dense(width, kernel_init=init, dtype=self.dtype)(out.reshape(h.shape))
