"""Score regression by piecewise polynomials: a sampler from linear algebra alone."""

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.utils.validation import check_is_fitted

from jaxsamp.core import checks
from jaxsamp.core.batching import each
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import Array
from jaxsamp.density import log_likelihood
from jaxsamp.grids import log_snr
from jaxsamp.learning import piecewise_cells as crude
from jaxsamp.learning import piecewise_gram as regression
from jaxsamp.learning.estimator import LawLearner
from jaxsamp.learning.piecewise_doubt import law_of, more_cells
from jaxsamp.learning.piecewise_features import PiecewiseDenoiser, chosen_products
from jaxsamp.learning.start import Whitening, whitened
from jaxsamp.running import sample
from jaxsamp.samplers import UniPC
from jaxsamp.schedules import VarianceExploding
from jaxsamp.targets import GaussianMixture
from jaxsamp.targets.components import dense

HIGHEST, LOWEST, RHO = 12.0, 0.03, 7.0  # levels of the fit in standard deviations of the data, and their spacing
STARTS = 3  # of expectation-maximization
HELD_OUT = 8  # one sample of so many chooses degrees and penalties
BOUND = 1.2  # of the outputs, in units of the data's largest distances from their mean
STEPS = 64  # of the sampler
AT_ONCE = 8192  # samples drawn or judged at once


