"""The base class of samplers of spins: frozen settings, and pure functions that advance one chain by one sweep."""

from abc import ABC, abstractmethod
from typing import Any

from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State


class SpinSampler(ABC):
    """Base class of the samplers of spins. Settings are dataclass fields: numbers are leaves, structure is static.

    A step is one sweep of one chain, with `rng.uniforms(i)`, n uniform numbers of this chain at sweep i. A state is
    `State(x, memory)`: x of shape (n,) and dtype int8, +1 or -1, and whatever else the method carries.

    Attributes:
        powers: whether the method draws from p^rng.power, as `Tempering` needs it: by `rng.thresholds`, for instance.
    """

    powers = False

    def prepared(self, model: Any) -> "SpinSampler":
        """The sampler that runs, with the tables of this model in it; the front door calls it once a run.

        Raises:
            ValueError: a setting is wrong, or the model is not one that the method takes.
        """
        return self

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        """The state of a chain at x before the first sweep."""
        return State(x)

    @abstractmethod
    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        """The state after sweep i."""

    def stats(self, model: Any, state: State) -> dict[str, Array]:
        """What the method says about a chain after its last sweep: numbers by name, none of which the door has."""
        return {}

    def judge(self, stats: dict[str, Array]) -> None:  # noqa: B027  (most have nothing to say)
        """Warn of what the stats of all chains, (n_chains,) each, show; called after a run that is not traced."""


def structure(model: Any) -> str | None:
    """What the model says that its local fields are made of; None if it says nothing.

    "pairs": `couplings` (n, n) and `fields` (n,), as `Ising`; "neighbors": `neighbors` and `neighbor_weights` (n, D),
    `edges` (E, 2), `weights` (E,) and `fields`, as `SparseIsing`; "terms": `members` (T, order) and `weights` (T,), as
    `MRF`. It is the class of `local_fields` that says so: one with others of its own has another structure.
    """
    for part in type(model).__mro__:
        if "local_fields" in vars(part) or "structure" in vars(part):
            return vars(part).get("structure")
    return None
