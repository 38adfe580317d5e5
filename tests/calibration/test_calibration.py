"""What `calibrate` measures, and that samplers find it where it is carried."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.samplers import ParallelMidpoint
from tests.cases import SCHEDULES, gaussian, run, small_mixture

KEY = jax.random.key(0)


@jax.jit
def linear(calibration, lam):
    """a(lambda) of the tables, by differentiating the scale."""
    return 1 + jax.jacfwd(lambda v: jnp.log(calibration.frame.scale(v)))(jnp.float32(lam))


@pytest.mark.parametrize("given", ["target", *(pytest.param(g, marks=pytest.mark.slow) for g in ("samples", "own"))])
def test_a_gaussian_has_the_curves_of_its_principal_components(given):
    """a_i = v_i / (v_i + s^2), whatever the samples come from; 1,024 of them leave some 4 %."""
    target = gaussian()
    denoiser = target.denoiser(SCHEDULES["ou"])
    data = {"target": target, "samples": target.sample(jax.random.key(1), 1024), "own": None}[given]
    found = js.calibrate(KEY, denoiser, data)
    variance = np.linalg.eigvalsh([[1.0, 0.6], [0.6, 0.5]])
    np.testing.assert_allclose(found.variance, variance, rtol=0.2)
    for lam in (-2.0, 0.0, 2.0):
        np.testing.assert_allclose(linear(found, lam), variance / (variance + np.exp(-2 * lam)), rtol=0.2, atol=0.01)
    np.testing.assert_allclose(found.basis.out_of(found.mean), [0.5, -1.0], atol=0.15)


def test_one_curve_for_all_is_the_mean_jacobian():
    target = small_mixture()
    found, lam = js.calibrate(KEY, target.denoiser(SCHEDULES["ve"]), target, samples=4096, basis=None), 0.0

    @jax.jit
    def mean_covariance():
        x = target.sample(jax.random.key(1), 4096) + jax.random.normal(jax.random.key(2), (4096, 2))
        return target.posterior_covariance(x, js.Level(1.0, 1.0)).mean(0)

    np.testing.assert_allclose(linear(found, lam), np.trace(mean_covariance()) / 2, rtol=0.05)


def test_a_network_is_calibrated_after_guidance_and_with_its_conditions():
    def network(params, x, t, cond):
        return (0.2 + 0.5 * cond[:, None]) * x

    inner = js.denoiser(network, None, SCHEDULES["ve"], "x0")
    guided = js.guide(inner, 2.0, null=0.0)
    own = js.sample(KEY, guided, (64, 3), cond=jnp.ones(64)).x
    found = js.calibrate(KEY, guided, own, cond=jnp.ones(64), samples=64, basis="coordinates")
    assert found.frame.curves.slope.shape == (512, 3)
    calibrated = guided.with_calibration(found)
    out = js.sample(KEY, calibrated, (4, 3), ParallelMidpoint(4, 2), cond=jnp.ones(4))
    assert jnp.isfinite(out.x).all() and (out.stats["evaluations"] == 2 * 13).all()


@pytest.mark.slow
@pytest.mark.parametrize("basis", ["pca", *(pytest.param(b, marks=pytest.mark.slow) for b in ("coordinates", "dct"))])
def test_a_basis_changes_the_curves_and_not_the_flow(x64, basis):
    """The exact denoiser of Gaussian images whose rows differ in variance v: v / (v + s^2) x."""
    v = jnp.array([0.1, 0.5, 1.0, 4.0])[:, None, None]
    image = js.denoiser(lambda p, x, t, c: v / (v + t[:, None, None, None] ** 2) * x, None, SCHEDULES["ve"], "x0")
    data = jax.random.normal(KEY, (256, 4, 3, 1)) * jnp.sqrt(v)
    calibrated = image.with_calibration(js.calibrate(KEY, image, data, basis=basis))
    flow = run(js.samplers.UniPC(order=3, lower_order_final=False), image, 3, 300, event=(4, 3, 1))
    np.testing.assert_allclose(run(ParallelMidpoint(iterations=9), calibrated, 3, 1, event=(4, 3, 1)), flow, atol=3e-4)


@pytest.mark.parametrize("basis", ["pca", *(pytest.param(b, marks=pytest.mark.slow) for b in (None, "coordinates"))])
def test_saved_and_loaded_it_is_the_same(tmp_path, basis):
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    found = js.calibrate(KEY, denoiser, small_mixture(), basis=basis)
    loaded = js.calibration.load(found.save(tmp_path / "vp0.5"))
    assert (tmp_path / "vp0.5.npz").exists()
    a, b = (run(ParallelMidpoint(8, 2), denoiser.with_calibration(c), 4, 1) for c in (found, loaded))
    np.testing.assert_array_equal(a, b)
    np.savez(tmp_path / "other.npz", x=1)
    (tmp_path / "empty.npz").touch()
    for name in ("other.npz", "empty.npz"):
        with pytest.raises(ValueError, match="path must be a file written by Calibration.save"):
            js.calibration.load(tmp_path / name)


def test_a_target_measures_its_own_once_and_not_under_jit():
    target = small_mixture()
    assert target.denoiser(SCHEDULES["ve"]).calibration is target.denoiser(SCHEDULES["flow"]).calibration
    draw = lambda target: js.sample(KEY, target.denoiser(SCHEDULES["ve"]), (2, 2), ParallelMidpoint(4, 1)).x  # noqa: E731
    np.testing.assert_allclose(jax.jit(lambda: draw(target))(), draw(target), rtol=1e-4)
    with pytest.raises(ValueError, match="outside of jax.jit"):
        jax.jit(draw)(target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": 3}, "levels must be at least 4"),
        ({"samples": 1}, "samples must be at least 2"),
        ({"basis": "pcb"}, "Did you mean 'pca'"),
        ({"basis": "dct"}, r'basis="dct" needs images'),
        ({"data": jnp.zeros((5, 3))}, r"shape must be \(n, \*event\)"),
        ({"data": jnp.full((5, 2), jnp.nan)}, "data must be finite"),
        ({"data": jnp.zeros((1, 2))}, "data must hold at least 2 samples"),
        ({"data": [["a", "b"], ["c", "d"]]}, "data must be an array of real numbers; got a list"),
        ({"denoiser": js.denoiser(lambda p, x, t, c: x / 0, None, SCHEDULES["ve"])}, "denoiser must return finite"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    given = {"denoiser": small_mixture().denoiser(SCHEDULES["ve"]), "data": jnp.zeros((5, 2)), "levels": 5} | change
    with pytest.raises((TypeError, ValueError), match=message):
        inspect.unwrap(js.calibrate)(KEY, **given)
