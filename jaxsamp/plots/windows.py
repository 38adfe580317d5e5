"""Pictures of critical windows."""

from typing import Any

import numpy as np
from matplotlib import rc_context

from jaxsamp.plots.style import DPI, FAINT, LINES, SHADES, STYLE, Figure, titled


def window(found: Any, *, title: str = "") -> Figure:
    """The curves of one critical window with their bands, against time, and the window shaded.

    Args:
        found: a `jaxsamp.theory.Window`.
        title: shown above both panels; default: the two groups.
    """
    times, eps = found.times, found.eps
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.6), dpi=DPI)
        left, right = figure.subplots(1, 2, sharex=True)
        curves = [
            (left, found.tv_after, "decided group from all others"),
            (left, found.tv_before, "decided group from open one"),
            (left, found.tv_start, "open group from all others"),
            (right, found.stay, "comes back to the decided group"),
            (right, found.entropy, "entropy of the decision (nats)"),
        ]
        for k, (axes, curve, label) in enumerate(curves):
            if curve is not None:
                axes.fill_between(times, curve.low, curve.high, color=LINES[k], alpha=0.25, linewidth=0)
                axes.plot(times, curve.mean, color=LINES[k], linewidth=1.2, label=label)
        for level, name, where in ((eps, "eps", "bottom"), (1 - eps**2, "1 - eps²", "top")):
            left.axhline(level, color=FAINT, linewidth=0.6, linestyle=":")
            left.text(times[0], level, name, va=where, fontsize=7, color=FAINT)
        ends = (found.T_after.point, found.T_before.point)
        for axes, name in ((left, "total variation"), (right, "")):
            if np.isfinite(ends).all() and ends[0] < ends[1]:
                axes.axvspan(*ends, color=SHADES[1], zorder=0)
            axes.set(xlabel="time (noise grows to the right)", ylabel=name, ylim=(-0.03, 1.03))
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
        groups = (", ".join(map(str, group)) for group in (found.after, found.before))
        return titled(figure, title or "{{{}}} among {{{}}}".format(*groups))
