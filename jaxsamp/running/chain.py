"""The job of `sample_density`: how one chain gets from its start to its last step."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp.core import laws
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, PyTree, State
from jaxsamp.mcmc import Langevin
from jaxsamp.mcmc.base import Adaptive, LogDensity, Score
from jaxsamp.mcmc.curvature import curvature_along
from jaxsamp.running.engine import End, Loop, Row
from jaxsamp.running.walk import Saved, Walk

ENDS, ITERATIONS = 4, 10  # last states of a device at which the curvature is looked at, and products with the Hessian


@pytree
@dataclass(frozen=True)
class Chain(Walk):
    """The steps of one chain, and frozen steps of polish at its end."""

    sampler: Langevin | Adaptive
    target: Any
    polish: bool = field(metadata={"static": True})

    def begun(self, row: Row, rng: Rng) -> State:
        """The state before the first step, from standard normal noise if no start is given."""
        x = rng.prior() if row.init is None else row.init.astype(self.dtype)
        if isinstance(self.sampler, Adaptive):
            return self.sampler.init(self._followed(self.sampler), x, rng)
        return self.sampler.init(self._score(), x, 0, rng)

    def moved(self, state: State, i: Array, rng: Rng) -> State:
        """The state after step i."""
        if isinstance(self.sampler, Adaptive):
            return self.sampler.step(self._followed(self.sampler), state, i, rng, self.counts.warmup)
        return self.sampler.step(self._score(), state, i, rng)

    def finish(self, tables: PyTree, row: Row, loop: Loop) -> End:
        """The last state, after the frozen steps at the end, if any."""
        if self.polish:
            first, frozen = self.count, self.sampler.polishing(self.counts.polish)
            assert frozen is not None  # the door has refused samplers without it
            rng, score = self._rng(row), self._score()
            bare = Loop(frozen.init(score, loop.state.x, first, rng), loop.bad, Saved(None, None))
            step = lambda state, i: frozen.step(score, state, i, rng)  # noqa: E731
            loop = self._steps(step, bare, first, self.counts.polish)._replace(saved=loop.saved)
        x = lax.stop_gradient(loop.state.x)[None]
        own = self.sampler.stats(loop.state) if isinstance(self.sampler, Adaptive) else {}
        return End(loop.state.x, loop.bad, loop.saved, (laws.clean_log_density(self._constant, x), own))

    def counted(self, ends: End) -> End:
        """The outputs, with whether each chain ended where the density is positive, and the curvature at those ends.

        Steps that adapt themselves are not measured: there is no limit that they could be beyond.
        """
        density, own = ends.stats
        inside = jnp.ones(ends.bad.shape, bool) if density is None else density[:, 0] > -jnp.inf  # infinity: at a pole
        if not isinstance(self.sampler, Adaptive):
            own = {"curvature": self._curvature(ends, density, inside)}
        return ends._replace(stats={"inside": inside} | own)

    def _curvature(self, ends: End, density: Array | None, inside: Array) -> Array:
        """The largest curvature at a few of these last states, for each; NaN if nothing is known but a score."""
        n = len(ends.bad)
        if density is None:
            return jnp.full(n, jnp.nan, self.dtype)
        # The likeliest states: a chain that was thrown far away says nothing about where the law lives.
        _, best = lax.top_k(jnp.where(inside, density[:, 0], -jnp.inf), min(n, ENDS))
        x = lax.stop_gradient(ends.x[best])
        target = self._constant
        found = laws.traced(target, lambda: curvature_along(target, x, self._scale, ITERATIONS))
        curvature = jnp.full(len(x), jnp.nan) if found is None else found
        most = jnp.max(curvature, where=inside[best] & jnp.isfinite(curvature), initial=-jnp.inf)
        return jnp.full(n, most, self.dtype)

    @property
    def _constant(self) -> Any:
        """The target, through which no derivative flows: checks are not part of what is differentiated."""
        return jax.tree.map(lax.stop_gradient, self.target)

    @property
    def _scale(self) -> Array:
        """The root of the inertia: steps feel the curvature of the density of x / scale."""
        inertia = getattr(self.sampler, "inverse_lipschitz", None)
        return jnp.sqrt(lax.stop_gradient(jnp.asarray(1.0 if inertia is None else inertia, self.dtype)))

    def _followed(self, sampler: Adaptive) -> Score | LogDensity:
        """The function of the density that an adaptive sampler is given."""
        return self._score() if sampler.follows == "score" else self._log_density

    def _log_density(self, x: Array) -> Array:
        return jnp.reshape(self.target.log_prob(x[None]), ()).astype(x.dtype)

    def _score(self) -> Score:
        """The target's score at one place of one chain, or at R places in one call."""

        def score(x: Array) -> Array:
            many = x.ndim > len(self.event)
            out = laws.clean_score(self.target, x if many else x[None])
            return (out if many else out[0]).astype(x.dtype)

        return score
