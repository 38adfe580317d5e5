"""What a Langevin sampler is: frozen settings, and pure functions that move one chain from one step to the next."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State

# x -> s(x), for one place, of the event's shape, or for R places in one call, (R, *event).
Score = Callable[[Array], Array]


class Langevin(ABC):
    """Base of the samplers of this module: settings are dataclass fields, numbers leaves and structure static.

    Attributes:
        bias_order: p such that the bias of the stationary law falls like step_size^p.
    """

    step_size: Any
    bias_order: int

    def check(self, event: tuple[int, ...]) -> None:
        """Raise ValueError where a setting is not a positive number (or array that fits `event`)."""
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.metadata.get("static") or value is None:
                continue
            shape, fits = jnp.shape(value), (event if f.name == "inverse_lipschitz" else ())
            if len(shape) > len(fits) or any(a not in (1, b) for a, b in zip(shape[::-1], fits[::-1], strict=False)):
                takes = f"a number or an array that broadcasts to {event}" if fits else "a number"
                raise ValueError(f"{f.name} must be {takes}; got an array of shape {shape}.")
            # Tracers have no value to check.
            if checks.is_concrete(value) and not (np.isfinite(value) & (np.asarray(value) > 0)).all():
                raise ValueError(f"{f.name} must be positive and finite; got {value}.")

    def evaluations(self, steps: int) -> int:
        """Gradients for one chain."""
        return steps

    def rounds(self, steps: int) -> int:
        """Gradients that must wait for each other: one for all those taken at once."""
        return self.evaluations(steps)

    def polishing(self, steps: Any) -> "Langevin | None":
        """The sampler of `steps` steps at the end that smooth the law, or None where the method has none."""
        return None

    def init(self, score: Score, x: Array, i: Array | int, rng: Rng) -> State:
        """The state of a chain that starts at x before step i."""
        return State(x)

    @abstractmethod
    def step(self, score: Score, state: State, i: Array, rng: Rng) -> State:
        """The state after step i."""
