"""The ambient loss is smallest at E[x_0 | A~ x_t, A~], although it sees no clean sample."""

import inspect
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room
from jaxsamp.losses import LogNormal, UnitWeighting, ambient, gsure
from tests.cases import quick

LAW = js.targets.GaussianMixture.random(jax.random.key(3), 3, 6)
S = js.schedules.VariancePreserving()
N = 20_000
LAWS = {
    "mask": (room.Mask(0.5), False),
    "reweighted": (room.Mask(0.5), True),
    "noisy": (room.Mask(0.4, noise=0.4), False),
    "dense": (room.CompressedSensing(4), True),
}


def no_change(x):
    return x


def slopes(law, reweight=False, change=no_change, guess=None):
    """For N samples, the slope of the loss at the exact denoiser along a random direction in function space.

    With a number `guess`, at the denoiser that returns it for what A~ hides, and 0 for what it sees.
    """
    return np.asarray(_slopes(law, reweight, change, jax.random.key(1), guess), np.float64)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _slopes(law, reweight, change, key, guess):
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(6, 6)))

    def filled(x, level, cond):
        return jnp.where(cond.operator.mask, 0.0, guess)

    exact = LAW.corrupted_denoiser(S) if guess is None else filled
    for_data, for_law, for_noise, for_loss = jax.random.split(key, 4)
    x0, operator = LAW.sample(for_data, N), law.draw(for_law, N, (6,))
    n = jax.random.normal(for_noise, x0.shape)
    y = jax.vmap(lambda a, v, e: a(v + law.noise * a.adjoint(e) if law.noise else v))(operator, x0, n)
    x = change(jax.vmap(lambda a, v: a.pseudoinverse(v))(operator, y))

    def loss(step):
        def apply(params, x, t, cond):
            return exact(x, S.at(t), cond) + step * jnp.tanh(x @ weights + jnp.cos(7.0 * t)[:, None])

        levels = {"levels": LogNormal(0.0, 1.0), "weighting": UnitWeighting()}
        return ambient(for_loss, apply, None, x, operator, law, S, further=0.3, reweight=reweight, **levels)

    return jax.jvp(loss, (0.0,), (1.0,))[1]


@pytest.mark.parametrize("name", quick(LAWS, "mask", "noisy"))
def test_the_exact_denoiser_is_the_minimum(name):
    """The mean slope of 20,000 samples is zero: |z| < 4.5, a false-alarm rate of 7e-6 each."""
    got = slopes(*LAWS[name])
    assert np.abs(got).max() > 0.01
    assert abs(got.mean()) < 4.5 * got.std() / np.sqrt(N)


@pytest.mark.slow
def test_without_the_further_corruption_it_is_not():
    """If the further corruption hides nothing, or hidden entries count as zeros, another function has less loss."""

    class Kept(room.Mask):
        def thinned(self, key, operator, rate):
            return operator

    class Filled(room.Mask):
        def sample(self, key, event_shape):
            return room.MaskOperator(jnp.ones(event_shape, bool))

    def half(x):
        return x * jax.random.bernoulli(jax.random.key(9), 0.5, x.shape)

    zeros = slopes(Filled(0.0), change=half)
    assert abs(zeros.mean()) > 10 * zeros.std() / np.sqrt(N)
    kept = [slopes(Kept(0.5), guess=guess) for guess in (0.0, 1e3)]
    np.testing.assert_array_equal(*kept)  # nothing is learned where A sees nothing
    hiding = [slopes(room.Mask(0.5), guess=guess) for guess in (0.0, 1e3)]
    assert np.abs(hiding[1] - hiding[0]).max() > 10


def test_levels_below_the_noise_have_no_loss():
    """2 s_n / sqrt(3) is the first level that is trained, where the weight of the target is 4."""
    law, x = room.Mask(0.5, noise=0.5), jnp.ones((64, 6))

    @partial(jax.jit, static_argnums=0)
    def loss(mean):
        operator = law.draw(jax.random.key(0), 64, (6,))
        apply = lambda params, x, t, cond: jnp.zeros_like(x)  # noqa: E731
        levels = {"levels": LogNormal(float(np.log(mean)), 1e-6), "weighting": UnitWeighting()}
        return ambient(jax.random.key(1), apply, None, x, operator, law, S, further=0.3, **levels)

    assert (np.asarray(loss(0.57)) == 0).all() and (np.asarray(loss(0.59)) > 0).all()


@pytest.mark.parametrize("loss", [ambient, gsure])
def test_the_further_corruption_is_another_one_for_every_step(loss):
    """What the network is told is a part of the same measurement, and a new part with every key."""
    law = room.Mask(0.5)
    operator = law.draw(jax.random.key(0), 8, (6,))
    options = {"levels": LogNormal(0.0), "weighting": UnitWeighting(), "further": 0.5}

    @jax.jit
    def told(key):
        seen = []

        def apply(params, x, t, cond):
            seen.append(cond.operator.mask)
            return 0 * x

        loss(key, apply, None, jnp.ones((8, 6)), operator, law, S, **options)
        return seen[0]

    masks = [np.asarray(told(jax.random.key(i))) for i in (1, 2, 1)]
    assert not any((mask & ~np.asarray(operator.mask)).any() for mask in masks)
    np.testing.assert_array_equal(masks[0], masks[2])
    assert (masks[0] != masks[1]).any(1).sum() >= 5  # of 8 samples, of which each has three entries or so


class Deaf(nn.Module):
    """It has no weights for masks."""

    @nn.compact
    def __call__(self, x, noise, cond=None):
        return nn.Dense(6)(x)


@pytest.mark.parametrize("loss", [ambient, gsure])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"further": 0.0}, r"further must be in \(0, 1\), because what is hidden .* got 0.0"),
        ({"further": 1.0}, r"further must be in \(0, 1\), .* got 1.0"),
        ({"further": jnp.nan}, r"further must be in \(0, 1\), .* got nan"),
        (
            {"operator": room.MaskOperator(jnp.ones((3, 6), bool))},
            r"operator must have one entry per sample of x, 4; .*3",
        ),
        ({"apply": js.models.Model(Deaf(), S)}, "apply must read 'channels' of its condition.*Deaf has no weights"),
        (
            {"apply": lambda params, x, t, cond: x[:2]},
            r"apply must return an array of x's shape \(4, 6\); got \(2, 6\)",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_a_sentence_without_fit_too(loss, change, words):
    given = {
        "apply": lambda params, x, t, cond: 0 * x,
        "operator": room.MaskOperator(jnp.ones((4, 6), bool)),
        "further": 0.1,
    } | change
    options = {"levels": LogNormal(0.0), "weighting": UnitWeighting(), "further": given["further"]}
    with pytest.raises(ValueError, match=words):
        arguments = given["apply"], None, jnp.ones((4, 6)), given["operator"], room.Mask(0.5), S
        inspect.unwrap(loss)(jax.random.key(0), *arguments, **options)
