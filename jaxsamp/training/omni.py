"""Training on annotated data: levels first, then for each of them a sample that may train there."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import losses
from jaxsamp.core import checks
from jaxsamp.core.pytrees import adopted
from jaxsamp.core.random import is_key
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.corruptions import Annotations
from jaxsamp.corruptions.annotations import factor as factor_of
from jaxsamp.denoisers import denoiser, per_event
from jaxsamp.losses.consistency import reverse
from jaxsamp.losses.omni import TARGETS
from jaxsamp.training.data import Shuffled
from jaxsamp.training.objective import DenoisingLoss, denoising_loss

TRIED = 2**14  # levels that are drawn before training, to see whether a sample may train at each
STRETCH = 0.5  # of log(alpha / sigma) at most over which consistency is measured
GAP = 1e-3  # and at least


class Admitted(NamedTuple):
    """What a batch of annotated data has as its condition, each with a leading axis (batch,).

    Attributes:
        cond: the condition of the network, or None.
        log_snr: log(alpha / sigma), the level at which each sample trains.
        factor: by which its loss is multiplied.
        sigma_n: the noise of each sample's own, in units of the data.
        own: a typed key for each, of that noise: the same whenever the sample returns; or the noise itself.
    """

    cond: PyTree
    log_snr: Any
    factor: Any
    sigma_n: Any
    own: Any


def drawn(x: Array, cond: Admitted) -> Admitted:
    """The condition with the noise of each sample's own, standard normal, of x's shape, instead of its key."""
    if not is_key(cond.own):
        return cond
    return cond._replace(own=jax.vmap(lambda own: jax.random.normal(own, x.shape[1:], x.dtype))(cond.own))


@dataclass(frozen=True)
class OmniLoss(DenoisingLoss):
    """The same as `DenoisingLoss` for the batches of annotated data; made by `omni_loss`."""

    target: str
    buffer: float
    consistency: float
    ways: int

    def network_cond(self, cond: Admitted) -> PyTree:
        """What the network itself gets of a batch's condition."""
        return cond.cond

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: Admitted) -> Array:
        """The loss of each sample at the level that was chosen with it."""
        for_loss, for_drop = jax.random.split(key)
        own = drawn(x, cond).own
        given, log_snr = self.dropped(for_drop, model, cond.cond), cond.log_snr
        least = jnp.asarray(factor_of(self.buffer) * cond.sigma_n, log_snr.dtype)
        alone = jnp.exp(-log_snr) <= least  # this sample may not train there, nor any other
        log_snr = jnp.where(alone, -jnp.log(jnp.where(alone, least, 1)), log_snr)
        if self.consistency:
            for_loss, for_ways = jax.random.split(for_loss)
        level = model.schedule.level(log_snr)
        options = {"level": level, "sigma_n": cond.sigma_n, "target": self.target, "own": own}
        options |= {"weighting": self.weighting_of(model), "cond": given}
        found = losses.ambient_omni(for_loss, model, params, x, model.schedule, model.prediction, **options)
        if self.consistency:
            lower = jnp.where(alone, jnp.maximum(cond.log_snr, log_snr + GAP), log_snr + 1)  # of others it is not used
            start = x + per_event(cond.sigma_n, x).astype(x.dtype) * own
            added = jnp.sqrt(jnp.maximum(jnp.exp(-2 * log_snr) - cond.sigma_n**2, 0))
            found = jnp.where(alone, self._below(for_ways, model, params, start, added, level, lower, given), found)
        return cond.factor.astype(found.dtype) * found

    def _below(
        self, key: Array, model: Any, params: PyTree, x: Array, added: Array, level: Level, lower: Array, cond: PyTree
    ) -> Array:
        """The weighted consistency a little above the level `lower`, reached from x with noise `added` at `level`."""
        for_noise, for_reverse, for_ways = jax.random.split(key, 3)
        noise = jax.random.normal(for_noise, x.shape, x.dtype)
        added, alpha = (per_event(v, x).astype(x.dtype) for v in (added, level.alpha))
        between, last = (model.schedule.level(v) for v in (jnp.maximum(level.log_snr, lower - STRETCH), lower))
        network = denoiser(model, params, model.schedule, model.prediction)
        x_t = reverse(for_reverse, network, alpha * (x + added * noise), level, between, self.ways, cond)
        options = {"level": between, "lower": last, "steps": self.ways, "cond": cond}
        found = losses.consistency(for_ways, model, params, x_t, model.schedule, model.prediction, **options)
        weighting = self.weighting_of(model)
        return (self.consistency * (1 if weighting is None else weighting(lower)) * found).astype(x.dtype)


