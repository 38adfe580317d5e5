"""The base classes of samplers of densities: frozen settings, and pure functions that advance a chain by one step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State

# x -> s(x), for one point, (*event), or for R points in one call, (R, *event).
Score = Callable[[Array], Array]
# x -> log p(x) up to a constant, for one point.
LogDensity = Callable[[Array], Array]


class DensitySampler(ABC):
    """Base class of samplers of densities. Settings are dataclass fields: numbers are leaves, structure is static.

    Attributes:
        step_size: h, positive.
    """

    step_size: Any

    def check(self, event: tuple[int, ...]) -> None:
        """Raise ValueError if a setting is not a positive number (or an array that fits `event`)."""
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
        """Number of gradients per chain."""
        return steps

    def rounds(self, steps: int) -> int:
        """Number of gradients that must wait for each other; gradients computed at once count as one."""
        return self.evaluations(steps)

    def polishing(self, steps: Any) -> "Langevin | None":
        """The sampler for `steps` steps at the end that smooth the law, or None if the method has none."""
        return None

    def chosen(self) -> "DensitySampler":
        """The sampler that runs: another one where a setting says that it is to be measured."""
        if isinstance(step := vars(self).get("step_size"), str):
            raise ValueError(f"step_size must be a number for {type(self).__name__}; got {step!r}.")
        return self


class Langevin(DensitySampler):
    """Base class of the Langevin samplers, which follow the score with steps that are never rejected.

    Attributes:
        bias_order: p such that the bias of the stationary law falls like step_size^p.
    """

    bias_order: int

    def gentle(self, curvature: float) -> bool:
        """Whether steps are known to be stable on a log density of this curvature, in units of 1 / u for inertia u."""
        return False

    def init(self, score: Score, x: Array, i: Array | int, rng: Rng) -> State:
        """The state of a chain at x before step i."""
        return State(x)

    @abstractmethod
    def step(self, score: Score, state: State, i: Array, rng: Rng) -> State:
        """The state after step i."""


class Adaptive(DensitySampler):
    """Base class of samplers that choose their settings for each chain during its warm-up, and keep them after it.

    Attributes:
        follows: the function of the density that steps are given: its "score" or its "log_prob".
    """

    follows: ClassVar[str]

    @abstractmethod
    def init(self, function: Callable[[Array], Array], x: Array, rng: Rng) -> State:
        """The state of a chain at x before its first step."""

    @abstractmethod
    def step(self, function: Callable[[Array], Array], state: State, i: Array, rng: Rng, warmup: Any) -> State:
        """The state after step i, of which the first `warmup` adapt the settings."""

    @abstractmethod
    def stats(self, state: State) -> dict[str, Array]:
        """What is reported of a chain that ended in this state; among them "rounds" and "evaluations"."""
