"""Gaussian mixtures with exact denoiser, score and density at every noise level."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import CLEAN, Array, Data, Level
from jaxsamp.targets.base import Target, noisy
from jaxsamp.targets.components import dense, drawn, mean_square, on_device, resolved
from jaxsamp.targets.corrupted import CorruptedMixtureDenoiser
from jaxsamp_kernels import mixture as kernel


@jax.tree_util.register_pytree_node_class
class GaussianMixture(Target):
    """The law sum_k w_k N(mu_k, S_k) on R^d, and its noised versions sum_k w_k N(alpha mu_k, alpha^2 S_k + sigma^2 I).

    Every quantity comes from eigenvalues and eigenvectors that are computed once, on the host in float64; the formulas
    are in `jaxsamp_kernels.mixture`. `diagonal`, `spherical` and `low_rank` take less memory and time than full
    covariances. Variances may be zero; such a law is singular, it has no density by itself, and levels must have
    sigma > 0. An eigenvalue of a full covariance is taken as zero if it is below d times the rounding of float64 of
    the largest.

    Args:
        weights: (K,), positive, summing to one.
        means: (K, d).
        covariances: (K, d, d), symmetric, positive semi-definite.

    Raises:
        ValueError: shapes do not fit, entries are not finite, weights are not positive or do not sum to one, or
            covariances are not symmetric and positive semi-definite.
    """

    mixture: kernel.Mixture
    singular: bool  # whether some covariance is

    def __init__(self, weights: Data, means: Data, covariances: Data):
        log_weights, means = _weights_and_means(weights, means)
        covariances = _shaped("covariances", covariances, (*means.shape, means.shape[1]), "(K, d, d)")
        scale = np.abs(covariances).max((1, 2), initial=1e-30)  # of each component
        if (np.abs(covariances - covariances.swapaxes(1, 2)).max((1, 2)) > 1e-5 * scale).any():
            raise ValueError("covariances must be symmetric; got a matrix that differs from its transpose.")
        eigenvalues, basis = np.linalg.eigh(covariances)  # rounded, which may make them negative
        if (eigenvalues.min(1) < -1e-5 * scale).any():
            k = int((eigenvalues.min(1) / scale).argmin())
            raise ValueError(
                "covariances must be positive semi-definite; got a smallest eigenvalue of "
                f"{eigenvalues[k].min():g} in component {k}."
            )
        self.mixture, self.singular = on_device(log_weights, means, resolved(eigenvalues), basis)

    @classmethod
    def diagonal(cls, weights: Data, means: Data, variances: Data) -> "GaussianMixture":
        """Components with covariance diag(variances_k), variances (K, d), at O(K d) per point."""
        log_weights, means = _weights_and_means(weights, means)
        variances = _shaped("variances", variances, means.shape, "(K, d)")
        return cls._of(*on_device(log_weights, means, _positive("variances", variances)))

    @classmethod
    def spherical(cls, weights: Data, means: Data, variances: Data) -> "GaussianMixture":
        """Components with covariance variances_k I, variances a number or (K,)."""
        log_weights, means = _weights_and_means(weights, means)
        variances = np.broadcast_to(checks.finite("variances", variances), (means.shape[0],))[:, None]
        return cls._of(*on_device(log_weights, means, _positive("variances", variances)))

    @classmethod
    def low_rank(cls, weights: Data, means: Data, factors: Data, noise: Data) -> "GaussianMixture":
        """Components with covariance factors_k factors_k^T + noise_k I, at O(K d r) per point.

        Args:
            weights: (K,), positive, summing to one.
            means: (K, d).
            factors: (K, d, r), 1 <= r <= d.
            noise: variance added in every direction, a number or (K,).
        """
        log_weights, means = _weights_and_means(weights, means)
        factors = checks.finite("factors", factors).astype(float)
        if factors.ndim != 3 or factors.shape[:2] != means.shape or not 1 <= factors.shape[2] <= means.shape[1]:
            raise ValueError(
                f"factors must have shape (K, d, r) with (K, d) = {means.shape} and 1 <= r <= d; got {factors.shape}."
            )
        floor = _positive("noise", np.broadcast_to(checks.finite("noise", noise), (means.shape[0],)))[:, None]
        basis, roots, _ = np.linalg.svd(factors, full_matrices=False)
        outside = (floor,) if factors.shape[2] < means.shape[1] else ()  # with r = d no direction is left
        return cls._of(*on_device(log_weights, means, resolved(roots) ** 2 + floor, basis, *outside))

    @classmethod
    def from_sklearn(cls, fitted: Any) -> "GaussianMixture":
        """The law of a fitted scikit-learn GaussianMixture, with any `covariance_type`.

        Raises:
            TypeError: `fitted` is not a GaussianMixture of scikit-learn, or has not been fitted.
        """
        if not all(hasattr(fitted, name) for name in ("weights_", "means_", "covariances_", "covariance_type")):
            raise TypeError(f"fitted must be a fitted sklearn.mixture.GaussianMixture; got a {type(fitted).__name__}.")
        weights, means, covariances = (np.asarray(v) for v in (fitted.weights_, fitted.means_, fitted.covariances_))
        if fitted.covariance_type == "tied":
            covariances = np.broadcast_to(covariances, (len(means), *covariances.shape))
        make = {"diag": cls.diagonal, "spherical": cls.spherical}.get(fitted.covariance_type, cls)
        return make(weights / weights.sum(), means, covariances)

    @classmethod
    def random(
        cls,
        key: Array,
        components: int,
        dim: int,
        *,
        separation: float = 2.0,
        spectrum: tuple[float, float] = (0.25, 2.0),
    ) -> "GaussianMixture":
        """A random well-conditioned mixture: Dirichlet(5) weights, rotated covariances.

        Means are standard normal times separation sqrt(2 / d), so the root mean square distance of two of them is
        2 separation. Eigenvalues of the covariances are log-uniform in `spectrum`, eigenvectors uniform.
        """
        k_weights, k_means, k_values, k_basis = jax.random.split(checks.typed_key(key), 4)
        weights = jax.random.dirichlet(k_weights, jnp.full(components, 5.0))
        means = separation * np.sqrt(2 / dim) * jax.random.normal(k_means, (components, dim))
        low, high = np.log(spectrum)
        values = jnp.exp(jax.random.uniform(k_values, (components, dim), minval=low, maxval=high))
        basis = np.linalg.qr(np.asarray(jax.random.normal(k_basis, (components, dim, dim)), float))[0]
        return cls._of(*on_device(np.log(np.asarray(weights, float)), np.asarray(means), np.asarray(values), basis))

    def condition(self, y: Data, matrix: Data, noise: float) -> "GaussianMixture":
        """The law of x_0 given y = matrix x_0 + noise n with n standard normal: again a mixture, with full covariances.

        Component k becomes N(mu_k + G_k (y - A mu_k), (I - G_k A) S_k) with G_k = S_k A^T (A S_k A^T + noise^2 I)^-1,
        and its weight is proportional to w_k N(y; A mu_k, A S_k A^T + noise^2 I). Computed on the host in float64.

        Args:
            y: the observation, (m,).
            matrix: A, (m, d).
            noise: standard deviation of the observation's noise, above 0.

        Raises:
            ValueError: shapes do not fit, entries are not finite, or noise is not above 0.
        """
        log_weights, means, covariances = dense(self.mixture)
        d, y = means.shape[1], checks.finite("y", y).astype(float)
        if not noise > 0:
            raise ValueError(f"noise must be above 0; got {noise}.")
        if y.ndim != 1:
            raise ValueError(f"y must have shape (m,), one observation; got {y.shape}.")
        matrix = _shaped("matrix", matrix, (y.size, d), "(m, d)")
        crossed = covariances @ matrix.T
        spread = matrix @ crossed + noise**2 * np.eye(y.size)
        gain = np.linalg.solve(spread, crossed.swapaxes(1, 2)).swapaxes(1, 2)
        delta = y - means @ matrix.T
        fit = np.einsum("km,km->k", delta, np.linalg.solve(spread, delta[..., None])[..., 0])
        log_weights = log_weights - 0.5 * (fit + np.linalg.slogdet(spread)[1])
        kept = np.eye(d) - gain @ matrix  # the covariance built from this form stays positive under rounding
        after = kept @ covariances @ kept.swapaxes(1, 2) + noise**2 * gain @ gain.swapaxes(1, 2)
        eigenvalues, basis = np.linalg.eigh(0.5 * (after + after.swapaxes(1, 2)))
        shift = log_weights.max() + np.log(np.exp(log_weights - log_weights.max()).sum())
        moved = means + np.einsum("kdm,km->kd", gain, delta)
        return self._of(*on_device(log_weights - shift, moved, resolved(eigenvalues), basis))

    def corrupted_denoiser(self, schedule: Schedule) -> CorruptedMixtureDenoiser:
        """The exact denoiser of this law where x_t is seen through an operator of each sample, given in `cond`.

        D(x_t, level, cond) = E[x_0 | P x_t, A] with P = A^+ A, for `cond` = n operators (`jaxsamp.corruptions`): what
        a network learns from measurements by `jaxsamp.training.ambient_loss`. Costs O(K d^3) per sample.
        """
        weights, means, covariances = map(jnp.asarray, dense(self.mixture))
        return CorruptedMixtureDenoiser(weights, means, covariances, checks.schedule(schedule))

    def __repr__(self) -> str:
        means: Any = getattr(self.mixture, "means", None)
        shape = np.shape(means)
        if len(shape) < 2:  # a placeholder of a transformation
            return "GaussianMixture(...)"
        k, d = shape[-2:]
        size = f"{k:,} component{'s' * (k != 1)} in {d:,} dimension{'s' * (d != 1)}"
        return f"GaussianMixture({size}, {self._form}{', singular' * self.singular})"

    @property
    def _form(self) -> str:
        """What the covariances are."""
        values, basis = self.mixture.eigenvalues, self.mixture.basis
        if basis is None:
            return "spherical" if values.shape[-1] == 1 else "diagonal"
        return "full" if self.mixture.floor is None else f"rank {values.shape[-1]}"

    @property
    def weights(self) -> Array:
        """Component weights, (K,)."""
        return jnp.exp(self.mixture.log_weights)

    @property
    def means(self) -> Array:
        """Component means, (K, d)."""
        return self.mixture.means

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(d,)."""
        return (self.mixture.means.shape[1],)

    def sample(self, key: Array, n: int) -> Array:
        """`n` clean samples, (n, d); one component at a time, so memory stays O(n d)."""
        k_component, k_noise = jax.random.split(checks.typed_key(key))
        return drawn(self.mixture, k_component, k_noise, n)

    def mean_square(self) -> Array:
        """sum_k w_k (mu_k^2 + diag S_k)."""
        return mean_square(self.mixture)

    def log_prob(self, x: Float[Array, "batch d"], level: Level | None = None) -> Float[Array, "batch"]:
        """Log density in nats of x_t at `x`, (batch,); of x_0 without a level.

        This and the methods below raise ValueError if the law is singular and the level has no sigma > 0.
        """
        return self._each(kernel.log_prob, x, level)

    def responsibilities(self, x: Float[Array, "batch d"], level: Level | None = None) -> Float[Array, "batch K"]:
        """P(component k given x_t = x), (batch, K); of x_0 without a level."""
        return self._each(kernel.responsibilities, x, level)

    def log_responsibilities(self, x: Float[Array, "batch d"], level: Level | None = None) -> Float[Array, "batch K"]:
        """log P(component k given x_t = x), (batch, K), finite where the probability itself is rounded to 0."""
        return self._each(kernel.log_responsibilities, x, level)

    def score(self, x: Float[Array, "batch d"], level: Level | None = None) -> Float[Array, "batch d"]:
        """Gradient of the log density of x_t at `x`; of x_0 without a level."""
        return self._each(kernel.score, x, level)

    def posterior_mean(self, x: Float[Array, "batch d"], level: Level) -> Float[Array, "batch d"]:
        """E[x_0 given x_t = x]."""
        return self._each(kernel.posterior_mean, x, level)

    def posterior_covariance(self, x: Float[Array, "batch d"], level: Level) -> Float[Array, "batch d d"]:
        """Cov[x_0 given x_t = x]."""
        return self._each(kernel.posterior_covariance, x, level)

    def hessian_vector(
        self, x: Float[Array, "batch d"], v: Float[Array, "batch d"], level: Level | None = None
    ) -> Float[Array, "batch d"]:
        """The Hessian of the log density at `x` times `v`; of x_0 without a level."""
        return self._each(kernel.hessian_vector, x, level, v)

    def laplacian(self, x: Float[Array, "batch d"], level: Level | None = None) -> Float[Array, "batch"]:
        """Trace of the Hessian of the log density at `x`, (batch,); of x_0 without a level."""
        return self._each(kernel.laplacian, x, level)

    def tree_flatten(self) -> tuple[tuple[kernel.Mixture], bool]:
        """The eigendecompositions are leaves; whether one is singular is static, so that it is known under `jit`."""
        return (self.mixture,), self.singular

    @classmethod
    def tree_unflatten(cls, singular: bool, children: tuple[kernel.Mixture]) -> "GaussianMixture":
        """Make a mixture without the constructor's checks."""
        return cls._of(*children, singular)

    @classmethod
    def _of(cls, mixture: kernel.Mixture, singular: bool) -> "GaussianMixture":
        made = object.__new__(cls)
        made.mixture, made.singular = mixture, singular
        return made

    def _each(self, function: Callable[..., Array], x: Array, level: Level | None, *more: Array) -> Array:
        """A kernel of one point, mapped over the batch; what depends on a scalar level is computed once for all."""
        if self.singular:
            if level is None:
                raise ValueError(
                    "level must be given, with sigma > 0: a law with a singular covariance has no density."
                )
            noisy(level)
        x, alpha, sigma = self.validated(x, CLEAN if level is None else level)
        axes = (0,) * (1 + len(more)) + tuple(0 if v.ndim else None for v in (alpha, sigma))
        mixture = jax.tree.map(lambda leaf: leaf.astype(x.dtype), self.mixture)
        return jax.vmap(lambda *point: function(mixture, *point), axes)(x, *more, alpha, sigma)


