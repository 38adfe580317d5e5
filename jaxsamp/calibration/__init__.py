"""The linear part of a denoiser: measured, kept in tables, and the coordinates that it has one curve for each of."""

from jaxsamp.calibration.bases import Basis
from jaxsamp.calibration.calibrate import calibrate
from jaxsamp.calibration.tables import Calibration, from_curve, from_sigma_data, load

__all__ = ["Basis", "Calibration", "calibrate", "from_curve", "from_sigma_data", "load"]
