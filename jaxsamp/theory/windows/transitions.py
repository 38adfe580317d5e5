"""Where samples of each group of components come back to, from noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import Data, PRNGKey
from jaxsamp.schedules import OrnsteinUhlenbeck
from jaxsamp.targets import GaussianMixture
from jaxsamp.theory.windows import times as clock
from jaxsamp.theory.windows.averages import Averages
from jaxsamp.theory.windows.critical import check_numbers, numbers_of

PARTS = ("mean", "low", "high")


@dataclass(frozen=True)
class Transitions:
    """The probabilities that a sample of one group, noised to a time and brought back, is of another one.

    Attributes:
        groups: component numbers of each group.
        weights: of the groups, (groups,).
        times: (times,), of the schedule.
        mean: P(group j | from group i; t), (times, groups, groups); rows sum to 1 where the groups hold all components.
        low, high: ends of the band of each number, in the same shape.
    """

    groups: tuple[tuple[int, ...], ...]
    weights: np.ndarray
    times: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def transitions(
    key: PRNGKey,
    target: GaussianMixture,
    times: Data,
    groups: Sequence[Sequence[int]] | None = None,
    *,
    schedule: Schedule = OrnsteinUhlenbeck(),  # noqa: B008  (frozen)
    n: int = 16384,
    confidence: float = 0.95,
) -> Transitions:
    """Transition matrices between groups of components: noised to a time, then brought back by the reverse SDE.

    P_ij(t) = E[P(component in group j | x_t)] for x_0 of group i. Nothing is simulated backwards. The weights of the
    groups are kept, w P = w, and w_i P_ij is symmetric, both up to the error of the draws; P is the unit matrix at
    t = 0, and all rows are w where noise has drowned everything.

    Args:
        key: a typed key.
        target: the mixture.
        times: (times,), increasing, of the schedule.
        groups: lists of component numbers, no two with one in common; default: each component alone.
        schedule: whose times they are.
        n: draws, in equal parts from all components.
        confidence: of the bands, in (0, 1).

    Raises:
        TypeError: `target` is not a GaussianMixture.
        ValueError: groups overlap, are none or name unknown components, or numbers are outside their ranges.

    Source: Li and Chen, "Critical windows: non-asymptotic theory for feature emergence in diffusion models", arXiv
    2403.01633; averages of P(component | x_t) are ours.
    """
    key = checks.typed_key(key)
    if not isinstance(target, GaussianMixture):
        raise TypeError(f"target must be a jaxsamp.targets.GaussianMixture; got a {type(target).__name__}.")
    components = len(target.means)
    check_numbers(0.1, confidence, checks.at_least("n", n, 2))
    chosen = [[k] for k in range(components)] if groups is None else list(groups)
    if not chosen:
        raise ValueError("groups must be at least one list of component numbers; got none.")
    masks = np.stack([np.isin(np.arange(components), numbers_of(group, components)) for group in chosen])
    if (masks.sum(0) > 1).any():
        shared = int(np.flatnonzero(masks.sum(0) > 1)[0])
        raise ValueError(f"groups must have no component in common; component {shared} is in several.")
    own, tau = clock.checked_times(checks.schedule(schedule), times)
    none = np.zeros((0, 2, components), bool)
    averages = Averages(key, target, clock.levels_at(tau), none, masks, none, n, confidence)
    rows = [
        [averages.expectation(averages.members, j, averages.within(group)) for j in range(len(masks))]
        for group in masks
    ]
    mean, low, high = (
        np.moveaxis(np.array([[getattr(to, part) for to in row] for row in rows]), -1, 0) for part in PARTS
    )
    members = tuple(tuple(np.flatnonzero(group).tolist()) for group in masks)
    return Transitions(members, masks @ averages.weights, own, mean, low, high)
