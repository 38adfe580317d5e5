"""Null values that are computed once for many sample sets."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from jaxsamp.core.checks import at_least, typed_key
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.truth import Truth, is_law

T = TypeVar("T")


class NullBank(Truth):
    """True samples of a law and their null values, computed once and kept for many sample sets of one size.

    A bank can be the reference wherever a law can:

        bank = NullBank(law, 10_000, key, level)
        results = [evaluate(x, bank) for x in sets]

    All that depends on the truth alone (the true samples that x is compared with, the values of all null sets, moments
    and information matrices) is computed when the first set needs it and never again. All sets share one reference:
    each has its stated false-alarm rate, but their alarms are not independent of each other.

    Args:
        law: `sample(key, n)` and `log_prob(x, level=None)`.
        n: number of samples per set, at least 2.
        key: a typed key for all random numbers; the metrics need no other key.
        level: the noise level of the samples; None for clean samples.

    Raises:
        TypeError: `law` is not a law or `key` is not a typed key.
        ValueError: n < 2, or `level` is not a single level.
    """

    def __init__(self, law: Any, n: int, key: Array, level: Level | None = None):
        if not is_law(law):
            raise TypeError(f"law must have `sample` and `log_prob`; got a {type(law).__name__}.")
        self.n, self.key = at_least("n", n, 2), typed_key(key)
        self._made: dict[Hashable, Any] = {}
        super().__init__(law, level)

    def recall(self, name: Hashable, make: Callable[[], T]) -> T:
        """The result of the first `make()` under this name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]
