"""Estimates of states: their bias, their errors, and what is projected."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js

q = js.quantum
N = 4000  # measurements of most tests, which so share what is compiled
SPECTRA = {2: [(0.5, 0.5), (0.75, 0.25), (1.0, 0.0)], 3: [(1 / 3,) * 3, (0.75, 0.2, 0.05), (0.5, 0.5, 0.0)]}
CHEAP = [("keyl", 3, 1), ("purified", 3, 1), ("single", 3, 1)]
CASES = [
    pytest.param(*case, marks=() if case in CHEAP else pytest.mark.slow)
    for case in itertools.product(("keyl", "purified", "single"), SPECTRA, range(3))
]


def of(key, rho, n, protocol, **options):
    return q.estimate_state(q.measure(key, rho, (n,), protocol), **options)


def surprise(est, rho):
    """Largest deviation of an entry in standard errors; entries that do not scatter must be right."""
    error = jnp.maximum(est.standard_error, 1e-6)
    return float((jnp.abs(est.rho - rho) / error).max())


@pytest.mark.parametrize(("kind", "d", "which"), CASES)
def test_no_bias(kind, d, which, optimized):
    # Entries at 4.5 standard errors, once in 10^5 each: a false alarm in 2,000 runs of all cases.
    rho = q.random_state(jax.random.key(d), d, SPECTRA[d][which])
    for t in (1, 4, 16) if kind != "single" else (1,):
        protocol = {"keyl": q.Keyl(t), "purified": q.Purified(t), "single": q.Single()}[kind]
        assert surprise(of(jax.random.key(t), rho, N, protocol), rho) < 4.5


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
        out = q.measure(key, rho, (N,), q.Keyl(t))
        for method, length in (("keyl", want), ("debiased", 0.5)):
            z = (lambda b: (b[:, 0, 0] - b[:, 1, 1]).real)(q.estimate_state(out, method).batches)
            assert abs(z.mean() - length) < 4 * z.std() / np.sqrt(len(z))


@pytest.mark.parametrize(("n", "t"), [(N, 4), pytest.param(100_000, 1, marks=pytest.mark.slow)])
def test_errors_are_those_of_the_formulas(n, t, key, optimized):
    # Mean squared Frobenius distances at four standard errors, which are below 1.5 %: a false alarm in 8,000 runs.
    p = (0.6, 0.3, 0.1)
    rho = q.random_state(jax.random.key(1), 3, p)
    for protocol, want in (
        (q.Keyl(t), q.keyl_error(p, t)),
        (q.Purified(t), q.purified_error(3, t, sum(x**2 for x in p))),
    ):
        each = (jnp.abs(of(key, rho, n, protocol).batches - rho) ** 2).sum((1, 2))
        error = float(each.std()) / n**0.5
        assert error < 0.015 * want and abs(float(each.mean()) - want) < 4 * error + 1e-4 * want


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
    out = q.measure(key, q.random_state(key, 3), (N,), protocol)
    for method in ("debiased", "linear", "keyl")[: 1 if kind == "purified" else 3]:
        batches = q.estimate_state(out, method).batches
        assert jnp.abs(jnp.trace(batches, axis1=1, axis2=2) - 1).max() < 1e-6
        np.testing.assert_array_equal(batches, batches.conj().mT)
        least = np.linalg.eigvalsh(np.asarray(batches)).min()
        assert least > -1e-6 if method == "keyl" else least < -0.1  # states, and what is no state


def test_one_copy_is_linear_inversion(key):
    out = q.measure(key, np.diag([0.6, 0.3, 0.1]), (N,), q.Single())
    u = out.frame[:, :, 0]
    want = 4 * jnp.einsum("ni,nj->nij", u, u.conj()) - jnp.eye(3)
    for method in ("debiased", "linear"):
        np.testing.assert_allclose(q.estimate_state(out, method).batches, want, atol=1e-5)


def test_linear_estimates_are_right_to_first_order(key, optimized):
    # The share of the deviation from I / d that estimates show, at four standard errors: once in 8,000 runs.
    away = np.asarray(q.random_state(key, 3, (0.38, 0.34, 0.28))) - np.eye(3) / 3
    out = q.measure(key, np.eye(3) / 3 + away, (N,), q.Keyl(5))
    for method, want in (("linear", 1.0), ("keyl", q.linear_response(5, 3))):
        batches = np.asarray(q.estimate_state(out, method).batches) - np.eye(3) / 3
        share = np.einsum("nij,ji->n", batches, away).real / np.sum(np.abs(away) ** 2)
        error = share.std() / N**0.5
        assert abs(share.mean() - want) < 4 * error < 0.4


def test_physical_estimates_are_the_nearest_states(key):
    from scipy.optimize import minimize

    rho = q.random_state(key, 3, (1.0, 0.0, 0.0))
    out = q.measure(key, rho, (N,), q.Single())
    out = out._replace(partition=out.partition[:50], frame=out.frame[:50])
    free, held = q.estimate_state(out), q.estimate_state(out, physical=True)
    values = np.linalg.eigvalsh(np.asarray(free.rho))
    assert values[0] < -0.01
    simplex = {"type": "eq", "fun": lambda p: p.sum() - 1}
    want = minimize(lambda p: ((p - values) ** 2).sum(), np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints=simplex).x
    np.testing.assert_allclose(np.linalg.eigvalsh(np.asarray(held.rho)), want, atol=1e-4)
    np.testing.assert_array_equal(free.batches, held.batches)
    assert jnp.abs(free.rho @ held.rho - held.rho @ free.rho).max() < 1e-5  # the same eigenvectors


def test_one_batch_has_no_standard_error():
    est = q.estimate_state(q.Outcomes(np.array([[2, 1]]), np.eye(2)[None]))
    assert jnp.isnan(est.standard_error).all() and jnp.isfinite(est.rho).all()


def test_unsigned_diagrams_decrease_as_others_do():
    signed = q.Outcomes(np.array([[2, 1], [3, 0]]), np.tile(np.eye(2), (2, 1, 1)))
    unsigned = signed._replace(partition=signed.partition.astype(np.uint8))
    np.testing.assert_array_equal(q.estimate_state(unsigned).rho, q.estimate_state(signed).rho)


@pytest.mark.parametrize(
    ("change", "method", "sentence"),
    [
        ({}, "bayes", "method must be one of 'debiased', 'keyl', 'linear'; got 'bayes'"),
        (
            {"protocol": "purified", "frame": np.diag([1.0, 0.0])[None]},
            "keyl",
            "method must be 'debiased' for .* got 'keyl'",
        ),
        ({"partition": np.array([[41, 0]])}, "linear", "t must be at most 40 for an exact law; got 41"),
    ],
)
def test_methods_that_do_not_fit(change, method, sentence):
    out = q.Outcomes(np.array([[2, 0]]), np.eye(2)[None])
    with pytest.raises(ValueError, match=sentence):
        q.estimate_state(out._replace(**change), method)


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


def test_errors_of_many_measurements_do_not_overflow(key):
    n = 70_000  # n (n - 1) is beyond 32 bits
    est = of(key, q.random_state(key, 2), n, q.Single())
    batches = np.asarray(est.batches)
    want = np.sqrt(np.mean(np.abs(batches - batches.mean(0)) ** 2, 0) / (n - 1))
    np.testing.assert_allclose(est.standard_error, want, rtol=1e-3)
