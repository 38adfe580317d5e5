"""The losses that `fit` minimizes by default: of clean data, and of measurements."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp import losses
from jaxsamp.core import checks
from jaxsamp.core.types import Array, PyTree
from jaxsamp.corruptions.condition import split

CHECKED, NEVER = 64, 1e-6  # operators whose further corruptions are checked; probabilities that are as good as 0
UNKNOWN = 0.5  # sigma_data of a model that has none: the value of EDM for images


@dataclass(frozen=True)
class DenoisingLoss:
    """(key, model, params, x, cond) -> denoising losses (batch,); made by `denoising_loss`."""

    levels: Any
    weighting: Any  # "edm" until the model is known
    drop: float
    null: Any

    @property
    def is_resolved(self) -> bool:
        """Whether no setting depends on data that are not known yet."""
        return self.levels.is_resolved

    def resolved(self, std: float, event: tuple[int, ...]) -> "DenoisingLoss":
        """The loss for data of that standard deviation and shape."""
        return replace(self, levels=self.levels.resolved(std, event))

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
        """Drop conditions at random, then return the denoising loss of each sample at its own level."""
        for_loss, for_drop = jax.random.split(key)
        if self.drop and cond is not None:
            cond = losses.drop(for_drop, cond, model.null(cond) if self.null is None else self.null, self.drop)
        weighting, sigma_data = self.weighting, getattr(model, "sigma_data", UNKNOWN)
        if isinstance(weighting, str):
            weighting = losses.EDMWeighting(sigma_data)
        options = {"levels": self.levels, "weighting": weighting, "cond": cond, "sigma_data": sigma_data}
        return losses.denoising(for_loss, model, params, x, model.schedule, model.prediction, **options)


@dataclass(frozen=True)
class AmbientLoss:
    """(key, model, params, x, cond) -> ambient losses (batch,); made by `ambient_loss`."""

    further: float
    reweight: bool
    levels: Any
    weighting: Any  # "edm" until the model is known
    law: Any = None  # until the data are known

    @property
    def is_resolved(self) -> bool:
        """Whether no setting depends on data that are not known yet."""
        return self.levels.is_resolved and self.law is not None

    def of_law(self, law: Any, operator: Any) -> "AmbientLoss":
        """The loss for measurements by this law, of which some operators are given.

        Raises:
            ValueError: something that the further corruption hides is never seen, so that it cannot be learned.
        """
        keys = jax.random.split(jax.random.key(0), CHECKED)
        some = jax.tree.map(lambda leaf: jnp.asarray(leaf[:CHECKED]), operator)
        keys = keys[: jax.tree.leaves(some)[0].shape[0]]
        hidden = jax.vmap(law.thinned, (0, 0, None))(keys, some, self.further)
        least = float(jnp.min(jax.vmap(law.gram, (0, None))(hidden, self.further)))
        if not least > NEVER:
            raise ValueError(
                f"law must see everything that its further corruption hides now and then, E[P | A~] > 0; for {law} "
                f"the smallest probability is {least:.2g}, so that nothing could be learned there."
            )
        return replace(self, law=law)

    def resolved(self, std: float, event: tuple[int, ...]) -> "AmbientLoss":
        """The loss for data of that standard deviation and shape."""
        return replace(self, levels=self.levels.resolved(std, event))

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
        """The ambient loss of each sample at its own level, with a further corruption of its own."""
        operator, rest = split(cond)
        weighting = self.weighting
        if isinstance(weighting, str):
            weighting = losses.EDMWeighting(getattr(model, "sigma_data", UNKNOWN))
        options = {"levels": self.levels, "weighting": weighting, "further": self.further, "reweight": self.reweight}
        return losses.ambient(key, model, params, x, operator, self.law, model.schedule, cond=rest, **options)


def ambient_loss(
    further: float = 0.1,
    reweight: bool = False,
    levels: losses.NoiseLevelDistribution = losses.LogNormal(),  # noqa: B008  (frozen)
    weighting: losses.Weighting | str = "edm",
) -> Callable[..., Array]:
    """The loss of `fit` for `jaxsamp.corruptions.Measurements`; see `jaxsamp.losses.ambient`.

    Args:
        further: rate of the further corruption, which is drawn anew for every sample of every batch; in (0, 1).
        reweight: divide the error of what a measurement sees and the network does not by its probability.
        levels: the law of noise levels. The mean of `LogNormal()` depends on the standard deviation of the data, which
            `fit` estimates from the measurements.
        weighting: w(lambda); "edm" for `jaxsamp.losses.EDMWeighting` with the model's own sigma_data.

    Raises:
        ValueError: a setting is out of range.
        TypeError: `levels` or `weighting` is of the wrong type.
    """
    if not 0 < further < 1:
        raise ValueError(
            f"further must be in (0, 1), because what is hidden from the network teaches it the rest; got {further}."
        )
    _check_laws(levels, weighting)
    return AmbientLoss(further, reweight, levels, weighting)


def for_data(loss: Callable[..., Array] | None, batches: Any) -> Callable[..., Array]:
    """The loss to train with on these `Batches`; by default the one that fits them.

    Raises:
        TypeError: the data are measurements and the loss is that of clean data, or the reverse.
        ValueError: the measurements cannot be learned from.
    """
    measured = getattr(batches, "measured", None)
    if loss is None:
        loss = denoising_loss() if measured is None else ambient_loss()
    if measured is None and isinstance(loss, AmbientLoss):
        raise TypeError("data must be jaxsamp.corruptions.Measurements for ambient_loss; got clean data.")
    if measured is not None and isinstance(loss, DenoisingLoss):
        raise TypeError("data must be clean samples for denoising_loss; got Measurements, for which ambient_loss is.")
    if measured is not None and isinstance(loss, AmbientLoss):
        return loss.of_law(measured.law, measured.operator)
    return loss


def denoising_loss(
    levels: losses.NoiseLevelDistribution = losses.LogNormal(),  # noqa: B008  (frozen)
    weighting: losses.Weighting | str | None = "edm",
    drop: float = 0.0,
    null: PyTree = None,
) -> Callable[..., Array]:
    """The denoising loss with conditions dropped at random, for `fit` and `train_step`.

    Args:
        levels: the law of noise levels; see `jaxsamp.losses`. The mean of `LogNormal()` depends on the standard
            deviation of the data, which `fit` measures; without `fit`, on the model's own sigma_data.
        weighting: w(lambda); "edm" for `jaxsamp.losses.EDMWeighting` with the model's own sigma_data, which `fit`
            measures for a bare network (0.5 for a model without one); None for the plain squared error of the
            prediction.
        drop: probability that a sample's condition is replaced by "no condition", for `jaxsamp.guide`.
        null: the value of "no condition"; by default the model's own.

    Raises:
        ValueError: a setting is out of range.
        TypeError: `levels` or `weighting` is of the wrong type.
    """
    _check_laws(levels, weighting)
    if not 0 <= drop < 1:
        raise ValueError(f"drop must be in [0, 1); got {drop}.")
    return DenoisingLoss(levels, weighting, drop, null)


def _check_laws(levels: Any, weighting: Any) -> None:
    _made("levels", levels, losses.NoiseLevelDistribution, "UniformTime()")
    levels.check()
    if isinstance(weighting, str):
        checks.one_of("weighting, if it is a string,", weighting, ["edm"])
    elif weighting is not None:
        _made("weighting", weighting, losses.Weighting, "SNRWeighting()")
        weighting.check()


def _made(argument: str, got: Any, kind: type, example: str) -> None:
    if not isinstance(got, kind):
        raise TypeError(f"{argument} must be a {kind.__name__} of jaxsamp.losses, such as {example}; got {got!r}.")
