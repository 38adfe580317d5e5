"""The declaration of a metric, and the data that one call of `evaluate` passes to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxsamp.core.types import Array
from jaxsamp.metrics.null import Metric
from jaxsamp.metrics.truth import Truth


class Comparison(NamedTuple):
    """The data of one call of `evaluate`, the same for all of its metrics.

    Attributes:
        x: samples, (n, *event), finite and in float32 or wider.
        truth: the law of alpha x_0 + sigma z, as a law or as true samples; for a law `truth.draw(key, i, n)` is the
            i-th set of n true samples.
        key: a typed key for all random numbers; that of the bank if the reference is a `NullBank`.
        given_key: the key given to `evaluate`; it may be None with a bank.
        features: (n, *event) -> (n, F), or None.
        null_sets: number of null values of a distance.
    """

    x: Array
    truth: Truth
    key: Array
    given_key: Array | None
    features: Callable[[Array], Any] | None
    null_sets: int


def needs_nothing(comparison: Comparison) -> str | None:
    """Applies to any comparison."""
    return None


def always(comparison: Comparison) -> bool:
    """Runs whenever it applies."""
    return True


@runtime_checkable
class MetricLike(Protocol):
    """A metric for `evaluate`: an object with `name`, `label`, `needs` and `run`, such as a `MetricSpec`."""

    @property
    def name(self) -> str:
        """Its key in the results."""
        ...

    @property
    def label(self) -> str:
        """Its name in tables."""
        ...

    def needs(self, comparison: Comparison, /) -> str | None:
        """In words, what the metric needs but the comparison lacks; None if the metric applies."""
        ...

    def run(self, comparison: Comparison, /) -> Metric:
        """The metric of the comparison."""
        ...


@dataclass(frozen=True)
class MetricSpec:
    """The declaration of a metric for `evaluate`.

    Attributes:
        name: its key in the results of `evaluate`, and its name in `evaluate(metrics=...)`.
        label: its name in tables.
        run: Comparison -> Metric.
        needs: Comparison -> in words, what the metric needs but the comparison lacks; None if the metric applies.
        by_default: Comparison -> whether `evaluate` runs it if no metrics are named.
        group: a name for several metrics together, or None.
        applies_to: the references that it takes, in words.
        sees: the errors of a law that it sees, in words.
    """

    name: str
    label: str
    run: Callable[[Comparison], Metric]
    needs: Callable[[Comparison], str | None] = needs_nothing
    by_default: Callable[[Comparison], bool] = always
    group: str | None = None
    applies_to: str = "any reference"
    sees: str = ""
