"""Null values that are drawn and scored once, and judge many sample sets."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from jaxsamp.core.checks import at_least, typed_key
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.truth import Truth, is_law

T = TypeVar("T")


class NullBank(Truth):
    """True samples of a law, and what they score, made once and kept for many sample sets of one size.

    A bank stands wherever a law can be the reference:

        bank = NullBank(law, 10_000, key, level)
        results = [evaluate(x, bank) for x in sets]

    Whatever concerns the truth alone (the true samples that x is compared with, the values of all null sets, moments
    and information matrices) is computed when the first set needs it and never again. All sets then share one
    reference: each has its stated false-alarm rate, but their alarms are not independent of each other.

    Args:
        law: `sample(key, n)` and `log_prob(x, level=None)`.
        n: number of samples of a set, at least 2.
        key: a typed key, from which everything is drawn; the metrics need none beside it.
        level: the noise level of the samples; None for clean ones.

    Raises:
        TypeError: `law` is no law or `key` no typed key.
        ValueError: n < 2, or a level that is not one level.
    """

    def __init__(self, law: Any, n: int, key: Array, level: Level | None = None):
        if not is_law(law):
            raise TypeError(f"law must have `sample` and `log_prob`; got a {type(law).__name__}.")
        self.n, self.key = at_least("n", n, 2), typed_key(key)
        self._made: dict[Hashable, Any] = {}
        super().__init__(law, level)

    def recall(self, name: Hashable, make: Callable[[], T]) -> T:
        """What the first `make()` under this name gave."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]
