"""Laws of constrained parameters as laws of free numbers: densities and moments are those of scipy.

Statistical assertions have a false-alarm rate of 1e-4 each under fixed keys.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st
from jax.tree_util import Partial
from scipy.stats import chi2

import jaxsamp as js
from jaxsamp.targets import Interval, Positive, Real, Simplex, transformed

KEY = jax.random.key(0)
FALSE_ALARM = 1e-4
A = np.array([2.0, 3.0, 4.0])


def of(f, event=()):
    return js.targets.from_log_density(f, event)


def beta(low, high, x):
    u = (x - low) / (high - low)
    return jnp.log(u) + 2 * jnp.log1p(-u)


LAWS = {  # the law of y, and scipy's of x
    "exponential": (transformed(of(lambda x: -x), Positive()), st.expon()),
    "exponential, exp": (transformed(of(lambda x: -x), Positive("exp")), st.expon()),
    "gamma": (transformed(of(lambda x: 2 * jnp.log(x) - 3 * x), Positive()), st.gamma(3, scale=1 / 3)),
    "beta": (transformed(of(Partial(beta, 0.0, 1.0)), Interval()), st.beta(2, 3)),
    "beta of an interval": (transformed(of(Partial(beta, -1.0, 3.0)), Interval(-1.0, 3.0)), st.beta(2, 3, -1, 4)),
    "dirichlet": (transformed(of(lambda x: (jnp.log(x) * (A - 1)).sum(), (3,)), Simplex()), st.dirichlet(A)),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_log_densities_are_those_of_scipy_and_the_jacobian(name, precision, tolerance):
    target, exact = LAWS[name]
    with jax.enable_x64(precision == "float64"):
        y = jax.random.normal(KEY, (7, *target.event_shape), precision)
        free = (lambda y: target.forward(y)[:2]) if name == "dirichlet" else target.forward
        both = jax.jit(lambda y: (target.forward(y), target.log_prob(y), target.inverse(target.forward(y))))
        x, found, back = map(np.asarray, both(y))
        x = x.astype(float)
    with jax.enable_x64(True):
        jacobian = np.asarray(jax.jit(jax.vmap(jax.jacfwd(free)))(np.asarray(y, float)))
    volume = np.linalg.slogdet(jacobian)[1] if jacobian.ndim > 1 else np.log(jacobian)
    expected = (exact.logpdf((x / x.sum(-1, keepdims=True)).T) if name == "dirichlet" else exact.logpdf(x)) + volume
    assert found.dtype == precision
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=tolerance, atol=5 * tolerance)
    np.testing.assert_allclose(back, y, rtol=100 * tolerance, atol=10 * tolerance)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize(  # the densities of all laws are those of scipy, by the test above
    "name", [pytest.param(name, marks=() if name == "gamma" else pytest.mark.slow) for name in LAWS]
)
def test_chains_have_the_moments_of_scipy(name):
    target, exact = LAWS[name]
    n = 2000
    chains = js.sample_density(KEY, target, (n, *target.event_shape), js.mcmc.Underdamped(0.3), 100, warmup=0, thin=0)
    x = np.asarray(target.forward(chains.x), float).reshape(n, -1)
    if name == "dirichlet":
        np.testing.assert_allclose(x.sum(1), 1, rtol=1e-6)
        x, mean, covariance = x[:, :2], exact.mean()[:2], exact.cov()[:2, :2]
    else:
        mean, variance = np.atleast_1d(exact.mean()), exact.var()
        covariance = np.atleast_2d(variance)
        # The variance too: an estimate of it has the variance (kurtosis + 2) variance^2 / n.
        z = ((x - mean) ** 2).mean() / variance - 1
        assert abs(z) < st.norm.isf(FALSE_ALARM / 2) * np.sqrt((float(exact.stats("k")) + 2) / n)
    off = x.mean(0) - mean
    assert chi2.sf(n * off @ np.linalg.solve(covariance, off), len(off)) > FALSE_ALARM


def test_a_pytree_of_parameters_becomes_one_vector_and_comes_back():
    data = jnp.array([0.5, 1.5, 1.0])

    def log_density(data, p):
        return st_normal(data, p["mean"], p["scale"]).sum() + jnp.log(p["weights"]).sum() - p["scale"]

    def st_normal(x, mean, scale):
        return jax.scipy.stats.norm.logpdf(x, mean, scale)

    like = {"mean": jnp.zeros(()), "scale": jnp.ones(()), "weights": jnp.ones((2, 3))}
    maps = {"mean": Real(), "scale": Positive(), "weights": Simplex()}
    target = transformed(Partial(log_density, data), maps, like)
    assert target.event_shape == (1 + 1 + 2 * 2,)
    chains = js.sample_density(KEY, target, (5, 6), steps=20, warmup=0, thin=5)
    forward, inverse = jax.jit(target.forward), jax.jit(target.inverse)
    draws = jax.tree.map(np.asarray, forward(chains.draws))
    assert jax.tree.map(jnp.shape, draws) == {"mean": (5, 4), "scale": (5, 4), "weights": (5, 4, 2, 3)}
    assert (draws["scale"] > 0).all() and np.allclose(draws["weights"].sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(inverse(draws), chains.draws, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(target.inverse(like)[:1], 0)  # one event, without axes in front
    start = {"mean": jnp.ones(4), "scale": jnp.full(4, 0.1), "weights": jnp.full((4, 2, 3), 1 / 3)}
    again = js.sample_density(
        KEY, target, (4, 6), js.mcmc.Underdamped(0.05), 10, init=inverse(start), save_every=10, warmup=0
    )
    np.testing.assert_allclose(np.asarray(forward(again.path)["scale"])[:, 0], 0.1, rtol=1e-5)


class Exponential:
    """A law of a user's own, with samples."""

    event_shape = (2,)

    def sample(self, key, n):
        return jax.random.exponential(key, (n, 2))

    def log_prob(self, x, level=None):
        return -x.sum(-1)


