"""Parallel underdamped steps: exact noise at all nodes, exact weights, and less bias for fewer rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

from jaxsamp.mcmc import ParallelUnderdamped, Underdamped
from jaxsamp_kernels import langevin
from jaxsamp_kernels import parallel_langevin as kernel
from tests.linear_langevin import midpoint, parallel_stationary, stationary

NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)
KEY = jax.random.key(0)


def quadrature_covariance(h, friction, times):
    """Covariance of the integrals of psi_1 up to the nodes and up to h, and of psi_0 up to h, from its definition."""
    psi0, psi1 = (lambda t: np.exp(-friction * t)), (lambda t: -np.expm1(-friction * t) / friction)
    ends = [(t, psi1) for t in times] + [(h, psi1), (h, psi0)]

    def entry(s, f, t, g):
        r = min(s, t) / 2 * (NODES + 1)
        return min(s, t) / 2 * WEIGHTS @ (f(s - r) * g(t - r))

    return np.array([[entry(*one, *two) for two in ends] for one in ends])


@jax.jit
def noise_root(h, friction, fractions):
    """The linear map from the normals to the noise at four nodes and at the end, and the times of the nodes."""
    times = kernel.node_times(h, fractions)

    def noise(z):
        out = kernel.node_noise(h, friction, times, z)
        return jnp.concatenate([out.nodes, out.position[None], out.velocity[None]])

    return jax.jacfwd(noise)(jnp.zeros((5, 2), times.dtype)).reshape(6, 10), times


@pytest.mark.parametrize(
    ("h", "friction", "fractions"),
    [(2.0, 2.0, (0.3, 0.9, 0.5, 0.1)), (0.7, 0.2, (0.0, 1.0, 0.0, 1.0)), (3.0, 1.0, (1.0, 0.0, 1.0, 0.4))],
)
def test_noise_at_the_nodes_has_the_covariance_of_the_integrals(x64, h, friction, fractions):
    """The second and third cases have nodes that coincide, with an end of the step or with each other."""
    root, times = map(np.asarray, noise_root(h, friction, jnp.asarray(fractions)))
    np.testing.assert_allclose(root @ root.T, quadrature_covariance(h, friction, times), atol=1e-12)


def test_noise_at_the_nodes_keeps_its_covariance_in_float32():
    root, times = (np.asarray(value, float) for value in noise_root(0.02, 2.0, jnp.array([0.4, 0.7, 0.2, 0.9])))
    exact = quadrature_covariance(0.02, 2.0, times)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    np.testing.assert_allclose(root @ root.T / scale, exact / scale, atol=3e-6)


def test_weights_are_exact_integrals_over_cells(x64):
    h, friction, fractions = 1.7, 1.3, jnp.array([0.2, 0.9, 0.5])
    times = kernel.node_times(h, fractions)
    weights = np.asarray(jax.jit(kernel.node_weights)(h, friction, times))
    for i, t in enumerate(np.asarray(times)):
        for j in range(3):
            start, end = j * h / 3, min((j + 1) * h / 3, t)
            r = start + (end - start) / 2 * (NODES + 1)
            exact = (end - start) / 2 * WEIGHTS @ (-np.expm1(-friction * (t - r)) / friction) if j <= i else 0.0
            np.testing.assert_allclose(weights[i, j], exact, atol=1e-13)
        # What a constant score does to a node is then exact.
        np.testing.assert_allclose(weights[i].sum(), integral_of_psi1(t, friction), rtol=1e-12)


def integral_of_psi1(t, friction):
    return (t + np.expm1(-friction * t) / friction) / friction


def test_one_node_and_one_sweep_is_the_randomized_midpoint(x64):
    k_z, k_x, k_a = jax.random.split(KEY, 3)
    z, (x, v), a = jax.random.normal(k_z, (4, 3)), jax.random.normal(k_x, (2, 3)), jax.random.uniform(k_a, (1,))
    score = lambda y: -jnp.sin(3 * y)  # noqa: E731

    @jax.jit
    def both(x, v, a, z):
        settings = score(x), 0.8, 1.4, jnp.array([0.5, 1.0, 2.0])
        one = langevin.midpoint_underdamped_step(score, x, v, *settings, a[0], z)
        return one, kernel.parallel_underdamped_step(score, x, v, *settings, a, z.reshape(2, 2, 3), 1)[:2]

    np.testing.assert_allclose(*both(x, v, a, z), rtol=1e-12)


def test_constant_score_is_integrated_exactly_on_average_over_the_nodes(x64):
    nodes, weights = np.polynomial.legendre.leggauss(12)
    settings = 0.3, -0.8, 0.7, 1.2, 0.8, 0.4

    @jax.jit
    @jax.vmap
    def end(fractions):
        score = lambda y: jnp.full(y.shape, 0.7)  # noqa: E731
        return jnp.stack(kernel.parallel_underdamped_step(score, *settings, fractions, jnp.zeros((4, 2)), 2)[:2])

    ends = end(jnp.tile(jnp.asarray((nodes + 1) / 2)[:, None], (1, 3)))
    np.testing.assert_allclose(weights / 2 @ ends, langevin.underdamped_step(*settings, 0.0, 0.0), rtol=1e-12)


def path_errors(count, monkeypatch):
    """Root mean square error of x after one step on N(0, 1), with random and with antithetic nodes.

    Over Brownian paths, starts and 64 draws of the nodes. The exact solution and the step are linear in the start and
    in dB. What dB at time r does to the step is found by giving it that as noise; the mean square over paths is the
    integral over r of the squared difference.
    """
    h, friction = 1.0, 2.0
    r = (jnp.arange(400) + 0.5) * (h / 400)
    # Critical damping: the exponential of the drift has entries in e^-t and t e^-t.
    exact_noise = (h - r) * jnp.exp(r - h) * jnp.sqrt(2 * friction)
    exact_start = jnp.exp(-h) * jnp.array([1 + h, h])

    def end(x, v, r, fractions):
        def impulse(h, friction, times, z):
            response = lambda k, t: jnp.where(t > r, langevin.psi(k, jnp.maximum(t - r, 0.0), friction), 0.0)  # noqa: E731
            return kernel.NodeNoise(response(1, times), response(1, h), response(0, h))

        monkeypatch.setattr(kernel, "node_noise", impulse)
        score = lambda y: -y  # noqa: E731
        return kernel.parallel_underdamped_step(score, x, v, -x, h, friction, 1.0, fractions, jnp.zeros(1), 12)[0]

    x, v, r = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), jnp.append(r, jnp.array([h, h]))
    x, v = jnp.append(jnp.zeros(400), x), jnp.append(jnp.zeros(400), v)
    exact = jnp.append(exact_noise, exact_start)

    @jax.jit
    @jax.vmap
    def mean_square(fractions):
        squares = (jax.vmap(end, (0, 0, 0, None))(x, v, r, fractions) - exact) ** 2
        return h * squares[:400].mean() + squares[400:].sum()

    u = jax.random.uniform(KEY, (64, count))
    antithetic = jnp.stack([u[:, ::2], 1 - u[:, ::2]], 2).reshape(64, count)
    return [float(jnp.sqrt(mean_square(places).mean())) for places in (u, antithetic)]


@pytest.mark.slow
def test_step_tends_to_the_exact_solution_along_the_same_brownian_path(x64, monkeypatch):
    few, many = path_errors(4, monkeypatch), path_errors(16, monkeypatch)
    np.testing.assert_allclose(np.log(np.divide(few, many)) / np.log(4), [1.5, 2.1], atol=0.15)
    assert many[0] < 4e-3 and many[1] < 1e-3


def placed(count):
    """The places of R antithetic nodes at 64 points of a Sobol sequence and their mirror images, (128, R)."""
    u = qmc.Sobol((count + 1) // 2, rng=0).random(64)
    u = np.concatenate([u, 1 - u])
    return jnp.asarray(np.stack([u, 1 - u], -1).reshape(128, -1)[:, :count])


def test_bias_is_small_for_fewer_rounds_than_the_sequential_midpoint_needs(x64):
    """Relative bias of the variance on N(0, 1 / curvature), u = 1, by the exact recursion of second moments."""
    default, places = ParallelUnderdamped(), placed(16)
    h, friction, iterations = default.step_size, default.friction, default.iterations

    def bias(curvature):
        return curvature * parallel_stationary(curvature, h, friction, places, iterations)[0, 0] - 1

    assert default.midpoints == 16
    worst = max(abs(bias(curvature)) for curvature in (0.1, 0.5, 1.0))
    assert worst < 1e-4
    # The sequential midpoint of as small a bias takes h = 0.14, 14 rounds in a unit of time against 2.
    sequential = Underdamped.from_smoothness(1.0, worst).step_size
    assert stationary(midpoint, 1.0, sequential)[0, 0] - 1 > 0.9 * worst
    assert 2 / sequential > 5 * iterations / h
    assert abs(bias(2.0)) < 1e-3 and abs(bias(4.0)) < 0.01, "twice and four times the declared curvature"


def test_bias_falls_with_the_nodes_and_a_warm_start_adds_none(x64):
    few, many = (parallel_stationary(1.0, 1.0, 2.0, placed(count), 4)[0, 0] - 1 for count in (4, 16))
    assert 16 < few / many < 64 and many < 6e-5
    cold = parallel_stationary(1.0, 1.0, 2.0, placed(16), 4, warm=False)[0, 0] - 1
    np.testing.assert_allclose(cold, many, rtol=0.02)


@pytest.mark.parametrize("nodes", ["antithetic", pytest.param("midpoint", marks=pytest.mark.slow)])
def test_bias_has_the_declared_order(x64, nodes):
    places = placed(4) if nodes == "antithetic" else jnp.full((128, 4), 0.5)
    coarse, fine = (parallel_stationary(1.0, h, 2.0, places, 3)[0, 0] - 1 for h in (0.25, 0.125))
    assert abs(np.log2(coarse / fine) - ParallelUnderdamped(nodes=nodes).bias_order) < 0.2
