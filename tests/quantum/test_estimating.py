"""Estimates of states: their bias, their errors, and what is projected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js

q = js.quantum
SPECTRA = {2: [(0.5, 0.5), (0.75, 0.25), (1.0, 0.0)], 3: [(1 / 3,) * 3, (0.75, 0.2, 0.05), (0.5, 0.5, 0.0)]}
CASES = [
    pytest.param(d, which, marks=() if (d, which) in ((2, 1), (3, 1)) else pytest.mark.slow)
    for d in SPECTRA
    for which in range(3)
]


def of(key, rho, n, protocol, **options):
    return q.estimate_state(q.measure(key, rho, (n,), protocol), **options)


def surprise(est, rho):
    """Largest deviation of an entry in standard errors; entries that do not scatter must be right."""
    error = jnp.maximum(est.standard_error, 1e-6)
    return float((jnp.abs(est.rho - rho) / error).max())


@pytest.mark.parametrize(("d", "which"), CASES)
@pytest.mark.parametrize("kind", ["keyl", "purified", "single"])
def test_no_bias(d, which, kind, optimized):
    # Entries at 4.5 standard errors, once in 10^5 each: a false alarm in 2,000 runs of all cases.
    rho = q.random_state(jax.random.key(d), d, SPECTRA[d][which])
    for t in (1, 4, 16) if kind != "single" else (1,):
        protocol = {"keyl": q.Keyl(t), "purified": q.Purified(t), "single": q.Single()}[kind]
        assert surprise(of(jax.random.key(t), rho, 4000, protocol), rho) < 4.5


@pytest.mark.slow
@pytest.mark.parametrize("t", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("kind", ["keyl", "purified"])
def test_no_bias_in_four_dimensions(t, kind, optimized):
    # 20,000 outcomes: the 160 entries of all cases at 4.5 standard errors, a false alarm in 1,000 runs.
    for seed, p in enumerate([(0.25,) * 4, (0.7, 0.2, 0.1, 0.0), (1.0, 0.0, 0.0, 0.0)]):
        rho = q.random_state(jax.random.key(seed), 4, p)
        protocol = q.Keyl(t) if kind == "keyl" else q.Purified(t)
        assert surprise(of(jax.random.key(t), rho, 20_000, protocol), rho) < 4.5


def test_the_bias_of_keyl_is_the_published_one(key):
    # Mean Bloch lengths of a qubit of length 1/2, at four standard errors: a false alarm in 5,000 runs of the three.
    rho = np.diag([0.75, 0.25])
    for t, want in ((1, 1 / 6), (3, 0.28333333), (7, 0.35498423)):
        out = q.measure(key, rho, (20_000,), q.Keyl(t))
        for method, length in (("keyl", want), ("debiased", 0.5)):
            z = (lambda b: (b[:, 0, 0] - b[:, 1, 1]).real)(q.estimate_state(out, method).batches)
            assert abs(z.mean() - length) < 4 * z.std() / np.sqrt(len(z))


@pytest.mark.parametrize("d", [2, 3])
def test_errors_are_those_of_the_formulas(d, key, optimized):
    # Mean squared Frobenius distances of 20,000 measurements: 3 % are six standard errors.
    p = (0.6, 0.3, 0.1)[:d] if d == 3 else (0.7, 0.3)
    rho = q.random_state(jax.random.key(1), d, p)
    for t in (1, 4):
        for protocol, want in (
            (q.Keyl(t), q.keyl_error(p, t)),
            (q.Purified(t), q.purified_error(d, t, sum(x**2 for x in p))),
        ):
            found = (jnp.abs(of(key, rho, 20_000, protocol).batches - rho) ** 2).sum((1, 2)).mean()
            assert float(found) == pytest.approx(want, rel=0.03)


@pytest.mark.parametrize(
    ("d", "want"), [(2, (7.5, 4.0, 3.21428571)), (3, (26.66666667, 10.52380952, 6.57051282)), (8, (512.0, None, 46.7))]
)
def test_the_error_of_the_purified_protocol_at_the_mixed_state(d, want):
    for t, value in zip((1, 4, 16), want, strict=True):
        if value is not None:
            assert t * q.purified_error(d, t, 1 / d) == pytest.approx(value, rel=2e-3 if d == 8 else 1e-7)


def test_the_error_falls_like_the_root_of_the_copies():
    error = {t: t * q.keyl_error(np.full(8, 1 / 8), t) for t in (1, 2, 4, 8, 16)}
    np.testing.assert_allclose([*error.values()], [70.9, 51.2, 39.7, 29.7, 22.3], rtol=2e-3)
    assert -0.5 <= np.log(error[16] / error[4]) / np.log(4) <= -0.35


@pytest.mark.parametrize("kind", ["keyl", "purified", "single"])
def test_every_estimate_is_hermitian_with_trace_one(kind, key):
    protocol = {"keyl": q.Keyl(5), "purified": q.Purified(5), "single": q.Single()}[kind]
    out = q.measure(key, q.random_state(key, 3), (300,), protocol)
    for method in ("debiased", "linear", "keyl")[: 1 if kind == "purified" else 3]:
        batches = q.estimate_state(out, method).batches
        assert jnp.abs(jnp.trace(batches, axis1=1, axis2=2) - 1).max() < 1e-6
        np.testing.assert_array_equal(batches, batches.conj().mT)
        least = np.linalg.eigvalsh(np.asarray(batches)).min()
        assert least > -1e-6 if method == "keyl" else least < -0.1  # states, and what is no state


def test_one_copy_is_linear_inversion(key):
    out = q.measure(key, np.diag([0.6, 0.3, 0.1]), (50,), q.Single())
    u = out.frame[:, :, 0]
    want = 4 * jnp.einsum("ni,nj->nij", u, u.conj()) - jnp.eye(3)
    for method in ("debiased", "linear"):
        np.testing.assert_allclose(q.estimate_state(out, method).batches, want, atol=1e-5)


def test_linear_estimates_are_right_to_first_order(key, optimized):
    # Near I / d the bias is of second order, (0.06)^2: nine entries at 4.5 standard errors, once in 10,000 runs.
    rho = q.random_state(key, 3, (0.38, 0.34, 0.28))
    assert surprise(of(key, rho, 10_000, q.Keyl(5), method="linear"), rho) < 4.5
    assert surprise(of(key, rho, 10_000, q.Keyl(5), method="keyl"), rho) > 6


def test_physical_estimates_are_the_nearest_states(key):
    from scipy.optimize import minimize

    rho = q.random_state(key, 3, (0.9, 0.1, 0.0))
    out = q.measure(key, rho, (100,), q.Single())
    free, held = q.estimate_state(out), q.estimate_state(out, physical=True)
    values = np.linalg.eigvalsh(np.asarray(free.rho))
    assert values[0] < -0.01
    simplex = {"type": "eq", "fun": lambda p: p.sum() - 1}
    want = minimize(lambda p: ((p - values) ** 2).sum(), np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints=simplex).x
    np.testing.assert_allclose(np.linalg.eigvalsh(np.asarray(held.rho)), want, atol=1e-4)
    np.testing.assert_array_equal(free.batches, held.batches)
    assert jnp.abs(free.rho @ held.rho - held.rho @ free.rho).max() < 1e-5  # the same eigenvectors


def test_one_batch_has_no_standard_error(key):
    est = of(key, np.eye(2) / 2, 1, q.Keyl(3))
    assert jnp.isnan(est.standard_error).all() and jnp.isfinite(est.rho).all()


@pytest.mark.parametrize(
    ("protocol", "method", "sentence"),
    [
        (q.Keyl(2), "bayes", "method must be one of 'debiased', 'keyl', 'linear'; got 'bayes'"),
        (q.Purified(2), "keyl", "method must be 'debiased' for the protocol 'purified', its one estimator; got 'keyl'"),
        (q.Keyl(41), "linear", "t must be at most 40 for an exact law; got 41"),
    ],
)
def test_methods_that_do_not_fit(protocol, method, sentence, key):
    with pytest.raises(ValueError, match=sentence):
        of(key, np.eye(2) / 2, 2, protocol, method=method)


def test_random_states_have_the_spectrum_that_was_asked_for(key):
    p = (0.6, 0.3, 0.1)
    np.testing.assert_allclose(np.linalg.eigvalsh(np.asarray(q.random_state(key, 3, p))), p[::-1], atol=1e-6)
    rho = q.random_state(key, 4)
    assert jnp.trace(rho).real == pytest.approx(1, abs=1e-6) and jnp.linalg.eigvalsh(rho).min() > 0
    # E tr rho^2 of the Hilbert-Schmidt law is 2 d / (d^2 + 1): 0.8 for d = 2, at four standard errors.
    purity = jax.vmap(lambda key: jnp.sum(jnp.abs(q.random_state(key, 2)) ** 2))(jax.random.split(key, 4000))
    assert abs(purity.mean() - 0.8) < 4 * purity.std() / np.sqrt(4000)
    with pytest.raises(ValueError, match="eigenvalues must be 3 numbers .* sum 1.1"):
        q.random_state(key, 3, (0.6, 0.3, 0.2))


def test_trace_distance_of_known_states():
    assert q.trace_distance(np.diag([1.0, 0]), np.diag([0, 1.0])) == pytest.approx(1)
    assert q.trace_distance(np.diag([0.75, 0.25]), np.eye(2) / 2) == pytest.approx(0.25)
