"""Restricted Boltzmann machines as an estimator of scikit-learn: `RBMEstimator`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.discrete import RBM, log_partition
from jaxsamp.discrete.base import MOST
from jaxsamp.learning.binarize import spins, thresholds
from jaxsamp.learning.estimator import FIT, SAMPLE, key_of
from jaxsamp.learning.rbm import fit_rbm
from jaxsamp.mcmc import BlockGibbs
from jaxsamp.running import sample_spins


class RBMEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An RBM fitted by `fit_rbm`, with the methods of scikit-learn's BernoulliRBM, and log likelihoods besides.

    It takes features of -1 and +1, or of 0 and 1, or any with a threshold in `binarize`. Samples are of 0 and 1 where
    the data were, and otherwise of -1 and +1.

    Args:
        n_components: number of hidden spins.
        method: "pcd", "cd", "tempered_pcd" or "exact".
        steps: number of updates.
        batch_size: rows drawn for each.
        chains: number of chains.
        sweeps: of the chains before each update.
        learning_rate: of the first update.
        weight_decay: penalty on the weights.
        temperatures: of the brackets of log Z, where there are more than 22 spins and more than 22 hidden ones.
        random_state: an integer, a RandomState, None, or a typed key.
        binarize: None; or a number, above which a feature is +1, and -1 elsewhere; or "median", that of the feature.

    Attributes:
        rbm_: the `jaxsamp.discrete.RBM`.
        log_partition_: log Z, exact or by annealing.
        bracket_: the `jaxsamp.discrete.Bracket` of the latter, else None.
        zero_one_: whether the data are of 0 and 1.
        thresholds_: those of the features, (n,), or None.

    Raises (by `fit`):
        ValueError, TypeError: as by `fit_rbm`.
    """

    def __init__(
        self,
        n_components: Any = 64,
        *,
        method: Any = "pcd",
        steps: Any = 5000,
        batch_size: Any = 512,
        chains: Any = 2048,
        sweeps: Any = 10,
        learning_rate: Any = 1e-2,
        weight_decay: Any = 1e-4,
        temperatures: Any = 1000,
        random_state: Any = None,
        binarize: Any = None,
    ):
        self.n_components = n_components
        self.method = method
        self.steps = steps
        self.batch_size = batch_size
        self.chains = chains
        self.sweeps = sweeps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.temperatures = temperatures
        self.random_state = random_state
        self.binarize = binarize

    def fit(self, X: Any, y: Any = None) -> "RBMEstimator":
        """Fit to the rows of X, (n, d), and return itself; `y` is not used."""
        X = validate_data(self, X, ensure_min_samples=2)
        self.thresholds_ = thresholds(self.binarize, X)
        x = spins(X, self.thresholds_)
        self.zero_one_ = not (x < 0).any()
        names = ("method", "steps", "batch_size", "chains", "sweeps", "learning_rate", "weight_decay")
        for_fit, for_bracket = jax.random.split(key_of(self.random_state, FIT))
        rbm = fit_rbm(for_fit, _signs(x), self.n_components, **{name: getattr(self, name) for name in names})
        self.bracket_ = None
        if min(rbm.weights.shape) > MOST:
            self.bracket_ = log_partition(for_bracket, rbm, self.temperatures)
        self.log_partition_ = float(rbm.log_partition()) if self.bracket_ is None else self.bracket_.estimate
        self.rbm_ = rbm
        return self

    def transform(self, X: Any) -> np.ndarray:
        """P(h_j = 1 | x) for each row of X, (n, m)."""
        return np.asarray((1 + self._fitted().hidden_mean(self._rows(X))) / 2, float)

    def score_samples(self, X: Any) -> np.ndarray:
        """Log probability of each row of X in nats, (n,): with log Z, not a pseudo-likelihood."""
        return np.asarray(self._fitted().exponent(self._rows(X)), float) - self.log_partition_

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log probability of the rows of X in nats."""
        return float(np.mean(self.score_samples(X)))

    def sample(self, n: int = 1, sweeps: int = 1000) -> np.ndarray:
        """n draws (n, d), exact up to 22 spins or hidden ones, else from n chains of this many sweeps.

        The randomness is that of `random_state`: the same numbers each time, if it is an integer.
        """
        rbm, key = self._fitted(), key_of(self.random_state, SAMPLE)
        checks.at_least("n", n, 1)
        if min(rbm.weights.shape) <= MOST:
            x = rbm.sample(key, n)
        else:
            shape = (n, *rbm.event_shape)
            x = sample_spins(
                key, rbm, shape, BlockGibbs(), steps=checks.at_least("sweeps", sweeps, 1), warmup=0, thin=0
            ).x
        return (np.asarray(x) + 1) // 2 if self.zero_one_ else np.asarray(x)

    @property
    def _n_features_out(self) -> int:
        return self._fitted().weights.shape[1]

    def _fitted(self) -> RBM:
        check_is_fitted(self, "rbm_")
        return self.rbm_

    def _rows(self, X: Any) -> Array:
        return jnp.asarray(_signs(spins(validate_data(self, X, reset=False), self.thresholds_)))


def _signs(x: np.ndarray) -> np.ndarray:
    """0 and -1 as -1, and 1 as +1, of int8."""
    return np.where(x > 0, 1, -1).astype(np.int8)
