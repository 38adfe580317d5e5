"""Our distances against those of OTT-JAX, an independent implementation, and both against closed forms."""

import jax
import numpy as np
import pytest

from jaxsamp import metrics

pytest.importorskip("ott")
from ott.geometry import costs, pointcloud  # noqa: E402
from ott.tools import sliced  # noqa: E402
from ott.tools.sinkhorn_divergence import sinkhorn_divergence  # noqa: E402


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.slow
def test_sliced_w2_is_that_of_ott_over_many_directions():
    """Each averages 4,000 directions of its own: four standard errors, and the shift's closed form |m|^2 / d."""
    x, y = normal(0, 400, 4), normal(1, 400, 4) + np.float32([2, 0, 0, 0])
    theta = normal(2, 4000, 4)
    theta /= np.linalg.norm(theta, axis=1, keepdims=True)
    each = [metrics.sliced_wasserstein(x, y, one[None]) for one in theta[:200]]
    ours = metrics.sliced_wasserstein(x, y, theta)
    theirs = float(sliced.sliced_wasserstein(x, y, n_proj=4000, rng=jax.random.key(0))[0])
    assert abs(ours - theirs) < 4 * np.std(each) * np.sqrt(2 / 4000) < 0.1 * ours
    assert ours == pytest.approx(1, rel=0.15)


def test_sliced_w2_of_unequal_sizes_is_that_of_ott():
    x, y = normal(0, 90, 3), 1.5 * normal(1, 60, 3)
    theta = normal(2, 50, 3)
    theta /= np.linalg.norm(theta, axis=1, keepdims=True)
    project = lambda points, *_, **__: points @ theta.T  # noqa: E731
    theirs = jax.jit(lambda x, y: sliced.sliced_wasserstein(x, y, n_proj=50, proj_fn=project)[0])(x, y)
    assert metrics.sliced_wasserstein(x, y, theta) == pytest.approx(float(theirs), rel=1e-3)


def test_frechet_distance_is_otts_bures_distance_between_gaussians():
    x, y = normal(0, 300, 5) @ normal(2, 5, 5), normal(1, 400, 5) @ normal(3, 5, 5) + 1
    moments = [(z.mean(0), np.cov(z.T)) for z in (x, y)]
    packed = [np.concatenate([m, c.ravel()])[None] for m, c in moments]
    theirs = float(jax.jit(costs.Bures(5).all_pairs)(*packed)[0, 0])
    assert metrics.frechet_distance(x, y) == pytest.approx(theirs, rel=0.01)


@pytest.mark.slow
def test_energy_distance_is_twice_the_sinkhorn_divergence_at_great_entropy():
    """The divergence of the cost |x - y| tends to half of the energy distance, each point paired with itself too."""
    x, y = normal(0, 60, 2), normal(1, 50, 2) + 1
    theirs = 2 * float(sinkhorn_divergence(pointcloud.PointCloud, x, y, cost_fn=costs.Euclidean(), epsilon=1e3)[0])
    within = [np.linalg.norm(z[:, None] - z, axis=2) for z in (x, y)]
    correction = sum(w.sum() / len(w) ** 2 / (len(w) - 1) for w in within)  # U-statistic less V-statistic
    assert metrics.energy_distance(x, y) + correction == pytest.approx(theirs, rel=0.01)
