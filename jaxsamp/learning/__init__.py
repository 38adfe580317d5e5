"""Fitting models other than denoisers, denoisers from corrupted data alone, and the levels for damaged samples."""

from typing import TYPE_CHECKING, Any

from jaxsamp.core import extras
from jaxsamp.learning.annotate import annotate_fixed, annotate_percentile, annotate_scores
from jaxsamp.learning.annotate_classifier import annotate_classifier
from jaxsamp.learning.annotate_crops import annotate_crops
from jaxsamp.learning.annotate_gaussian import annotate_gaussian
from jaxsamp.learning.annotate_held_out import HeldOut, annotate_held_out
from jaxsamp.learning.classifier import DamageClassifier, fit_classifier
from jaxsamp.learning.context import Context, measure_context
from jaxsamp.learning.gaussian_em import fit_gaussian_em
from jaxsamp.learning.gaussian_mixture import fit_gaussian_mixture
from jaxsamp.learning.receptive_field import measure_receptive_field
from jaxsamp.learning.select import Selection, select
from jaxsamp.learning.spins import SpinFit, fit_spins
from jaxsamp.learning.surrogates import Trial, try_surrogate

if TYPE_CHECKING:
    from jaxsamp.learning.ddpm_mixture import DDPMGaussianMixture as DDPMGaussianMixture
    from jaxsamp.learning.distillation import Distilled as Distilled
    from jaxsamp.learning.distillation import distill as distill
    from jaxsamp.learning.em import fit_em as fit_em
    from jaxsamp.learning.junta_selector import JuntaSelector as JuntaSelector
    from jaxsamp.learning.piecewise import PiecewisePolynomialScore as PiecewisePolynomialScore
    from jaxsamp.learning.rbm import fit_rbm as fit_rbm
    from jaxsamp.learning.rbm_estimator import RBMEstimator as RBMEstimator
    from jaxsamp.learning.rbm_labels import SupervisedRBM as SupervisedRBM
    from jaxsamp.learning.rbm_labels import fit_supervised_rbm as fit_supervised_rbm
    from jaxsamp.learning.spins_estimator import SpinRegressor as SpinRegressor

__all__ = [
    "Context",
    "DDPMGaussianMixture",
    "DamageClassifier",
    "Distilled",
    "HeldOut",
    "JuntaSelector",
    "PiecewisePolynomialScore",
    "RBMEstimator",
    "Selection",
    "SpinFit",
    "SpinRegressor",
    "SupervisedRBM",
    "Trial",
    "annotate_classifier",
    "annotate_crops",
    "annotate_fixed",
    "annotate_gaussian",
    "annotate_held_out",
    "annotate_percentile",
    "annotate_scores",
    "distill",
    "fit_classifier",
    "fit_em",
    "fit_gaussian_em",
    "fit_gaussian_mixture",
    "fit_rbm",
    "fit_spins",
    "fit_supervised_rbm",
    "measure_context",
    "measure_receptive_field",
    "select",
    "try_surrogate",
]


def __getattr__(name: str) -> Any:
    """Load what needs networks or scikit-learn when it is first used, because the rest needs neither."""
    with extras.needed(f"jaxsamp.learning.{name}"):
        if name == "DDPMGaussianMixture":
            from jaxsamp.learning.ddpm_mixture import DDPMGaussianMixture as found
        elif name == "PiecewisePolynomialScore":
            from jaxsamp.learning.piecewise import PiecewisePolynomialScore as found
        elif name == "JuntaSelector":
            from jaxsamp.learning.junta_selector import JuntaSelector as found
        elif name == "SpinRegressor":
            from jaxsamp.learning.spins_estimator import SpinRegressor as found
        elif name == "Distilled":
            from jaxsamp.learning.distillation import Distilled as found
        elif name == "distill":
            from jaxsamp.learning.distillation import distill as found
        elif name == "fit_em":
            from jaxsamp.learning.em import fit_em as found
        elif name == "fit_rbm":
            from jaxsamp.learning.rbm import fit_rbm as found
        elif name == "RBMEstimator":
            from jaxsamp.learning.rbm_estimator import RBMEstimator as found
        elif name == "SupervisedRBM":
            from jaxsamp.learning.rbm_labels import SupervisedRBM as found
        elif name == "fit_supervised_rbm":
            from jaxsamp.learning.rbm_labels import fit_supervised_rbm as found
        else:
            raise AttributeError(f"module 'jaxsamp.learning' has no attribute {name!r}")
    return found
