"""Pictures of spins: chains of them, what was learned from them, and which ones a label depends on."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from jaxsamp.plots.style import DPI, FAINT, INK, NEW, SHADES, STYLE, TRUE, Figure, titled

SHOWN, PAIRS, BARS = 36, 5000, 41  # chains that are shown; pairs of chains whose overlap is; about so many bars
DIVERGING = "RdBu_r"


def spins(axes: Any, x: Any) -> None:
    """Samples of spins (n, sites) on axes, white for +1: as squares if they have square many sites, else as rows."""
    x = np.asarray(x)[:SHOWN]
    side = math.isqrt(x.shape[1])
    if side**2 == x.shape[1] and side > 2:
        columns = math.ceil(math.sqrt(len(x)))
        rows = math.ceil(len(x) / columns)
        sheet = np.zeros((rows * (side + 1) - 1, columns * (side + 1) - 1))
        for k, one in enumerate(x):
            a, b = (k // columns) * (side + 1), (k % columns) * (side + 1)
            sheet[a : a + side, b : b + side] = one.reshape(side, side)
        axes.imshow(sheet, vmin=-1, vmax=1)
    else:
        axes.imshow(x, vmin=-1, vmax=1, aspect="auto")
        axes.set_xlabel("spin")
        axes.set_ylabel("chain")
    axes.set_xticks([])
    axes.set_yticks([])


def spin_chains(x: Any, exponents: Any = None, *, exact: float | None = None, title: str = "") -> Figure:
    """Last states of chains, the exponent along them, and the overlaps of pairs of chains.

    Args:
        x: last states, (n, sites), of n >= 2 independent chains.
        exponents: S of the kept draws, (n, kept), from the first to the last; None for none.
        exact: the mean of S, as a line.
        title: shown above all panels.
    """
    x = np.asarray(x)
    overlap = np.sum(x[: len(x) // 2].astype(float) * x[len(x) // 2 : len(x) // 2 * 2], 1)[:PAIRS] / x.shape[1]
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 3.4), dpi=DPI)
        states, trace, pairs = figure.subplots(1, 3)
        spins(states, x)
        states.set_title("states")
        if exponents is not None and np.size(exponents):
            s = np.asarray(exponents, float)
            kept, quantiles = np.arange(1, s.shape[1] + 1), np.quantile(s, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
            trace.fill_between(kept, quantiles[0], quantiles[4], color=SHADES[1], label="90 % of chains")
            trace.fill_between(kept, quantiles[1], quantiles[3], color=SHADES[3], label="half")
            trace.plot(kept, quantiles[2], color=NEW, linewidth=1.2, label="median")
            trace.margins(x=0)
            trace.set_xlabel("kept draw")
        if exact is not None:
            trace.axhline(exact, color=TRUE, linewidth=1, linestyle="--", label="exact mean")
        if trace.get_legend_handles_labels()[0]:
            trace.legend(fontsize=7, frameon=True, framealpha=0.8, edgecolor="none", loc="lower right")
        trace.set_title("exponent")
        if overlap.size:  # one chain has none
            pairs.hist(overlap, bins=_overlap_edges(x.shape[1]), color=TRUE, density=True)
        pairs.set_xlabel("overlap of two chains")
        pairs.set_title("overlaps")
        pairs.spines[["top", "right"]].set_visible(False)
        return titled(figure, title)


def spin_fit(couplings: Any, held_out: Any, drawn: Any, *, title: str = "") -> Figure:
    """Couplings that were learned, and the correlations of what the law draws against those of held-out samples.

    Args:
        couplings: (n, n), or weights (visible, hidden) of a machine with hidden units.
        held_out: samples that were not learned from, (m, n).
        drawn: samples of the law that was learned, (k, n).
        title: shown above all panels.
    """
    j = np.asarray(couplings, float)
    of_pairs = _are_couplings(j)
    real, own = (np.asarray(x, float) for x in (held_out, drawn))
    i, k = np.triu_indices(real.shape[1], 1)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.5, 3.6), dpi=DPI)
        matrix, means, pairs = figure.subplots(1, 3)
        most = np.abs(j).max(initial=1e-12)
        shown = matrix.imshow(j, cmap=DIVERGING, vmin=-most, vmax=most, aspect="auto")
        figure.colorbar(shown, ax=matrix, shrink=0.85)
        matrix.set_title("couplings" if of_pairs else "weights of hidden units")
        matrix.set_xlabel("spin" if of_pairs else "hidden unit")
        matrix.set_ylabel("spin")
        each = 1 / len(real) + 1 / len(own)
        _against(means, real.mean(0), own.mean(0), each, "mean of each spin")
        products = [(x.T @ x / len(x))[i, k] for x in (real, own)]
        _against(pairs, products[0], products[1], each, "mean of each product of two")
        return titled(figure, title)


def selection(names: Sequence[str], z: Sequence[float], limits: Sequence[float], *, title: str = "") -> Figure:
    """Coordinates in the order in which they were found, by their statistic, and the limit of each.

    Args:
        names: of the coordinates; the last one is that which was not taken, if the search ended there.
        z: |z| of each.
        limits: what |z| had to exceed.
        title: shown above the panel.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(6.5, 1.4 + 0.34 * len(names)), dpi=DPI)
        axes = figure.subplots()
        places = np.arange(len(names))
        values, above = np.asarray(z), np.asarray(z) > np.asarray(limits)
        for which, color, label in ((above, TRUE, "found"), (~above, FAINT, "not taken")):
            if which.any():
                axes.barh(places[which], values[which], color=color, height=0.7, label=label)
        axes.plot(limits, places, "|", color=INK, markersize=16, label="limit")
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlabel("largest |z| in any cell of those above")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7)
        return titled(figure, title)


def _overlap_edges(n: int) -> np.ndarray:
    """Edges of bars, symmetric about 0, that hold equally many of the values -1, -1 + 2 / n, ..., 1 of overlaps."""
    each = -(-(n + 1) // BARS)
    if n % 2 == 0 and each % 2 == 0:
        each += 1  # 0 is a value, which only a bar of an odd number of values has in its middle
    beyond = -(n + 1) % each  # places for values below -1 and above 1, equally many
    beyond += each * (beyond % 2)
    half = (n + 1 + beyond) / n
    return np.linspace(-half, half, (n + 1 + beyond) // each + 1)


def _are_couplings(j: np.ndarray) -> bool:
    """Whether they are of pairs of spins; weights of hidden units may be square, too, but are not symmetric."""
    if j.shape[0] != j.shape[1] or j.diagonal().any():
        return False
    return bool(np.abs(j - j.T).max(initial=0) <= 1e-5 * np.abs(j).max(initial=0))


def _against(axes: Any, real: np.ndarray, own: np.ndarray, each: float, name: str) -> None:
    """Means of m and of k numbers +1 and -1, with twice the error of their differences; `each` is 1/m + 1/k."""
    t = np.linspace(-1, 1, 201)
    width = 2 * np.sqrt((1 - t**2) * each)
    axes.fill_between(t, t - width, t + width, color=SHADES[0], linewidth=0, label="two standard errors")
    axes.plot([-1, 1], [-1, 1], color=FAINT, linewidth=0.8)
    axes.plot(real, own, ".", color=NEW, markersize=4)
    axes.set_xlabel("held-out samples")
    axes.set_ylabel("samples of the law that was learned")
    axes.legend(fontsize=7, frameon=False, loc="upper left")
    axes.set_title(name)
    reach = 1.05 * max(np.abs(real).max(initial=0.1), np.abs(own).max(initial=0.1))
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
