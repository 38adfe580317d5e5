"""The optimizer: clipped gradients, AdamW, and a rate that warms up and falls along a cosine."""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import optax

from jaxsamp.core import checks


@dataclass(frozen=True)
class AdamW:
    """Clip by global norm, then AdamW; the rate rises linearly over the first steps and falls along a cosine.

    Attributes:
        learning_rate: the highest rate.
        warmup: share of the steps over which the rate rises, in [0, 1).
        last: the rate at the end, as a share of the highest.
        clip: largest global norm of the gradient.
        weight_decay: share of the weights that is subtracted per step and unit of rate.
        b1, b2: decays of the first and second moments.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv 1711.05101.
    """

    learning_rate: float = 1e-3
    warmup: float = 0.05
    last: float = 0.0
    clip: float = 1.0
    weight_decay: float = 0.0
    b1: float = 0.9
    b2: float = 0.999

    def check(self) -> None:
        """Raise ValueError for a setting out of range."""
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)}.")
        if not 0 <= self.last <= 1:
            raise ValueError(f"last must be in [0, 1]; got {self.last}.")
        for name in ("warmup", "b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1); got {getattr(self, name)}.")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be at least 0; got {self.weight_decay}.")

    @property
    def depends_on_steps(self) -> bool:
        """Whether the rate of an update depends on the total number of updates."""
        return self.warmup > 0 or self.last != 1

    def rate(self, steps: int) -> optax.Schedule:
        """The rate of update i of `steps`."""
        warm, last = round(self.warmup * steps), self.last * self.learning_rate
        first = self.learning_rate / max(1, warm)
        return optax.warmup_cosine_decay_schedule(first, self.learning_rate, warm, max(steps, warm + 1), last)

    def build(self, steps: int) -> optax.GradientTransformation:
        """The transformation for a run of `steps` updates."""
        return _chain(tuple(map(float, dataclasses.astuple(self))), steps if self.depends_on_steps else 1)


@lru_cache(64)
def _chain(settings: tuple[float, ...], steps: int) -> optax.GradientTransformation:
    """One object for equal settings, because the step is compiled once per object."""
    chosen = AdamW(*settings)
    adamw = optax.adamw(chosen.rate(steps), chosen.b1, chosen.b2, weight_decay=chosen.weight_decay)
    return optax.chain(optax.clip_by_global_norm(chosen.clip), adamw)


@lru_cache(64)
def accumulated(optimizer: Any, batches: int) -> optax.GradientTransformation:
    """One update per `batches` batches, by their mean gradient; raises TypeError unless `optimizer` is one of optax."""
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            "optimizer must be an optax transformation, such as optax.adam(1e-3) or AdamW().build(steps); "
            f"got a {type(optimizer).__name__}."
        )
    checks.at_least("accumulate", batches, 1)
    if batches == 1:
        return optimizer
    return optax.MultiSteps(optimizer, batches).gradient_transformation()
