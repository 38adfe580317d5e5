"""The tables of UniPC and DPM-Solver++ against the published formulas, written out, and against quadrature."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from jaxsamp_kernels import multistep

TABLE = jax.jit(multistep.unipc_table, static_argnums=(1, 2, 3))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("z", [-8.0, -1.001, -0.999, -0.3, -1e-6, 0.5])
def test_phi_is_its_integral(x64, k, z):
    integrand = lambda s: math.exp((1 - s) * z) * s ** (k - 1) / math.factorial(k - 1)  # noqa: E731
    np.testing.assert_allclose(multistep.phi(k, jnp.float64(z)), quad(integrand, 0, 1)[0], rtol=1e-11)


def published(lam, order, variant, lower_order_final, values):
    """The recursion as printed, on a fixed sequence of posterior means; returns the predicted states."""
    steps, states, x = len(lam) - 1, [], 0.7
    used = []
    for i in range(steps):
        p = min(order, i + 1, steps - i if lower_order_final else order)
        used.append(p)
        if i:
            x = update(lam, i - 1, used[-2], variant, values, x, corrector=True)
        states.append(update(lam, i, p, variant, values, x, corrector=False))
    return np.array(states)


def update(lam, i, p, variant, values, x, corrector):
    h = lam[i + 1] - lam[i]
    hh, d0 = -h, values[i]
    scale = np.expm1(hh) if variant == "bh2" else hh
    r = [(lam[i - k] - lam[i]) / h for k in range(1, p)] + [1.0]
    d1 = [(values[i - k] - d0) / r[k - 1] for k in range(1, p)]
    rows, b, g, factorial = [], [], np.expm1(hh) / hh - 1, 1
    for j in range(1, p + 1):
        rows.append(np.power(r, j - 1))
        b.append(g * factorial / scale)
        factorial *= j + 1
        g = g / hh - 1 / factorial
    rows, b = np.array(rows), np.array(b)
    base = np.exp(-h) * x - np.expm1(hh) * d0
    if corrector:
        rho = np.array([0.5]) if p == 1 else np.linalg.solve(rows, b)
        return base - scale * (np.dot(rho[:-1], d1) + rho[-1] * (values[i + 1] - d0))
    if p == 1:
        return base
    rho = np.array([0.5]) if p == 2 else np.linalg.solve(rows[:-1, :-1], b[:-1])
    return base - scale * np.dot(rho, d1)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("final", [True, False])
def test_table_is_the_published_recursion(x64, order, variant, final):
    lam = np.array([-4.0, -3.1, -2.5, -1.0, 0.2, 0.9, 2.5])
    values = np.random.default_rng(order).normal(size=len(lam))
    weights, decay = map(np.asarray, TABLE(jnp.asarray(lam), order, variant, final))
    states = [0.7]
    for i in range(len(lam) - 1):
        past = [values[i - k] if i >= k else 1e6 for k in range(order + 1)]  # weights of missing history are zero
        states.append(decay[i] * states[-1] + weights[i] @ past)
    np.testing.assert_allclose(states[1:], published(lam, order, variant, final, values), rtol=1e-10)


def test_float32_table_keeps_its_digits_on_fine_grids():
    lam = np.linspace(-4.38, 3.91, 1001)
    single = TABLE(jnp.asarray(lam, jnp.float32), 3, "bh2", True)
    with jax.enable_x64(True):
        double = TABLE(jnp.asarray(np.float32(lam), jnp.float64), 3, "bh2", True)
    for a, b in zip(single, double, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(b).max())


LAM = np.cumsum([-1.0, 0.4, 0.3, 0.7, 0.2, 0.5])
DPM = jax.jit(multistep.dpm_solver_table, static_argnums=(1, 2, 3))


def dpm_states(order, values, stochastic=False, lower_order_final=False):
    """Noise-free states under the table, for a given sequence of posterior means."""
    weights, decay, noise = map(np.asarray, DPM(LAM, order, stochastic, lower_order_final))
    states, history = [0.7], []
    for i in range(len(LAM) - 1):
        history = [values[i], *history][:order]
        states.append(float(decay[i] * states[-1] + sum(w * d for w, d in zip(weights[i], history, strict=False))))
    return np.array(states), noise


@pytest.mark.parametrize("stochastic", [False, True])
def test_dpm_solver_2m_is_the_published_recursion(x64, stochastic):
    values = np.array([0.3, -0.4, 1.1, 0.8, -0.2])
    states, noise = dpm_states(2, values, stochastic)
    x = 0.7
    for i, h in enumerate(np.diff(LAM)):
        rate = 2 if stochastic else 1
        slope = (values[i] - values[i - 1]) * h / (LAM[i] - LAM[i - 1]) if i else 0.0
        x = np.exp(-rate * h) * x - np.expm1(-rate * h) * (values[i] + slope / 2)
        np.testing.assert_allclose(states[i + 1], x, rtol=1e-12)
        np.testing.assert_allclose(noise[i], np.exp(-LAM[i + 1]) * np.sqrt(1 - np.exp(-2 * h)), rtol=1e-12)


def test_dpm_solver_3m_is_exact_for_quadratics_and_the_published_weight_is_not(x64):
    quadratic = lambda lam: 0.3 - 0.8 * lam + 0.6 * lam**2  # noqa: E731
    values = quadratic(LAM)
    states, _ = dpm_states(3, values)
    for i in range(2, 5):
        h = LAM[i + 1] - LAM[i]
        integral = quad(lambda lam: np.exp(lam - LAM[i + 1]) * quadratic(lam), LAM[i], LAM[i + 1], epsabs=1e-13)[0]  # noqa: B023
        exact = np.exp(-h) * states[i] + integral
        np.testing.assert_allclose(states[i + 1], exact, rtol=1e-11)
        # phi_3 in place of 2 phi_3 misses half of the curvature, h phi_3 times the second difference in units of h.
        published = states[i + 1] - h * float(multistep.phi(3, -h)) * 0.6 * h**2
        assert abs(published - exact) > 1e-3 * h**3


def test_dpm_solver_lowers_its_order_at_the_end(x64):
    values = np.array([0.3, -0.4, 1.1, 0.8, -0.2])
    states, _ = dpm_states(3, values, lower_order_final=True)
    h = LAM[-1] - LAM[-2]
    np.testing.assert_allclose(states[-1], np.exp(-h) * states[-2] - np.expm1(-h) * values[-1], rtol=1e-12)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_ring_of_slots_is_the_shifted_history(slots):
    rng = np.random.default_rng(slots)
    weights, values, ring = rng.normal(size=(7, slots)), rng.normal(size=7), np.zeros(slots)
    by_slot = np.asarray(jax.jit(multistep.by_slot)(weights))
    for i in range(7):
        ring[i % slots] = values[i]
        shifted = sum(weights[i, k] * values[i - k] for k in range(min(slots, i + 1)))
        np.testing.assert_allclose(by_slot[i] @ ring, shifted, rtol=1e-5, atol=1e-6)


def test_the_denoising_evaluation_counts_as_the_last_step():
    """As in diffusers: with it the last of p - 1 lowered steps is the one to sigma = 0, which is of order 1 anyway."""
    steps = jnp.arange(6)
    assert multistep.orders_used(steps, 3, True).tolist() == [1, 2, 3, 3, 2, 1]
    assert multistep.orders_used(steps, 3, "denoise").tolist() == [1, 2, 3, 3, 3, 2]
    assert multistep.orders_used(steps, 2, "denoise").tolist() == multistep.orders_used(steps, 2, False).tolist()
