"""Two passive circuits with known S-parameters: for examples, tests and tables."""

import numpy as np

from jaxsamp.sparameters.data import SParameters

LIGHT = 299792458.0  # m/s
LADDER = (1.1468, 1.3712, 1.9750, 1.3712, 1.1468)


def ladder(points: int = 401) -> SParameters:
    """A lossy low-pass filter of five elements, from 0.02 to 2 Hz in a reference impedance of 1 ohm.

    Shunt capacitors and series inductors in turn; element k is g_k (s / 2 pi + 1 / 200), s = 2 pi i f.
    """
    f = np.linspace(0.02, 2, points)
    chain = _identity(points)
    for k, g in enumerate(LADDER):
        element = g * (1j * f + 1 / 200)
        chain = chain @ (_shunt(element) if k % 2 == 0 else _series(element))
    return SParameters(f, _scattering(chain, 1.0), 1.0)


def channel(points: int = 1000) -> SParameters:
    """Lines, open stubs and a capacitor, 50 MHz to 30 GHz in 50 ohm: like a lossy trace of a backplane."""
    f = np.linspace(0.05, 30, points) * 1e9
    parts = [
        _line(f, 48.0, 0.015), _stub(f, 45.0, 0.0028), _line(f, 58.0, 0.020), _shunt(2j * np.pi * f * 60e-15),
        _line(f, 42.0, 0.017), _stub(f, 50.0, 0.0019), _line(f, 50.0, 0.012),
    ]  # fmt: skip
    chain = _identity(points)
    for part in parts:
        chain = chain @ part
    return SParameters(f, _scattering(chain, 50.0), 50.0)


def _identity(points: int) -> np.ndarray:
    return np.broadcast_to(np.eye(2, dtype=complex), (points, 2, 2))


def _matrices(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    rows = np.broadcast_arrays(a, b, c, d)
    return np.stack(rows, -1).reshape(-1, 2, 2)


def _shunt(admittance: np.ndarray) -> np.ndarray:
    return _matrices(np.ones(1), np.zeros(1), admittance, np.ones(1))


def _series(impedance: np.ndarray) -> np.ndarray:
    return _matrices(np.ones(1), impedance, np.zeros(1), np.ones(1))


def _wave_number(f: np.ndarray) -> np.ndarray:
    return 4 * np.pi * f / LIGHT  # in a dielectric of relative permittivity 4


def _line(f: np.ndarray, impedance: float, length: float) -> np.ndarray:
    beta = _wave_number(f)
    x = length * (0.8 * np.sqrt(f / 1e9) + beta / 200 + 1j * beta)
    return _matrices(np.cosh(x), impedance * np.sinh(x), np.sinh(x) / impedance, np.cosh(x))


def _stub(f: np.ndarray, impedance: float, length: float) -> np.ndarray:
    beta = _wave_number(f)
    return _shunt(np.tanh(length * (beta / 100 + 1j * beta)) / impedance)


def _scattering(chain: np.ndarray, z0: float) -> np.ndarray:
    """S of a two-port from its ABCD matrices, in the reference impedance z0."""
    a, b, c, d = (chain[:, i, j] for i in (0, 1) for j in (0, 1))
    b, c = b / z0, c * z0
    rows = _matrices(a + b - c - d, 2 * (a * d - b * c), 2 * np.ones(1), -a + b - c + d)
    return rows / (a + b + c + d)[:, None, None]
