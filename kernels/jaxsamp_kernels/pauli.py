"""Walsh-Hadamard transforms over Pauli strings, and the local inverse of random product probes.

A Pauli string on n qubits has 2n bits, x_1 ... x_n z_1 ... z_n, of which the first is the highest of its index; the
letters (x, z) are I = 00, X = 10, Y = 11, Z = 01. Letters are also numbered 0 to 3, in the order I, X, Y, Z.
"""

import math

import jax.numpy as jnp
from jax import Array, lax

# Inverse of the outcomes of one qubit: 1 where an error of that letter gives this outcome, -1/2 where it does not.
MATCH, MISMATCH = 1.0, -0.5


def fwht(x: Array) -> Array:
    """sum_a x_a (-1)^(a.b) for every b, over the bits of the last axis, of size 2^m: O(m 2^m), twice is 2^m times x.

    Every step is the same: sums and differences of neighbors, in the two halves of the next vector. So the bits go
    round once, and one small loop serves all of them.
    """
    m = int(math.log2(x.shape[-1]))

    def step(_: Array, y: Array) -> Array:
        pairs = y.reshape(*y.shape[:-1], -1, 2)
        return jnp.concatenate([pairs[..., 0] + pairs[..., 1], pairs[..., 0] - pairs[..., 1]], -1)

    return lax.fori_loop(0, m, step, x)


def symplectic(x: Array) -> Array:
    """sum_a x_a (-1)^<a,b> for every Pauli string b, <a,b> = 1 where a and b anticommute, over the last axis, 4^n."""
    side = math.isqrt(x.shape[-1])
    return fwht(x).reshape(*x.shape[:-1], side, side).swapaxes(-1, -2).reshape(x.shape)


def product_inverse(axes: Array, flips: Array) -> Array:
    """G_P(A, r) of the letters P = I, X, Y, Z, (..., 4): E prod_i G_{Q_i}(A_i, r_i) is 1 if Q is the error, else 0.

    A probe is an eigenstate of A in {X, Y, Z}, 1 to 3, drawn evenly, and r = 1 where the outcome is flipped: where the
    error anticommutes with A.
    """
    letters = jnp.arange(4)
    anticommutes = (letters > 0) & (letters != axes[..., None])
    return jnp.where(anticommutes == (flips[..., None] > 0), MATCH, MISMATCH)
