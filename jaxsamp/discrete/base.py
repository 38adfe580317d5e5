"""The base class of laws of spins, with everything that follows from sums over all states where these are few."""

import math
import os
from abc import abstractmethod
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int8

from jaxsamp.core import checks
from jaxsamp.core.batching import each
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import Array, Level
from jaxsamp.denoisers import per_event
from jaxsamp.discrete.denoisers import ITERATIONS, tap_denoiser
from jaxsamp.targets import Target
from jaxsamp_kernels import enumeration

MOST = 22  # spins whose states are enumerated
AT_ONCE = 1024  # samples drawn at a time


class SpinLaw(Target):
    """A law of n spins, p(x) = exp(S(x)) / Z for x in {-1, +1}^n. There is no temperature: S holds it.

    A subclass gives `event_shape`, `exponent`, `local_fields` and `scaled`. Up to 22 spins everything else is exact, by
    a sum over all states: `enumerate`, `log_partition`, `probabilities`, samples, log densities, and the posterior mean
    at every noise level. So the law is a target like any other, and its denoiser lets every diffusion sampler draw
    spins.
    """

    @abstractmethod
    def exponent(self, x: Array) -> Array:
        """S(x) = log p(x) + log Z in nats, (batch, n) -> (batch,)."""

    @abstractmethod
    def local_fields(self, x: Array) -> Array:
        """f_i = (S(x with x_i = +1) - S(x with x_i = -1)) / 2, (batch, n) -> (batch, n): E[x_i | x_-i] = tanh f_i."""

    @abstractmethod
    def scaled(self, beta: Any) -> Any:
        """The law of the exponent beta S, as in tempering."""

    @property
    def sites(self) -> int:
        """n."""
        return self.event_shape[0]

    def conditional_mean(self, x: Array) -> Array:
        """E[x_i | x_-i] = tanh f_i at each spin of each row, (batch, n)."""
        return jnp.tanh(self.local_fields(x))

    def enumerate(self) -> enumeration.Moments:
        """Exact `log_partition`, `mean` E[x], `second` E[x x^T], `exponent` E[S] and `entropy` in nats.

        Raises:
            ValueError: there are more than 22 spins.
        """
        return _moments(self._exponents)

    def log_partition(self) -> Array:
        """log Z, a number; raises ValueError for more than 22 spins."""
        return jax.nn.logsumexp(self._exponents)

    def probabilities(self) -> Float[Array, " states"]:
        """p of every state, (2^n,), in the order of `jaxsamp.discrete.states(n)`.

        Raises:
            ValueError: there are more than 22 spins.
        """
        return jax.nn.softmax(self._exponents)

    def sample(self, key: Array, n: int) -> Int8[Array, "batch sites"]:
        """`n` exact independent draws, (n, sites) of int8: draw i depends on fold_in(key, i) and the law alone.

        Raises:
            ValueError: there are more than 22 spins; `jaxsamp.sample_spins` runs chains of any number.
        """
        return _sampled(self.probabilities(), checks.typed_key(key), jnp.arange(checks.at_least("n", n, 1)))

    def log_prob(self, x: Array, level: Level | None = None) -> Array:
        """log p(x) of spins without a level; at a level the log density of x_t = alpha x_0 + sigma z, (batch,).

        Raises:
            ValueError: there are more than 22 spins.
        """
        if level is None:
            return self.exponent(x) - self.log_partition()
        x, alpha, sigma = self.validated(x, level)
        log_total, _ = self._tilted(x, alpha, sigma)
        squares = jnp.sum(x**2, 1) + alpha**2 * self.sites
        scale = self.sites * jnp.log(math.sqrt(2 * math.pi) * sigma)
        return log_total - self.log_partition() - squares / (2 * sigma**2) - scale

    def posterior_mean(self, x: Array, level: Level) -> Array:
        """E[x_0 | x_t = x]: the mean of p(x_0) exp(alpha x.x_0 / sigma^2), (batch, n).

        Source: El Alaoui, Montanari and Sellke, "Sampling from the Sherrington-Kirkpatrick Gibbs measure via
        algorithmic stochastic localization", arXiv 2203.05093 (the tilt).
        """
        return self._tilted(*self.validated(x, level))[1]

    def denoiser(self, schedule: Schedule, method: str = "exact", iterations: int = ITERATIONS) -> Any:
        """E[x_0 | x_t] for every diffusion sampler: the mean of p(x_0) exp(y.x_0), y = alpha x_t / sigma^2.

        `jaxsamp.discrete.round_spins` makes spins of the samples.

        Args:
            schedule: how noise grows.
            method: "exact", a sum over all states, to 22 spins; or "tap", an approximation for pairwise couplings of
                any number of spins, O(n^2) an iteration, which is right for many weak ones: spin glasses below beta =
                1. A warning says so if its equations are not solved along paths drawn with a fixed key; that they are
                does not prove that the law is right.
            iterations: of the TAP equations.

        Raises:
            ValueError: more than 22 spins with "exact"; a law without pairwise couplings with "tap"; or another method.

        Source: El Alaoui, Montanari and Sellke, "Sampling from the Sherrington-Kirkpatrick Gibbs measure via
        algorithmic stochastic localization", arXiv 2203.05093; Thouless, Anderson and Palmer, "Solution of 'Solvable
        model of a spin glass'", Phil. Mag. 35 (1977); Bolthausen, "An iterative construction of solutions of the TAP
        equations for the Sherrington-Kirkpatrick model", arXiv 1201.2891 (the echo of the step before).
        """
        if checks.one_of("method", method, ("exact", "tap")) == "tap":
            return tap_denoiser(self, schedule, iterations)
        if self.sites > MOST:
            raise ValueError(f"method must be 'tap' for more than {MOST} spins; got 'exact' for n = {self.sites}.")
        return super().denoiser(schedule)

    def mean_square(self) -> Array:
        """One for each spin."""
        return jnp.ones(self.event_shape)

    def _tilted(self, x: Array, alpha: Array, sigma: Array) -> tuple[Array, Array]:
        return enumeration.tilted(self._exponents, per_event(alpha / sigma**2, x) * x)

    @property
    def _exponents(self) -> Array:
        """S of every state, kept once it is known."""
        if self.sites > MOST:
            raise ValueError(
                f"the law must have at most {MOST} spins for sums over all states; got n = {self.sites}, which has "
                f"2^{self.sites}."
            )
        return self._known if checks.is_concrete(self, jnp.zeros(())) else _enumerated(self)

    @cached_property
    def _known(self) -> Array:
        return _enumerated(self)


