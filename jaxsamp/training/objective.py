"""The loss that `fit` minimizes by default."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jax

from jaxsamp import losses
from jaxsamp.core import checks
from jaxsamp.core.types import Array, PyTree

Made = TypeVar("Made", bound="Loss")

UNKNOWN = 0.5  # sigma_data of a model that has none: the value of EDM for images


@dataclass(frozen=True)
class Loss:
    """What the losses of `fit` share: the law of noise levels, the weighting, and conditions that are dropped."""

    levels: Any
    weighting: Any  # "edm" until the model is known
    drop: float
    null: Any

    @property
    def is_resolved(self) -> bool:
        """Whether no setting depends on data that are not known yet."""
        return self.levels.is_resolved

    def resolved(self: Made, std: float, event: tuple[int, ...]) -> Made:
        """The loss for data of that standard deviation and shape."""
        return replace(self, levels=self.levels.resolved(std, event))

    def weighting_of(self, model: Any) -> Any:
        """The weighting for a model."""
        return losses.EDMWeighting(sigma_data_of(model)) if isinstance(self.weighting, str) else self.weighting

    def dropped(self, key: Array, model: Any, cond: PyTree) -> PyTree:
        """The condition, replaced by "no condition" at random."""
        if not self.drop or cond is None:
            return cond
        return losses.drop(key, cond, model.null(cond) if self.null is None else self.null, self.drop)


@dataclass(frozen=True)
class DenoisingLoss(Loss):
    """(key, model, params, x, cond) -> denoising losses (batch,); made by `denoising_loss`."""

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
        """Drop conditions at random, then return the denoising loss of each sample at its own level."""
        for_loss, for_drop = jax.random.split(key)
        options = {"levels": self.levels, "weighting": self.weighting_of(model), "sigma_data": sigma_data_of(model)}
        options["cond"] = self.dropped(for_drop, model, cond)
        return losses.denoising(for_loss, model, params, x, model.schedule, model.prediction, **options)


def sigma_data_of(model: Any) -> Any:
    """The standard deviation of the data that a model was made for; EDM's if it does not say."""
    return getattr(model, "sigma_data", UNKNOWN)


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
    check_settings(levels, weighting, drop)
    return DenoisingLoss(levels, weighting, drop, null)


def check_settings(levels: Any, weighting: Any, drop: float) -> None:
    """Raise one sentence unless they are a law of levels, a weighting and a probability, in their ranges."""
    _made("levels", levels, losses.NoiseLevelDistribution, "UniformTime()")
    levels.check()
    if isinstance(weighting, str):
        checks.one_of("weighting, if it is a string,", weighting, ["edm"])
    elif weighting is not None:
        _made("weighting", weighting, losses.Weighting, "SNRWeighting()")
        weighting.check()
    if not 0 <= drop < 1:
        raise ValueError(f"drop must be in [0, 1); got {drop}.")


def _made(argument: str, got: Any, kind: type, example: str) -> None:
    if not isinstance(got, kind):
        raise TypeError(f"{argument} must be a {kind.__name__} of jaxsamp.losses, such as {example}; got {got!r}.")
