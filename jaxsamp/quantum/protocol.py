"""What a protocol of measurements is: how the outcome of one measurement of t copies is drawn."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxsamp.core import checks
from jaxsamp.core.types import Array


class CopyProtocol(ABC):
    """How t copies of a state are measured at once. Arrays that it holds may change without compiling anew.

    Attributes:
        name: how `estimate_state` is to read its outcomes: "keyl" for diagrams and unitary frames, or another one of
            `Outcomes.protocol`.
        copies: t.
    """

    name: ClassVar[str]
    copies: Any

    def check(self, d: int) -> None:
        """Raise ValueError or TypeError if a setting does not fit states of dimension d."""
        checks.at_least("copies", self.copies, 1)

    @abstractmethod
    def draw(self, key: Array, eigenvalues: Array) -> tuple[Array, Array, dict[str, Array]]:
        """The diagram (d,), the frame (d, d) and stats of one outcome, for rho = diag(eigenvalues).

        Args:
            key: of this outcome alone.
            eigenvalues: (d,), from the largest, with sum 1.
        """
