"""The entropy of a decision without a model of the data: by a classifier of noisy samples."""

from typing import Any

import jax
import numpy as np
from scipy.stats import norm

from jaxsamp import learning
from jaxsamp.core import checks
from jaxsamp.core.types import Data, PRNGKey
from jaxsamp.theory.windows.averages import Curve

NOISE = 1e-6  # of probabilities, so that their logarithms are finite


def learned_entropy(
    key: PRNGKey, data: Data, member: Data, levels: Data, *, draws: int = 8, confidence: float = 0.95, **options: Any
) -> Curve:
    r"""Entropy of whether x_0 is of a group, given x_t = x_0 + sigma z, where it is so with probability 1/2; in nats.

    H(sigma) <= -(E log p(x_t) + E' log(1 - p(x_t))) / 2, with E over members, E' over others that a classifier p has
    not seen: its cross-entropy, which is H where p is exact. ln 2 where nothing is decided. It needs no denoiser.

    Args:
        key: a typed key.
        data: samples (n, *event).
        member: (n,), whether each is of the group.
        levels: noise levels sigma / alpha, (levels,).
        draws: of the noise of each held-out sample at each level.
        confidence: of the bands, which are normal ones.
        options: of `jaxsamp.learning.fit_classifier`, such as steps and network.

    Raises:
        ValueError: a number is outside its range, or as `fit_classifier`.

    Source: the entropy of the class is that of "Entropic signature of class speciation", arXiv 2602.09651; to
    find it by a classifier is ours.
    """
    for_fit, for_noise = jax.random.split(checks.typed_key(key))
    checks.at_least("draws", draws, 1)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}.")
    sigma = checks.finite("levels", levels).astype(float).reshape(-1)
    if not len(sigma) or not (sigma > 0).all():
        raise ValueError(f"levels must be above 0, at least one; got {sigma}.")
    span = {"sigma_min": float(sigma.min()) * 0.999, "sigma_max": float(sigma.max()) * 1.001}
    classifier = learning.fit_classifier(for_fit, data, member, **{**span, **options})
    unseen, kinds = np.asarray(data)[classifier.held_out], np.asarray(member)[classifier.held_out] > 0
    many = np.repeat(unseen, draws, 0)  # each with noise of its own
    p = np.clip(classifier.probabilities(for_noise, many, sigma, draws=1), NOISE, 1 - NOISE)
    lost = -np.log(np.where(np.repeat(kinds, draws)[:, None], p, 1 - p))
    lost = lost.reshape(len(unseen), draws, -1).mean(1)
    mean = (lost[kinds].mean(0) + lost[~kinds].mean(0)) / 2
    error = np.sqrt(sum(lost[kind].var(0, ddof=1) / kind.sum() for kind in (kinds, ~kinds))) / 2
    error = norm.ppf(0.5 + confidence / 2) * error
    return Curve(mean, np.maximum(mean - error, 0), mean + error)