def _weights_and_means(weights: Data, means: Data) -> tuple[np.ndarray, np.ndarray]:
    weights = checks.finite("weights", weights).astype(float)
    means = checks.finite("means", means).astype(float)
    if means.ndim != 2 or means.shape[1] < 1:
        raise ValueError(f"means must have shape (K, d); got {means.shape}.")
    if weights.shape != means.shape[:1]:
        raise ValueError(f"weights must have shape (K,) = {means.shape[:1]} like means; got {weights.shape}.")
    if (weights <= 0).any() or abs(weights.sum() - 1) > 1e-5:
        raise ValueError(
            "weights must be positive and sum to one; got a smallest weight of "
            f"{weights.min():g} and a sum of {weights.sum():g}."
        )
    return np.log(weights / weights.sum()), means


def _shaped(argument: str, got: Data, shape: tuple[int, ...], meaning: str) -> np.ndarray:
    array = checks.finite(argument, got).astype(float)
    if array.shape != shape:
        raise ValueError(f"{argument} must have shape {meaning} = {shape}; got {array.shape}.")
    return array


def _positive(argument: str, variances: np.ndarray) -> np.ndarray:
    if (variances < 0).any():
        raise ValueError(f"{argument} must not be negative; got {variances.min():g}.")
    return variances
