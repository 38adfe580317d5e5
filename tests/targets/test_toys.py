"""Every toy by name: its denoiser against its density, its samples against its law."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from sklearn import datasets

from jaxsamp.core.types import Level
from jaxsamp.schedules import EDM
from jaxsamp.targets.boxes import UniformBoxes
from jaxsamp.targets.gaussian_mixture import GaussianMixture
from jaxsamp.targets.toys import TOYS, checkerboard, circles, grid, moons, ring, spiral
from jaxsamp_kernels.quadrature import plane_posterior

RATIOS = np.repeat([0.05, 0.5, 5.0], 10)
log_prob = jax.jit(lambda target, x: target.log_prob(x))
sample = jax.jit(lambda target, key: target.sample(key, 4000))


def test_names():
    assert list(TOYS) == ["ring", "grid", "moons", "circles", "spiral", "pinwheel", "checkerboard"]
    assert ring().weights.shape == (8,) and grid(side=3).weights.shape == (9,)
    assert checkerboard(cells=2).weights.shape == (2,)


@pytest.mark.parametrize("name", TOYS)
def test_denoiser_follows_from_the_density_at_every_level(x64, name):
    target = TOYS[name]()
    assert isinstance(target, UniformBoxes if name == "checkerboard" else GaussianMixture)
    alpha, sigma = jnp.asarray(1 / np.hypot(1, RATIOS)), jnp.asarray(RATIOS / np.hypot(1, RATIOS))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(len(RATIOS), 2)))

    @jax.jit
    def both(x):
        level = Level(alpha, sigma)
        gradient = jax.grad(lambda x: target.log_prob(x, level).sum())(x)
        from_density = (x + sigma[:, None] ** 2 * gradient) / alpha[:, None]
        return from_density, target.denoiser(EDM())(x, level)

    np.testing.assert_allclose(*both(x), atol=1e-9)


@pytest.mark.parametrize("name", TOYS)
def test_samples_have_the_mean_log_density_of_the_law(key, name):
    target = TOYS[name]()
    if name == "checkerboard":
        seen = log_prob(target, sample(target, key))
        np.testing.assert_allclose(seen, -np.log(8), rtol=1e-6)
        return
    # The law's own mean by Gauss-Hermite quadrature around every component.
    std = inspect.signature(TOYS[name]).parameters["std"].default
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    offsets = std * np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 1, 2)
    places = jnp.asarray(np.asarray(target.means) + offsets, jnp.float32)

    @jax.jit
    def log_probs(key):
        return jnp.split(target.log_prob(jnp.concatenate([target.sample(key, 4000), places.reshape(-1, 2)])), [4000])

    seen, around = map(np.asarray, log_probs(key))
    mean = np.outer(weights, weights).ravel() / (2 * np.pi) @ around.reshape(64, -1) @ np.asarray(target.weights)
    assert abs(seen.mean() - mean) < 4 * seen.std() / 4000**0.5  # fails once in 16 000 keys


@pytest.mark.parametrize(
    "target, reference",
    [
        (moons(std=0.1), datasets.make_moons(4000, noise=0.1, random_state=0)),
        (circles(), datasets.make_circles(4000, factor=0.5, noise=0.05, random_state=0)),
    ],
)
def test_placed_as_in_scikit_learn(key, target, reference):
    places = [sample(target, key), reference[0].astype(np.float32)]
    ours, theirs = (np.asarray(log_prob(target, x)) for x in places)
    assert abs(ours.mean() - theirs.mean()) < 5 * np.hypot(ours.std(), theirs.std()) / 4000**0.5


def test_chains_leave_no_ripple_along_a_curve():
    angle = np.linspace(0, 2 * np.pi, 1000)
    along = log_prob(circles(), np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32))
    assert along.max() - along.min() < 1e-4


@pytest.mark.parametrize("make", [ring, grid, moons, circles, spiral, TOYS["pinwheel"]])
def test_a_spread_that_is_not_positive_is_refused(make):
    with pytest.raises(ValueError, match="std must be positive; got 0.0"):
        make(std=0.0)


def test_counts_and_widths_that_make_no_toy_are_refused():
    with pytest.raises(ValueError, match="modes must be at least 1"):
        ring(modes=0)
    with pytest.raises(ValueError, match="width must be positive"):
        checkerboard(width=-1.0)


@pytest.mark.parametrize("alpha, sigma", [(1.0, 1000.0), (0.01, 1.0), (1.0, 1.0), (1.0, 0.01)])
def test_the_plane_is_seen_in_single_precision_at_any_noise(alpha, sigma):
    """A Gaussian, whose posterior is known; at large noise the state is a thousand times as far away as its box."""
    spread = np.array([1.0, 0.3])

    def log_density(x):
        return -0.5 * jnp.sum((x / spread) ** 2, -1) - np.log(2 * np.pi * spread.prod())

    random = np.random.default_rng(0).normal(size=(2, 2))
    x = jnp.float32(alpha * spread * random[0] + sigma * random[1])
    found = plane_posterior(log_density, x, alpha, sigma, *jnp.float32([-7 * spread, 7 * spread]), 128)
    variance = (alpha * spread) ** 2 + sigma**2
    np.testing.assert_allclose(found.mean, alpha * spread**2 * x / variance, atol=1e-5)
    assert found.log_prob == pytest.approx(norm.logpdf(x, scale=np.sqrt(variance)).sum(), abs=1e-5)
