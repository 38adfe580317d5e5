"""Restricted Boltzmann machines: spins that are coupled through hidden ones."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int8

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Data
from jaxsamp.discrete.base import MOST, SpinLaw
from jaxsamp.discrete.ising import Ising
from jaxsamp_kernels import rbm as kernel


@pytree
@dataclass(frozen=True)
class RBM(SpinLaw):
    """The law of x in p(x, h) proportional to exp(x.W h + b.x + c.h), x in {-1, +1}^n, h in {-1, +1}^m.

    Summed over h it is p(x) = exp(S(x)) / Z with S(x) = b.x + sum_j ln 2cosh(c_j + (x.W)_j). One spin given the others
    is a network of two layers, E[x_i | x_-i] = tanh(b_i + sum_j artanh(tanh W_ij tanh(c_j + sum_{k != i} W_kj x_k))),
    so a hidden spin with r neighbors brings products of at most r - 1 spins into the regression of one on the others.
    Up to 22 spins, or 22 hidden ones, the partition function and samples are exact.

    Args:
        weights: W, (n, m).
        visible: b, (n,); zero by default.
        hidden: c, (m,); zero by default.

    Raises:
        ValueError: an array has another shape, or numbers that are not finite.

    Source: Goel, Klivans and Koehler, "From Boltzmann Machines to Neural Networks and Back Again", arXiv 2007.12815,
    for spins as networks of two layers.
    """

    weights: Any
    visible: Any = None
    hidden: Any = None

    def __post_init__(self) -> None:
        weights = checks.floating("weights", self.weights)
        if weights.ndim != 2 or not weights.size:
            raise ValueError(f"weights must have shape (n, m), spins and hidden spins; got {weights.shape}.")
        if checks.is_concrete(weights):
            checks.finite("weights", weights)
        for name, count in (("visible", weights.shape[0]), ("hidden", weights.shape[1])):
            object.__setattr__(self, name, _offsets(name, getattr(self, name), count))
        object.__setattr__(self, "weights", jnp.asarray(weights))

    @classmethod
    def from_binary(cls, weights: Data, visible: Data, hidden: Data) -> "RBM":
        """The law of x = 2 v - 1 for v and hidden units g of 0 and 1, p(v, g) proportional to exp(v.W g + b.v + c.g).

        That is how scikit-learn's BernoulliRBM has it: weights `components_.T`, visible `intercept_visible_` and hidden
        `intercept_hidden_`.
        """
        w = jnp.asarray(weights, jnp.result_type(float)) / 4
        return cls(w, jnp.asarray(visible) / 2 + w.sum(1), jnp.asarray(hidden) / 2 + w.sum(0))

    def to_binary(self) -> tuple[Array, Array, Array]:
        """Weights (n, m), visible (n,) and hidden (m,) offsets over v = (1 + x) / 2, as in `from_binary`."""
        w = self.weights
        return 4 * w, 2 * (self.visible - w.sum(1)), 2 * (self.hidden - w.sum(0))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(n,)."""
        return self.visible.shape

    @property
    def swapped(self) -> "RBM":
        """The law of the hidden spins h, whose hidden ones are x; it has the same partition function."""
        return RBM(self.weights.T, self.hidden, self.visible)

    def exponent(self, x: Array) -> Array:
        """S(x) = b.x + sum_j ln 2cosh(c_j + (x.W)_j), (batch,): minus the free energy."""
        return kernel.exponent(x.astype(self.weights.dtype), self.weights, self.visible, self.hidden)

    def local_fields(self, x: Array) -> Array:
        """b_i + sum_j artanh(tanh W_ij tanh(c_j + sum_{k != i} W_kj x_k)), (batch, n)."""
        return kernel.local_fields(x.astype(self.weights.dtype), self.weights, self.visible, self.hidden)

    def hidden_mean(self, x: Array) -> Array:
        """E[h | x] = tanh(c + x.W), (batch, n) -> (batch, m)."""
        return kernel.hidden_mean(x.astype(self.weights.dtype), self.weights, self.hidden)

    def visible_mean(self, h: Array) -> Array:
        """E[x | h] = tanh(b + W h), (batch, m) -> (batch, n)."""
        return kernel.visible_mean(h.astype(self.weights.dtype), self.weights, self.visible)

    def log_partition(self) -> Array:
        """log Z, a number, by a sum over the states of the smaller side.

        Raises:
            ValueError: there are more than 22 spins and more than 22 hidden ones; `jaxsamp.discrete.log_partition`
                brackets it.
        """
        n, m = self.weights.shape
        if min(n, m) > MOST:
            raise ValueError(
                f"the law must have at most {MOST} spins or {MOST} hidden ones for a sum over all states; got {n} and "
                f"{m}: jaxsamp.discrete.log_partition(key, rbm) brackets it."
            )
        law = self if n <= MOST else self.swapped
        return jax.nn.logsumexp(law._exponents)

    def sample(self, key: Array, n: int) -> Int8[Array, "batch sites"]:
        """`n` exact independent draws, (n, sites) of int8: draw i depends on fold_in(key, i) and the law alone.

        Raises:
            ValueError: there are more than 22 spins and more than 22 hidden ones; `jaxsamp.sample_spins` with
                `mcmc.BlockGibbs()` runs chains of any number.
        """
        if self.sites <= MOST or self.weights.shape[1] > MOST:
            return super().sample(key, n)
        for_h, for_x = jax.random.split(checks.typed_key(key))
        return _given(self, for_x, self.swapped.sample(for_h, n))

    def scaled(self, beta: Any) -> "Scaled":
        """The law of the exponent beta S, which is no RBM; see also `annealed` and `joint`."""
        return Scaled(self, jnp.asarray(beta, self.weights.dtype))

    def annealed(self, beta: Any) -> "RBM":
        """The law with beta W and beta c, and b as it is: independent spins at beta = 0, this law at beta = 1."""
        return replace(self, weights=beta * self.weights, hidden=beta * self.hidden)

    def joint(self) -> Ising:
        """The law of (x, h), of n + m spins; with it every sampler of pairwise models draws x and h together."""
        n, m = self.weights.shape
        couplings = jnp.zeros((n + m, n + m), self.weights.dtype).at[:n, n:].set(self.weights)
        return Ising(couplings + couplings.T, jnp.concatenate([self.visible, self.hidden]))


