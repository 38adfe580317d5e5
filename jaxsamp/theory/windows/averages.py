"""Averages over noised components, at many levels from the same draws."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from jaxsamp.core.types import Array
from jaxsamp.targets import GaussianMixture
from jaxsamp.targets.components import drawn
from jaxsamp_kernels import mixture as kernel

FLOATS = 2**22  # of the largest array that one batch makes


class Curve(NamedTuple):
    """A function of time that was estimated, with its band.

    Attributes:
        mean: (times,).
        low: (times,), lower end of the band of each time.
        high: (times,), upper end.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def scaled(self, factor: float) -> "Curve":
        """The curve and its band times a factor."""
        return Curve(*(factor * np.asarray(part) for part in self))


class Averages:
    """Means of statistics of x_t for x_0 of each component, from `n` draws in equal parts, the same at all levels.

    Args:
        key: a typed key.
        target: the mixture, K components.
        levels: alpha and sigma, (times, 2).
        pairs: of groups A and B, (pairs, 2, K) of booleans: 1 - |tanh(l / 2)| with l = log p_t^A - log p_t^B.
        groups: (groups, K) of booleans: P(component in the group given x_t).
        nested: (windows, 2, K) of booleans, a group and a larger one: the entropy of whether the component is of the
            first, given x_t and that it is of the second, in nats.
        n: draws in all.
        confidence: of the bands.
    """

    def __init__(
        self,
        key: Array,
        target: GaussianMixture,
        levels: np.ndarray,
        pairs: np.ndarray,
        groups: np.ndarray,
        nested: np.ndarray,
        n: int,
        confidence: float,
    ):
        weights = np.asarray(target.weights, float)
        self.weights, self.z, components = weights / weights.sum(), norm.ppf(0.5 + confidence / 2), len(weights)
        each = max(2, -(-n // components))
        of_draw = max(components * target.event_shape[0], len(pairs) + len(groups) + len(nested))
        batch = min(each, max(1, FLOATS // (components * of_draw)))
        batches = -(-each // batch)
        self.n = batches * batch  # of each component
        counts = np.cumsum([len(pairs), len(groups)])
        found = _moments(
            key, target.mixture, jnp.asarray(levels), *map(jnp.asarray, (pairs, groups, nested)), batches, batch
        )
        mean, square = (np.asarray(part, float) for part in found)
        variance = np.maximum(square - mean**2, 0) / (self.n - 1)
        self.overlaps, self.members, self.entropies = zip(
            np.split(mean, counts, 1), np.split(variance, counts, 1), strict=True
        )

    def expectation(self, part: tuple[np.ndarray, np.ndarray], i: int, weights: np.ndarray) -> Curve:
        """sum_k weights_k E[statistic i given component k], with a normal band.

        The band is never narrower than what n draws say of an event that none of them saw: z^2 / n. All statistics are
        between 0 and 1.
        """
        mean, each = part[0][:, i] @ weights, weights**2
        error = np.hypot(self.z * np.sqrt(part[1][:, i] @ each), self.z**2 * each.sum() / self.n)
        return Curve(mean, np.clip(mean - error, 0, 1), np.clip(mean + error, 0, 1))

    def total_variation(self, i: int, a: np.ndarray, b: np.ndarray) -> Curve:
        """TV(p_t^A, p_t^B) = E |tanh(l / 2)|, half of the draws being from A and half from B, of pair i."""
        overlap = self.expectation(self.overlaps, i, (self.within(a) + self.within(b)) / 2)
        return Curve(1 - overlap.mean, 1 - overlap.high, 1 - overlap.low)

    def within(self, group: np.ndarray) -> np.ndarray:
        """Weights of the components inside of a group, which sum to one; (K,)."""
        chosen = np.where(group, self.weights, 0.0)
        return chosen / chosen.sum()


def _statistics(r: Array, weights: Array, pairs: Array, groups: Array, nested: Array) -> Array:
    """All statistics at points where the components have the probabilities r; (..., K) to (..., statistics).

    1 - |tanh(l / 2)| = 2 min(u, v) / (u + v), where u and v are probabilities of the groups over their weights: no
    logarithm, and none of zero. A point of a third group, far from both, is not looked at: it only must stay finite.
    """

    def inside(masks: Array) -> Array:
        return jnp.einsum("...k,gk->...g", r, masks.astype(r.dtype), precision="highest")

    def share(part: Array, whole: Array) -> Array:
        return part / jnp.maximum(whole, jnp.finfo(r.dtype).tiny)

    def surprise(p: Array) -> Array:
        return -jax.scipy.special.xlogy(p, p)

    u, v = (inside(pairs[:, i]) / (pairs[:, i] @ weights) for i in (0, 1))
    outer = inside(nested[:, 1])
    yes, no = (share(inside(mask), outer) for mask in (nested[:, 0], nested[:, 1] & ~nested[:, 0]))
    return jnp.concatenate([2 * share(jnp.minimum(u, v), u + v), inside(groups), surprise(yes) + surprise(no)], -1)


@partial(jax.jit, static_argnums=(6, 7))
def _moments(
    key: Array, mixture: kernel.Mixture, levels: Array, pairs: Array, groups: Array, nested: Array, batches: int, n: int
) -> tuple[Array, Array]:
    """Mean and mean square of each statistic, (times, statistics, K)."""
    for_x, for_z = jax.random.split(key)
    each = jax.tree.map(lambda leaf: leaf[:, None], mixture)._replace(
        log_weights=jnp.zeros_like(mixture.log_weights)[:, None]
    )

    def batch(i: Array) -> tuple[Array, Array]:
        for_start, for_noise = (jax.random.fold_in(k, i) for k in (for_x, for_z))
        starts = jax.random.split(for_start, (len(mixture.means), 2))
        x_0 = jax.vmap(lambda part, keys: drawn(part, keys[0], keys[1], n))(each, starts)  # (K, n, d)
        z = jax.random.normal(for_noise, x_0.shape, x_0.dtype)
        paths = jax.vmap(jax.vmap(partial(kernel.path, mixture)))(x_0, z)

        def at(level: Array) -> tuple[Array, Array]:
            logits = jax.vmap(jax.vmap(lambda path: kernel.log_components_on(mixture, path, *level)))(paths)
            found = _statistics(jax.nn.softmax(logits), jnp.exp(mixture.log_weights), pairs, groups, nested)
            return found.mean(1).T, jnp.square(found).mean(1).T

        return jax.lax.map(at, levels)

    def add(total: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], None]:
        return jax.tree.map(jnp.add, total, batch(i)), None

    shape = len(levels), len(pairs) + len(groups) + len(nested), len(mixture.means)
    none = jnp.zeros(shape, levels.dtype)
    total, _ = jax.lax.scan(add, (none, none), jnp.arange(batches))
    return jax.tree.map(lambda found: found / batches, total)
