"""One face of all interpolators: S-parameters at few frequencies in, on a grid of frequencies out."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxsamp.core import checks, shown
from jaxsamp.core.types import Array
from jaxsamp.sparameters import causal, rational
from jaxsamp.sparameters.data import EDGE, SParameters, as_sparameters, check_frequencies, entries

METHODS = ("causal", "aaa", "vector", "spline", "deep")
LEAST = 4  # samples


@dataclass(frozen=True)
class Interpolation:
    """S-parameters on a grid of frequencies.

    Attributes:
        frequencies: of the grid, (f,), in Hz.
        s: complex matrices, (f, p, p).
        z0: reference impedance in ohm.
        standard_error: root mean square of |S - s| under the posterior of "causal", or over the networks of "deep",
            which is not calibrated, (f, p, p); None for other methods.
        log_evidence: of "causal", the sum over entries in nats; None for other methods.
        largest_singular_value: over the grid; above 1 the interpolation is not passive.
        method: its name.
        settings: what the method chose and says of itself; of "causal" per entry, with "decay" in seconds.
        samples: the S-parameters that were interpolated.
        reciprocal: whether s is symmetric.
    """

    frequencies: np.ndarray
    s: np.ndarray
    z0: float
    standard_error: np.ndarray | None
    log_evidence: float | None
    largest_singular_value: float
    method: str
    settings: dict[str, Any]
    samples: SParameters
    reciprocal: bool
    responses: dict[tuple[int, int], causal.Response] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return shown.line(self)


def interpolate(
    network: Any,
    samples: Any = None,
    grid: Any = None,
    method: str = "causal",
    *,
    key: Array | None = None,
    reciprocal: bool = True,
    noise: float | None = None,
) -> Interpolation:
    """S-parameters between few measured frequencies.

    "causal", the default, is a Gaussian process on real impulse responses that are zero before time 0, with a
    standard error, and whose decay, feed-through and noise have the largest evidence in each entry. "aaa" and "vector"
    fit rational functions: the best on few poles without noise, and vector fitting often also with it. "spline" knows
    nothing of circuits. "deep" is a convolutional network fitted to the samples alone, the weakest on smooth data of
    few ports. Magnitudes and phases are never interpolated.

    Args:
        network: a pair (frequencies in Hz, S of shape (f, p, p)), a scikit-rf Network or the path of a Touchstone file.
        samples: indices of the frequencies to interpolate from; None for all.
        grid: frequencies to predict, within those of the samples; None for all of `network`.
        method: "causal", "aaa", "vector", "spline" or "deep".
        key: a typed key, for "deep", which starts from random weights.
        reciprocal: whether S_ij = S_ji; pairs are averaged first.
        noise: standard deviation of the noise in a complex entry, in units of S; None if it is not known. Used by
            "causal" and "aaa". For "causal", below 1e-5 of the root mean square of an entry it counts as that.

    Returns:
        An `Interpolation`.

    Raises:
        ValueError: frequencies are not increasing, S not square, the grid leaves the band of the samples, samples are
            too few, noise is not positive, or "deep" is without a key.
        ModuleNotFoundError: scikit-rf is needed and not installed.

    Source: "causal" has the stable-spline priors of Pillonetto and De Nicolao, "A new kernel-based approach for linear
    system identification", Automatica 46 (2010); deep image priors for S-parameters: arXiv 2306.04001, whose network
    and data are not public, so that "deep" is not a reproduction.
    """
    checks.one_of("method", method, METHODS)
    whole = as_sparameters(network)
    known = chosen(whole, samples)
    wanted = whole.frequencies if grid is None else np.asarray(grid, float)
    check_frequencies("grid", wanted)
    low, high = known.frequencies[[0, -1]]
    if wanted[0] < low * (1 - EDGE) or wanted[-1] > high * (1 + EDGE):
        raise ValueError(
            f"grid must be inside the band of the samples, {low:g} to {high:g} Hz, because nothing is known outside; "
            f"got {wanted[0]:g} to {wanted[-1]:g} Hz."
        )
    if noise is not None and not 0 < noise < np.inf:
        raise ValueError(f"noise must be a positive number; got {noise}.")
    if reciprocal and known.ports > 1:
        known = known._replace(s=(known.s + known.s.swapaxes(1, 2)) / 2)
    f, to = known.frequencies / high, wanted / high
    error, evidence, settings, responses = None, None, {}, {}
    if method == "causal":
        s, error, evidence, settings, responses = _causal(known.frequencies, known.s, wanted, reciprocal, noise)
    elif method == "aaa":
        s, settings = rational.aaa(f, known.s, to, noise)
    elif method == "vector":
        s, settings = rational.vector(known.frequencies, known.s, wanted, known.z0)
    elif method == "spline":
        s = rational.spline(f, known.s, to)
    else:
        from jaxsamp.sparameters import deep

        s, error, settings = deep.fit_network(key, f, known.s, to, reciprocal)
    largest = float(np.linalg.svd(s, compute_uv=False).max())
    return Interpolation(
        wanted, s, known.z0, error, evidence, largest, method, settings, known, reciprocal, responses
    )  # fmt: skip


def chosen(network: SParameters, samples: Any) -> SParameters:
    """The frequencies of these indices."""
    if samples is None:
        found = network
    else:
        index = np.asarray(samples)
        n = len(network.frequencies)
        if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
            raise ValueError(f"samples must be integer indices, (m,); got {index.dtype} of shape {index.shape}.")
        if len(index) and (index.min() < 0 or index.max() >= n or np.any(np.diff(index) <= 0)):
            raise ValueError(f"samples must be increasing indices from 0 to {n - 1}, each once; got {index.tolist()}.")
        found = network._replace(frequencies=network.frequencies[index], s=network.s[index])
    if len(found.frequencies) < LEAST:
        raise ValueError(f"samples must be at least {LEAST} frequencies; got {len(found.frequencies)}.")
    return found


def spaced(n: int, fraction: float) -> np.ndarray:
    """Indices of a share of n frequencies, evenly spaced, with the first and the last.

    Raises:
        ValueError: fraction is not in (0, 1], or leaves fewer than 4 of them.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1]; got {fraction}.")
    if (m := round(fraction * n)) < LEAST:
        raise ValueError(f"fraction must leave at least {LEAST} of the {n} frequencies; {fraction:g} leaves {m}.")
    return np.round(np.linspace(0, n - 1, m)).astype(int)


