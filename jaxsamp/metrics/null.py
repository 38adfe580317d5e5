"""Null bands: the range of a metric if the samples are true samples."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.checks import at_least
from jaxsamp.core.types import Array
from jaxsamp.metrics.truth import NULL, REFERENCE, Truth, flat

NULL_SETS = 199
TAIL = 0.005


class Metric(NamedTuple):
    """The value of a metric, and its range for true samples.

    Attributes:
        value: the metric; its own docstring gives the unit.
        stderr: its standard error if the metric is a mean over samples; else None.
        null_low: lower end of the central 99 % band of the metric for true samples.
        null_high: upper end of that band.
        p_value: the chance that true samples give a value at least this extreme; two-sided, but one-sided if
            only large values are evidence against the samples (`occupancy`, `c2st`, `rao_score_test`, `flow_tv`).
        z: difference between the value and its mean for true samples, in their standard deviations. It keeps growing
            after a p-value from ranks has reached its minimum; it is not a quantile of a normal law.
    """

    value: float
    stderr: float | None
    null_low: float
    null_high: float
    p_value: float
    z: float

    @property
    def inside(self) -> bool:
        """Whether the value lies in its null band, as it does for 99 % of true sample sets."""
        return self.null_low <= self.value <= self.null_high


def compare(
    distance_to: Callable[[Array], Callable[[Array], float]],
    x: Array,
    truth: Truth,
    key: Array,
    null_sets: int,
    embed: Callable[[Array], Array] = flat,
    *,
    name: Hashable,
) -> tuple[float, np.ndarray]:
    """Return the distance from embed(x) to embed(y), and its values for true samples, (null_sets,).

    `distance_to(y)` does the work that depends on y alone and returns the distance to y as a function of x.

    y are true samples. If the reference is a law, there are as many as in x, and the null values are those of
    `null_sets` further independent sets, scored against the same y: drawing y again each time would add the scatter of
    y to the band, while in the value it is one fixed offset. If the reference is an array, y are its samples (noised
    to the level), and the null values are those of random relabelings of x and y together.

    `name` identifies the distance and its settings: a `NullBank` stores the null values under this name.
    """
    n, null_sets = len(x), at_least("null_sets", null_sets, 20)
    key_reference, key_null = jax.random.fold_in(key, REFERENCE), jax.random.fold_in(key, NULL)
    if truth.law is not None:
        # `embed` is kept with what it has made, so that an id in `name` does not pass to another function.
        distance, nulls, _ = truth.recall(
            (name, n), lambda: (distance_to(embed(truth.draw(key_reference, 0, n))), [], embed)
        )
        nulls += (distance(embed(truth.draw(key_null, i, n))) for i in range(len(nulls), null_sets))
        return distance(embed(x)), np.array(nulls[:null_sets])
    pool = jnp.concatenate([embed(x), embed(truth.noised(truth.samples, key_reference))])
    shuffled = (_shuffled(key_null, i, pool) for i in range(null_sets))
    nulls = [distance_to(z[n:])(z[:n]) for z in shuffled]
    return distance_to(pool[n:])(pool[:n]), np.array(nulls)


@jax.jit
def _shuffled(key: Array, index: Array | int, pool: Array) -> Array:
    return jax.random.permutation(jax.random.fold_in(key, index), pool)


def judged(value: float | np.floating, nulls: Sequence[float | np.floating] | np.ndarray) -> Metric:
    """Judge a value by its rank among null values.

    The null values and the value of true samples are exchangeable, so ranks give the stated false-alarm rate
    whatever their law. With 199 null values the band is their range, which true samples leave with probability
    2 / 200 = 1 % (with fewer: 2 / (null_sets + 1)). The normal band, mean +- 2.576 sd, gave up to 3 % false alarms,
    because distances are skewed in low dimension. The disadvantage is that no p-value is below 2 / (null_sets + 1).
    """
    nulls = np.sort(np.asarray(nulls, float))
    count = len(nulls) + 1
    skip = max(int(TAIL * count), 1)
    rank = 1 + min(np.sum(nulls <= value), np.sum(nulls >= value))
    return Metric(
        value=float(value),
        stderr=None,
        null_low=float(nulls[skip - 1]),
        null_high=float(nulls[-skip]),
        p_value=float(min(1, 2 * rank / count)),
        z=standardized(value, nulls.mean(), nulls.std(ddof=1)),
    )


def standardized(value: Any, mean: Any, sd: Any) -> float:
    """(value - mean) / sd; if all null values are equal, 0 for that value and infinite for any other."""
    if sd > 0:
        return float((value - mean) / sd)
    return 0.0 if value == mean else float(np.copysign(np.inf, value - mean))
