"""Products that feed a density, a score, a distance or a step are in full float32 on every device.

NVIDIA's default for float32 products is TF32, which keeps ten bits of the factors: 1e-3 of a logit. The programs are
read before they are compiled, so that this holds on machines without a GPU, too.
"""

from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

import jaxsamp as js
from jaxsamp.calibration import from_curve
from jaxsamp.calibration.bases import Orthogonal
from jaxsamp.calibration.measuring import _components
from jaxsamp.metrics.memorization import _two_nearest
from jaxsamp.metrics.pairs import row_sums
from jaxsamp.metrics.rao_scores import BLOCKS, components_of, score
from jaxsamp.metrics.sliced_w2 import _project
from jaxsamp.metrics.truth import Truth
from tests.cases import EVERY, SAMPLERS

HIGHEST = jax.lax.Precision.HIGHEST
D, LEVEL = 4, js.Level(jnp.float32(0.8), jnp.float32(0.6))
X = jnp.asarray(np.random.default_rng(0).standard_normal((6, D)), jnp.float32)
KEY = jax.random.key(0)


def products(jaxpr):
    """Every product of arrays in a program, in loops, branches and calls as well."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated", "ragged_dot_general"):
            yield equation
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: isinstance(v, ClosedJaxpr)):
            if isinstance(value, ClosedJaxpr | Jaxpr):
                yield from products(getattr(value, "jaxpr", value))


def precisions(function, *arguments):
    found = list(products(jax.make_jaxpr(function)(*arguments).jaxpr))
    return [equation.params["precision"] for equation in found]


def assert_full(function, *arguments, some=True):
    found = precisions(function, *arguments)
    assert found or not some, "there is no product, so this shows nothing"
    assert all(each in (HIGHEST, (HIGHEST, HIGHEST)) for each in found), found


def laws():
    full = js.targets.GaussianMixture.random(KEY, 3, D)
    weights, means = full.weights, full.means
    return {
        "full": full,
        "diagonal": js.targets.GaussianMixture.diagonal(weights, means, np.full((3, D), 0.5)),
        "spherical": js.targets.GaussianMixture.spherical(weights, means, 0.5),
        "low_rank": js.targets.GaussianMixture.low_rank(weights, means, 0.3 * np.ones((3, D, 2)), 0.1),
        "empirical": js.targets.Empirical(X, chunk=4),
    }


LAWS = laws()
METHODS = ("log_prob", "responsibilities", "score", "posterior_mean", "posterior_covariance", "laplacian")


@pytest.mark.parametrize("name", LAWS)
def test_exact_densities_scores_and_posteriors(name):
    law = LAWS[name]
    methods = [method for method in METHODS if hasattr(law, method)]

    def values(law, x):
        return [getattr(law, method)(x, LEVEL) for method in methods]

    def slopes(law, x):
        _, pull = jax.vjp(values, law, x)
        return pull(values(law, x))

    assert_full(values, law, X)
    assert_full(slopes, law, X)
    if hasattr(law, "hessian_vector"):
        assert_full(lambda law, x: law.hessian_vector(x, x, LEVEL), law, X, some=name in ("full", "low_rank"))
    assert_full(lambda law: law.sample(KEY, 5), law, some=name in ("full", "low_rank"))


@pytest.mark.parametrize("block", BLOCKS)
def test_scores_of_raos_test(block):
    components = components_of(Truth(LAWS["full"], LEVEL))
    assert_full(lambda components, x: score(block, components, x), components, X)


def test_distances_between_samples():
    assert_full(lambda x, y: row_sums(jnp.sqrt, x, y, 4, False), X, X + 1)
    assert_full(_project, X, X)
    assert_full(_two_nearest, X, X + 1, jnp.full(len(X), -1))


def calibrated():
    """A denoiser without a product of its own, calibrated along principal components."""
    basis = Orthogonal(jnp.asarray(np.linalg.qr(np.random.default_rng(1).standard_normal((D, D)))[0]), (D,))
    curves = np.geomspace(0.9, 0.1, 12)[:, None] * np.linspace(0.6, 1, D)
    calibration = from_curve(np.linspace(-5, 5, 12), curves, mean=np.zeros(D), variance=np.ones(D), basis=basis)
    plain = js.denoiser(lambda w, x, t, cond: w * jnp.tanh(x), jnp.ones(()), js.schedules.VarianceExploding(), "x0")
    return plain.with_calibration(calibration)


def test_bases_and_clocks_of_a_calibration():
    held = calibrated().calibration
    assert_full(lambda held, x: (held.basis.into(x), held.basis.out_of(x)), held, X[0])
    assert_full(_components, X)
    assert_full(lambda frame: frame.clock_delta(jnp.float32(-1), jnp.float32(1)), held.frame)


@pytest.mark.parametrize("name", EVERY)
def test_steps_of_samplers(name):
    sampler = SAMPLERS[name]
    framed = "frame" in {field.name for field in fields(sampler)} and not getattr(sampler, "stochastic", False)
    if framed or isinstance(sampler, js.samplers.ParallelMidpoint | js.samplers.RandomizedMidpoint):
        sampler = replace(sampler, frame="calibrated")
    reads = sampler.reads_calibration
    assert_full(lambda d, s: js.sample(KEY, d, (2, D), s, 4).x, calibrated(), sampler, some=reads)


def test_posteriors_and_likelihoods():
    denoiser = LAWS["full"].denoiser(js.schedules.VarianceExploding())
    seen = js.posterior(denoiser, jnp.ones(2), lambda x: x[:2], 0.1)
    assert_full(lambda denoiser, x: denoiser(x, LEVEL), seen, X)
    assert_full(lambda denoiser, x: js.log_likelihood(KEY, denoiser, x, steps=4).log_prob, denoiser, X)
    assert_full(lambda denoiser: js.sample_and_log_prob(KEY, denoiser, (2, D), steps=4).log_prob, denoiser)


def test_a_plain_product_would_be_seen():
    def hidden(x):
        return jax.lax.cond(x[0, 0] > 0, lambda: jax.jit(lambda x: x @ x.T)(x), lambda: jnp.zeros((6, 6)))

    assert precisions(hidden, X) == [None]
    assert precisions(jax.grad(lambda x: jax.lax.map(lambda y: y @ X.T, x).sum()), X) == [None] * 2