@pytree
@dataclass(frozen=True)
class Scaled(SpinLaw):
    """The law of the exponent beta S, for a law whose class does not hold it."""

    law: Any
    beta: Any

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(n,)."""
        return self.law.event_shape

    def exponent(self, x: Array) -> Array:
        """Beta S(x), (batch,)."""
        return self.beta * self.law.exponent(x)

    def local_fields(self, x: Array) -> Array:
        """Beta times those of the law, (batch, n)."""
        return self.beta * self.law.local_fields(x)

    def scaled(self, beta: Any) -> "Scaled":
        """The law of another multiple of S."""
        return replace(self, beta=beta * self.beta)


@pytree
@dataclass(frozen=True)
class LabeledRBM:
    """A label y = +1 or -1 of x as one more visible spin of an RBM, coupled to hidden spins alone.

    E[y | x] = tanh(a + sum_j artanh(tanh u_j tanh(c_j + (x.W)_j))).

    Args:
        rbm: the `RBM` with W and c.
        head: u, (m,), the couplings of the label to the hidden spins.
        bias: a, a number.

    Raises:
        ValueError: head or bias has another shape.
    """

    rbm: Any
    head: Any
    bias: Any = 0.0

    def __post_init__(self) -> None:
        m, bias = self.rbm.weights.shape[1], checks.floating("bias", self.bias)
        if bias.ndim:
            raise ValueError(f"bias must be a number; got an array of shape {bias.shape}.")
        object.__setattr__(self, "head", _offsets("head", self.head, m))
        object.__setattr__(self, "bias", jnp.asarray(bias))

    def label_field(self, x: Array) -> Array:
        """Half the log odds of y = +1 given x, (batch, n) -> (batch,)."""
        w, c = self.rbm.weights, self.rbm.hidden
        return kernel.label_field(x.astype(w.dtype), w, c, self.head, self.bias)

    def conditional_mean(self, x: Array) -> Float[Array, " batch"]:
        """E[y | x], (batch,)."""
        return jnp.tanh(self.label_field(x))

    def joint(self) -> RBM:
        """The RBM of the n + 1 spins (x, y)."""
        weights = jnp.concatenate([self.rbm.weights, self.head[None]])
        return RBM(weights, jnp.append(self.rbm.visible, self.bias), self.rbm.hidden)


def _offsets(argument: str, got: Any, count: int) -> Array:
    """`got` as numbers (count,), zeros if it is None, else raise ValueError."""
    if got is None:
        return jnp.zeros(count)
    made = checks.floating(argument, got)
    if made.shape != (count,):
        raise ValueError(f"{argument} must have shape ({count},), as weights have it; got {made.shape}.")
    if checks.is_concrete(made):
        checks.finite(argument, made)
    return jnp.asarray(made)


@jax.jit
def _given(rbm: RBM, key: Array, h: Array) -> Array:
    """One draw of x for each row of h."""
    fields = kernel.visible_fields(h.astype(rbm.weights.dtype), rbm.weights, rbm.visible)

    def one(i: Array, fields: Array) -> Array:
        uniforms = jax.random.uniform(jax.random.fold_in(key, i), fields.shape, fields.dtype)
        return kernel.spins(fields, uniforms).astype(jnp.int8)

    return jax.vmap(one)(jnp.arange(len(h)), fields)
