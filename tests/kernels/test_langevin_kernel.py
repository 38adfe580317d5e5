"""Langevin steps: the noise has exactly the law of the stochastic integrals, and the declared bias is what is left."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp_kernels import langevin
from tests.linear_langevin import frozen, midpoint, stationary

NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)


def integral(function, end):
    """int_0^end by quadrature in float64; the integrands are sums of exponentials."""
    return end / 2 * WEIGHTS @ function(end / 2 * (NODES + 1))


def psi0(t, friction):
    return np.exp(-friction * t)


def psi1(t, friction):
    return -np.expm1(-friction * t) / friction


def quadrature_covariance(h, friction, a):
    """Covariance of (W1, W2, W3) from its definition."""
    tau = a * h
    kernels = [
        lambda r: np.where(r < tau, psi1(tau - r, friction), 0.0),
        lambda r: psi1(h - r, friction),
        lambda r: psi0(h - r, friction),
    ]
    ends = np.array([[tau, tau, tau], [tau, h, h], [tau, h, h]])
    pairs = [[(f, g) for g in kernels] for f in kernels]
    return np.array([[integral(lambda r, p=p: p[0](r) * p[1](r), e) for p, e in zip(*row, strict=True)]
                     for row in zip(pairs, ends, strict=True)])  # fmt: skip


def closed_covariance(h, friction, a):
    """The same in closed form; useless in float32 for small friction h, which is why nothing samples from it."""
    tau, late = a * h, (1 - a) * h

    def c22(t):
        x = friction * t
        return (2 * x - 3 + 4 * np.exp(-x) - np.exp(-2 * x)) / (2 * friction**3)

    psi2 = (tau - psi1(tau, friction)) / friction
    c12 = psi1(late, friction) * psi2 + psi0(late, friction) * c22(tau)
    c13 = psi0(late, friction) * psi1(tau, friction) ** 2 / 2
    c23, c33 = psi1(h, friction) ** 2 / 2, -np.expm1(-2 * friction * h) / (2 * friction)
    return np.array([[c22(tau), c12, c13], [c12, c22(h), c23], [c13, c23, c33]])


def composed_covariance(h, friction, a):
    """The covariance of a linear map of standard normals is that map times its transpose."""
    root = np.asarray(jacobian(h, friction, a))
    return root @ root.T


@jax.jit
def jacobian(h, friction, a):
    return jax.jacfwd(lambda z: jnp.stack(langevin.midpoint_noise(h, friction, a, z)))(jnp.zeros(4))


CASES = [(h, friction, a) for h in (0.5, 2.0) for friction in (0.7, 2.0) for a in (0.0, 0.3, 0.9, 1.0)]


@pytest.mark.parametrize(("h", "friction", "a"), CASES)
def test_composed_noise_has_the_covariance_of_the_integrals(x64, h, friction, a):
    exact = quadrature_covariance(h, friction, a)
    np.testing.assert_allclose(closed_covariance(h, friction, a), exact, atol=1e-10)
    np.testing.assert_allclose(composed_covariance(h, friction, a), exact, atol=1e-10)


@pytest.mark.parametrize("h", [1e-4, 1e-2, 0.3])
def test_composed_noise_keeps_its_covariance_in_float32(h):
    # Relative to the standard deviations: at h = 1e-4 the closed form of Var W2 has no correct digit in float32.
    exact = quadrature_covariance(h, 2.0, 0.4)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    got = np.asarray(composed_covariance(jnp.float32(h), 2.0, jnp.float32(0.4)), float)
    np.testing.assert_allclose(got / scale, exact / scale, atol=2e-6)


@pytest.mark.parametrize("draws", [200_000, pytest.param(4_000_000, marks=pytest.mark.slow)])
def test_drawn_noise_has_the_covariance_of_the_integrals(key, draws):
    h, friction, a = 1.0, 2.0, 0.4
    noise = langevin.midpoint_noise(h, friction, a, jax.random.normal(key, (4, draws)))
    w = np.stack(noise).astype(float)
    exact = quadrature_covariance(h, friction, a)
    # Entries are below 1/4, so that their standard errors are below 0.36 / sqrt(draws): 5.5 of them, false alarm 1e-7.
    np.testing.assert_allclose(w @ w.T / draws, exact, atol=2.0 / np.sqrt(draws))


def test_psi_are_repeated_integrals_at_every_size(x64):
    for friction in (0.0, 1e-9, 1e-3, 0.4, 3.0, 30.0):
        for t in (1e-6, 0.1, 2.0):
            zero, one, two = (langevin.psi(k, t, friction) for k in range(3))
            np.testing.assert_allclose(zero, np.exp(-friction * t), rtol=1e-12)
            np.testing.assert_allclose(one, integral(lambda s, g=friction: np.exp(-g * s), t), rtol=1e-12)
            twice = integral(lambda s, g=friction, t=t: (t - s) * np.exp(-g * s), t)
            np.testing.assert_allclose(two, twice, rtol=1e-12)


def test_psi_and_conditional_variance_keep_their_digits_in_float32():
    t = np.geomspace(1e-4, 20, 400).astype(np.float32)
    for friction in (0.5, 2.0):
        exact = t.astype(float)
        slope = np.tanh(friction * exact / 2) / friction
        # rho = int (psi_1 - slope psi_0)^2, a sum of squares: nothing cancels.
        square = lambda r, g=friction, s=slope: (psi1(r, g) - s * psi0(r, g)) ** 2  # noqa: E731
        rho = exact / 2 * (WEIGHTS[:, None] * square(exact / 2 * (NODES[:, None] + 1))).sum(0)
        got = np.asarray(jax.vmap(langevin.conditional_variance, (0, None))(t, friction), float)
        assert np.abs(got / rho - 1).max() <= 1e-6
        psi2 = exact / 2 * (WEIGHTS[:, None] * psi1(exact / 2 * (NODES[:, None] + 1), friction)).sum(0)
        got = np.asarray(jax.vmap(partial(langevin.psi, 2), (0, None))(t, friction), float)
        assert np.abs(got / psi2 - 1).max() <= 1e-6


def test_stationary_bias_is_third_order_with_the_midpoint_and_first_order_without(x64):
    h = (0.5, 0.25, 0.125)
    biases = np.abs([stationary(midpoint, 1.0, step)[0, 0] - 1 for step in h])
    np.testing.assert_allclose(biases, [2.6e-3, 3.3e-4, 4.1e-5], rtol=0.02)
    assert 2.9 < np.log2(biases[1] / biases[2]) < 3.1
    biases = np.abs([stationary(frozen, 1.0, step)[0, 0] - 1 for step in h])
    np.testing.assert_allclose(biases, [1.4e-1, 6.6e-2, 3.2e-2], rtol=0.02)
    assert 0.9 < np.log2(biases[1] / biases[2]) < 1.1


@pytest.mark.parametrize("step", [midpoint, frozen])
def test_stationary_law_has_the_inertia_as_variance_of_the_velocity(x64, step):
    # Curvature 3, friction 1.3, inertia 0.2: position variance 1 / 3, velocity variance 0.2, uncorrelated.
    np.testing.assert_allclose(stationary(step, 3.0, 1e-3, 1.3, 0.2), np.diag([1 / 3, 0.2]), atol=5e-4)


def test_steps_with_a_constant_score_are_exact(x64):
    # A constant force is what the plain step freezes: two half steps have the law of one whole step.
    def moments(pieces):
        mean, covariance = np.array([0.3, -0.8]), np.zeros((2, 2))
        for h in pieces:
            step = lambda x, v, z: jnp.stack(langevin.underdamped_step(x, v, 0.7, h, 1.5, 0.4, z[0], z[1]))  # noqa: B023, E731
            mx, mv, noise = jax.jacfwd(step, (0, 1, 2))(jnp.float64(0), jnp.float64(0), jnp.zeros(2))
            m = np.stack([mx, mv], 1)
            mean = m @ mean + step(jnp.float64(0), jnp.float64(0), jnp.zeros(2))
            covariance = m @ covariance @ m.T + noise @ noise.T
        return mean, covariance

    whole, halves = moments([0.9]), moments([0.4, 0.5])
    for one, two in zip(whole, halves, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_midpoint_step_is_unbiased_for_a_constant_score(x64):
    # Averaged over a the drift of the midpoint step is that of the exact flow.
    nodes, weights = np.polynomial.legendre.leggauss(24)
    zeros = jnp.zeros(4)

    def drift(a):
        return jnp.stack(langevin.midpoint_underdamped_step(lambda y: 0.7, 0.3, -0.8, 0.7, 0.9, 1.5, 0.4, a, zeros))

    mean = sum(w / 2 * drift((n + 1) / 2) for n, w in zip(nodes, weights, strict=True))
    exact = jnp.stack(langevin.underdamped_step(0.3, -0.8, 0.7, 0.9, 1.5, 0.4, 0.0, 0.0))
    np.testing.assert_allclose(mean, exact, rtol=1e-12)


def test_overdamped_step_has_the_known_stationary_variance(x64):
    # x' = (1 - h) x + sqrt(2 h) z on N(0, 1): variance 1 / (1 - h / 2).
    h = 0.3
    slope, noise = jax.grad(lambda x, z: langevin.overdamped_step(x, -x, h, z), (0, 1))(0.0, 0.0)
    np.testing.assert_allclose(noise**2 / (1 - slope**2), 1 / (1 - h / 2), rtol=1e-12)
