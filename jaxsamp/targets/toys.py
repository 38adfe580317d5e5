"""Well-known two-dimensional toys with exact denoiser, score and density at every noise level.

A curve is a chain of small equal Gaussians, one standard deviation apart, which leaves a ripple of 1e-8 along it.
The chain *is* the law, not an approximation of one: samples, densities and scores are exact for it.
"""

from collections.abc import Callable

import numpy as np

from jaxsamp.core import checks
from jaxsamp.targets.base import Target
from jaxsamp.targets.boxes import UniformBoxes
from jaxsamp.targets.gaussian_mixture import GaussianMixture

Curve = Callable[[np.ndarray], np.ndarray]


def ring(modes: int = 8, radius: float = 2**0.5, std: float = 0.1) -> GaussianMixture:
    """`modes` equal Gaussians, evenly spaced on a circle; the default radius gives variance 1 per coordinate."""
    angle = 2 * np.pi * np.arange(checks.at_least("modes", modes, 1)) / modes
    return _equal(radius * _polar(1.0, angle), std)


def grid(side: int = 5, spacing: float = 0.5**0.5, std: float = 0.05) -> GaussianMixture:
    """Equal Gaussians on a square of side x side points, `spacing` apart, around the origin."""
    line = spacing * (np.arange(checks.at_least("side", side, 1)) - (side - 1) / 2)
    return _equal(np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2), std)


def moons(std: float = 0.1) -> GaussianMixture:
    """Two interleaved half circles of radius 1, placed as in scikit-learn's `make_moons(noise=std)`."""
    return _strands(
        [
            lambda u: _polar(1.0, np.pi * u),
            lambda u: np.array([1.0, 0.5]) - _polar(1.0, np.pi * u),
        ],
        std,
    )


def circles(factor: float = 0.5, std: float = 0.05) -> GaussianMixture:
    """Two circles of radius 1 and `factor`, equally likely, as in scikit-learn's `make_circles(noise=std)`."""
    return _strands([lambda u, r=r: _polar(r, 2 * np.pi * u) for r in (1.0, factor)], std)


def spiral(arms: int = 2, turns: float = 1.0, radius: float = 2.0, std: float = 0.05) -> GaussianMixture:
    """Archimedean spirals, r proportional to the angle, from the center to `radius`; uniform along their length."""
    starts = 2 * np.pi * np.arange(checks.at_least("arms", arms, 1)) / arms
    return _strands([lambda u, a=a: _polar(radius * u, a + 2 * np.pi * turns * u) for a in starts], std)


def pinwheel(arms: int = 5, rate: float = 0.25, std: float = 0.1) -> GaussianMixture:
    """Bent arms: radius r from N(1, 0.3^2) within three standard deviations, angle rate exp(r) past the arm's own."""
    starts = 2 * np.pi * np.arange(checks.at_least("arms", arms, 1)) / arms
    r = np.linspace(0.1, 1.9, 2 + int(6 / _positive("std", std)))
    means = np.concatenate([_polar(r, a + rate * np.exp(r)) for a in starts])
    weights = np.tile(np.exp(-0.5 * ((r - 1) / 0.3) ** 2), arms)
    return GaussianMixture.spherical(weights / weights.sum(), means, std**2)


def checkerboard(cells: int = 4, width: float = 1.0) -> UniformBoxes:
    """Uniform on every second square of a centered board of cells x cells squares of this width."""
    i, j = np.nonzero(np.indices((checks.at_least("cells", cells, 1),) * 2).sum(0) % 2 == 0)
    lows = _positive("width", width) * (np.stack([i, j], -1) - cells / 2)
    return UniformBoxes(np.full(len(lows), 1 / len(lows)), lows, lows + width)


TOYS: dict[str, Callable[..., Target]] = {
    toy.__name__: toy for toy in (ring, grid, moons, circles, spiral, pinwheel, checkerboard)
}


def _polar(radius: float | np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)


def _positive(argument: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{argument} must be positive; got {value}.")
    return value


def _equal(means: np.ndarray, std: float) -> GaussianMixture:
    return GaussianMixture.spherical(np.full(len(means), 1 / len(means)), means, _positive("std", std) ** 2)


def _strands(curves: list[Curve], std: float) -> GaussianMixture:
    """Equally likely curves on u in [0, 1], each a chain of Gaussians evenly spaced along its length."""
    chains = []
    for curve in curves:
        u = np.linspace(0, 1, 4097)
        path = np.concatenate([[0], np.linalg.norm(np.diff(curve(u), axis=0), axis=1).cumsum()])
        count = int(np.ceil(path[-1] / _positive("std", std)))
        chains.append(curve(np.interp((np.arange(count) + 0.5) / count * path[-1], path, u)))
    weights = np.concatenate([np.full(len(chain), 1 / len(chain) / len(chains)) for chain in chains])
    return GaussianMixture.spherical(weights, np.concatenate(chains), std**2)
