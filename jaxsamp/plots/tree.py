"""Pictures of merge trees."""

from typing import Any

from matplotlib import rc_context

from jaxsamp.plots.style import DPI, FAINT, INK, NEW, STYLE, TRUE, Figure, titled
from jaxsamp.plots.windows import TIME, logarithmic


def merge_tree(tree: Any, names: Any = None, *, time: str = TIME, log: bool = False, title: str = "") -> Figure:
    """How the components of a mixture merge as noise grows: components at the left, their root at the right.

    Args:
        tree: a `jaxsamp.theory.Merge`.
        names: of the components, by number; default: the numbers.
        time: what the axis is.
        log: whether it is logarithmic, as suits noise levels sigma / alpha.
        title: shown above the tree.
    """
    leaves = list(_leaves(tree))
    times = sorted(node.time for node in _nodes(tree) if node.children)
    low, high = (times[0], times[-1]) if times else (1.0, 1.0)
    left, right = (low / 3, high * 2) if log else (0.0, 1.1 * high)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.5, 1.1 + 0.26 * len(leaves)), dpi=DPI)
        axes = figure.subplots()
        places = {leaf.components: float(row) for row, leaf in enumerate(leaves)}
        _draw(axes, tree, places, left, right)
        if log:
            logarithmic(axes)
        axes.set(xlim=(left, right), ylim=(len(leaves) - 0.4, -0.6), xlabel=time)
        shown = [leaf.components[0] for leaf in leaves]
        axes.set_yticks(range(len(leaves)), [str(k if names is None else names[k]) for k in shown])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines[["top", "right", "left"]].set_visible(False)
        return titled(figure, title)


def _draw(axes: Any, node: Any, places: dict[Any, float], start: float, until: float) -> float:
    """Draw a node from its own time to that of its parent; its row."""
    if not node.children:
        row, begins = places[node.components], start
    else:
        rows = [_draw(axes, child, places, start, node.time) for child in node.children]
        row, begins = sum(rows) / len(rows), node.time
        axes.plot([node.time, node.time], [min(rows), max(rows)], color=TRUE, linewidth=1.4)
        axes.annotate(f"{node.time:.3g}", (node.time, row), (3, 2), textcoords="offset points", fontsize=7, color=NEW)
    axes.plot([begins, until], [row, row], color=TRUE if node.children else FAINT, linewidth=1.4)
    return row


def _nodes(node: Any) -> Any:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _leaves(node: Any) -> Any:
    return (n for n in _nodes(node) if not n.children)
