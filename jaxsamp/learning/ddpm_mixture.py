"""Gaussian mixtures learned by gradient descent on the DDPM objective, as an estimator of scikit-learn."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.utils.validation import check_is_fitted

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser, Schedule
from jaxsamp.core.types import Array
from jaxsamp.learning import ddpm_drivers as drivers
from jaxsamp.learning.ddpm_gradients import in_blocks
from jaxsamp.learning.estimator import LawLearner
from jaxsamp.learning.start import Whitening, k_means_start, whitening
from jaxsamp.targets import GaussianMixture

STEPS, STEPS_K = {"exact": 400, "stein": 200, "fresh": 200}, 80  # of one stage, for two symmetric Gaussians and for K
FOR_START = 20_000  # samples, at most, among which k-means++ looks for a start
OCCUPIED = 0.7, 1.4  # share of the data in a component over its weight, outside of which something is wrong
VARIED = 0.1  # variance within components in units of covariance, less 1, above which covariance is wrong
UPPER = 2.02  # 99 % of the Tracy-Widom law


class DDPMGaussianMixture(LawLearner):
    """Learns the means of sum_k w_k N(mu_k, S), with known S and w, by gradient descent on the DDPM objective.

    The score of the law under noise is that of a network of one layer, whose parameters are the means: for the two
    Gaussians center +- mu of equal weights, s(x) = tanh(m.x) m - x with m = alpha mu. Descent on |s(x_t) + z / sigma|^2
    starts at random for these two, first at high noise, then at low noise; for K means it starts near to them, at low
    noise. It is as accurate as expectation-maximization with the same S and w, which it nearly is at low noise, and for
    two within a few percent of the Cramer-Rao bound. No method can tell the centers from one where R^4 < d / n, with R
    half of their distance in units of S; `fit` warns there.

    Args:
        n_components: K.
        gradient: "exact", for two symmetric Gaussians alone, integrates over the noise; "stein" draws noise anew in
            each step, integrated by parts; "fresh" differentiates the objective itself at new noise, as in the paper,
            with more variance. "auto" is the first of these that is possible.
        symmetric: whether the law is N(center + mu, S) / 2 + N(center - mu, S) / 2 about the mean of the data. "auto":
            if K = 2, without `weights` and `means_init`.
        weights: w, (K,), positive, with sum 1; None for equal ones.
        covariance: S, (d, d), or a number, which is that times I.
        means_init: the start, (K, d), within about half of the distance of centers; None for k-means++.
        max_iter: steps of each stage; None for 400 of "exact", which may end before, 200 of others for two symmetric
            Gaussians, and 80 for K centers.
        tol: "exact" ends a stage when a step is shorter than this times max(1, |mu|), in units of S.
        random_state: an integer, a RandomState of NumPy, None, or a typed key.

    Attributes:
        means_: (K, d).
        weights_: (K,).
        center_: mean of the data, (d,).
        law_: the law that was learned, a `GaussianMixture`.
        n_iter_: number of steps.
        diagnostics_: a dict. "occupancy": share of the data in each component over its weight, near 1 in a good fit;
            "variance": that within the components in units of S, near 1 if S is right; "eigenvalue": the largest one of
            the data's covariance in units of S, and "edge": what it reaches with one Gaussian in one of 100 data sets;
            "converged": whether "exact" ended before its last step, else None.

    Raises:
        ValueError: from `fit`: an argument is out of range or does not fit the others, X has fewer samples than
            components, or S cannot be whitened.

    Source: Shah, Chen and Klivans, "Learning Mixtures of Gaussians Using the DDPM Objective", arXiv 2307.01178.
    """

    # Anything at all, as scikit-learn asks of constructors: `fit` says what is wrong.
    def __init__(
        self,
        n_components: Any = 2,
        *,
        gradient: Any = "auto",
        symmetric: Any = "auto",
        weights: Any = None,
        covariance: Any = 1.0,
        means_init: Any = None,
        max_iter: Any = None,
        tol: Any = 1e-6,
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.gradient = gradient
        self.symmetric = symmetric
        self.weights = weights
        self.covariance = covariance
        self.means_init = means_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of each row of X in nats, (n,)."""
        y, logits = self._joint(X)
        constant = self._whitening.log_det - 0.5 * y.shape[1] * np.log(2 * np.pi)
        return logsumexp(logits, 1) - 0.5 * np.square(y).sum(1) + constant

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(component given x) for each row of X, (n, K)."""
        return softmax(self._joint(X)[1], 1)

    def denoiser(self, schedule: Schedule) -> Denoiser:
        """E[x_0 given x_t] under the law that was learned, for any sampler."""
        check_is_fitted(self)
        return self.law_.denoiser(schedule)

    def _fit(self, x: np.ndarray, key: Array) -> None:
        symmetric, gradient, log_weights = self._settings(x)
        made = whitening(x.mean(0), self.covariance)
        blocks = in_blocks(x, made.apply)
        for_start, for_fit = jax.random.split(key)
        steps = STEPS[gradient] if symmetric else STEPS_K
        if self.max_iter is not None:
            steps = checks.at_least("max_iter", self.max_iter, 1)
        if symmetric:
            found, eigenvalue = drivers.two_gaussians(for_fit, blocks, gradient, steps, self.tol)
            means = jnp.stack([found.means, -found.means])
        else:
            start = jnp.asarray(self._start(x, made, for_start), blocks.x.dtype)
            found, eigenvalue = drivers.gaussians(for_fit, blocks, log_weights, start, gradient, steps)
            means = found.means
        occupancy, variance = drivers.fit_of(blocks, means, jnp.asarray(log_weights, blocks.x.dtype))
        self._whitening, self._log_weights, self._whitened = made, log_weights, np.asarray(means, float)
        self.means_, self.weights_, self.center_ = made.undo(self._whitened), np.exp(log_weights), made.mean
        self.n_iter_ = int(found.steps)
        self.law_ = self._law()
        self.diagnostics_ = {
            "occupancy": np.asarray(occupancy, float),
            "variance": float(variance),
            "eigenvalue": float(eigenvalue),
            "edge": edge(*x.shape),
            "converged": None if found.converged is None else bool(found.converged),
        }
        self._warn(*x.shape)

    def _settings(self, x: np.ndarray) -> tuple[bool, str, np.ndarray]:
        """Whether the law is symmetric, the gradient and the log weights."""
        components = checks.at_least("n_components", self.n_components, 1)
        if len(x) < components:
            raise ValueError(f"X must have at least n_components = {components} samples; got {len(x)}.")
        if not isinstance(self.tol, int | float | np.floating) or not self.tol >= 0:
            raise ValueError(f"tol must be at least 0; got {self.tol}.")
        checks.one_of("symmetric", self.symmetric, ("auto", True, False))
        can_be = components == 2 and self.weights is None and self.means_init is None
        symmetric = can_be if self.symmetric == "auto" else bool(self.symmetric)
        if symmetric and not can_be:
            raise ValueError(
                "symmetric must be False or 'auto' unless n_components is 2, and weights and means_init are None: such "
                f"a law has two equal weights and a random start; got n_components = {components}."
            )
        gradient = checks.one_of("gradient", self.gradient, ("auto", "exact", "stein", "fresh"))
        if gradient == "exact" and not symmetric:
            raise ValueError(
                "gradient must be 'stein' or 'fresh' except for two symmetric Gaussians, of which alone the integral "
                "over the noise has one dimension; got 'exact'."
            )
        if gradient == "auto":
            gradient = "exact" if symmetric else "stein"
        if self.weights is None:
            return symmetric, gradient, np.full(components, -np.log(components))
        weights = checks.finite("weights", self.weights).astype(float)
        if weights.shape != (components,) or not (weights > 0).all() or abs(weights.sum() - 1) > 1e-5:
            raise ValueError(
                f"weights must be {components} positive numbers with sum 1; got shape {weights.shape}, smallest "
                f"{weights.min(initial=np.inf):g}, sum {weights.sum():g}."
            )
        return symmetric, gradient, np.log(weights / weights.sum())

    def _start(self, x: np.ndarray, made: Whitening, key: Array) -> np.ndarray:
        """Whitened centers from which the descent begins, (K, d)."""
        if self.means_init is not None:
            means = checks.finite("means_init", self.means_init).astype(float)
            if means.shape != (shape := (self.n_components, x.shape[1])):
                raise ValueError(f"means_init must have shape (n_components, n_features) = {shape}; got {means.shape}.")
            return made.apply(means)
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        if len(x) > FOR_START:
            x = x[np.random.default_rng(seed).choice(len(x), FOR_START, replace=False)]
        return k_means_start(made.apply(x), self.n_components, seed)

    def _law(self) -> GaussianMixture:
        """The law in the coordinates of the data."""
        root = self._whitening.root
        if root.ndim == 0:
            return GaussianMixture.spherical(self.weights_, self.means_, root**2)
        shape = (len(self.means_), *root.shape)
        return GaussianMixture(self.weights_, self.means_, np.broadcast_to(root @ root, shape))

    def _warn(self, n: int, d: int) -> None:
        """A sentence for each thing that may be wrong."""
        found = self.diagnostics_
        sentences = []
        if found["eigenvalue"] < found["edge"]:
            sentences.append(
                "X shows no more than one Gaussian would: the largest eigenvalue of its covariance, "
                f"{found['eigenvalue']:.3g} in units of covariance, is below {found['edge']:.3g}. Centers that are 2 R "
                f"apart in these units need R^4 > d / n = {d / n:.2g}: give more samples, or leave out features."
            )
        elif found["converged"] is False:
            sentences.append(f"max_iter must be above {self.max_iter or STEPS['exact']} for the descent to converge.")
        if abs(found["variance"] - 1) > VARIED + 4 * np.sqrt(2 / (n * d)):
            sentences.append(
                "covariance must be that of one component; the variance of X within those that were found is "
                f"{found['variance']:.3g} times as large."
            )
        wrong = [k for k, share in enumerate(found["occupancy"]) if not OCCUPIED[0] < share < OCCUPIED[1]]
        if wrong:
            shares = ", ".join(f"{found['occupancy'][k]:.2g} of component {k}" for k in wrong)
            sentences.append(
                "means_init must have one start in each cluster, because descent may leave two in one; shares of X "
                f"over weights are {shares}. Give other starts or weights, or another random_state."
            )
        for sentence in sentences:
            warnings.warn(sentence, stacklevel=4)

    def _draw(self, key: Array, n: int) -> tuple[Array, Array]:
        for_components, for_noise = jax.random.split(key)
        components = jax.random.categorical(for_components, jnp.asarray(self._log_weights), shape=(n,))
        noise = jax.random.normal(for_noise, (n, self.means_.shape[1]))
        root = jnp.asarray(self._whitening.root, noise.dtype)
        spread = jnp.matmul(noise, root, precision="highest") if root.ndim else noise * root
        return jnp.asarray(self.means_, noise.dtype)[components] + spread, components

    def _joint(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Whitened rows (n, d), and log p(x, component) (n, K) less what does not depend on the component."""
        x = self._checked(X)
        y = self._whitening.apply(x)
        return y, self._log_weights + y @ self._whitened.T - 0.5 * np.square(self._whitened).sum(1)


def edge(n: int, d: int) -> float:
    """What the largest eigenvalue of the covariance of n samples of N(0, I) in d dimensions exceeds once in a hundred.

    Source: Johnstone, "On the distribution of the largest eigenvalue in principal components analysis", Annals of
    Statistics 29 (2001).
    """
    root = np.sqrt(n - 1) + np.sqrt(d)
    return float((root**2 + UPPER * root * (1 / np.sqrt(n - 1) + 1 / np.sqrt(d)) ** (1 / 3)) / n)
