"""Bounds of total variation between groups of Gaussian components, without drawing anything."""

import numpy as np

from jaxsamp.targets import GaussianMixture
from jaxsamp.targets.components import dense

ROUNDING = 1e-5  # of the largest scale


class Overlaps:
    r"""Bhattacharyya coefficients of the noised components of a mixture, in float64.

    BC_ij = int sqrt(p_i p_j) = exp(-D_ij), with C = (C_i + C_j) / 2 and delta = alpha (mu_i - mu_j):

        D_ij = delta^T C^-1 delta / 8 + log det C / 2 - (log det C_i + log det C_j) / 4.

    One eigendecomposition for each pair, O(K^2 d^3); then O(K^2 d) a level.
    """

    def __init__(self, target: GaussianMixture):
        log_weights, means, covariances = dense(target.mixture)
        weights = np.exp(log_weights)
        self.weights, k = weights / weights.sum(), len(means)
        self.own = np.linalg.eigvalsh(covariances)
        self.i, self.j = np.triu_indices(k, 1)
        self.between, basis = np.linalg.eigh((covariances[self.i] + covariances[self.j]) / 2)
        self.square = np.einsum("pdm,pd->pm", basis, means[self.i] - means[self.j]) ** 2

    def at(self, alpha: float, sigma: float) -> np.ndarray:
        """All coefficients at one level, (K, K)."""
        middle, own = (alpha**2 * np.maximum(values, 0) + sigma**2 for values in (self.between, self.own))
        logs = np.log(own).sum(1)
        distance = (alpha**2 * self.square / middle).sum(1) / 8
        distance += np.log(middle).sum(1) / 2 - (logs[self.i] + logs[self.j]) / 4
        found = np.eye(len(own))
        found[self.i, self.j] = found[self.j, self.i] = np.exp(-np.maximum(distance, 0))
        return found

    def smallest(self) -> float:
        """The smallest standard deviation or distance of components that is not 0 within rounding."""
        scales = np.sqrt(np.concatenate([np.maximum(self.own, 0).ravel(), self.square.sum(1)]))
        return float(scales[scales > ROUNDING * scales.max()].min()) if scales.max() > 0 else 1.0

    def separation(self, coefficients: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        """A lower bound of TV(p^A, p^B): 1 - sum_ij sqrt(w_i w_j) BC_ij, the weights those inside of A and of B."""
        a, b = self._within(a), self._within(b)
        return 1 - float(np.sqrt(a) @ coefficients @ np.sqrt(b))

    def nearness(self, coefficients: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        """An upper bound of TV(p^A, p^B) for disjoint A and B: sum_ij w_i w_j sqrt(1 - BC_ij^2)."""
        return float(self._within(a) @ np.sqrt(np.maximum(1 - coefficients**2, 0)) @ self._within(b))

    def _within(self, group: np.ndarray) -> np.ndarray:
        chosen = np.where(group, self.weights, 0.0)
        return chosen / chosen.sum()
