"""The linear part of a denoiser: how it is measured, its tables, and the coordinates of its curves."""

from jaxsamp.calibration.bases import Basis
from jaxsamp.calibration.calibrate import calibrate
from jaxsamp.calibration.files import load
from jaxsamp.calibration.tables import Calibration, from_curve, from_sigma_data

__all__ = ["Basis", "Calibration", "calibrate", "from_curve", "from_sigma_data", "load"]
