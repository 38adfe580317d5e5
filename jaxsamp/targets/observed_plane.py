"""The law of a point of the plane given any observation of it, by quadrature: what approximations are compared with."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.protocols import Law, Operator
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level
from jaxsamp.corruptions import MaskOperator
from jaxsamp.denoisers.observed import seen
from jaxsamp.denoisers.operators import TAKES, of_all
from jaxsamp.targets import plane_grid
from jaxsamp.targets.base import Target, noisy
from jaxsamp_kernels.quadrature import PlanePosterior, plane_posterior

DRAWN = 4096  # prior samples that say where the prior lies
TOLERANCE = 1e-3  # of the log evidence
FINE = 512  # nodes per coordinate of the log evidence, unless twice as many as in the rule are more


@pytree
@dataclass(frozen=True)
class ObservedPlane(Target):
    """p(x_0 | y) = p(x_0) N(y; A(x_0), noise^2) / p(y) in the plane; made by `condition_plane`.

    Attributes:
        prior, y, operator, noise: what it was made of.
        low, high: corners of the box outside of which the density is negligible, (2,).
        log_evidence: log p(y) in nats.
        nodes: nodes per coordinate of the rule.
    """

    prior: Any
    y: Any
    operator: Any
    noise: Any
    low: Any
    high: Any
    log_evidence: Any
    nodes: int = field(metadata={"static": True})

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(2,)."""
        return (2,)

    def sample(self, key: Array, n: int) -> Float[Array, "{n} 2"]:
        """`n` points: cells of a grid by their mass, and in them Metropolis moves between independent such points.

        Points uniform in their cells have nearly the right law already; the error that is left is (1 - 1/M)^5 at most,
        with M the largest ratio between the density and its value in the middle of the cell.
        """
        return plane_grid.drawn(checks.typed_key(key), self.log_prob, jnp.asarray(self.low), jnp.asarray(self.high), n)

    def log_prob(self, x: Float[Array, "batch 2"], level: Level | None = None) -> Float[Array, "batch"]:
        """Log density in nats of x_t at `x`, sigma > 0; without a level, of x_0, for which no rule is needed."""
        if level is None:
            return joint(self.prior, self.y, self.operator, self.noise, checks.floating("x", x)) - self.log_evidence
        return self._posterior(x, level).log_prob

    def posterior_mean(self, x: Float[Array, "batch 2"], level: Level) -> Float[Array, "batch 2"]:
        """E[x_0 | x_t = x, y], sigma > 0 and alpha > 0."""
        return self._posterior(x, level).mean

    def quadrature_error(self, x: Float[Array, "batch 2"], level: Level) -> Float[Array, "batch"]:
        """An estimate of the error of `posterior_mean`: the distance to that of twice as many nodes per coordinate."""
        finer = replace(self, nodes=2 * self.nodes)
        return jnp.linalg.norm(self.posterior_mean(x, level) - finer.posterior_mean(x, level), axis=-1)

    def _posterior(self, x: Array, level: Level) -> PlanePosterior:
        x, alpha, sigma = self.validated(x, noisy(level))
        axes = (0, *(0 if value.ndim else None for value in (alpha, sigma)))
        low, high = jnp.asarray(self.low, x.dtype), jnp.asarray(self.high, x.dtype)

        def one(x: Array, alpha: Array, sigma: Array) -> PlanePosterior:
            return plane_posterior(self.log_prob, x, alpha, sigma, low, high, self.nodes)

        return jax.vmap(one, axes)(x, alpha, sigma)


def condition_plane(
    prior: Law,
    y: ArrayLike,
    operator: Operator | Callable[[Array], Array] | ArrayLike,
    noise: ArrayLike,
    *,
    nodes: int = 128,
) -> ObservedPlane:
    """The law of x_0 in the plane given y = A(x_0) + noise n with n standard normal, for any A, linear or not.

    Its denoiser, score and densities at every noise level are integrals over the plane, by a midpoint rule whose error
    falls exponentially with the number of nodes; see `jaxsamp_kernels.quadrature`. Each costs nodes^2 densities of the
    prior, so this is an exact answer to compare approximations with, not a way to solve large problems. They hold where
    x / alpha is within 8 sigma / alpha of the law, as states of a sampler are.

    Args:
        prior: a law in the plane with a density, such as a `GaussianMixture`.
        y: the observation.
        operator: A, as for `jaxsamp.posterior`: an operator of `jaxsamp.corruptions`, a function of one event, or a
            boolean mask.
        noise: standard deviation of the noise, above 0, a number or of y's shape.
        nodes: nodes per coordinate; about 10 per standard deviation of the noise, as seen in the plane, are plenty.

    Raises:
        ValueError: the prior is not in the plane, shapes do not fit, noise is not above 0, or `nodes` are so few that
            log p(y) is off by more than 1e-3.
        TypeError: the prior is not a law, or the operator is none of these.
    """
    known: Any = of_all(operator)
    prior, nodes = checks.law("prior", prior), checks.at_least("nodes", nodes, 8)
    if tuple(prior.event_shape) != (2,):
        raise ValueError(f"prior must be a law in the plane, of event shape (2,); got {tuple(prior.event_shape)}.")
    if not (checks.finite("noise", noise) > 0).all():
        raise ValueError(f"noise must be above 0; got {noise}.")
    y = jnp.asarray(seen(prior, y, known.mask, TAKES) if isinstance(known, MaskOperator) else y, float)
    checks.finite("y", y)
    predicted = jax.eval_shape(known, jax.ShapeDtypeStruct((2,), y.dtype)).shape
    if predicted != y.shape or jnp.shape(noise) not in ((), y.shape):
        raise ValueError(
            f"operator must return y's shape, and noise be a number or of it; got {predicted}, {y.shape} and "
            f"{jnp.shape(noise)}."
        )
    noise = jnp.asarray(noise, float)
    low, high, coarse, fine = _found(prior, y, known, noise, nodes)
    if not abs(float(coarse - fine)) <= TOLERANCE:
        raise ValueError(
            f"nodes must be more for so small a noise: with {nodes} per coordinate, log p(y) is off by "
            f"{abs(float(coarse - fine)):.2g}."
        )
    return ObservedPlane(prior, y, known, noise, low, high, fine, nodes)


def joint(prior: Any, y: Array, operator: Any, noise: Array, x: Array) -> Array:
    """log p(x_0) + log N(y; A(x_0), noise^2) of points (n, 2), in nats, (n,)."""
    noise = jnp.broadcast_to(jnp.asarray(noise, x.dtype), jnp.shape(y))

    def likelihood(point: Array) -> Array:
        each = jax.scipy.stats.norm.logpdf(jnp.asarray(y, x.dtype), operator(point), noise)
        return jnp.sum(each, where=operator.mask if isinstance(operator, MaskOperator) else None)

    return prior.log_prob(x) + jax.vmap(likelihood)(x)


@partial(jax.jit, static_argnums=4)
def _found(prior: Any, y: Array, operator: Any, noise: Array, nodes: int) -> tuple[Array, Array, Array, Array]:
    """The box, and the log evidence by few nodes and by many."""
    log_density = partial(joint, prior, y, operator, noise)
    low, high = plane_grid.box(log_density, jnp.asarray(prior.sample(jax.random.key(0), DRAWN), float))
    few, many = (plane_grid.log_integral(log_density, low, high, k) for k in (nodes, max(FINE, 2 * nodes)))
    return low, high, few, many
