"""Second moments of Langevin steps on a linear score, exactly: no simulation.

The score -curvature x makes a step linear in the state (x, v) and in its normals, with Jacobians M and N given the
uniform number a, so that second moments go by S -> E_a[M S M^T + N N^T]: a 4 x 4 matrix and a vector.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp_kernels import langevin, parallel_langevin

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


def midpoint(curvature, h, friction, inertia, a, x, v, z):
    step = langevin.midpoint_underdamped_step
    return jnp.stack(step(lambda y: -curvature * y, x, v, -curvature * x, h, friction, inertia, a, z))


def frozen(curvature, h, friction, inertia, a, x, v, z):
    return jnp.stack(langevin.underdamped_step(x, v, -curvature * x, h, friction, inertia, z[0], z[1]))


@partial(jax.jit, static_argnums=0)
def transition(step, curvature, h, friction, inertia):
    """The matrix and the vector, averaged over a uniform on [0, 1] by Gauss-Legendre quadrature."""
    jacobians = jax.jacfwd(partial(step, curvature, h, friction, inertia), (1, 2, 3))
    zero = jnp.zeros(())
    a, weights = jnp.asarray((NODES + 1) / 2), jnp.asarray(WEIGHTS / 2)
    mx, mv, noise = jax.vmap(jacobians, (0, None, None, None))(a, zero, zero, jnp.zeros(4))
    m = jnp.stack([mx, mv], -1)
    linear = jnp.einsum("a,aij,akl->ikjl", weights, m, m).reshape(4, 4)
    return linear, jnp.einsum("a,aiz,akz->ik", weights, noise, noise).ravel()


def stationary(step, curvature, h, friction=2.0, inertia=1.0):
    """The stationary covariance of (x, v), which must exist."""
    linear, shift = (np.asarray(value) for value in transition(step, curvature, h, friction, inertia))
    assert np.abs(np.linalg.eigvals(linear)).max() < 1
    return np.linalg.solve(np.eye(4) - linear, shift).reshape(2, 2)


@jax.jit
def _parallel_transition(curvature, h, friction, fractions, iterations, warm):
    def step(fractions, x, v, slope, z):
        start = jnp.where(warm, slope, -curvature * x)
        x, v, slopes = parallel_langevin.parallel_underdamped_step(
            lambda y: -curvature * y, x, v, start, h, friction, 1.0, fractions, z, iterations
        )
        return jnp.stack([x, v, slopes[-1]])

    zero, z = jnp.zeros(()), jnp.zeros((fractions.shape[1] + 1, 2))
    jacobians = jax.vmap(jax.jacfwd(step, (1, 2, 3, 4)), (0, None, None, None, None))
    *m, noise = jacobians(fractions, zero, zero, zero, z)
    m, noise = jnp.stack(m, -1), noise.reshape(len(noise), 3, -1)
    linear = jnp.einsum("aij,akl->ikjl", m, m).reshape(9, 9) / len(m)
    return linear, jnp.einsum("aiz,akz->ik", noise, noise).ravel() / len(m)


def parallel_stationary(curvature, h, friction, fractions, iterations, warm=True):
    """The stationary covariance of (x, v, slope) of parallel steps of unit inertia; `fractions` (n, R) to average over.

    Points of a low-discrepancy sequence and their mirror images 1 - U do for an average over the cube.
    """
    linear, shift = map(np.asarray, _parallel_transition(curvature, h, friction, fractions, iterations, warm))
    assert np.abs(np.linalg.eigvals(linear)).max() < 1
    return np.linalg.solve(np.eye(9) - linear, shift).reshape(3, 3)
