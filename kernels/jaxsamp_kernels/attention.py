"""A layer of attention heads, F(X) = sum_i softmax(X Theta_i X^T) X W_i, with the softmax along the last axis.

Source: Chen and Li, "Provably learning a multi-head attention layer", arXiv 2402.04084.
"""

import jax
import jax.numpy as jnp
from jax import Array

FULL = "highest"  # scores are logits, which three digits of a product would move


def heads(x: Array, theta: Array) -> Array:
    """softmax(X Theta_i X^T) X of each head: x (..., k, d) and theta (m, d, d) to (..., m, k, d)."""
    scores = jnp.einsum("...ad,mde,...be->...mab", x, theta, x, precision=FULL)
    return jnp.einsum("...mab,...bd->...mad", jax.nn.softmax(scores, -1), x, precision=FULL)


def layer(x: Array, theta: Array, w: Array) -> Array:
    """F(X) for x (..., k, d), theta (m, d, d) and w (m, d, e), as (..., k, e)."""
    return jnp.einsum("...mad,mde->...ae", heads(x, theta), w, precision=FULL)
