"""How the components of a mixture merge as noise grows."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import PRNGKey
from jaxsamp.schedules import OrnsteinUhlenbeck
from jaxsamp.targets import GaussianMixture
from jaxsamp.theory.windows import times as clock
from jaxsamp.theory.windows.averages import Averages
from jaxsamp.theory.windows.bounds import Overlaps
from jaxsamp.theory.windows.critical import check_law, check_numbers
from jaxsamp.theory.windows.crossings import crossing
from jaxsamp.theory.windows.reach import reach


@dataclass(frozen=True)
class Merge:
    """A node of the tree: components that cannot be told apart at a time, though they can be from all others.

    Attributes:
        components: their numbers.
        time: the smallest one at which each two of them are within eps of each other in total variation; 0 for one
            component.
        separation: TV of their law from that of all other components at this time; 1 at the root.
        children: what merged.
    """

    components: tuple[int, ...]
    time: float
    separation: float
    children: tuple["Merge", ...] = ()

    def __str__(self) -> str:
        return "\n".join(self._lines(""))

    def _lines(self, indent: str) -> list[str]:
        own = f"{indent}{{{', '.join(map(str, self.components))}}}" + (
            f" from {self.time:.3g}" if self.children else ""
        )
        return [own, *(line for child in self.children for line in child._lines(indent + "  "))]


def merge_tree(
    key: PRNGKey,
    target: GaussianMixture,
    *,
    schedule: Schedule = OrnsteinUhlenbeck(),  # noqa: B008  (frozen)
    eps: float = 0.1,
    n: int = 16384,
) -> Merge:
    """The tree of a mixture's components: which cannot be told apart from which time on; its root.

    Two components merge at the smallest time with TV(p_t^i, p_t^j) <= eps; a group of them when all of its pairs have
    (complete linkage). A group that is not separated from the rest at its time, TV < 1 - eps^2, is no node: its parts
    belong to the next larger one. A sampler goes down this tree, from the root, as noise falls.

    Args:
        key: a typed key.
        target: the mixture, K >= 2 components.
        schedule: whose times are returned; Ornstein-Uhlenbeck by default.
        eps: in (0, 1/2).
        n: draws, in equal parts from all components.

    Raises:
        TypeError: `target` is not a GaussianMixture.
        ValueError: there is one component alone, eps is outside of its range, or the schedule ends before all merge.

    Source: Li and Chen, "Blink of an eye: a simple theory for feature localization in generative models", arXiv
    2502.00921, of which this is the mixture tree.
    """
    check_law(target)
    components = len(target.means)
    if components < 2:
        raise ValueError("target must have at least two components; got one.")
    check_numbers(eps, 0.95, checks.at_least("n", n, 2))
    schedule = checks.schedule(schedule)
    each, none = np.eye(components, dtype=bool), np.zeros((0, components), bool)
    i, j = np.triu_indices(components, 1)
    pairs = np.stack([each[i], each[j]], 1)
    tau = clock.grid(_reach(Overlaps(target), eps), schedule)

    def averages(levels: np.ndarray, pairs: np.ndarray) -> Averages:
        return Averages(checks.typed_key(key), target, levels, pairs, none, none[:, None].repeat(2, 1), n, 0.95)

    found = averages(clock.levels_at(tau), pairs)
    merges = [
        crossing(tau, found.total_variation(p, *pair), eps, from_start=True).point for p, pair in enumerate(pairs)
    ]
    if np.isnan(merges).any():
        one, other = (int(side[np.isnan(merges)][0]) for side in (i, j))
        raise ValueError(
            f"schedule must reach the noise at which all components merge; {one} and {other} are still more than eps = "
            f"{eps} apart at its last time."
        )
    nodes = [Merge((k,), 0.0, 1.0) for k in range(components)]
    kept = [True] * components
    for a, b, at, _ in linkage(squareform(squareform(merges)), "complete"):
        children = tuple(
            c for child in (int(a), int(b)) for c in ((nodes[child],) if kept[child] else nodes[child].children)
        )
        children = tuple(sorted(children, key=lambda child: child.components))
        numbers = tuple(sorted(k for child in (int(a), int(b)) for k in nodes[child].components))
        group, whole = np.isin(np.arange(components), numbers), len(numbers) == components
        separation = 1.0
        if not whole:
            apart = np.stack([group, ~group])
            curve = averages(clock.levels_at(np.array([at])), apart[None]).total_variation(0, *apart)
            separation = float(curve.mean[0])
        nodes.append(Merge(numbers, float(clock.times_of(schedule, np.array([at]))[0]), separation, children))
        kept.append(whole or separation >= 1 - eps**2)
    return nodes[-1]


def _reach(overlaps: Overlaps, eps: float) -> tuple[float, float]:
    """Every two components are more than eps apart below the first value of log(sigma / alpha), within above the last.

    1 - BC <= TV <= sqrt(1 - BC^2).
    """
    pairs = overlaps.i, overlaps.j
    return reach(
        overlaps,
        lambda coefficients: 1 - coefficients[pairs].max() > eps,
        lambda coefficients: np.sqrt(1 - coefficients[pairs].min() ** 2) <= eps,
    )