class PiecewisePolynomialScore(LawLearner):
    """A law learned by ridge regression of its denoiser on polynomials in the cells of a crude mixture.

    With sigma a noise level, x = x_0 + sigma z, and the crude mixture sum_c w_c N(m_c, S_c), S_c = U_c Lambda_c U_c^T,

        D(x, sigma) = sum_c gate_c(x) (m_c + S_c (S_c + sigma^2 I)^-1 (x - m_c) + unit sum_i h_i(u_c) B_{c, i})

    where unit = sigma^2 s^2 / (s^2 + sigma^2)^(3/2), s is the standard deviation of the data, gate_c is the probability
    of cell c given x, u_c = (Lambda_c + sigma^2)^(-1/2) U_c^T (x - m_c), and h_i are normalized Hermite products of
    total degree at most `degree`. B, by level, is the ridge regression of x_0 less the crude part on features whose
    Gram matrices are summed over the samples, some at a time: memory for the fit is that of the data, and there is no
    gradient descent. At levels above half of the data's standard deviation the target is the posterior mean of x_0 if
    it is one of the samples, which has less noise. Every eighth sample is held out to choose the smallest degree, where
    0 is the crude mixture alone, and the largest penalty with nearly the smallest denoising loss.

    If the crude mixture is the law, D is exact without a correction. With fewer cells than the law has components, no
    degree repairs it, and a warning says so if a mixture of more Gaussians has a smaller held-out loss. Noise is the
    same in all directions, so features of very different scales should be brought to one scale first.

    Args:
        components: number of cells; None for the number of Gaussians with the smallest BIC; or the crude mixture
            itself, a `jaxsamp.targets.GaussianMixture`.
        degree: largest total degree of the polynomials, at least 0.
        cells: "soft" gates, or "hard" ones: the most probable cell alone, as in the paper, whose denoiser is not
            continuous, so that it has no log density.
        iterations: most iterations of expectation-maximization on all samples for the crude mixture, after three starts
            on 4,000 of them (more in many dimensions); 0 for the best start as it is.
        floor: added to the variances of cells, in units of the data's variances.
        levels: number of noise levels, from 12 to 0.03 standard deviations of the data.
        max_features: most features of all cells; for what is above, the directions of a cell with the least variance
            are left out.
        random_state: an integer, a RandomState, None, or a typed key.

    Attributes:
        crude_: the crude mixture.
        levels_: noise levels sigma, (L,), decreasing.
        degrees_: degree chosen at each level, (L,).
        losses_: held-out E|x_0 - D|^2 at each level, (L,).
        crude_losses_: the same of the crude mixture alone, (L,).

    Raises (by `fit`):
        ValueError: data are not finite, no more than they have features, fewer than cells, or with a covariance that
            cannot be whitened; or a setting is not as above.

    Source: a realization of score regression for mixtures of Gaussians, after Chen, Kontonis and Shah, "Learning
    general Gaussian mixtures with efficient score matching", arXiv 2404.18893. It is not their algorithm, whose
    constants cannot be used.
    """

    def __init__(
        self,
        components: Any = None,
        *,
        degree: Any = 2,
        cells: Any = "soft",
        iterations: Any = 100,
        floor: Any = 1e-6,
        levels: Any = 20,
        max_features: Any = 600,
        random_state: Any = None,
    ):
        self.components = components
        self.degree = degree
        self.cells = cells
        self.iterations = iterations
        self.floor = floor
        self.levels = levels
        self.max_features = max_features
        self.random_state = random_state

    def denoiser(self, schedule: Schedule) -> PiecewiseDenoiser:
        """E[x_0 given x_t] under the law that was learned, for any sampler."""
        check_is_fitted(self)
        return replace(_moved(self._model, self._mean), schedule=checks.schedule(schedule))

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(crude cell given x) for each row of X, (n, J)."""
        return np.asarray(self._shares(self._centered(X)), float)

    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of each row of X in nats by the flow of the denoiser, (n,), under noise of the lowest level.

        Exact traces to 32 features, estimates above; see `jaxsamp.log_likelihood`.

        Raises:
            ValueError: cells are hard.
        """
        x = self._centered(X)
        if self.cells == "hard":
            raise ValueError("cells must be 'soft' for a log density: the denoiser of hard ones is not continuous.")
        found = log_likelihood(jax.random.key(0), self._model, x, grid=self._grid(), microbatch=AT_ONCE)
        return np.asarray(found.log_prob, float)

    def _draw(self, key: Array, n: int) -> tuple[Array, Array]:
        """By `UniPC` from the crude mixture under the noise of the highest level."""
        for_start, for_noise, for_flow = jax.random.split(key, 3)
        grid, start = self._grid(), self._law.sample(for_start, n)
        start = start + grid[0] * jax.random.normal(for_noise, start.shape, start.dtype)
        x = sample(for_flow, self._model, start.shape, UniPC(order=3), grid=grid, init=start, microbatch=AT_ONCE).x
        return x + jnp.asarray(self._mean, x.dtype), self._shares(x).argmax(1)

    def _centered(self, X: Any) -> Array:
        """New rows less the mean of the data, in the default dtype, which has few digits far from 0."""
        return jnp.asarray(self._checked(X) - self._mean, jnp.result_type(float))

    def _shares(self, x: Array) -> Array:
        """P(crude cell given x) of centered rows."""
        return each(lambda row: self._law.responsibilities(row[None])[0], x, AT_ONCE)

    def _grid(self) -> Array:
        return log_snr(VarianceExploding(), STEPS, sigma_max=self.levels_[0], sigma_min=self.levels_[-1])

    def _fit(self, x: np.ndarray, key: Array) -> None:
        self._check_settings(x)
        self._mean = x.mean(0)
        x = x - self._mean
        for_order, for_cells, for_sums, for_doubt = jax.random.split(key, 4)
        x = x[np.asarray(jax.random.permutation(for_order, len(x)))]
        y, white = whitened(x)
        seed = int(jax.random.randint(for_cells, (), 0, 2**31 - 1 - STARTS))
        self._law = self._crude(y, white, seed)
        given = self.components
        self.crude_ = given if isinstance(given, GaussianMixture) else _law(self._law, self._mean)
        spread = np.sqrt(np.linalg.eigvalsh(white.root @ white.root))
        ends = np.array([HIGHEST * spread[-1], LOWEST * spread[0]]) ** (1 / RHO)
        self.levels_ = np.linspace(ends[0], ends[1], self.levels) ** RHO
        self._model = self._without_correction(x, white.mean, float(np.sqrt(np.mean(spread**2))))
        held, fit = np.split(x, [max(1, len(x) // HELD_OUT)])
        level = partial(regression.fit_level, self._model, self.degree, fit, held)
        keys = jax.random.split(for_sums, self.levels)
        found = [level(key, sigma) for key, sigma in zip(keys, self.levels_, strict=True)]
        self.degrees_ = np.array([made.degree for made in found])
        self.losses_ = np.array([made.loss for made in found])
        self.crude_losses_ = np.array([made.crude_loss for made in found])
        coefficients = np.stack([made.coefficients for made in found])
        self._model = replace(self._model, coefficients=jnp.asarray(coefficients, jnp.result_type(float)))
        if isinstance(self.components, int | np.integer):
            number, gain = more_cells(for_doubt, self._model, y[len(held) :], held, white, seed, self.floor)
            if gain:
                warnings.warn(
                    f"A mixture of {number} Gaussians has a held-out loss that is {gain:.1%} smaller: components = "
                    f"{len(self.crude_.weights)} are fewer than the law has, which no degree repairs.",
                    stacklevel=3,
                )

    def _crude(self, y: np.ndarray, white: Whitening, seed: int) -> GaussianMixture:
        """The crude mixture of the data, from whitened ones; all of them, because it has few parameters."""
        given = self.components
        if isinstance(given, GaussianMixture):
            return _law(given, -self._mean)
        number = crude.number_by_bic(y, seed, self.floor) if given is None else given
        cells = crude.started(y, number, seed, STARTS, self.floor)[0]
        cells = crude.climbed(cells, y, self.iterations, crude.TOLERANCE, self.floor)[0]
        return law_of(crude.merged(cells), white)

    def _without_correction(self, x: np.ndarray, mean: np.ndarray, scale: float) -> PiecewiseDenoiser:
        """The model with no coefficients yet."""
        parts, d = len(self._law.weights), x.shape[1]
        of = chosen_products(d, self.degree, parts, self.max_features)
        reach = BOUND * np.maximum(x.max(0) - mean, mean - x.min(0))
        array = partial(jnp.asarray, dtype=jnp.result_type(float))
        return PiecewiseDenoiser(
            self._law.mixture,
            lam=array(-np.log(self.levels_)),
            coefficients=array(np.zeros((self.levels, len(of) * parts, d))),
            low=array(mean - reach),
            high=array(mean + reach),
            scale=array(scale),
            schedule=VarianceExploding(),
            of=of,
            hard=self.cells == "hard",
        )

    def _check_settings(self, x: np.ndarray) -> None:
        checks.one_of("cells", self.cells, ("soft", "hard"))
        for name, least in (("degree", 0), ("iterations", 0), ("levels", 2), ("max_features", 1)):
            checks.at_least(name, getattr(self, name), least)
        if not self.floor >= 0:
            raise ValueError(f"floor must be at least 0; got {self.floor}.")
        given = self.components
        if isinstance(given, GaussianMixture):
            if given.event_shape != x.shape[1:]:
                raise ValueError(f"components must be a law of samples {x.shape[1:]}; got one of {given.event_shape}.")
        elif given is not None and len(x) < checks.at_least("components", given, 1):
            raise ValueError(f"X must have at least components = {given} samples; got {len(x)}.")


def _law(given: GaussianMixture, by: np.ndarray) -> GaussianMixture:
    """A mixture with full covariances, moved."""
    log_weights, means, covariances = dense(given.mixture)
    return GaussianMixture(np.exp(log_weights), means + by, covariances)


def _moved(model: PiecewiseDenoiser, by: np.ndarray) -> PiecewiseDenoiser:
    """The denoiser of a law that is moved."""
    move = jnp.asarray(by, model.low.dtype)
    cells = model.cells._replace(means=model.cells.means + move)
    return replace(model, cells=cells, low=model.low + move, high=model.high + move)