def omni_loss(
    levels: losses.NoiseLevelDistribution = losses.LogNormal(),  # noqa: B008  (frozen)
    weighting: losses.Weighting | str | None = "edm",
    drop: float = 0.0,
    null: PyTree = None,
    target: str = "x_tn",
    buffer: float = 4.0,
    consistency: float = 0.0,
    ways: int = 4,
) -> Callable[..., Array]:
    """The loss of `fit(..., annotations=)`: `jaxsamp.losses.ambient_omni` with conditions dropped at random.

    Args:
        levels, weighting, drop, null: as for `jaxsamp.training.denoising_loss`. Levels are drawn first, so that their
            law is this one whatever the annotations.
        target: "x_tn", what is left of a sample after noise of its own level and of its own values; or "x0", the sample
            itself. The minimizer over all functions is the same.
        buffer: above 1; a sample trains above (1 - 1 / buffer)^(-1/2) times its sigma_min, 1.15 by default, where the
            noise of the target "x_tn" has at most `buffer` times the variance of the sample's own. Infinity, for "x0"
            alone, is no such distance.
        consistency: weight of `jaxsamp.losses.consistency` at levels where no sample may train, as with noisy data
            alone: it carries what is learned above down to them. 0, the default, refuses such levels. Above 0, each
            training step costs 3 ways + 1 further evaluations.
        ways: steps of each way down: of the reverse process from the lowest level at which the sample may train, and of
            the two over which consistency is measured.

    Raises:
        ValueError: a setting is out of range.
        TypeError: `levels` or `weighting` is of the wrong type.

    Source: Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv 2506.10038; for
    consistency, Daras, Dimakis and Daskalakis, "Consistent Diffusion Meets Tweedie", arXiv 2404.10177.
    """
    plain: Any = denoising_loss(levels, weighting, drop, null)
    checks.one_of("target", target, TARGETS)
    factor_of(buffer)
    if target == TARGETS[0] and np.isinf(buffer):
        raise ValueError(
            'buffer must be finite for the target "x_tn", because nothing else bounds its weight; got inf.'
        )
    checks.at_least("ways", ways, 1)
    if not 0 <= consistency < np.inf:
        raise ValueError(f"consistency must be a weight, finite and at least 0; got {consistency}.")
    own = target, float(buffer), float(consistency), ways
    return OmniLoss(plain.levels, plain.weighting, plain.drop, plain.null, *own)


