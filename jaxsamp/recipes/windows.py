"""Critical windows on the axis of noise levels, and as plain values."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from jaxsamp import schedules, theory
from jaxsamp.core.types import Array, Data
from jaxsamp.datasets.labels import number_of
from jaxsamp.recipes.learned_windows import LearnedWindow
from jaxsamp.targets import GaussianMixture

LEVELS = schedules.VarianceExploding()  # whose time is the noise level sigma / alpha
SEPARATOR = ","  # between the members of a group


def groups_of(words: Sequence[str], table: Data) -> list[list[int]]:
    """Groups as they are typed, "3" or "3,8": the numbers of their members in a table of labels.

    Raises:
        ValueError: a group is empty, or a member is not in the table.
    """
    every = [[name.strip() for name in word.split(SEPARATOR)] for word in words]
    return [[number_of(name, table, "groups: every member") for name in names] for names in every]


def component_numbers(law: Any) -> np.ndarray:
    """0 ... K - 1 for a mixture of K Gaussians; raises ValueError for other laws."""
    return np.arange(len(_mixture(law).means))


def mixture_windows(
    key: Array, law: Any, groups: list[list[int]], eps: float = 0.1, n: int = 16384
) -> tuple[theory.Window, ...]:
    """`jaxsamp.critical_windows` of a law, the times being noise levels sigma / alpha.

    Raises:
        ValueError: the law is no Gaussian mixture, or as `jaxsamp.critical_windows`.
    """
    return theory.critical_windows(key, _mixture(law), groups, schedule=LEVELS, eps=eps, n=n)


def mixture_tree(key: Array, law: Any, eps: float = 0.1, n: int = 16384) -> theory.Merge:
    """`jaxsamp.theory.merge_tree` of a law, the times being noise levels sigma / alpha; errors as `mixture_windows`."""
    return theory.merge_tree(key, _mixture(law), schedule=LEVELS, eps=eps, n=n)


def _mixture(law: Any) -> GaussianMixture:
    if not isinstance(law, GaussianMixture):
        raise ValueError(f"target must be a mixture of Gaussians; got a {type(law).__name__}.")
    return law


def window_row(window: theory.Window | LearnedWindow, names: Data) -> dict[str, Any]:
    """A window as plain values for JSON: groups by name, times as [point, low, high], None where there is none."""
    row: dict[str, Any] = {"T_after": _plain(window.T_after), "T_before": _plain(window.T_before)}
    if isinstance(window, LearnedWindow):
        row |= {"after": _named(window.group, names), "floor": window.floor, "starts": len(window.start)}
        row |= {"classes": window.returned.classes.tolist(), "unclear": window.returned.unclear.tolist()}
    else:
        row |= {"after": _named(window.after, names), "before": _named(window.before, names), "eps": window.eps}
        row |= {"T_start": _plain(window.T_start), "valid": window.valid, "certified": _plain(window.certified)}
    curves = [name for name in ("stay", "tv_after", "tv_before", "tv_start") if getattr(window, name, None) is not None]
    row["levels"] = np.asarray(window.times).tolist()
    return row | {name: {k: v.tolist() for k, v in getattr(window, name)._asdict().items()} for name in curves}


def tree_row(tree: theory.Merge, names: Data) -> dict[str, Any]:
    """A merge tree as plain values for JSON."""
    own = {"components": _named(tree.components, names), "level": tree.time, "separation": tree.separation}
    return own | {"children": [tree_row(child, names) for child in tree.children]}


def _named(group: Sequence[int], names: Data) -> list[Any]:
    return [np.asarray(names).tolist()[k] for k in group]


def _plain(times: Sequence[float]) -> list[float | None]:
    return [float(t) if isfinite(t) else None for t in times]
