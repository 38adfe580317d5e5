"""Chains stay where the density is positive, or say so; steps that are too long for the curvature are named.

Statistical assertions have a false-alarm rate of 1e-4 each under fixed keys.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

import jaxsamp as js
from jaxsamp.mcmc import Overdamped, ParallelUnderdamped, Underdamped
from jaxsamp.mcmc.stability import stable_up_to

KEY = jax.random.key(0)
FALSE_ALARM = 1e-4


# One object, so that the tests of all samplers share what is compiled.
UNEVEN = js.targets.from_log_density(lambda x: -0.5 * (x * x * jnp.array([1.0, 0.3])).sum(), (2,))


def exponential(x):
    return jnp.where(x > 0, -x, -jnp.inf)


def gamma(x):
    return 2 * jnp.log(x) - 3 * x  # NaN below 0


@cache
def inside(f):
    """Of which chains the last state is in the support: under jit, where nothing can be raised."""
    target = js.targets.from_log_density(f, ())
    run = jax.jit(lambda: js.sample_density(KEY, target, (64,), steps=50, warmup=0, thin=0).stats["inside"])
    return np.asarray(run())


@pytest.mark.parametrize(
    ("f", "options"),
    [(exponential, {}), pytest.param(gamma, {"microbatch": 8}, marks=pytest.mark.slow), (gamma, {"progress": True})],
)
def test_chains_that_left_the_support_are_counted(f, options):
    target = js.targets.from_log_density(f, ())
    with pytest.raises(
        ValueError, match=r"target must have a positive density .* of \d+ of 64 chains.*transformed"
    ) as at:
        js.sample_density(KEY, target, (64,), steps=50, warmup=0, thin=0, **options)
    assert "\n" not in str(at.value)
    assert f"of {64 - inside(f).sum()} of 64" in str(at.value)


class ScoreOfItsOwn:
    """A normal law whose log density JAX cannot trace."""

    event_shape = (2,)

    def score(self, x):
        return -x

    def log_prob(self, x):
        return st.norm.logpdf(np.asarray(x)).sum(-1)


def test_a_density_that_cannot_be_traced_is_not_looked_at():
    out = js.sample_density(KEY, ScoreOfItsOwn(), (4, 2), steps=10)
    assert out.stats["inside"].all() and np.isnan(out.stats["curvature"]).all()


def logistic():
    """A posterior of a logistic regression: curvature up to 25 at the origin and .1 far away."""
    x = np.random.default_rng(0).normal(size=(100, 2))
    y = x @ [1.0, -1.0] > 0

    def f(w):
        return -jnp.logaddexp(0, jnp.where(y, -1, 1) * (jnp.asarray(x) @ w)).sum() - 0.05 * w @ w

    return js.targets.from_log_density(f, (2,))


@pytest.mark.slow
def test_a_step_far_above_the_curvature_is_named():
    with pytest.warns(
        UserWarning,
        match=r"step_size must be smaller: steps of 5 are stable up to .* about 0\.\d+, and .* has one of \d",
    ):
        out = js.sample_density(KEY, logistic(), (64, 2), Underdamped(5.0), steps=200, thin=0)
    assert out.x.std() > 2, "the law is wrong"


@pytest.mark.parametrize(
    "sampler",
    [
        Overdamped(0.9),
        Underdamped(2.0),
        pytest.param(ParallelUnderdamped(), marks=pytest.mark.slow),
        Underdamped(0.5, midpoint=False),
    ],
)
def test_the_curvature_of_a_gaussian_is_found_and_stable_steps_are_not_complained_of(sampler, recwarn):
    out = js.sample_density(KEY, UNEVEN, (16, 2), sampler, steps=20)
    np.testing.assert_allclose(out.stats["curvature"], 1.0, rtol=1e-4)
    assert out.stats["inside"].all() and not recwarn.list


@pytest.mark.slow
def test_the_curvature_is_that_of_the_preconditioned_density():
    scales = jnp.array([1.0, 1e-2])
    target = js.targets.from_log_density(lambda x: -0.5 * jnp.square(x / scales).sum(), (2,))
    out = js.sample_density(
        KEY, target, (8, 2), Underdamped(0.3, inverse_lipschitz=scales**2), 20, init=jnp.zeros((8, 2))
    )
    np.testing.assert_allclose(out.stats["curvature"], 1.0, rtol=1e-3)
    with pytest.warns(UserWarning, match=r"in units of 1 / inverse_lipschitz"):
        js.sample_density(
            KEY, target, (8, 2), Underdamped(0.3, inverse_lipschitz=1.0), 4, warmup=0, thin=0, init=jnp.zeros((8, 2))
        )


@pytest.mark.parametrize(
    ("sampler", "limit"),
    [
        (Overdamped(0.1), 20.0),
        (Underdamped(3.9), 1.0),  # the docstring's
        (Underdamped(1.0, 0.1, midpoint=False), 0.33),  # friction (1 - e^-gh) / (psi_1^2 - psi_0 psi_2)
    ],
)
def test_the_limit_of_stable_steps_is_the_exact_one(sampler, limit):
    assert limit / 1.25 < stable_up_to(sampler, 1000.0) < limit * 1.25
    assert stable_up_to(sampler, limit / 2) == limit / 2
