"""Critical windows of groups of components of a Gaussian mixture."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import Data, PRNGKey
from jaxsamp.schedules import OrnsteinUhlenbeck
from jaxsamp.targets import GaussianMixture
from jaxsamp.theory.windows import times as clock
from jaxsamp.theory.windows.averages import Averages, Curve
from jaxsamp.theory.windows.bounds import Overlaps
from jaxsamp.theory.windows.crossings import ALWAYS, crossing
from jaxsamp.theory.windows.reach import reach
from jaxsamp.theory.windows.window import Window


def critical_windows(
    key: PRNGKey,
    target: GaussianMixture,
    groups: Sequence[Sequence[int]],
    *,
    schedule: Schedule = OrnsteinUhlenbeck(),  # noqa: B008  (frozen)
    eps: float = 0.1,
    times: Data | None = None,
    n: int = 16384,
    confidence: float = 0.95,
) -> tuple[Window, ...]:
    r"""When samples of a Gaussian mixture decide for a group of its components, going back from noise.

    Groups S_1 < S_2 < ... grow; there is a window for each pair of neighbors, and one from the last group to all
    components. Noised to a time below T_start and above T_end, a sample of S_i comes back as one of S_(i+1), and of no
    other component; see `Window` for the times and curves. All curves are averages of functions of P(component given
    x_t), which is known: nothing is simulated backwards. The same draws serve at all times, so curves are smooth; bands
    are normal, each time's with probability `confidence`.

    The windows are those of the reverse SDE. What the probability-flow ODE does is another thing.

    Args:
        key: a typed key.
        target: the mixture.
        groups: growing lists of component numbers, from 0.
        schedule: whose times are given and returned; Ornstein-Uhlenbeck by default.
        eps: in (0, 1/2).
        times: increasing ones, at which curves are wanted; default: 350, uniform in log(sigma / alpha), from where
            Bhattacharyya bounds say that every group is decided (from 0.2 at most, and from a hundredth of the smallest
            scale of the mixture where none is) to where they say that every group is within eps of the next one. Of
            discrete times they are those trained that are the nearest to these.
        n: draws, in equal parts from all components.
        confidence: of the bands, in (0, 1).

    Raises:
        TypeError: `target` is not a GaussianMixture.
        ValueError: groups do not grow or name unknown components, or numbers are outside their ranges.

    Source: Li and Chen, "Critical windows: non-asymptotic theory for feature emergence in diffusion models", arXiv
    2403.01633, and "Blink of an eye: a simple theory for feature localization in generative models", arXiv 2502.00921,
    whose definitions and theorem these are; the refined bound is in its proof.
    """
    key = checks.typed_key(key)
    check_law(target)
    masks = _checked_groups(groups, len(target.means))
    check_numbers(eps, confidence, checks.at_least("n", n, 2))
    schedule = checks.schedule(schedule)
    overlaps, nested = Overlaps(target), np.stack([masks[:-1], masks[1:]], 1)
    if times is None:
        own, tau = clock.own_grid(_reach(overlaps, masks, eps), schedule)
    else:
        own, tau = clock.checked_times(schedule, times)
    levels = clock.levels_at(tau)
    apart = np.stack([masks, ~masks], 1)[:-1]  # each group against all other components
    among = np.stack([masks[:-1], masks[1:] & ~masks[:-1]], 1)
    pairs = np.concatenate([apart, among])
    averages = Averages(key, target, levels, pairs, masks[:-1], nested, n, confidence)
    coefficients = [overlaps.at(*level) for level in levels]
    return tuple(_window(i, averages, overlaps, coefficients, pairs, nested[i], own, eps) for i in range(len(nested)))


def _window(
    i: int,
    averages: Averages,
    overlaps: Overlaps,
    coefficients: list[np.ndarray],
    pairs: np.ndarray,
    nested: np.ndarray,
    times: np.ndarray,
    eps: float,
) -> Window:
    """Window i: from group i to the next one."""
    after, before = nested
    windows, far = len(pairs) // 2, 1 - eps**2
    weight, inner = (averages.weights[group].sum() for group in (before, after))
    among, share = pairs[windows + i], 1 - inner / weight  # TV(p^A, p^B) = w(B - A) / w(B) TV(p^A, p^(B - A))
    tv_after = averages.total_variation(i, *pairs[i])
    tv_before = averages.total_variation(windows + i, *among).scaled(share)
    whole = before.all()
    tv_start = None if whole else averages.total_variation(i + 1, *pairs[i + 1])
    lost = 0.0 if tv_start is None else 0.5 * max(1.0, (1 - weight) / weight) * np.sqrt(1 - tv_start.mean**2)
    separated = np.array([overlaps.separation(each, *pairs[i]) for each in coefficients])
    near = share * np.array([overlaps.nearness(each, *among) for each in coefficients])
    t_end = crossing(times, tv_before, eps, from_start=True)
    t_start = ALWAYS if tv_start is None else crossing(times, tv_start, far, from_start=False)
    return Window(
        after=tuple(np.flatnonzero(after).tolist()),
        before=tuple(np.flatnonzero(before).tolist()),
        eps=eps,
        T_after=crossing(times, tv_after, far, from_start=False),
        T_before=t_end,
        T_start=t_start,
        T_end=t_end,
        valid=bool(t_end.point <= t_start.point),
        times=times,
        tv_after=tv_after,
        tv_before=tv_before,
        tv_start=tv_start,
        stay=averages.expectation(averages.members, i, averages.within(after)),
        entropy=averages.expectation(averages.entropies, i, averages.within(before)),
        certified=(
            crossing(times, Curve(separated, separated, separated), far, from_start=False).point,
            crossing(times, Curve(near, near, near), eps, from_start=True).point,
        ),
        refined_bound=tv_before.mean + lost,
    )


def _reach(overlaps: Overlaps, masks: np.ndarray, eps: float) -> tuple[float, float]:
    """Every group is decided below the first value of log(sigma / alpha), and within eps of the next above the last."""
    weights, nested = overlaps.weights, list(pairwise(masks))

    def decided(coefficients: np.ndarray) -> bool:
        return all(overlaps.separation(coefficients, group, ~group) >= 1 - eps**2 for group in masks[:-1])

    def open_again(coefficients: np.ndarray) -> bool:
        return all(
            weights[b & ~a].sum() / weights[b].sum() * overlaps.nearness(coefficients, a, b & ~a) <= eps
            for a, b in nested
        )

    return reach(overlaps, decided, open_again)


def check_law(target: Any) -> None:
    """Raise TypeError unless the target is a mixture of Gaussians."""
    if not isinstance(target, GaussianMixture):
        raise TypeError(f"target must be a jaxsamp.targets.GaussianMixture; got a {type(target).__name__}.")


def check_numbers(eps: float, confidence: float, n: int) -> None:
    """Raise ValueError unless eps is in (0, 1/2) and confidence in (0, 1)."""
    if not 0 < eps < 0.5:
        raise ValueError(f"eps must be between 0 and 1/2; got {eps}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}.")


def numbers_of(group: Any, components: int) -> np.ndarray:
    """Component numbers of a group; raises ValueError unless they are those of components."""
    numbers = np.asarray(group)
    if numbers.ndim != 1 or (numbers.size and not np.issubdtype(numbers.dtype, np.integer)):
        raise ValueError(f"groups must be lists of component numbers; got {group!r}.")
    if not numbers.size or numbers.min() < 0 or numbers.max() >= components:
        raise ValueError(f"groups must name components from 0 to {components - 1}, at least one each; got {group!r}.")
    return numbers


def _checked_groups(groups: Sequence[Any], components: int) -> np.ndarray:
    """The groups and, last, all components, as masks of shape (groups + 1, K)."""
    masks = [np.zeros(components, bool)]
    for group in groups:
        masks.append(np.isin(np.arange(components), numbers_of(group, components)))
        if not (masks[-1] > masks[-2]).any() or (masks[-2] & ~masks[-1]).any():
            raise ValueError(f"groups must grow, each holding the one before and more; got {list(map(list, groups))}.")
    if len(masks) == 1:
        raise ValueError("groups must be at least one list of component numbers; got none.")
    if masks[-1].all():
        masks.pop()
        if len(masks) == 1:
            raise ValueError(f"groups must leave a component out; the first one names all {components}.")
    return np.stack([*masks[1:], np.ones(components, bool)])