def _causal(
    f: np.ndarray, s: np.ndarray, grid: np.ndarray, reciprocal: bool, noise: float | None
) -> tuple[np.ndarray, np.ndarray, float, dict[str, Any], dict[tuple[int, int], causal.Response]]:
    n, ports = len(grid), s.shape[-1]
    mean, error = np.empty((n, ports, ports), complex), np.empty((n, ports, ports))
    responses = {}
    for i, j in entries(ports, reciprocal):
        averaged = reciprocal and i != j  # of two measurements, with half of the variance
        own = noise / np.sqrt(2) if averaged and noise is not None else noise
        found = responses[i, j] = causal.fit_response(f, s[:, i, j], grid, own)
        variance = np.sum(found.factor**2, 1)
        for place in ((i, j), (j, i)) if reciprocal else ((i, j),):
            mean[(slice(None), *place)] = found.mean[:n] + 1j * found.mean[n:]
            error[(slice(None), *place)] = np.sqrt(variance[:n] + variance[n:])
    settings = {
        name: {f"S{i + 1}{j + 1}": getattr(found, name) for (i, j), found in responses.items()}
        for name in ("decay", "feedthrough", "noise", "shortest")
    }
    evidence = sum(found.log_evidence for found in responses.values())
    return mean, error, evidence, settings, responses
