"""Training on measurements: the ambient loss as one of `fit`, and which loss goes with which data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp import losses
from jaxsamp.core.types import Array, PyTree
from jaxsamp.corruptions.condition import split
from jaxsamp.training.objective import DenoisingLoss, Loss, check_laws, denoising_loss

CHECKED, NEVER = 64, 1e-6  # operators whose further corruptions are checked; probabilities that are as good as 0


@dataclass(frozen=True)
class AmbientLoss(Loss):
    """(key, model, params, x, cond) -> ambient losses (batch,); made by `ambient_loss`."""

    further: float
    reweight: bool
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

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
        """The ambient loss of each sample at its own level, with a further corruption of its own."""
        operator, rest = split(cond)
        options = {"levels": self.levels, "weighting": self.weighting_of(model), "further": self.further}
        options["reweight"] = self.reweight
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
    check_laws(levels, weighting)
    return AmbientLoss(levels, weighting, further, reweight)


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
