"""Whether a mixture of more Gaussians would have a smaller denoising loss, on samples that were held out."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.types import Array, Level
from jaxsamp.learning.piecewise_cells import SUBSET, Cells, number_by_bic, started
from jaxsamp.learning.piecewise_features import PiecewiseDenoiser
from jaxsamp.learning.start import Whitening
from jaxsamp.schedules import VarianceExploding
from jaxsamp.targets import GaussianMixture

LEVELS = (0.2, 0.5, 1.0)  # in units of the data
COPIES = 4  # of the noise of a sample
SURE, WORTH = 4.0, 0.002  # standard errors, and share of the loss, by which it must be smaller


def more_cells(
    key: Array, model: PiecewiseDenoiser, y: np.ndarray, held: np.ndarray, white: Whitening, seed: int, floor: float
) -> tuple[int, float]:
    """The number of Gaussians that BIC wants, and by which share of the loss their mixture is better than the model.

    The share is 0 where BIC wants no more than there are cells, or where it may be chance or does not matter. `y` are
    whitened samples, and `held` are others as they are.
    """
    own, held = len(model.cells.log_weights), held[:SUBSET]
    number = number_by_bic(y, seed, floor, least=own)
    if number == own:
        return number, 0.0
    more = law_of(started(y, number, seed, 1, floor)[0], white).denoiser(VarianceExploding())
    x0, gains = jnp.asarray(held, jnp.result_type(float)), np.zeros(len(held))
    places = np.repeat(LEVELS, COPIES)
    for part, place in zip(jax.random.split(key, len(places)), places, strict=True):
        sigma = place * model.scale
        x = x0 + sigma * jax.random.normal(part, x0.shape, x0.dtype)
        now, then = (np.sum((np.asarray(_denoised(d, x, sigma)) - held) ** 2, 1) for d in (model, more))
        gains += (now - then) / now.mean() / len(places)
    least = max(SURE * gains.std() / np.sqrt(len(gains)), WORTH)
    return number, float(gains.mean()) if gains.mean() > least else 0.0


def law_of(cells: Cells, white: Whitening) -> GaussianMixture:
    """Whitened cells as a law of the data."""
    return GaussianMixture(cells.weights, white.undo(cells.means), white.root @ cells.covariances @ white.root)


@jax.jit
def _denoised(denoiser: Denoiser, x: Array, sigma: Array) -> Array:
    return denoiser(x, Level(1.0, sigma))
