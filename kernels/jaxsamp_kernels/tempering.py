"""Swaps between the levels of a ladder: level k draws from exp(beta_k S), with beta_0 < beta_1 < ... ."""

import jax.numpy as jnp
from jax import Array


def log_ratio(exponents: Array, betas: Array) -> Array:
    """log of the probability ratio of a swap of levels k and k + 1, (K - 1,): (beta_{k+1} - beta_k) (S_k - S_{k+1}).

    Args:
        exponents: S of the state at each level, (K,), without beta.
        betas: (K,), increasing.
    """
    return jnp.diff(betas) * (exponents[:-1] - exponents[1:])


def swap(held: Array, accepted: Array) -> Array:
    """What each level holds after the accepted swaps, no two of which are beside each other.

    Args:
        held: what each level holds, (K,).
        accepted: whether levels k and k + 1 swap, (K - 1,) of bool.
    """
    up, down = jnp.pad(accepted, (0, 1)), jnp.pad(accepted, (1, 0))
    return jnp.where(up, jnp.roll(held, -1), jnp.where(down, jnp.roll(held, 1), held))
