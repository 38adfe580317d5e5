"""From data to a law whose score is exact at every noise level."""

import numpy as np

from jaxsamp.cli.errors import BadArgument
from jaxsamp.learning import fit_gaussian_mixture
from jaxsamp.targets import Empirical, GaussianMixture

COMPONENTS, WIDEST = 20, 1024
# Share of the mean variance of a coordinate that every eigenvalue of a covariance gets on top. Among 0.003 to 0.3,
# this one gives held-out digits the highest likelihood under 20 components.
RIDGE = 0.01


def mixture(data: np.ndarray, components: int | None, seed: int) -> GaussianMixture:
    """A mixture of Gaussians with full covariances, fitted to `data` (n, *event) by maximum likelihood.

    Args:
        data: the training part.
        components: by default 20, or one for every ten samples if these are fewer.
        seed: of the start.

    Raises:
        BadArgument: more than 1,024 dimensions.
        ValueError: more components than data.
    """
    rows = data.reshape(len(data), -1)
    if rows.shape[1] > WIDEST:
        raise BadArgument(
            f"--model mixture takes samples of at most {WIDEST} numbers, for its covariances grow as the square; got "
            f"{rows.shape[1]}. Give a smaller --image-size, or --model empirical."
        )
    if components is None:
        components = min(COMPONENTS, max(1, len(rows) // 10))
    if components > len(rows):
        raise BadArgument(f"--components must be at most {len(rows)}, the size of the training part; got {components}.")
    ridge = RIDGE * float(rows.var(0).mean()) or 1e-6  # constant data have no variance to share
    return fit_gaussian_mixture(rows, components, seed=seed, reg_covar=ridge)


def empirical(data: np.ndarray, components: int | None, seed: int) -> Empirical:
    """The data themselves: each one equally likely."""
    return Empirical(data)


MODELS = {"mixture": mixture, "empirical": empirical}
