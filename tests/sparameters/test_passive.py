"""Passive draws: the projection is the nearest passive state, and slice sampling leaves the truncated law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxsamp import mesh, sparameters
from jaxsamp.sparameters import interpolate, ladder, spaced
from jaxsamp.sparameters.comparing import snr
from jaxsamp.sparameters.passive import _affine, _between, draws_of
from jaxsamp_kernels.passivity import Affine, clip_singular_values, elliptical_slice, largest_singular_value, project

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def noisy(points=101, noise=0.01, keep=21, seed=0):
    """A ladder measured with noise, and its interpolation from some of the frequencies."""
    given = ladder(points)
    random = np.random.default_rng(seed)
    off = random.standard_normal((2, *given.s.shape)) * noise / np.sqrt(2)
    return given, interpolate(given._replace(s=given.s + off[0] + 1j * off[1]), spaced(points, keep / points))


@pytest.fixture(scope="module")
def fit():
    return noisy()[1]


@pytest.mark.parametrize("ports", [1, 2, 3])
def test_singular_values_are_clipped_as_by_a_decomposition(ports):
    with jax.enable_x64(True):
        s = RANDOM.standard_normal((200, ports, ports)) + 1j * RANDOM.standard_normal((200, ports, ports))
        s[0], s[1], s[2], s[3] = 0, np.eye(ports), 1.3 * np.eye(ports), np.diag(1.2 ** np.arange(ports))
        u, values, v = np.linalg.svd(s)
        np.testing.assert_allclose(largest_singular_value(jnp.asarray(s)), values[:, 0], atol=1e-12)
        wanted = (u * np.minimum(values, 1)[:, None, :]) @ v
        np.testing.assert_allclose(clip_singular_values(jnp.asarray(s), 1.0), wanted, atol=1e-12)


def test_a_lossless_two_port_is_passive_in_single_precision():
    """Its singular values are equal, so that their squares, roots of a quadratic, would lose half of the digits."""
    unitary = np.linalg.qr(RANDOM.standard_normal((500, 2, 2)) + 1j * RANDOM.standard_normal((500, 2, 2)))[0]
    for size in (1.0, 0.9999, 1 + 1e-6):
        s = jnp.asarray(size * unitary, jnp.complex64)
        np.testing.assert_allclose(largest_singular_value(s), size, rtol=5e-7)
        np.testing.assert_allclose(clip_singular_values(s, 1.0), min(size, 1) * unitary, atol=5e-7)


def test_the_projection_is_the_nearest_passive_state():
    """Of one port at four frequencies, against a general solver of convex programs."""
    with jax.enable_x64(True):
        factor = np.linalg.qr(RANDOM.standard_normal((8, 3)))[0] * [0.3, 0.2, 0.1]
        mean = np.concatenate([[0.9, -0.7, 0.5, 0.95], [0.3, 0.7, -0.8, 0.2]])
        law = Affine(
            jnp.asarray(mean[None]), jnp.asarray(factor[None]), jnp.asarray((factor**2).sum(0)[None]), jnp.ones(1),
            jnp.zeros((1, 1), int),
        )  # fmt: skip
        c = jnp.asarray([[2.0, 1.0, -1.5]])

        def room(d):
            real, imag = np.split(mean + factor @ d, 2)
            return 1 - real**2 - imag**2

        assert room(np.asarray(c[0])).min() < -0.1  # the draw itself is active
        wanted = minimize(
            lambda d: np.sum((d - np.asarray(c[0])) ** 2), np.zeros(3), constraints={"type": "ineq", "fun": room},
            method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        )  # fmt: skip
        found, left = project(law, c, 1.0, 100.0, 3000)
        assert float(left) < 1e-8
        np.testing.assert_allclose(found[0], wanted.x, atol=1e-6)


def test_two_places_of_one_entry_count_twice():
    """The adjoint of c -> matrices(c), in the inner product of matrices."""
    with jax.enable_x64(True):
        law = _affine(noisy(41, keep=11)[1])
        c = jnp.asarray(RANDOM.standard_normal(law.variance.shape))
        s = jnp.asarray(RANDOM.standard_normal((41, 2, 2)) + 1j * RANDOM.standard_normal((41, 2, 2)))
        linear = law.matrices(c) - law.matrices(0 * c)
        assert jnp.sum((linear * s.conj()).real) == pytest.approx(float(jnp.sum(c * law.transposed(s))), rel=1e-10)


def test_draws_are_passive_near_the_posterior_and_stay_where_they_are(fit):
    draws = sparameters.posterior(KEY, fit, 20)
    free = sparameters.posterior(KEY, fit, 20, passive=False)
    largest = np.linalg.svd(draws.s, compute_uv=False).max((1, 2))
    assert largest.max() <= 1 + 1e-9
    np.testing.assert_allclose(draws.stats["largest"], largest, atol=1e-12)
    assert np.linalg.svd(free.s, compute_uv=False).max() > 1.001  # the projection had something to do
    assert draws.stats["residual"].max() < 2e-4
    assert draws.stats["distance"].max() < 1
    np.testing.assert_array_equal(draws.s, draws.s.swapaxes(2, 3))
    assert draws.stats["between"].max() < 1 + 1e-3
    # Twice changes nothing, and neither is a passive state moved.
    with jax.enable_x64(True):
        law = _affine(fit)
        zero = 0 * law.variance
        np.testing.assert_allclose(project(law._replace(mean=0.9 * law.mean), zero, 1.0, 100.0, 50)[0], zero, atol=1e-6)
        once, _ = project(law, zero, 0.98, 100.0, 2000)
        assert jnp.max(jnp.abs(once)) > 0.1
        np.testing.assert_allclose(project(law, once, 0.98 + 1e-6, 100.0, 200)[0], once, atol=1e-5)


def test_draws_do_not_depend_on_their_number_microbatch_or_devices(fit):
    draws = sparameters.posterior(KEY, fit, 5).s
    np.testing.assert_allclose(sparameters.posterior(KEY, fit, 3).s, draws[:3], atol=1e-12)
    np.testing.assert_allclose(sparameters.posterior(KEY, fit, 5, microbatch=2).s, draws, atol=1e-12)
    np.testing.assert_allclose(
        sparameters.posterior(KEY, fit, 5, mesh=mesh(devices=jax.devices()[:2])).s, draws, atol=1e-12
    )
    with pytest.raises(TypeError, match="key"):
        sparameters.posterior(jnp.zeros(2, jnp.uint32), fit, 2)


def test_free_draws_have_the_mean_and_error_of_the_fit(fit):
    """|z| <= 4.5 at 606 values: a false alarm in 4e-3."""
    n = 400
    draws = sparameters.posterior(KEY, fit, n, passive=False).s
    error = np.maximum(fit.standard_error, 1e-9)
    z = (draws.mean(0) - fit.s) / (error / np.sqrt(2 * n))
    assert max(np.abs(z.real).max(), np.abs(z.imag).max()) < 4.5 * np.sqrt(2)  # parts may share the variance unevenly
    spread = np.sqrt(np.mean(np.abs(draws - draws.mean(0)) ** 2, 0))
    np.testing.assert_allclose(spread, error, rtol=0.25)


def test_slice_sampling_leaves_the_truncated_normal_law():
    """A normal in the plane given |m + g c| <= 1, against quadrature; |z| <= 4.5, chains are independent."""
    with jax.enable_x64(True):
        mean, scale = np.array([0.8, 0.3]), np.array([0.7, 0.4])
        law = Affine(
            jnp.asarray(mean[None]), jnp.asarray(np.diag(scale)[None]), jnp.asarray(scale[None] ** 2), jnp.ones(1),
            jnp.zeros((1, 1), int),
        )  # fmt: skip
        start, n = jnp.asarray([[-0.8, -0.5]]), 2000

        def last(i):
            key = jax.random.fold_in(KEY, i)
            return elliptical_slice(law, start, *draws_of(key, start), 40)[0][0]

        c = np.asarray(jax.jit(jax.vmap(last))(jnp.arange(n)))
        grid = np.linspace(-8, 8, 1601)
        x, y = np.meshgrid(grid, grid, indexing="ij")
        inside = (mean[0] + scale[0] * x) ** 2 + (mean[1] + scale[1] * y) ** 2 <= 1
        weight = np.exp(-(x**2 + y**2) / 2) * inside
        weight /= weight.sum()
        for value, drawn in ((x, c[:, 0]), (y, c[:, 1]), (x**2, c[:, 0] ** 2), (x * y, c[:, 0] * c[:, 1])):
            exact = np.sum(weight * value)
            spread = np.sqrt(np.sum(weight * value**2) - exact**2)
            assert abs(drawn.mean() - exact) < 4.5 * spread / np.sqrt(n)
        assert np.all(np.linalg.norm(mean + scale * c, axis=1) <= 1)


def test_slice_draws_are_passive_and_say_how_they_mix(fit):
    draws = sparameters.posterior(KEY, fit, 4, sampler="slice", steps=40)
    assert np.linalg.svd(draws.s, compute_uv=False).max() <= 1
    assert draws.stats["rhat"].shape == (4,)
    assert (draws.stats["tried"] >= 1).all()


@pytest.mark.parametrize("passive", [True, False])
def test_one_frequency_has_draws(passive):
    """A spline needs two."""
    given = ladder(41)
    fit = interpolate(given, spaced(41, 0.5), given.frequencies[20:21])
    draws = sparameters.posterior(KEY, fit, 3, passive)
    assert draws.s.shape == (3, 1, 2, 2)
    np.testing.assert_allclose(draws.stats["between"], draws.stats["largest"], atol=1e-12)


def test_a_finer_grid_is_looked_at():
    f = np.linspace(0, 1, 17)
    wave = np.exp(2j * np.pi * f)[None, :, None, None] * 0.5
    assert _between(f, wave)[0] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.slow
def test_a_hundred_passive_draws_are_as_good_as_free_ones():
    given, found = noisy(401, keep=41)
    draws, free = (sparameters.posterior(KEY, found, 100, passive=passive).s for passive in (True, False))
    assert np.linalg.svd(draws, compute_uv=False).max() <= 1 + 1e-9
    assert snr(given.s, draws.mean(0)) > snr(given.s, free.mean(0)) - 0.5
    for part in (np.real, np.imag):
        low, high = np.quantile(part(draws), [0.025, 0.975], 0)
        assert np.mean((low <= part(given.s)) & (part(given.s) <= high)) > 0.82
