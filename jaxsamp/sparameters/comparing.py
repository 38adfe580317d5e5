"""All interpolators on one file: how near each comes to what was left out."""

import time
from typing import Any

import jax
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.sparameters.data import as_sparameters
from jaxsamp.sparameters.interpolation import METHODS, Interpolation, interpolate, spaced

WIDE = 1.959963984540054  # standard deviations of a band of 95 %


def compare(
    network: Any, fraction: float = 0.1, noise: float = 0.0, key: Array | None = None, methods: Any = METHODS
) -> list[dict[str, Any]]:
    """Interpolate a network from a share of its frequencies by each method, and compare with all of them.

    Args:
        network: as for `interpolate`.
        fraction: of the frequencies, evenly spaced.
        noise: standard deviation of complex normal noise that is added to each sample; the methods are not told.
        key: a typed key, for the noise and for "deep"; seed 0 if left out.
        methods: their names.

    Returns:
        A row per method: "method"; "snr", 20 log10(||S|| / ||S - s||) in dB, Frobenius norms over all frequencies
        (None where S is 0);
        "coverage", the share of real and imaginary parts inside bands of 95 % (None without a standard error);
        "largest_singular_value"; "seconds"; and "failed", a sentence if the method failed, else None.

    Raises:
        ValueError: as `interpolate`, or noise is negative.
    """
    whole = as_sparameters(network)
    chosen = spaced(len(whole.frequencies), fraction)
    for method in methods:
        checks.one_of("methods", method, METHODS)
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise must be at least 0; got {noise}.")
    for_noise, for_fit = jax.random.split(jax.random.key(0) if key is None else checks.typed_key(key))
    drawn = np.asarray(jax.random.normal(for_noise, (2, *whole.s.shape)), float)
    noisy = whole._replace(s=whole.s + noise / np.sqrt(2) * (drawn[0] + 1j * drawn[1]))
    symmetric = bool(np.allclose(whole.s, whole.s.swapaxes(1, 2), atol=1e-6))
    rows = []
    for method in methods:
        start = time.perf_counter()
        try:
            fit = interpolate(noisy, chosen, method=method, key=for_fit, reciprocal=symmetric)
        except (np.linalg.LinAlgError, RuntimeError, ArithmeticError) as error:  # of the libraries
            rows.append({"method": method, "failed": f"{type(error).__name__}: {error}"})
            continue
        known: dict[str, Any] = {"method": method, "snr": snr(whole.s, fit.s), "coverage": coverage(fit, whole.s)}
        known["largest_singular_value"] = fit.largest_singular_value
        rows.append(known | {"seconds": time.perf_counter() - start, "failed": None})
    return rows


def snr(s: np.ndarray, found: np.ndarray) -> float | None:
    """20 log10(||S|| / ||S - found||) in dB, with Frobenius norms over frequencies and ports; None if S is 0."""
    if not s.any():
        return None
    return float(20 * np.log10(np.linalg.norm(s) / max(np.linalg.norm(s - found), np.finfo(float).tiny)))


def coverage(fit: Interpolation, s: np.ndarray) -> float | None:
    """The share of real and imaginary parts of S within 1.96 standard errors, each |error| / sqrt(2)."""
    if fit.standard_error is None:
        return None
    off, width = s - fit.s, WIDE * fit.standard_error / np.sqrt(2)
    return float(np.mean([np.abs(part(off)) <= width for part in (np.real, np.imag)]))
