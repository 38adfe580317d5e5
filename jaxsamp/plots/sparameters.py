"""Pictures of S-parameters."""

import math
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import MultipleLocator

from jaxsamp.plots.style import DPI, FAINT, INK, LINES, STYLE, TRUE, Figure, titled

SHOWN = 3  # entries: more of them cannot be told apart
BAND = 1.959963984540054  # standard errors on each side of a band of 95 %


def sparameters(fit: Any, *, truth: Any = None, draws: Any = None, title: str = "") -> Figure:
    """Magnitudes, phases and the largest singular value of an interpolation against frequency.

    Bands are 1.96 standard errors of the magnitude, |S - s| / sqrt(2), and of the phase at that magnitude, at most 180
    degrees; dots are the samples. Phases run on beyond 180 degrees; of the truth and the samples those are drawn that
    are nearest to the interpolation.

    Args:
        fit: a `jaxsamp.sparameters.Interpolation`; the first entries of its first column are shown.
        truth: S on the same grid, (f, p, p), dashed; None for none.
        draws: (n, f, p, p), whose largest singular values are drawn as thin lines; None for none.
        title: shown above all panels.
    """
    f, known = fit.frequencies, fit.samples
    unit, name = _unit(float(f[-1]))
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 7.5), dpi=DPI)
        size, phase, largest = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
        for k in range(min(fit.s.shape[-1], SHOWN)):
            own, look = fit.s[:, k, 0], {"color": LINES[k], "linewidth": 1.2}
            angle = np.degrees(np.unwrap(np.angle(own)))
            size.plot(f / unit, _decibels(own), label=f"S{k + 1}1", **look)
            phase.plot(f / unit, angle, **look)
            if truth is not None:
                size.plot(f / unit, _decibels(truth[:, k, 0]), "--", color=INK, linewidth=0.7)
                phase.plot(f / unit, _degrees(truth[:, k, 0], angle), "--", color=INK, linewidth=0.7)
            if fit.standard_error is not None:
                width = BAND * fit.standard_error[:, k, 0] / np.sqrt(2)
                around = (_decibels(np.maximum(abs(own) + sign * width, 1e-12)) for sign in (-1, 1))
                size.fill_between(f / unit, *around, color=LINES[k], alpha=0.2, linewidth=0)
                turn = np.minimum(np.degrees(width / np.maximum(abs(own), 1e-12)), 180)
                phase.fill_between(f / unit, angle - turn, angle + turn, color=LINES[k], alpha=0.2, linewidth=0)
            at = known.frequencies / unit
            size.plot(at, _decibels(known.s[:, k, 0]), ".", color=LINES[k], markersize=4)
            dots = _degrees(known.s[:, k, 0], np.interp(known.frequencies, f, angle))
            phase.plot(at, dots, ".", color=LINES[k], markersize=4)
        size.set_ylim(bottom=max(size.get_ylim()[0], _decibels(np.abs(fit.s[:, :, 0]).min() + 1e-4) - 10))
        for one in () if draws is None else draws:
            largest.plot(f / unit, _largest(one), color=FAINT, linewidth=0.3, alpha=0.4)
        largest.plot(f / unit, _largest(fit.s), color=TRUE, linewidth=1.2)
        largest.axhline(1, color=INK, linewidth=0.6, linestyle=":")
        size.set_ylabel("magnitude (dB)")
        phase.set_ylabel("phase (degrees)")
        phase.yaxis.set_major_locator(MultipleLocator(90 * math.ceil(np.ptp(phase.get_ylim()) / 540)))
        largest.set(ylabel="largest singular value", xlabel=f"frequency ({name})")
        size.legend(loc="best")
        return titled(figure, title)


def _decibels(s: Any) -> Any:
    return 20 * np.log10(np.maximum(np.abs(s), 1e-15))


def _degrees(s: Any, near: np.ndarray) -> np.ndarray:
    """The phases of s, of all that differ by whole turns those nearest to the given ones."""
    return near + np.angle(s * np.exp(-1j * np.radians(near)), deg=True)


def _largest(s: np.ndarray) -> np.ndarray:
    return np.linalg.svd(s, compute_uv=False)[:, 0]


def _unit(highest: float) -> tuple[float, str]:
    """A unit in which the highest frequency is at least 1."""
    return next(
        ((size, name) for size, name in ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz")) if highest >= size), (1.0, "Hz")
    )
