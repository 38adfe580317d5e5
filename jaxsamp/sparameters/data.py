"""S-parameters: frequencies and matrices, checked, from arrays or from Touchstone files and into them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsamp.core import checks, disk, extras, shown

TAKES = "a pair (frequencies, S), a scikit-rf Network, or the path of a Touchstone file"
EDGE = 1e-9  # of the highest frequency, by which equal ones may differ: they are written in few digits


class SParameters(NamedTuple):
    """Scattering matrices at some frequencies.

    Attributes:
        frequencies: in Hz, (f,), increasing.
        s: complex matrices, (f, p, p); s[:, i, j] is the wave out of port i for one into port j.
        z0: reference impedance in ohm.
    """

    frequencies: np.ndarray
    s: np.ndarray
    z0: float = 50.0

    def __repr__(self) -> str:
        return shown.line(self)

    @property
    def ports(self) -> int:
        """p."""
        return self.s.shape[-1]


def read(path: str | Path) -> SParameters:
    """The S-parameters of a Touchstone file (.s1p, .s2p, ...), read by scikit-rf.

    Raises:
        ValueError: there is no such file, it cannot be read, or it holds what `as_sparameters` refuses.
        ModuleNotFoundError: scikit-rf is not installed.
    """
    if not Path(path).is_file():
        raise ValueError(f"path must be a Touchstone file; {path} does not exist.")
    with extras.needed("read"):
        from skrf import Network
    try:
        network = Network(str(path))
    except Exception as error:  # its parser raises whatever the text leads to
        raise ValueError(f"path must be a Touchstone file; {path} cannot be read: {error}.") from error
    return as_sparameters(network)


def write(path: str | Path, given: Any) -> Path:
    """Write S-parameters, or an `Interpolation`, as a Touchstone file, and return its path.

    Args:
        path: its name; without the ending .sNp of N ports, that is added.
        given: anything that `as_sparameters` takes.
    """
    with extras.needed("write"):
        from skrf import Frequency, Network
    found = as_sparameters(given)
    path = disk.with_ending(path, f".s{found.ports}p")
    network = Network(frequency=Frequency.from_f(found.frequencies, unit="Hz"), s=found.s, z0=found.z0)
    # As text, because scikit-rf takes what follows the last dot of a name for its ending.
    text: Any = network.write_touchstone("network", form="ri", return_string=True)  # all digits
    with disk.writing(path):
        path.write_text(text)
    return path


def as_sparameters(given: Any) -> SParameters:
    """What was given as S-parameters, checked.

    Args:
        given: `SParameters`, a pair (frequencies, S) in 50 ohm, a scikit-rf Network, an `Interpolation`, or the path of
            a Touchstone file.

    Raises:
        TypeError: it is none of these.
        ValueError: frequencies are not finite, negative, not increasing or duplicated; S is not (f, p, p) or finite;
            the reference impedances of the ports or frequencies differ, or are no positive number.
    """
    if isinstance(given, str | Path):
        return read(given)
    z0 = 50.0
    if isinstance(given, SParameters):
        frequencies, s, z0 = given
    elif isinstance(given, tuple | list):
        if len(given) != 2:
            raise TypeError(f"network must be {TAKES}; got a {type(given).__name__} of {len(given)}.")
        frequencies, s = given
    elif hasattr(given, "frequencies") and hasattr(given, "s"):
        frequencies, s, z0 = given.frequencies, given.s, getattr(given, "z0", z0)
    elif hasattr(given, "f") and hasattr(given, "s"):
        frequencies, s, z0 = given.f, given.s, _one_impedance(given)
    else:
        raise TypeError(f"network must be {TAKES}; got a {type(given).__name__}.")
    f, s = np.asarray(frequencies, float), np.asarray(s, complex)
    if s.ndim == 1:
        s = s[:, None, None]
    check_frequencies("frequencies", f)
    if s.ndim != 3 or s.shape[1] != s.shape[2]:
        raise ValueError(f"S must be square matrices, of shape (f, p, p); got shape {s.shape}.")
    if len(s) != len(f):
        raise ValueError(f"S must have one matrix per frequency, {len(f)}; got {len(s)}.")
    checks.finite("S", s)
    ohm = np.asarray(z0)
    if ohm.shape or ohm.dtype.kind not in "iuf" or not 0 < ohm < np.inf:
        raise ValueError(f"z0 must be one positive number, in ohm; got {z0}.")
    return SParameters(f, s, float(ohm))


def check_frequencies(name: str, f: np.ndarray) -> None:
    """Raise ValueError unless f is (n,), finite, not negative, and strictly increasing."""
    if f.ndim != 1 or not len(f):
        raise ValueError(f"{name} must be of shape (n,), in Hz; got shape {f.shape}.")
    checks.finite(name, f)
    if f[0] < 0:
        raise ValueError(f"{name} must not be negative; got {f.min():g} Hz.")
    if len(wrong := np.flatnonzero(np.diff(f) <= 0)):
        first, second = f[wrong[0]], f[wrong[0] + 1]
        what = f"{first:g} Hz is there twice" if first == second else f"{second:g} Hz comes after {first:g} Hz"
        raise ValueError(f"{name} must be increasing, each once; {what}.")


def entries(ports: int, reciprocal: bool) -> list[tuple[int, int]]:
    """The entries that are fitted: on and above the diagonal, or all."""
    return [(i, j) for i in range(ports) for j in range(i if reciprocal else 0, ports)]


def _one_impedance(network: Any) -> float:
    z0 = np.unique(np.asarray(network.z0))
    if len(z0) != 1 or z0[0].imag:
        raise ValueError(
            f"network must have one real reference impedance; got {len(z0)} of them; renormalize it first."
        )
    return float(z0[0].real)
