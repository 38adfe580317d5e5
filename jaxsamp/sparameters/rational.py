"""Interpolators that know no noise: rational functions and splines, entry by entry or of all entries at once."""

import warnings
from typing import Any

import numpy as np
from scipy.interpolate import AAA, CubicSpline

from jaxsamp.core import extras

CLEAN = 1e-10  # relative error at which AAA stops on samples without noise


def spline(f: np.ndarray, s: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Cubic splines through real and imaginary parts, not-a-knot at the ends."""
    return CubicSpline(f, s)(grid)


def aaa(f: np.ndarray, s: np.ndarray, grid: np.ndarray, noise: float | None) -> tuple[np.ndarray, dict[str, Any]]:
    """A rational function per entry by the AAA algorithm, with scipy, and what it says of itself.

    Source: Nakatsukasa et al., "The AAA algorithm for rational approximation", arXiv 1612.00337.

    Returns:
        S on the grid; "growing", the number of poles in the right half plane, whose responses grow with time, so that
        the function is not causal; "spurious", poles with residues below 1e-8 of the largest (Froissart doublets); and
        "converged", whether every entry met its tolerance.
    """
    out = np.empty((len(grid), *s.shape[1:]), complex)
    growing, spurious, converged = 0, 0, True
    rtol = max(CLEAN, 0.0 if noise is None else noise / 2)
    for place in np.ndindex(*s.shape[1:]):
        values = s[(slice(None), *place)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted = AAA(1j * f, values, rtol=rtol, max_terms=max(2, len(f) // 2 - 1))  # in s / (2 pi f_max)
            out[(slice(None), *place)] = fitted(1j * grid)
            poles, residues = fitted.poles(), np.abs(fitted.residues())
        converged &= not any(
            "onverge" in str(one.message) or issubclass(one.category, RuntimeWarning) for one in caught
        )
        growing += int(np.sum(poles.real > 0))
        spurious += int(np.sum(residues < 1e-8 * residues.max(initial=0)))
    return out, {"growing": growing, "spurious": spurious, "converged": converged}


def vector(f: np.ndarray, s: np.ndarray, grid: np.ndarray, z0: float) -> tuple[np.ndarray, dict[str, Any]]:
    """Poles shared by all entries, by vector fitting in scikit-rf with its own choice of their number.

    Args:
        f: frequencies in Hz: its limits on poles are absolute.

    Raises:
        LinAlgError: S is 0 everywhere, or vector fitting fails for another reason.
    """
    if not s.any():
        raise np.linalg.LinAlgError(
            'method must not be "vector" where all samples are 0, because zeros have no poles to fit.'
        )
    with extras.needed('method "vector"'):
        from skrf import Frequency, Network
        from skrf.vectorFitting import VectorFitting
    network = Network(frequency=Frequency.from_f(f, unit="Hz"), s=s, z0=z0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted: Any = VectorFitting(network)
        fitted.auto_fit()
    ports = range(s.shape[1])
    out = np.stack([np.stack([fitted.get_model_response(i, j, grid) for j in ports], -1) for i in ports], -2)
    said = sorted(
        {str(one.message).split("\n")[0] for one in caught if issubclass(one.category, RuntimeWarning | UserWarning)}
    )
    return out, {"poles": len(fitted.poles), "said": said}