def test_samples_of_a_law_go_through_the_map():
    law, target = Exponential(), transformed(Exponential(), Positive())
    through = jax.jit(lambda: (target.forward(target.sample(KEY, 5)), law.sample(KEY, 5)))
    np.testing.assert_allclose(*through(), rtol=1e-5)
    slopes = jax.jit(lambda y: (target.score(y), jax.grad(lambda y: target.log_prob(y)[0])(y)))
    np.testing.assert_allclose(*slopes(np.zeros((1, 2), np.float32)))
    with pytest.raises(TypeError, match="no exact samples"):
        transformed(lambda x: -x, Positive(), jnp.zeros(())).sample(KEY, 3)
    with pytest.raises(TypeError, match="no exact samples"):
        LAWS["gamma"][0].sample(KEY, 3)


@pytest.mark.parametrize("name", LAWS)
def test_far_out_everything_is_finite(name):
    target, _ = LAWS[name]
    y = np.array([-200.0, -30.0, 30.0, 200.0], np.float32).reshape(4, *[1] * len(target.event_shape))
    y = np.broadcast_to(y, (4, *target.event_shape))[: 3 if "exp" in name else 4]
    density, score = jax.jit(lambda y: (target.log_prob(y), target.score(y)))(y)
    assert np.isfinite(density).all() and np.isfinite(score).all()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3, Positive()), TypeError, "target must be a law or a log density, a function; got a int"),
        ((lambda x: -x, Positive()), TypeError, "like must be given for a function"),
        ((Exponential(), Positive(), jnp.zeros(2)), ValueError, "like must be left out for a law"),
        ((Exponential(), jnp.log), TypeError, "bijection must be Positive.* got a"),
        ((Exponential(), Positive), TypeError, "bijection must be Positive.* got a type"),
        ((Exponential(), [Positive()]), TypeError, "structure of the parameters"),
        ((Exponential(), Positive("log")), ValueError, "method must be one of 'softplus', 'exp'; got 'log'"),
        ((Exponential(), Interval(1.0, 0.0)), ValueError, "high must be above low; got 0.0 and 1.0"),
        ((Exponential(), Interval(0.0, np.ones(3))), ValueError, r"high must broadcast to .*\(2,\); got .*\(3,\)"),
        ((Exponential(), Interval(0.0, np.inf)), ValueError, "high must be finite"),
        ((lambda x: -x, Simplex(), jnp.zeros(())), ValueError, r"at least 2 numbers along the last axis; got \(\)"),
        ((lambda x: x, Positive(), jnp.zeros(2)), TypeError, "target must return one real number"),
    ],
)
def test_bad_input_is_one_sentence(arguments, error, words):
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(transformed)(*arguments)
    assert "\n" not in str(caught.value)


def test_arrays_that_do_not_fit_are_named():
    target = transformed(Exponential(), Positive())
    for bad, call in (
        (jnp.zeros((4, 3)), target.forward),
        (jnp.zeros(()), target.inverse),
        (jnp.zeros((4, 3)), target.inverse),
    ):
        with pytest.raises(ValueError, match=r"must have .*shape"):
            call(bad)
    with pytest.raises(ValueError, match="level must be None"):
        target.log_prob(jnp.zeros((1, 2)), js.Level(1.0, 0.5))
    with pytest.raises(ValueError, match="x must have the structure of the parameters"):
        target.inverse({"a": jnp.zeros(2)})
