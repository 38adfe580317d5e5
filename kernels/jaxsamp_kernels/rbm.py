"""Restricted Boltzmann machines over spins x in {-1, 1}^n and hidden ones h in {-1, 1}^m.

p(x, h) is proportional to exp(x.W h + b.x + c.h) with W (n, m), so that p(x) = exp(S(x)) / Z with

    S(x) = b.x + sum_j ln 2cosh(c_j + (x.W)_j)

All functions take x (..., n) or h (..., m) of the dtype of the weights.
"""

import jax.numpy as jnp
from jax import Array


def log_2cosh(z: Array) -> Array:
    """ln(2 cosh z), without overflow."""
    return jnp.logaddexp(z, -z)


def hidden_fields(x: Array, weights: Array, hidden: Array) -> Array:
    """c + x.W, (..., m): the fields of the hidden spins, which are independent given x."""
    return hidden + jnp.matmul(x, weights, precision="highest")


def visible_fields(h: Array, weights: Array, visible: Array) -> Array:
    """b + W h, (..., n): the fields of the spins, which are independent given h."""
    return visible + jnp.matmul(h, weights.T, precision="highest")


def exponent(x: Array, weights: Array, visible: Array, hidden: Array) -> Array:
    """S(x), (...): minus what is called the free energy of x, in nats."""
    return jnp.matmul(x, visible, precision="highest") + log_2cosh(hidden_fields(x, weights, hidden)).sum(-1)


def hidden_mean(x: Array, weights: Array, hidden: Array) -> Array:
    """E[h | x] = tanh(c + x.W), (..., m)."""
    return jnp.tanh(hidden_fields(x, weights, hidden))


def visible_mean(h: Array, weights: Array, visible: Array) -> Array:
    """E[x | h] = tanh(b + W h), (..., n)."""
    return jnp.tanh(visible_fields(h, weights, visible))


def through(a: Array, z: Array) -> Array:
    """artanh(tanh(a) tanh(z)): the field on a spin through a hidden one, coupled to it by a, in a field z of others.

    It is half of ln cosh(z + a) - ln cosh(z - a), which stays finite, with the right gradient, where tanh rounds to 1.
    """
    return 0.5 * (log_2cosh(z + a) - log_2cosh(z - a))


def local_fields(x: Array, weights: Array, visible: Array, hidden: Array) -> Array:
    """f_i = b_i + sum_j artanh(tanh W_ij tanh(c_j + sum_{k != i} W_kj x_k)), (..., n); E[x_i | the others] = tanh f_i.

    A network of two layers: one of tanh, and one that adds what comes through each hidden spin.
    """
    others = hidden_fields(x, weights, hidden)[..., None, :] - weights * x[..., None]
    return visible + through(weights, others).sum(-1)


def label_field(x: Array, weights: Array, hidden: Array, head: Array, bias: Array) -> Array:
    """a + sum_j artanh(tanh u_j tanh(c_j + (x.W)_j)), (...): the field on a label that hidden spins see by u.

    With the label y as one more visible spin, E[y | x] is tanh of it.
    """
    return bias + through(head, hidden_fields(x, weights, hidden)).sum(-1)


def ais_increment(fields: Array, before: Array, after: Array) -> Array:
    """S(x) at beta = `after` less S(x) at beta = `before`, (...): growth of a log weight, from hidden fields z."""
    return (log_2cosh(after * fields) - log_2cosh(before * fields)).sum(-1)


def spins(fields: Array, uniforms: Array) -> Array:
    """Independent spins in these fields, 1 with probability sigmoid(2 f), of the dtype of the fields."""
    # u < sigmoid(2 f) is 2 u - 1 < tanh f.
    return jnp.where(2 * uniforms - 1 < jnp.tanh(fields), 1, -1).astype(fields.dtype)


def block_gibbs(x: Array, weights: Array, visible: Array, hidden: Array, u_h: Array, u_x: Array) -> tuple[Array, Array]:
    """One sweep: all hidden spins given x, then all spins given them; returns (x, h)."""
    h = spins(hidden_fields(x, weights, hidden), u_h)
    return spins(visible_fields(h, weights, visible), u_x), h
