"""How often a classifier is wrong if its input is noisy, and how far its label then holds, with exact limits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.supervised.noise import given, labels_of, rows_of
from jaxsamp.supervised.votes import check_confidence, clopper_pearson, votes_of


class SmoothedError(NamedTuple):
    """E P[f(noisy x) != y], with its confidence limits, all from 0 to 1."""

    error: float
    low: float
    high: float


class Certificate(NamedTuple):
    """What the noise guarantees, per row.

    Attributes:
        label: the likelier label of the noisy row, -1 or +1; 0 where the draws do not tell, (n,).
        radius: all points nearer than this have the same likelier label; with rho, the number of spins that may be
            flipped. 0 where label is 0, (n,).
        likely: lower confidence limit of the probability of the label, (n,).
    """

    label: np.ndarray
    radius: np.ndarray
    likely: np.ndarray


def smoothed_error(
    key: PRNGKey,
    f: Callable[[Any], Array],
    x: Any,
    y: Any,
    sigma: Any = None,
    draws: int = 256,
    *,
    rho: Any = None,
    limits: str = "law",
    confidence: float = 0.95,
    microbatch: int = 64,
) -> SmoothedError:
    """E P[f(noisy x) != y], where x + sigma z with z standard normal, or x with flipped spins, is the noisy x.

    The error is the mean over all rows and draws. Its limits are those of Clopper and Pearson, of a number of wrong
    labels that is binomial:

    | `limits` | of | counts |
    |---|---|---|
    | "law" | the law that the rows are independent draws of | one noisy copy of each row |
    | "rows" | these rows alone | all copies |

    Copies of one row are wrong together, so that counting all of them would say too much of the law. Of given rows the
    number is a sum of independent indicators with unequal probabilities, which varies less than a binomial one
    (Hoeffding): the limits cover at least as often as they say.

    Args:
        key: a typed key; row i has the draws of `fold_in(key, i)`.
        f: of rows (m, d), as an array of JAX; numbers (m,), of which those above 0 stand for the label +1.
        x: rows, (n, d); with rho of -1 and +1.
        y: labels -1 and +1, (n,).
        sigma: standard deviation of the noise, at least 0.
        draws: noisy copies of each row.
        rho: in place of sigma: each spin flips with probability (1 - rho) / 2, from 0 to 1.
        limits: "law" or "rows".
        confidence: of the limits, between 0 and 1.
        microbatch: rows at a time, whose copies are in memory together.

    Raises:
        TypeError: neither or both of sigma and rho are given, or what is given is not one number.
        ValueError: labels are neither -1 nor +1, shapes do not fit, a number is out of its range, or f is
            NaN.

    Source: Chandrasekaran, Klivans, Kontonis, Meka and Stavropoulos, "Smoothed Analysis for Learning Concepts with Low
    Intrinsic Dimension", arXiv 2407.00966, for the error that concepts are compared by; Clopper and Pearson, Biometrika
    26 (1934); Hoeffding, Ann. Math. Statist. 27 (1956).
    """
    x = rows_of(x)
    y = labels_of(y, len(x))
    checks.one_of("limits", limits, ("law", "rows"))
    check_confidence(confidence)
    first, votes = votes_of(key, f, x, given(sigma, rho, x), draws, microbatch)
    wrong = np.where(y > 0, draws - votes, votes).sum(dtype=np.int64)
    count, trials = (np.sum(first != (y > 0)), len(x)) if limits == "law" else (wrong, draws * len(x))
    low, high = clopper_pearson(count, trials, confidence)
    error = float(wrong / (draws * len(x)))
    return SmoothedError(error, min(float(low), error), max(float(high), error))


def certify(
    key: PRNGKey,
    f: Callable[[Any], Array],
    x: Any,
    sigma: Any = None,
    draws: int = 1000,
    *,
    rho: Any = None,
    confidence: float = 0.999,
    microbatch: int = 64,
) -> Certificate:
    """The likelier label of noisy rows, and how far away from them it cannot change.

    With p the lower limit of its probability, it stays the likelier one within

        sigma / 2 (Phi^-1(p) - Phi^-1(1 - p)) = sigma Phi^-1(p),

    and with rho up to a number of flipped spins, by the lemma of Neyman and Pearson. It is a guarantee for the label
    that most noisy copies have, not for f itself. For each row by itself, label and radius are right with probability
    `confidence`: both tails of its count are left half of the rest, so that either label may be the likelier one.

    Args:
        key, f, x, sigma, rho, microbatch: as of `smoothed_error`.
        draws: noisy copies of each row; no radius is above sigma Phi^-1(((1 - confidence) / 2)^(1 / draws)).
        confidence: for each row, between 0 and 1.

    Raises:
        TypeError, ValueError: as `smoothed_error`.

    Source: Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing", arXiv 1902.02918;
    Lee, Yuan, Chang and Jaakkola, "Tight Certificates of Adversarial Robustness for Randomly Smoothed Classifiers",
    arXiv 1906.04948, for flips.
    """
    x = rows_of(x)
    check_confidence(confidence)
    noise = given(sigma, rho, x)
    votes = votes_of(key, f, x, noise, draws, microbatch)[1]
    label = np.where(2 * votes > draws, 1, -1)
    likely = clopper_pearson(np.maximum(votes, draws - votes), draws, confidence)[0]
    told = likely > 0.5
    return Certificate(np.where(told, label, 0), np.where(told, noise.radius(likely, x.shape[1]), 0.0), likely)
