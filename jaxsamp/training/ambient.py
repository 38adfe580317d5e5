"""Training on measurements: the ambient loss as one of `fit`, and which loss goes with which data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax

from jaxsamp import losses
from jaxsamp.core.types import Array, PyTree
from jaxsamp.corruptions.condition import split
from jaxsamp.corruptions.laws import CHECKED, FURTHER, least_seen
from jaxsamp.corruptions.linear import stretches
from jaxsamp.corruptions.measurements import Measurements
from jaxsamp.losses.corrupted import check_further
from jaxsamp.training.objective import DenoisingLoss, Loss, check_settings, denoising_loss


@dataclass(frozen=True)
class AmbientLoss(Loss):
    """(key, model, params, x, cond) -> ambient losses (batch,); made by `ambient_loss`."""

    further: float
    reweight: bool
    gsure: bool
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
        least_seen(law, operator, self.further)
        return replace(self, law=law)

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
        """The ambient loss of each sample at its own level, with a further corruption of its own."""
        for_loss, for_drop = jax.random.split(key) if self.drop else (key, key)
        operator, rest = split(cond)
        options = {"levels": self.levels, "weighting": self.weighting_of(model), "further": self.further}
        options |= {"reweight": self.reweight, "cond": self.dropped(for_drop, model, rest)}
        estimate = losses.gsure if self.gsure else losses.ambient
        return estimate(for_loss, model, params, x, operator, self.law, model.schedule, **options)


def ambient_loss(
    further: float = FURTHER,
    reweight: bool = False,
    levels: losses.NoiseLevelDistribution = losses.LogNormal(),  # noqa: B008  (frozen)
    weighting: losses.Weighting | str = "edm",
    drop: float = 0.0,
    null: PyTree = None,
    gsure: bool = False,
) -> Callable[..., Array]:
    """The loss of `fit` for `jaxsamp.corruptions.Measurements`; see `jaxsamp.losses.ambient`.

    Args:
        further: rate of the further corruption, which is drawn anew for every sample of every batch; in (0, 1).
        reweight: divide the error of what a measurement sees and the network does not by its probability.
        levels: the law of noise levels. The mean of `LogNormal()` depends on the standard deviation of the data, which
            `fit` estimates from the measurements.
        weighting: w(lambda); "edm" for `jaxsamp.losses.EDMWeighting` with the model's own sigma_data.
        drop: probability that the other conditions of a sample, such as its label, are replaced by "no condition", for
            `jaxsamp.guide`; its operator stays.
        null: the value of "no condition" without an operator; by default the model's own.
        gsure: for noisy measurements, train all levels from their noise on by `jaxsamp.losses.gsure`, at about twice
            the cost, and not only those from 1.15 times their noise on.

    Raises:
        ValueError: a setting is out of range, or `weighting` is None.
        TypeError: `levels` or `weighting` is of the wrong type.
    """
    check_further(further)
    check_settings(levels, weighting, drop)
    if weighting is None:
        raise ValueError(
            "weighting must weigh the error of x_0 for measurements, such as 'edm' or jaxsamp.losses.UnitWeighting(); "
            "got None, which is the error of the network's own output."
        )
    return AmbientLoss(levels, weighting, drop, null, further, reweight, gsure)


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
        some = measured[:CHECKED]
        operator = (some if isinstance(some, Measurements) else some.read()).operator
        if measured.law.noise and stretches(jax.tree.map(lambda leaf: leaf[0], operator), measured.event_shape):
            raise ValueError(
                "law must have no noise unless the singular values of its operators are 0 and 1, because A^+ y has "
                f"other noise than x_t otherwise; got {measured.law}. jaxsamp.learning.fit_em learns from such "
                "measurements."
            )
        return loss.of_law(measured.law, operator)
    return loss