@dataclass
class Admissible:
    """Arrays in memory with annotations: a level is drawn by its law, then a sample uniformly over those it admits.

    Attributes:
        samples: the arrays.
        annotations: at which levels each of them may train.
        loss: whose levels and buffer are used.
        schedule: how noise grows.
        key: batch i is drawn with fold_in of a part of it and i; the noise of sample j with fold_in of another and j.
    """

    samples: Shuffled
    annotations: Annotations
    loss: OmniLoss
    schedule: Any
    key: Array

    def __post_init__(self) -> None:
        self._tables = self.annotations.admission(self.loss.buffer)
        self._keys = jax.random.split(self.key)
        self._law = adopted("levels", self.loss.levels), checks.schedule(self.schedule)
        if self.loss.consistency:
            if np.isinf(self.annotations.sigma_min).all():
                raise ValueError("annotations must let a sample train at high noise; got infinity for all of them.")
            return
        level, _ = self.loss.levels.draw(jax.random.key(0), TRIED, self.schedule)
        s = jnp.exp(-level.log_snr)
        if (alone := np.asarray(self._tables.count(s)) == 0).any():
            least = self._tables.above[0]
            raise ValueError(
                f"annotations must let a sample train at every level that is drawn; at sigma / alpha = "
                f"{s[np.argmax(alone)]:.3g} there is none, because all of them need more than {least:.3g}. Add clean "
                "samples, or give omni_loss levels that are all higher, or a weight of consistency."
            )

    def batch(self, index: int, size: int) -> tuple[np.ndarray, Admitted]:
        """Batch `index` of `size` samples."""
        return self._taken(self._chosen(index, size))

    def stream(self, first: int, size: int) -> Iterator[tuple[np.ndarray, Admitted]]:
        """Batches first, first + 1, ...: each is chosen before the step before it begins, and no one waits for it."""
        ahead = self._chosen(first, size)
        for index in itertools.count(first + 1):
            now, ahead = ahead, self._chosen(index, size)
            yield self._taken(now)

    def std(self) -> float:
        """Standard deviation of all samples about their mean."""
        return self.samples.std()

    def config(self) -> Any:
        """All samples, conditions and annotations."""
        levels = {"sigma_min": self.annotations.sigma_min, "sigma_max": self.annotations.sigma_max}
        return {**self.samples.config(), "annotations": levels}

    def _chosen(self, index: int, size: int) -> tuple[Array, ...]:
        return _choose(*self._law, self._tables, *self._keys, index, size, self.loss.consistency > 0)

    def _taken(self, chosen: tuple[Array, ...]) -> tuple[np.ndarray, Admitted]:
        number, *others = chosen
        rows = np.asarray(number)
        cond = jax.tree.map(lambda leaf: leaf[rows], self.samples.cond)
        return self.samples.x[rows], Admitted(cond, *others)


@partial(jax.jit, static_argnames=("size", "consistent"))
def _choose(
    levels: Any, schedule: Any, tables: Any, for_batches: Array, for_samples: Array, index: Any, size: int,
    consistent: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """Numbers of samples, and for each its level, factor, noise and key."""
    for_levels, for_numbers = jax.random.split(jax.random.fold_in(for_batches, index))
    level, factor = levels.draw(for_levels, size, schedule)
    s = jnp.exp(-level.log_snr)
    number, noise = tables.draw(for_numbers, s)
    alone = tables.count(s) == 0
    if consistent:
        other = tables.any(for_numbers, s.shape)
        number, noise = jnp.where(alone, other, number), jnp.where(alone, tables.sigma_min[other], noise)
    else:
        factor = jnp.where(alone, 0, factor)  # of a level that is too rare to have been found before
    own = jax.vmap(jax.random.fold_in, (None, 0))(for_samples, number)
    return number, level.log_snr, factor, noise, own


def annotated(batches: Any, annotations: Any, loss: Any, model: Any, key: Array) -> tuple[Any, OmniLoss]:
    """The batches of annotated arrays, and their loss with levels that fit the data.

    Raises:
        TypeError, ValueError: the data, annotations or loss do not go together.
    """
    if not isinstance(annotations, Annotations):
        raise TypeError(f"annotations must be a jaxsamp.corruptions.Annotations; got a {type(annotations).__name__}.")
    if not isinstance(loss, OmniLoss):
        raise TypeError(f"loss must be a jaxsamp.training.omni_loss(...) with annotations; got {loss!r}.")
    if type(batches) is not Shuffled:
        raise TypeError(f"data must be an array of samples with annotations; got a {type(batches).__name__}.")
    annotations.check(batches.x)
    if not loss.is_resolved:
        loss = loss.resolved(batches.std(), batches.x.shape[1:])
    return Admissible(batches, annotations, loss, model.schedule, key), loss