def fields_of(got: Any, n: int | None = None) -> Array:
    """Return the fields h as finite numbers (n,), zero if they are None, else raise ValueError."""
    if got is None:
        return jnp.zeros(n)
    h = checks.floating("fields", got)
    if h.ndim != 1 or not len(h) or n not in (None, len(h)):
        raise ValueError(f"fields must have shape ({'n' if n is None else n},); got {h.shape}.")
    if checks.is_concrete(h):
        checks.finite("fields", h)
    return jnp.asarray(h)


def fits(argument: str, *shape: int) -> None:
    """Raise ValueError if an array of this shape would be larger than the memory of the machine."""
    size = math.prod(shape) * jnp.zeros(()).dtype.itemsize
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    if size > memory:
        raise ValueError(
            f"{argument} must fit into memory, {memory:,.0f} bytes here; got {' x '.join(map(str, shape))} numbers, "
            f"{size:,} bytes."
        )


def states(n: int) -> Int8[Array, "states sites"]:
    """All 2^n states, (2^n, n) of int8: state s has x_i = +1 where bit i of s is set, and -1 elsewhere.

    Raises:
        ValueError: n is below 1 or above 22.
    """
    if checks.at_least("n", n, 1) > MOST:
        raise ValueError(f"n must be at most {MOST} for a list of all states; got {n}.")
    return _states(n)


_moments = jax.jit(enumeration.moments)


@partial(jax.jit, static_argnums=0)
def _states(n: int) -> Array:
    return enumeration.states(0, 2**n, n).astype(jnp.int8)


@jax.jit
def _enumerated(law: SpinLaw) -> Array:
    return enumeration.exponents(law.exponent, law.sites)


@jax.jit
def _sampled(p: Array, key: Array, numbers: Array) -> Array:
    n = int(math.log2(len(p)))

    def one(i: Array) -> Array:
        chosen = enumeration.drawn(p, jax.random.uniform(jax.random.fold_in(key, i), (2,), p.dtype))
        return enumeration.states(chosen.astype(jnp.uint32), 1, n)[0].astype(jnp.int8)

    return each(one, numbers, AT_ONCE)
