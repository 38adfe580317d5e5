"""Attention heads: against loops in NumPy, and known means over all inputs."""

import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from jaxsamp_kernels import attention, enumeration


def test_layers_are_what_loops_say():
    rng = np.random.default_rng(0)
    x, theta, w = rng.normal(size=(5, 4, 3)), rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3, 6))
    want = np.zeros((5, 4, 6))
    for n in range(5):
        for i in range(2):
            for a in range(4):
                weights = softmax([x[n, a] @ theta[i] @ x[n, b] for b in range(4)])
                want[n, a] += weights @ x[n] @ w[i]
    np.testing.assert_allclose(attention.layer(*(jnp.asarray(part) for part in (x, theta, w))), want, atol=2e-5)


def test_known_means_over_all_inputs():
    """E |F|^2 and E X^T F, in float64 elsewhere."""
    theta, w = jnp.array([[[0.2, 0.4], [-0.3, 0.1]]]), jnp.array([[[1.0, 0], [0.5, -1]]])
    x = enumeration.states(0, 64, 6).reshape(64, 3, 2)
    f = attention.layer(x, theta, w)
    np.testing.assert_allclose(jnp.sum(f**2) / 64, 2.91534243, rtol=1e-6)
    known = [[1.69367818, -0.55229521], [0.35210107, -1.28712859]]
    np.testing.assert_allclose(jnp.einsum("nka,nkb->ab", x, f) / 64, known, atol=1e-6)
