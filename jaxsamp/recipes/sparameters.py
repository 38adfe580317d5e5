"""S-parameters of a file interpolated from a share of them, as plain values."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsamp import plots, sparameters
from jaxsamp.core.types import Array
from jaxsamp.sparameters import Interpolation, SParameters
from jaxsamp.sparameters.comparing import coverage, snr
from jaxsamp.sparameters.passive import Draws

CIRCUITS = {"ladder": sparameters.ladder, "channel": sparameters.channel}
THIN = 50  # draws that are shown


class FittedSParameters(NamedTuple):
    """An interpolation, and what is known of it.

    Attributes:
        fit: the interpolation.
        truth: all that the file has.
        draws: passive draws, if the method has a posterior and they were asked for.
        facts: "frequencies", "ports" and "used"; "snr" in dB (None where S is 0) and "coverage" on all frequencies
            of the file, which were measured with noise, too; "largest_singular_value"; "method", its settings; of
            draws "draws", their number, the "largest" singular value of all, and that "between" the frequencies.
    """

    fit: Interpolation
    truth: SParameters
    draws: Draws | None
    facts: dict[str, Any]


def load_sparameters(name: str) -> SParameters:
    """The circuit of that name, or a Touchstone file."""
    return CIRCUITS[name]() if name in CIRCUITS else sparameters.read(name)


def fit_sparameters(
    key: Array,
    truth: SParameters,
    keep: float = 0.1,
    method: str = "causal",
    *,
    noise: float | None = None,
    reciprocal: bool = True,
    draws: int = 0,
    progress: bool = False,
) -> FittedSParameters:
    """Interpolate from a share of the frequencies, evenly spaced; `draws` passive draws where there is a posterior.

    Raises:
        ValueError: as `interpolate` and `posterior`, or active data with `draws` above 0.
    """
    for_fit, for_draws = jax.random.split(key)
    used = sparameters.spaced(len(truth.frequencies), keep)
    fit = sparameters.interpolate(truth, used, method=method, key=for_fit, reciprocal=reciprocal, noise=noise)
    facts = {
        "frequencies": len(truth.frequencies),
        "ports": truth.ports,
        "used": len(used),
        "snr": snr(truth.s, fit.s),
        "coverage": coverage(fit, truth.s),
        "largest_singular_value": fit.largest_singular_value,
        "method": fit.settings,
    }
    found = None
    if draws and fit.responses:
        try:
            found = sparameters.posterior(for_draws, fit, draws, progress=progress)
        except ValueError as error:
            raise ValueError(str(error).replace("passive must be False", "draws must be 0")) from error
        ends = {name: float(np.max(found.stats[name])) for name in ("largest", "between")}
        facts["draws"] = {"n": draws, **ends}
    return FittedSParameters(fit, truth, found, facts)


def sparameters_picture(found: FittedSParameters, title: str) -> Any:
    """The interpolation, all of the file beside it, and up to 50 draws."""
    draws = None if found.draws is None else found.draws.s[:THIN]
    return plots.sparameters(found.fit, truth=found.truth.s, draws=draws, title=title)
