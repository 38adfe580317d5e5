"""The loss that `fit` descends unless it is given another."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax

from jaxsamp import losses
from jaxsamp.core import checks
from jaxsamp.core.types import Array, PyTree

UNKNOWN = 0.5  # sigma_data of a model without one: EDM's for images


@dataclass(frozen=True)
class DenoisingLoss:
    """(key, model, params, x, cond) -> denoising losses (batch,); made by `denoising_loss`."""

    levels: Any
    weighting: Any  # "edm" until the model is known
    drop: float
    null: Any

    @property
    def is_resolved(self) -> bool:
        """Whether no setting waits for the data."""
        return self.levels.is_resolved

    def resolved(self, std: float, event: tuple[int, ...]) -> "DenoisingLoss":
        """The loss for data of that standard deviation and shape."""
        return replace(self, levels=self.levels.resolved(std, event))

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
        """Conditions are dropped at random, then the denoising loss is taken at levels of their own."""
        for_loss, for_drop = jax.random.split(key)
        if self.drop and cond is not None:
            cond = losses.drop(for_drop, cond, model.null(cond) if self.null is None else self.null, self.drop)
        weighting, sigma_data = self.weighting, getattr(model, "sigma_data", UNKNOWN)
        if isinstance(weighting, str):
            weighting = losses.EDMWeighting(sigma_data)
        options = {"levels": self.levels, "weighting": weighting, "cond": cond, "sigma_data": sigma_data}
        return losses.denoising(for_loss, model, params, x, model.schedule, model.prediction, **options)


def denoising_loss(
    levels: losses.NoiseLevelDistribution = losses.LogNormal(),  # noqa: B008  (frozen)
    weighting: losses.Weighting | str | None = "edm",
    drop: float = 0.0,
    null: PyTree = None,
) -> Callable[..., Array]:
    """The denoising loss with conditions dropped at random, for `fit` and `train_step`.

    Args:
        levels: the law of noise levels; see `jaxsamp.losses`. The mean of `LogNormal()` follows the standard deviation
            of the data, which `fit` measures; elsewhere the model's own sigma_data.
        weighting: w(lambda); "edm" for `jaxsamp.losses.EDMWeighting` at the model's own sigma_data, which `fit`
            measures for a bare network (0.5 for a model without one); None for the plain loss of what it predicts.
        drop: probability that a sample's condition is replaced by "no condition", for `jaxsamp.guide`.
        null: the condition "none"; by default the model's own.

    Raises:
        ValueError: a setting out of range.
        TypeError: `levels` or `weighting` of another kind.
    """
    _made("levels", levels, losses.NoiseLevelDistribution, "UniformTime()")
    levels.check()
    if isinstance(weighting, str):
        checks.one_of("weighting, where it is a word,", weighting, ["edm"])
    elif weighting is not None:
        _made("weighting", weighting, losses.Weighting, "SNRWeighting()")
        weighting.check()
    if not 0 <= drop < 1:
        raise ValueError(f"drop must be in [0, 1); got {drop}.")
    return DenoisingLoss(levels, weighting, drop, null)


def _made(argument: str, got: Any, kind: type, example: str) -> None:
    if not isinstance(got, kind):
        raise TypeError(f"{argument} must be a {kind.__name__} of jaxsamp.losses, such as {example}; got {got!r}.")
