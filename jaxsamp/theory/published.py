"""Published sampling schemes, implemented literally: windows of Ornstein-Uhlenbeck time, each followed by a corrector.

From t = T down to an early stopping time delta, for a score that is L-Lipschitz at every t:

    N = ceil(L T) windows of length 1 / L: predictor steps of size h_pred, then the corrector at fixed t;
    a tail of predictor steps h_pred / 2, h_pred / 4, ... while t / 2 >= delta, then the corrector once more.

The papers give step sizes up to constants and logarithms, which are set to 1 here; every size can also be passed. These
schemes are for studying the theory: the grids and samplers of this library need far fewer evaluations.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.random import Rng, sample_keys
from jaxsamp.core.types import Array, Samples
from jaxsamp.running.sampling import sample
from jaxsamp.samplers import (
    Corrector,
    ExponentialEuler,
    OverdampedCorrector,
    ParallelCorrector,
    ParallelMidpoint,
    PredictorCorrector,
    RandomizedMidpoint,
    Sampler,
    UnderdampedCorrector,
)


@dataclass(frozen=True)
class Scheme:
    """A published scheme with all its sizes; times are Ornstein-Uhlenbeck times.

    Attributes:
        sampler: predictor and corrector.
        grid: levels of sigma / alpha, (steps + 1,), decreasing.
        total_time: the initial time, N / L + h_pred.
        early_stop: the final time, in [delta, 2 delta).
        predictor_step: h_pred.
        corrector_time: time of the corrector at each visit; 0 without a corrector.
        corrector_step: step size of the corrector; 0 without a corrector.
        friction: friction of an underdamped corrector; 0 otherwise.
    """

    sampler: Sampler
    grid: np.ndarray
    total_time: float
    early_stop: float
    predictor_step: float
    corrector_time: float
    corrector_step: float
    friction: float

    @property
    def evaluations(self) -> int:
        """Number of network calls per sample."""
        return self.sampler.evaluations(len(self.grid) - 1)

    @property
    def rounds(self) -> int:
        """Number of network calls that must wait for each other."""
        return self.sampler.rounds(len(self.grid) - 1)

    def sample(self, key: Array, denoiser: Denoiser, shape: tuple[int, ...], **options: Any) -> Samples:
        """Run the scheme from x_T ~ N(0, I) in variance-preserving scale: `jaxsamp.sample` with grid and init set.

        Args:
            key: a typed key.
            denoiser: E[x_0 | x_t], under any schedule.
            shape: (n, *event).
            options: options of `jaxsamp.sample`; `final_denoise` is False by default.
        """
        level = denoiser.schedule.level(-jnp.log(self.grid[0]))
        dtype = jnp.result_type(float)
        scale = jnp.hypot(level.alpha, level.sigma).astype(dtype)
        start = jax.vmap(lambda key: scale * Rng(key, tuple(shape[1:]), dtype).prior())(sample_keys(key, shape[0]))
        options = {"final_denoise": False} | options
        return sample(key, denoiser, shape, self.sampler, grid=self.grid, init=start, **options)


def dpom(lipschitz: float, epsilon: float, dim: int, **sizes: Any) -> Scheme:
    """Exponential Euler with an overdamped corrector; ~ L^3 d / epsilon^2 evaluations to total variation epsilon.

    T = log((d + m_2^2) / epsilon^2) / 2, delta = epsilon^2 / (L^2 (d + m_2^2)), h_pred = epsilon / (L^2 sqrt d). The
    corrector runs for time 1 / L with step epsilon^2 / (L^3 d).

    Args:
        lipschitz: L, Lipschitz constant of the score at every noise level, at least 1.
        epsilon: target distance in total variation, in (0, 1).
        dim: d, at least 1.
        sizes: any of `second_moment` (m_2^2 = E|x_0|^2, default d), `total_time`, `early_stop`, `predictor_step`,
            `corrector_time` and `corrector_step`, to replace the formulas; `corrector=False` for no corrector.

    Raises:
        ValueError: a number is out of its range.

    Source: Chen, Chewi, Lee, Li, Lu and Salim, "The probability flow ODE is provably fast", arXiv 2305.11798 (DPOM).
    """
    _check(lipschitz, epsilon, dim)
    return _scheme(
        ExponentialEuler("score"),
        lipschitz,
        epsilon,
        dim,
        friction=0.0,
        predictor_step=epsilon / (lipschitz**2 * math.sqrt(dim)),
        corrector_time=1 / lipschitz,
        corrector_step=epsilon**2 / (lipschitz**3 * dim),
        changed=sizes,
    )


def dpum(lipschitz: float, epsilon: float, dim: int, **sizes: Any) -> Scheme:
    """Exponential Euler with an underdamped corrector; ~ L^2 sqrt(d) / epsilon evaluations.

    As `dpom`, with corrector time 1 / sqrt L, step epsilon / (L^(3/2) sqrt d) and friction 2 sqrt L.

    Source: Chen, Chewi, Lee, Li, Lu and Salim, "The probability flow ODE is provably fast", arXiv 2305.11798 (DPUM).
    """
    _check(lipschitz, epsilon, dim)
    return _scheme(
        ExponentialEuler("score"),
        lipschitz,
        epsilon,
        dim,
        friction=2 * math.sqrt(lipschitz),
        predictor_step=epsilon / (lipschitz**2 * math.sqrt(dim)),
        corrector_time=1 / math.sqrt(lipschitz),
        corrector_step=epsilon / (lipschitz**1.5 * math.sqrt(dim)),
        changed=sizes,
    )


def gcc(lipschitz: float, epsilon: float, dim: int, **sizes: Any) -> Scheme:
    """Randomized midpoint with an underdamped corrector; ~ L^(5/3) d^(5/12) / epsilon evaluations.

    As `dpom`, with h_pred = epsilon / (L^(5/3) d^(5/12)), corrector time 1 / (sqrt L d^(1/18)), step
    epsilon / (sqrt L d^(17/36)) and friction 2 sqrt L; the predictor is `RandomizedMidpoint.paper()`.

    Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
    arXiv 2406.00924, the sequential algorithm.
    """
    _check(lipschitz, epsilon, dim)
    root = math.sqrt(lipschitz)
    return _scheme(
        RandomizedMidpoint.paper(),
        lipschitz,
        epsilon,
        dim,
        friction=2 * root,
        predictor_step=epsilon / (lipschitz ** (5 / 3) * dim ** (5 / 12)),
        corrector_time=1 / (root * dim ** (1 / 18)),
        corrector_step=epsilon / (root * dim ** (17 / 36)),
        changed=sizes,
    )


def gcc_parallel(
    lipschitz: float,
    epsilon: float,
    dim: int,
    *,
    midpoints: int | None = None,
    iterations: int | None = None,
    **sizes: Any,
) -> Scheme:
    """Windows whose midpoints are evaluated at once, with a parallel underdamped corrector; ~ L log^2 d rounds.

    As `dpom`, but with windows of time h_pred = 1 / (2 L) instead of predictor steps, each with R = sqrt d / epsilon
    midpoints and K = log(d R / epsilon) sweeps. The corrector has friction 2 sqrt L and takes one step of time
    1 / sqrt L, with the same R and K. The predictor is `ParallelMidpoint.paper(R, K)`.

    Args:
        lipschitz: L, as in `dpom`.
        epsilon: target distance in total variation, in (0, 1).
        dim: d.
        midpoints: R, to replace the formula.
        iterations: K, to replace the formula.
        sizes: as in `dpom`.

    Raises:
        ValueError: a number is out of its range.

    Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
    arXiv 2406.00924, the parallel algorithm; its corrector is that of Anari, Chewi and Vuong, "Fast parallel sampling
    under isoperimetry", arXiv 2401.09016.
    """
    _check(lipschitz, epsilon, dim)
    nodes = math.ceil(math.sqrt(dim) / epsilon) if midpoints is None else midpoints
    sweeps = max(1, math.ceil(math.log(dim * nodes / epsilon))) if iterations is None else iterations
    root = math.sqrt(lipschitz)
    return _scheme(
        ParallelMidpoint.paper(nodes, sweeps),
        lipschitz,
        epsilon,
        dim,
        friction=2 * root,
        predictor_step=1 / (2 * lipschitz),
        corrector_time=1 / root,
        corrector_step=1 / root,
        corrector=partial(ParallelCorrector, midpoints=nodes, iterations=sweeps),
        changed=sizes,
    )


def _check(lipschitz: float, epsilon: float, dim: int) -> None:
    if not (math.isfinite(lipschitz) and lipschitz >= 1):
        raise ValueError(f"lipschitz must be finite and at least 1, the constant of pure noise; got {lipschitz}.")
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be in (0, 1); got {epsilon}.")
    if not dim >= 1:
        raise ValueError(f"dim must be at least 1; got {dim}.")


def _scheme(
    predictor: Sampler,
    lipschitz: float,
    epsilon: float,
    dim: int,
    *,
    friction: float,
    changed: dict[str, Any],
    corrector: Callable[..., Corrector] = UnderdampedCorrector,
    **sizes: float,
) -> Scheme:
    """Grid and sampler from the sizes, some of which the user may have changed."""
    spread = max(dim, changed.pop("second_moment", dim))
    sizes |= {
        "total_time": 0.5 * math.log(spread / epsilon**2),
        "early_stop": epsilon**2 / (lipschitz**2 * spread),
    }
    corrected = changed.pop("corrector", True)
    for name, value in changed.items():
        if name not in sizes:
            raise ValueError(f"sizes must be among {', '.join(['second_moment', 'corrector', *sizes])}; got {name!r}.")
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite; got {value}.")
    sizes |= changed
    per_window = max(1, math.ceil(1 / (lipschitz * sizes["predictor_step"]) - 1e-9))
    step = 1 / (lipschitz * per_window)
    windows = max(1, math.ceil(lipschitz * sizes["total_time"] - 1e-9))
    if sizes["early_stop"] >= step:
        raise ValueError(f"early_stop must be below the predictor's step {step:g}; got {sizes['early_stop']:g}.")
    halvings = math.floor(math.log2(step / sizes["early_stop"]) + 1e-9)
    times = [step * k for k in range(windows * per_window + 1, 0, -1)] + [step / 2**k for k in range(1, halvings + 1)]
    if corrected:
        visits = (*(per_window * k for k in range(1, windows + 1)), len(times) - 1)
        steps = max(1, round(sizes["corrector_time"] / sizes["corrector_step"]))
        sizes["corrector_step"] = sizes["corrector_time"] / steps
        made = (
            corrector(sizes["corrector_step"], friction, steps=steps, units="ou")
            if friction
            else OverdampedCorrector(sizes["corrector_step"], steps=steps, units="ou")
        )
        predictor = PredictorCorrector(predictor, made, visits)
    return Scheme(
        sampler=predictor,
        grid=np.sqrt(np.expm1(2 * np.asarray(times))),
        total_time=times[0],
        early_stop=times[-1],
        predictor_step=step,
        corrector_time=sizes["corrector_time"] if corrected else 0.0,
        corrector_step=sizes["corrector_step"] if corrected else 0.0,
        friction=friction if corrected else 0.0,
    )
