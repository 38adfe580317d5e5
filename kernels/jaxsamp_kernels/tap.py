"""Magnetizations of dense spin systems by the equations of Thouless, Anderson and Palmer, without sums over states.

m_i = tanh( sum_j J_ij m_j + h_i - b_i m_i ),  b_i = sum_j J_ij^2 (1 - m_j^2): the mean field of the others, less the
echo of spin i in them. Each function takes one vector of fields h of shape (n,); `jax.vmap` makes products of matrices.
"""

from functools import partial

import jax.numpy as jnp
from jax import Array, lax

_matmul = partial(jnp.matmul, precision="highest")


def local_fields(couplings: Array, fields: Array, m: Array, before: Array) -> Array:
    """J m + h - b(m) * before, (n,): the echo is that of the magnetizations of the iteration before."""
    return _matmul(couplings, m) + fields - _matmul(couplings * couplings, 1 - m * m) * before


def magnetizations(couplings: Array, fields: Array, iterations: int) -> tuple[Array, Array]:
    """The last m of m_{k+1} = tanh( J m_k + h - b(m_k) * m_{k-1} ) from m_0 = m_{-1} = 0, (n,), and its residual.

    The residual is the root mean square over spins of m - tanh(J m + h - b(m) * m), zero where the equations hold. With
    the echo of the iteration before, small differences shrink by the factor beta an iteration on the model of
    Sherrington and Kirkpatrick; with that of the same iteration they would grow there from beta = 0.41 on.
    """

    def step(last: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        m, before = last
        return (jnp.tanh(local_fields(couplings, fields, m, before)), m), None

    zero = jnp.zeros_like(fields)
    (m, _), _ = lax.scan(step, (zero, zero), None, length=iterations)
    return m, jnp.sqrt(jnp.mean(jnp.square(m - jnp.tanh(local_fields(couplings, fields, m, m)))))
