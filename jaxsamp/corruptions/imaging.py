"""Laws of linear corruptions of images: lower resolution, accelerated magnetic resonance imaging, and blur."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.corruptions.laws import STATIC, Corruption, image, noise
from jaxsamp.corruptions.linear import AveragingOperator, BlurOperator, FourierMaskOperator


@pytree
@dataclass(frozen=True)
class Downsample(Corruption):
    """Some images are known by the means of blocks of pixels alone, the others are whole.

    The further corruption averages every image: what it hides is seen by A with probability 1 - rate.

    Attributes:
        factor: side of a block in pixels; it divides height and width.
        rate: probability in [0, 1] that an image is averaged; with 1 no training is possible.
        noise: standard deviation of the noise in y.
    """

    factor: int = field(default=2, metadata=STATIC)
    rate: float = field(default=0.5, metadata=STATIC)
    noise: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        checks.at_least("factor", self.factor, 2)
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be in [0, 1]; got {self.rate}.")
        noise(self.noise)

    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> AveragingOperator:
        """The block means with probability `rate`, else the identity."""
        if any(side % self.factor for side in image(self, event_shape, self.factor)):
            raise ValueError(
                f"factor must divide the height and width of the images; got {self.factor} for {event_shape}."
            )
        return AveragingOperator(jax.random.bernoulli(key, self.rate), self.factor)

    def thinned(self, key: PRNGKey, operator: AveragingOperator, rate: Any) -> AveragingOperator:
        """The block means, whatever the rate."""
        return AveragingOperator(jnp.ones_like(jnp.asarray(operator.averaged)), self.factor)

    def gram(self, further: AveragingOperator, rate: Any) -> Array:
        """1 - the probability that A averages."""
        return jnp.asarray(1 - self.rate)

    def full(self, event_shape: tuple[int, ...]) -> AveragingOperator:
        """The identity."""
        return AveragingOperator(jnp.asarray(False), self.factor)


@pytree
@dataclass(frozen=True)
class KSpace(Corruption):
    """Accelerated magnetic resonance imaging: random columns of the Fourier transform of complex images (h, w, 2).

    The lowest frequencies, a share `center` of the columns, are always seen; each other column is seen with the
    probability p at which 1 / acceleration of all are seen on average. The further corruption hides each of these with
    probability delta, so that a hidden column is seen by A with probability q = p delta / (1 - p (1 - delta)).

    Attributes:
        acceleration: number of columns for each that is seen, above 1.
        center: share of the columns that is always seen, below 1 / acceleration.
        noise: standard deviation of the noise of the real and of the imaginary part of y.

    Source: Aali et al., "Ambient Diffusion Posterior Sampling: Solving Inverse Problems with Diffusion Models Trained
    on Corrupted Data", arXiv 2403.08728.
    """

    acceleration: float = field(default=4.0, metadata=STATIC)
    center: float = field(default=0.08, metadata=STATIC)
    noise: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        if not 1 < self.acceleration < float("inf"):
            raise ValueError(f"acceleration must be above 1; got {self.acceleration}.")
        if not 0 <= self.center < 1 / self.acceleration:
            raise ValueError(
                f"center must be a share from 0 to below 1 / acceleration = {1 / self.acceleration:.3g}; got "
                f"{self.center}."
            )
        noise(self.noise)

    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> FourierMaskOperator:
        """The columns of one image."""
        if len(event_shape) != 3 or event_shape[2] != 2:
            raise ValueError(f"event_shape must be complex images (h, w, 2) for {self}; got {event_shape}.")
        center, probability = self._columns(event_shape[1])
        return FourierMaskOperator(center | jax.random.bernoulli(key, probability, center.shape))

    def thinned(self, key: PRNGKey, operator: FourierMaskOperator, rate: Any) -> FourierMaskOperator:
        """Fewer columns; the center stays."""
        columns = jnp.asarray(operator.columns)
        center, _ = self._columns(columns.shape[0])
        return FourierMaskOperator(columns & (center | jax.random.bernoulli(key, 1 - rate, columns.shape)))

    def gram(self, further: FourierMaskOperator, rate: Any) -> Array:
        """q, the same for all hidden columns."""
        _, p = self._columns(jnp.shape(further.columns)[0])
        return jnp.asarray(p * rate / (1 - p * (1 - rate)))

    def full(self, event_shape: tuple[int, ...]) -> FourierMaskOperator:
        """All columns."""
        return FourierMaskOperator(jnp.ones(event_shape[1], bool))

    def _columns(self, width: int) -> tuple[np.ndarray, float]:
        """The columns of the center, and the probability of each other one."""
        number = round(self.center * width)
        low = np.argsort(np.abs(np.fft.fftfreq(width)), kind="stable")[:number]
        center = np.zeros(width, bool)
        center[low] = True
        return center, max(width / self.acceleration - number, 0) / (width - number)


@pytree
@dataclass(frozen=True)
class Blur(Corruption):
    """Every image is blurred by the same Gaussian, mirrored at the edges: for `jaxsamp.posterior`, not for training.

    Attributes:
        sigma: standard deviation of the Gaussian in pixels, above 0.
        noise: standard deviation of the noise in y.
    """

    sigma: float = field(default=1.0, metadata=STATIC)
    noise: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"sigma must be finite and above 0; got {self.sigma}.")
        noise(self.noise)

    def sample(self, key: PRNGKey, event_shape: tuple[int, ...]) -> BlurOperator:
        """The blur, which is the same for all images of one shape."""
        return BlurOperator(*(jnp.asarray(self._matrix(side), float) for side in image(self, event_shape)))

    def _matrix(self, side: int) -> np.ndarray:
        """Row i: the weights of the pixels in the blurred pixel i, of sum 1."""
        reach = int(np.ceil(4 * self.sigma))
        offsets = np.arange(-reach, reach + 1)
        weights = np.exp(-0.5 * (offsets / self.sigma) ** 2)
        places = np.mod(np.arange(side)[:, None] + offsets, 2 * side)
        places = np.minimum(places, 2 * side - 1 - places)  # mirrored about the edge of the last pixel
        matrix = np.zeros((side, side))
        np.add.at(matrix, (np.arange(side)[:, None], places), weights / weights.sum())
        return matrix
