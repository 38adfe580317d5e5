"""A network, scaled so that its input, output and loss have unit size at every noise level, as a denoiser."""

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, PyTree
from jaxsamp.corruptions.condition import for_network, projected, split
from jaxsamp.denoisers import NetworkDenoiser, denoiser, per_event
from jaxsamp.models.layers import check_labels, parts
from jaxsamp_kernels import prediction as predictions

EDM = "edm"


def coefficients(alpha: ArrayLike, sigma: ArrayLike, sigma_data: ArrayLike) -> tuple[Array, Array, Array]:
    """(c_skip, c_out, c_in) of D = c_skip x_t + c_out F(c_in x_t), finite at both ends of every schedule.

    With s = sigma / alpha and q = sigma_data these are EDM's q^2 / (s^2 + q^2), s q / sqrt(s^2 + q^2) and
    1 / sqrt(s^2 + q^2), which apply to x_t / alpha, rewritten for x_t.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """
    alpha, sigma = jnp.asarray(alpha), jnp.asarray(sigma)
    std = jnp.hypot(alpha * sigma_data, sigma)  # the standard deviation of x_t
    return alpha * sigma_data**2 / std**2, sigma * sigma_data / std, 1 / std


@dataclass(frozen=True, eq=False)
class Model:
    """A Flax network with a schedule: an `apply` for `jaxsamp.denoiser`, and initial weights.

    Called as model(params, x, t, cond). With predicts="edm" the result is D = c_skip x_t + c_out F(c_in x_t, c_noise,
    cond); else it is the network's own output F(c_in x_t, c_noise, cond), read as a prediction of that name. c_noise
    is log(sigma / alpha) / 4. Models are compared by identity, so keep yours: another one compiles anew.

    Where `cond` has the operator of each sample (`jaxsamp.corruptions.Corrupted`), F sees P x_t alone and is told P,
    and D = c_skip P x_t + c_out P F + sigma_data (I - P) F. With `blind` it is not told, so that a network that was
    trained on clean data can go on with corrupted data: its output gets another meaning where A does not see x_t.

    Attributes:
        network: one of `jaxsamp.models`, or any Linen module that is called like them.
        schedule: how noise grows.
        predicts: "edm", or what the bare network predicts: "x0", "epsilon", "v", "score" or "velocity".
        sigma_data: standard deviation of the data, a number.
        blind: whether the network is told nothing of the operators in `cond`.
        magnitude: root mean square of the data, by which `jaxsamp.sample` knows where noise drowns them; None if it is
            not known. `jaxsamp.fit` measures it for a bare network.

    Raises:
        ValueError: `predicts` is unknown, or `sigma_data` is not above 0.
        TypeError: `schedule` is not a schedule.
    """

    network: Any
    schedule: Any
    predicts: str = EDM
    sigma_data: float = 0.5
    blind: bool = False
    magnitude: float | None = field(default=None, metadata={"fact": True})

    def __post_init__(self) -> None:
        checks.one_of("predicts", self.predicts, (EDM, *predictions.NAMES))
        if isinstance(self.schedule, type) or not hasattr(self.schedule, "level"):
            raise TypeError(f"schedule must be a schedule, such as jaxsamp.schedules.Cosine(); got {self.schedule!r}.")
        if not self.sigma_data > 0:
            raise ValueError(f"sigma_data must be above 0; got {self.sigma_data}.")

    @property
    def prediction(self) -> str:
        """What a call returns, as `jaxsamp.denoiser` names it."""
        return "x0" if self.predicts == EDM else self.predicts

    def init(self, key: Array, x: Float[Array, "batch *event"], cond: PyTree = None) -> PyTree:
        """Initial weights, for data and conditions of these shapes."""
        operator, cond = split(cond)
        cond = self._told(operator, cond)
        # Compiled: one program instead of hundreds of small ones.
        arguments = (checks.typed_key(key), x, jnp.zeros(x.shape[:1]), cond)
        if not _hashable(self.network):  # compiled for this call alone
            return jax.jit(self.network.init)(*arguments)
        return _init(self.network, *arguments)

    def __call__(
        self, params: PyTree, x: Float[Array, "batch *event"], t: Array, cond: PyTree = None
    ) -> Float[Array, "batch *event"]:
        """The posterior mean, or the bare network's prediction; t is (batch,), in the schedule's own time."""
        level = self.schedule.at(t)
        noise = -0.25 * level.log_snr
        skip, out, inside = (
            per_event(c, x).astype(x.dtype) for c in coefficients(level.alpha, level.sigma, self.sigma_data)
        )
        operator, cond = split(cond)
        if operator is not None:
            return self._of_seen(params, x, operator, cond, noise, skip, out, inside)
        answer = self.network.apply(params, inside * x, noise, cond)
        return skip * x + out * answer if self.predicts == EDM else answer

    def _of_seen(self, params: PyTree, x: Array, operator: Any, cond: PyTree, noise: Array, *scales: Array) -> Array:
        """E[x_0 | P x_t, A]: preconditioned where A sees x_t; elsewhere sigma_data F, the size of the data."""
        if self.prediction != "x0":
            raise ValueError(
                f'predicts must be "edm" or "x0" for corrupted data, where x_t is not known everywhere; got '
                f"{self.predicts!r}."
            )
        skip, out, inside = scales
        seen = projected(operator, x)
        answer = self.network.apply(params, inside * seen, noise, self._told(operator, cond))
        if self.predicts != EDM:
            return answer
        return skip * seen + self.sigma_data * answer + projected(operator, (out - self.sigma_data) * answer)

    def _told(self, operator: Any, cond: PyTree) -> PyTree:
        """What the network gets of its condition."""
        return cond if operator is None or self.blind else for_network(operator, cond)

    def null(self, cond: PyTree) -> PyTree:
        """The empty condition of one sample: label `classes`, zeros for vectors; None for channels, which stay."""
        nulls = {"label": getattr(self.network, "classes", 0), "vector": 0.0, "channels": None}
        if isinstance(cond, dict):
            given = parts(cond)
            return {key: nulls[key] if key in given else None for key in cond}
        return None if cond is None else nulls[next(iter(parts(cond)))]

    def check_reads(self, x: Array, operator: Any, cond: PyTree = None, argument: str = "model") -> None:
        """Raise ValueError if the network has no weights for what it is told of the operators, and so ignores it.

        Args:
            x, operator, cond: samples, their operators and other conditions, of which the shapes alone are used.
            argument: whose argument the model is, for the sentence.
        """
        if self.blind:
            return
        one = jax.eval_shape(lambda *given: jax.tree.map(lambda leaf: leaf[:1], given), x, operator, cond)
        told = jax.eval_shape(lambda operator, cond: for_network(operator, cond), *one[1:])
        own = jax.eval_shape(lambda operator: for_network(operator, None), one[1])
        rest = {name: told[name] for name in told if name not in own}
        shapes = _shapes if _hashable(self.network) else _shapes.__wrapped__
        event = one[0].shape, one[0].dtype
        if shapes(self.network, *event, tuple(told.items())) == shapes(self.network, *event, tuple(rest.items())):
            raise ValueError(
                f"{argument} must read {' and '.join(map(repr, own))} of its condition, what it is told of the "
                f"operators of corrupted data; {type(self.network).__name__} has no weights for it. A network of clean "
                "data can be trained further with blind=True."
            )

    def check_cond(self, cond: PyTree, n: int | None = None) -> None:
        """Raise ValueError if labels are not among the network's, 0 ... classes, or not integers, whatever `n`.

        Only labels whose values are known on this host are checked, and only if the network says its `classes`.
        """
        classes = getattr(self.network, "classes", 0)
        check_labels(split(cond)[1], classes, classes)

    def denoiser(self, params: PyTree) -> NetworkDenoiser:
        """The denoiser of these weights."""
        return denoiser(self, params, self.schedule, self.prediction)


def _hashable(network: Any) -> bool:
    """Whether a network has no arrays among its settings."""
    try:
        hash(network)
    except TypeError:
        return False
    return True


@lru_cache(64)
def _shapes(network: Any, event: tuple[int, ...], dtype: Any, cond: tuple[tuple[str, Any], ...]) -> Any:
    """The shapes of the weights for samples and conditions of these shapes, hashable."""
    x = jax.ShapeDtypeStruct(event, dtype)
    shapes = jax.eval_shape(network.init, jax.random.key(0), x, jnp.zeros(event[:1]), dict(cond))
    leaves, structure = jax.tree.flatten(shapes)
    return structure, tuple(leaf.shape for leaf in leaves)


@partial(jax.jit, static_argnums=0)
def _init(network: Any, *arguments: Any) -> PyTree:
    return network.init(*arguments)
