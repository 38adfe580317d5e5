"""The weights of one window: against quadrature, against the frames' own steps, and what acceleration finds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp import calibration
from jaxsamp_kernels import frame as frames
from jaxsamp_kernels import window

LAM0, LAM1 = -2.0, 2.5


def curves():
    lam = np.linspace(-5, 5, 30)
    a = 0.9 / (1 + np.exp(-2 * lam[:, None] + np.array([-1.0, 0.5])))
    return calibration.from_curve(lam, a + 0.01).frame


FRAMES = {
    "data": lambda: frames.DATA,
    "noise": lambda: frames.NOISE,
    "score": lambda: frames.SCORE,
    "calibrated": lambda: calibration.from_sigma_data(0.5).frame,
    "per_coordinate": curves,
}


@jax.jit
def rate_and_scale(frame, lam, lam1):
    return frame.clock_rate(lam), frame.scale(lam1)


def integral(frame, f, lam1, coordinate):
    """scale(lam1) times the integral of f against the clock from LAM0, by Gauss-Legendre quadrature in three pieces."""
    nodes, weights = np.polynomial.legendre.leggauss(50)
    edges = np.linspace(LAM0, lam1, 4)
    lam = (edges[:-1, None] + np.diff(edges)[:, None] * (0.5 + 0.5 * nodes)).ravel()
    rate, scale = map(np.asarray, rate_and_scale(frame, lam, np.float64(lam1)))
    rate = rate if rate.ndim == 1 else rate[:, coordinate]
    passed = np.sum(np.repeat(np.diff(edges), 50) * 0.5 * np.tile(weights, 3) * rate * f(lam))
    return np.broadcast_to(scale, 2)[coordinate] * passed


@pytest.mark.parametrize("name", ["data", "score", "per_coordinate"])
def test_gauss_windows_integrate_polynomials(x64, name):
    frame, cubic = FRAMES[name](), lambda lam: 1 - lam + 0.3 * lam**3

    @jax.jit
    def found(frame, lam0, lam1):
        win = window.gauss_window(frame, lam0, lam1, 4)
        f = jnp.stack([cubic(win.lam)] * 2, 1)
        return win.lam, win.states(jnp.zeros(2), f), win.end(jnp.zeros(2), f)

    lam, states, end = map(np.asarray, found(frame, np.float64(LAM0), np.float64(LAM1)))
    for c in (0, 1):
        np.testing.assert_allclose(states[2, c], integral(frame, cubic, float(lam[2]), c), rtol=1e-7)
        np.testing.assert_allclose(end[c], integral(frame, cubic, LAM1, c), rtol=1e-7)


def test_the_weights_of_many_gauss_nodes_stay_accurate(x64):
    ends = jnp.float64(LAM0), jnp.float64(LAM1)
    win = window.gauss_window(frames.DATA, *ends, 64)
    np.testing.assert_allclose(win.outer.sum(), frames.DATA.scale(ends[1]) * frames.DATA.clock_delta(*ends), rtol=1e-12)
    wave = lambda lam: np.cos(3 * lam)  # noqa: E731
    np.testing.assert_allclose(win.outer @ wave(win.lam), integral(frames.DATA, wave, LAM1, 0), rtol=1e-9)


@pytest.mark.parametrize("name", FRAMES)
def test_cells_are_exact_for_constants(x64, name):
    frame, u, x, one = FRAMES[name](), np.array([0.2, 0.7, 0.5]), np.array([1.3, -0.4]), np.ones((3, 2))

    @jax.jit
    def found(frame, lam0, lam1, u):
        win = window.cell_window(frame, lam0, lam1, u, "importance", lambda lam: lam)
        scale = frame.scale(win.lam[1]) / frame.scale(lam0)
        return win.lam, win.states(jnp.zeros(2), one), win.states(x, 0 * one), scale

    lam, states, of_zeros, scale = map(np.asarray, found(frame, np.float64(LAM0), np.float64(LAM1), u))
    for c in (0, 1):
        exact = integral(frame, np.ones_like, float(lam[1]), c)
        np.testing.assert_allclose(states[1, c], exact, rtol=1e-6)
    assert np.allclose(of_zeros[1], x * scale)


@pytest.mark.parametrize(
    ("name", "draws"),
    [
        ("data", "importance"),
        ("score", "uniform_ou"),
        pytest.param("per_coordinate", "importance", marks=pytest.mark.slow),
    ],
)
def test_the_end_of_cells_is_unbiased(x64, name, draws):
    """The mean over the uniform draws, by Gauss-Legendre quadrature, is the integral."""
    frame = FRAMES[name]()
    nodes, weights = np.polynomial.legendre.leggauss(24)

    def end(u):
        win = window.cell_window(frame, jnp.float64(LAM0), jnp.float64(LAM1), u, draws, lambda lam: lam)
        return win.end(jnp.zeros(2), jnp.stack([jnp.cos(win.lam)] * 2, 1))

    # The same u in every cell: each cell's own mean is what counts.
    ends = jax.jit(jax.vmap(lambda u: end(jnp.full(3, u))))(0.5 + 0.5 * nodes)
    for c in (0, 1):
        np.testing.assert_allclose(0.5 * weights @ ends[:, c], integral(frame, np.cos, LAM1, c), rtol=1e-6)


@pytest.mark.parametrize("name", ["data", "per_coordinate"])
def test_slopes_of_the_gaussian_path_carry_the_gaussian_flow(x64, name):
    frame, mean, variance, x = FRAMES[name](), np.array([0.5, -1.0]), np.array([0.3, 2.0]), np.array([3.0, -2.0])

    @jax.jit
    def found(lam0, lam1):
        win = window.gauss_window(frame, lam0, lam1, 40)
        return win.lam, win.states(x, window.gaussian_slopes(frame, x, lam0, win.lam, mean, variance))

    lam, states = map(np.asarray, found(np.float64(LAM0), np.float64(LAM1)))
    ratio = np.sqrt((variance + np.exp(-2 * lam[:, None])) / (variance + np.exp(-2 * LAM0)))
    np.testing.assert_allclose(states, mean + ratio * (x - mean), rtol=1e-5)


WINDOWS = {
    "gauss": lambda frame: window.gauss_window(frame, jnp.float64(LAM0), jnp.float64(LAM1), 5),
    "cells": lambda frame: window.cell_window(
        frame, jnp.float64(LAM0), jnp.float64(LAM1), jnp.linspace(0.2, 0.9, 5), "importance", lambda lam: lam
    ),
}


@pytest.mark.parametrize("nodes", WINDOWS)
@pytest.mark.parametrize("name", ["data", pytest.param("per_coordinate", marks=pytest.mark.slow)])
def test_between_is_the_states_own_linear_map(x64, nodes, name):
    win = jax.jit(WINDOWS[nodes])(FRAMES[name]())
    left, right = np.random.default_rng(0).normal(size=(2, 5, 3, 2))
    matrix = jax.jit(jax.jacfwd(lambda f: win.states(jnp.zeros(2), f)))(jnp.zeros((5, 2)))  # (R, d, R, d)
    np.testing.assert_allclose(
        win.between(left, right), np.einsum("iad,idje,jbe->iajb", left, matrix, right), rtol=1e-10, atol=1e-12
    )


@partial(jax.jit, static_argnums=(0, 1))
def sweeps_for_a_line(secants, count):
    """Distance to the exact end after each sweep, where f = c x: one secant of each node tells all of its Jacobian."""
    win, c, x = WINDOWS["gauss"](frames.DATA), 0.8, jnp.array([1.0])
    matrix = win.inner * c
    exact = jnp.linalg.solve(jnp.eye(5) - matrix, win.ratio[:, None] * x)
    states = jnp.broadcast_to(x, (5, 1))
    memory = window.Memory(*jnp.full((2, max(secants, 1), 5, 1), 1e3))  # what no sweep has written must not be read
    errors = []
    for k in range(count):
        f = c * states
        used = window.secant_step(win, memory, k, x, states, f) if secants else f
        memory = window.Memory(*(ring.at[k % ring.shape[0]].set(v) for ring, v in ((memory.x, states), (memory.f, f))))
        states = win.states(x, used)
        errors.append(jnp.abs(states - exact).max())
    return errors


def test_secants_solve_a_linear_equation_that_plain_sweeps_do_not(x64):
    plain = sweeps_for_a_line(0, 4)
    for secants in (1, 2):
        assert sweeps_for_a_line(secants, 4)[-1] < 1e-3 * plain[-1]
    assert sweeps_for_a_line(1, 1) == plain[:1]


@pytest.mark.parametrize("name", ["data", "per_coordinate"])
def test_the_error_of_quadrature_is_estimated_where_coefficients_fall_and_where_they_do_not(x64, name):
    frame, pole = FRAMES[name](), lambda lam: 1 / (1 + 2 * lam**2)

    @partial(jax.jit, static_argnums=3)
    def found(frame, lam0, lam1, count):
        win = window.gauss_window(frame, lam0, lam1, count)
        rows = pole(win.lam), win.lam**2, jnp.sign(win.lam)
        values = [jnp.stack([row] * 2, 1) for row in rows]
        states = win.states(jnp.zeros(2), values[0])
        return win.lam, states, [window.quadrature_error(win, f, jnp.ones(count)) for f in values]

    for count in (8, 12, 20):
        lam, states, (of_pole, of_square, of_jump) = found(frame, np.float64(LAM0), np.float64(LAM1), count)
        true = [[integral(frame, pole, float(at), c) for c in (0, 1)] for at in lam]
        error = np.max(np.sqrt(np.mean(np.square(states - np.array(true)), 1)))
        assert 0.1 * error < of_pole / window.CARRIED_ON < 10 * error, (count, error, of_pole)
        assert of_square < 1e-9 and of_jump > 1e-3
