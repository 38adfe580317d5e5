"""Pictures of critical windows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import StrMethodFormatter

from jaxsamp.plots.style import DPI, FAINT, INK, LINES, SHADES, STYLE, Figure, titled

TIME = "time (noise grows to the right)"
FEW = 4  # windows whose bands can be told apart


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
                _curve(axes, times, curve, LINES[k], label)
        for level, name, where in ((eps, "eps", "bottom"), (1 - eps**2, "1 - eps²", "top")):
            left.axhline(level, color=FAINT, linewidth=0.6, linestyle=":")
            left.text(times[0], level, name, va=where, fontsize=7, color=FAINT)
        ends = (found.T_after.point, found.T_before.point)
        for axes, name in ((left, "total variation"), (right, "")):
            if np.isfinite(ends).all() and ends[0] < ends[1]:
                axes.axvspan(*ends, color=SHADES[1], zorder=0)
            axes.set(xlabel=TIME, ylabel=name, ylim=(-0.03, 1.03))
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
        groups = (", ".join(map(str, group)) for group in (found.after, found.before))
        return titled(figure, title or "{{{}}} among {{{}}}".format(*groups))


def timeline(
    found: Sequence[Any], names: Sequence[str], *, time: str = TIME, log: bool = False, title: str = ""
) -> Figure:
    """Several windows on one axis of time: how often samples come back to each group, and below when that is decided.

    A bar reaches from `T_after` to `T_before`; it ends in an arrow where one of them lies outside of the times, or is
    not known. Whiskers are the bands of the two times, up to the end of the axis where that is not known.

    Args:
        found: windows with times, stay, T_after and T_before, such as those of `jaxsamp.critical_windows`.
        names: of each.
        time: what the axis is.
        log: whether it is logarithmic, as suits noise levels sigma / alpha.
        title: shown above both panels.

    Raises:
        ValueError: there is not one name for each window.
    """
    if not found or len(found) != len(names):
        raise ValueError(f"names must be one for each of the windows, at least one; got {len(names)} and {len(found)}.")
    low, high = min(w.times[0] for w in found), max(w.times[-1] for w in found)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.5, 3.4 + 0.34 * len(found)), dpi=DPI)
        curves, bars = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 0.5 + 0.34 * len(found)))
        for k, (w, name) in enumerate(zip(found, names, strict=True)):
            color = LINES[k % len(LINES)]
            _curve(curves, w.times, w.stay, color, name, 0.25 if len(found) <= FEW else 0.08)
            _bar(bars, k, w, (low, high), color)
        if log:
            logarithmic(bars)
        curves.set(ylabel="comes back to the group", ylim=(-0.03, 1.03))
        bars.set(xlabel=time, ylim=(len(found) - 0.4, -0.6), xlim=(low, high))
        bars.set_yticks(range(len(found)), list(names))
        bars.tick_params(axis="y", length=0, labelcolor=INK)
        bars.spines[["top", "right"]].set_visible(False)
        return titled(figure, title)


def logarithmic(axes: Any) -> None:
    """A logarithmic axis of times, with plain numbers at it."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _curve(axes: Any, times: np.ndarray, curve: Any, color: str, label: str, alpha: float = 0.25) -> None:
    axes.fill_between(times, curve.low, curve.high, color=color, alpha=alpha, linewidth=0)
    axes.plot(times, curve.mean, color=color, linewidth=1.2, label=label)


def _bar(axes: Any, row: int, window: Any, limits: tuple[float, float], color: str) -> None:
    """From T_after to T_before, arrows where they are outside of the limits; nothing where neither is known."""
    ends = [window.T_after, window.T_before]
    known = [bool(np.isfinite(end.point)) for end in ends]
    if not any(known):
        axes.text(limits[0], row, " not decided between these times", va="center", fontsize=7, color=FAINT)
        return
    points = [end.point if known[i] else limits[i] for i, end in enumerate(ends)]
    axes.plot(points, [row, row], color=color, linewidth=7, alpha=0.55, solid_capstyle="butt")
    for i, end in enumerate(ends):
        if not known[i]:
            axes.plot(limits[i], row, marker="<>"[i], color=color, markersize=8, clip_on=False)
        else:
            band = [b if np.isfinite(b) else limit for b, limit in zip((end.low, end.high), limits, strict=True)]
            axes.plot(band, [row, row], color=INK, linewidth=1.0, marker="|", markersize=5)
