"""Models of spins from samples of them: `fit_spins`."""

import warnings
from itertools import combinations
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, shown
from jaxsamp.core.types import PRNGKey
from jaxsamp.discrete import MRF, Ising
from jaxsamp.learning.spins_data import SpinRows
from jaxsamp.learning.spins_nodes import default_penalty, fit_nodes
from jaxsamp.learning.spins_sparsitron import PINNED, fit_sparsitron, share_used
from jaxsamp_kernels.hermite import products

METHODS = ("rple", "rise", "logrise", "sparsitron")


class SpinFit(NamedTuple):
    """What `fit_spins` returns.

    Attributes:
        model: the law that was learned, an `Ising` for order 2 and an `MRF` for others.
        loss_per_node: (n,), what the method minimizes, without the penalty; of "sparsitron" the mean square of
            P(x_i = 1 | others) - (1 + x_i) / 2 of samples that were not yet used.
        asymmetry: the largest difference of two values for one coupling, from the regressions of two of its spins; an
            error bar that costs nothing, smaller than the error.
        width: max_i 2 sum |couplings of i and its field|; for "sparsitron" the bound on it that was used.
    """

    model: Any
    loss_per_node: np.ndarray
    asymmetry: float
    width: float

    def __repr__(self) -> str:
        return shown.line(self)


def fit_spins(
    x: Any,
    order: int = 2,
    method: str = "rple",
    *,
    width: float | int | None = None,
    l1: float | int | str = "auto",
    weights: Any = None,
    key: PRNGKey | None = None,
    step: float | int = 4.0,
    choose: str = "average",
) -> SpinFit:
    """Couplings and fields from samples of p(x) = exp(S(x)) / Z, with S of products of at most `order` spins.

    Each spin is regressed on products of the others: with f_i the sum of A_{i, S} x_S over sets S of fewer than `order`
    spins without i, "rple" minimizes mean ln(1 + e^(-2 x_i f_i)) (pseudo-likelihood), "rise" mean e^(-x_i f_i)
    (interaction screening), "logrise" its logarithm, each plus l1 sum |A_{i, S}| over sets that are not empty. The
    coupling of T is the mean of A_{i, T without i} over its spins i. "sparsitron" descends by multiplicative weights in
    one pass over the samples, in the order that they have, with a larger error of the same samples.

    How many samples are needed grows like e^(width). Rows are read some at a time, so that memory does not grow with
    them; each takes O(n^order) operations a time.

    Args:
        x: samples (m, n) of -1 and +1, or of 0 and 1, which are read as 2 x - 1; any array, a memory map among them, or
            arrays one after another, as in a list.
        order: most spins of a product, 2, 3 or 4.
        method: "rple", "rise", "logrise" or "sparsitron".
        width: for "sparsitron", a bound of max_i 2 (sum_j |J_ij| + |h_i|); None for that of 2, 4, 8, 16 and 32 with the
            smallest held-out loss.
        l1: the penalty, except for "sparsitron"; "auto" for c sqrt(ln(n P / .05) / m) with c = .2, .4, .8 in the order
            of the methods and P the coefficients of a node, n for pairs; and none for m > 50 P. Fields have none.
        weights: of the rows, (m,). Integers are counts of samples; of real numbers only the ratios matter.
        key: for "sparsitron", to read the rows of one array in a random order, which they need if they are sorted; None
            for their own.
        step: for "sparsitron", the step in units of the published one, which is best for `choose` "held out".
        choose: for "sparsitron", "average" for the mean of what is found in the last half of the samples, or "held out"
            for the best of 64 moments for an eighth of them, as published.

    Returns:
        A `SpinFit`; its `model` has couplings J, not the 2 J of logistic regressions.

    Raises:
        ValueError: an argument is out of range or does not fit the method; x is not of spins, has too few rows, or has
            columns that are constant; or, without a penalty, equal or opposite.
        TypeError: an argument is of another kind.

    Source: for the first three methods arXiv 1612.05024, with the penalties of its authors' program; for "sparsitron"
    arXiv 1706.06274, and 2411.11174 for its use on models of all pairs.
    """
    checks.one_of("method", method, METHODS)
    if checks.at_least("order", order, 2) > 4:
        raise ValueError(f"order must be 2, 3 or 4; got {order}.")
    _refuse_what_is_not_used(method, width, l1, key, step, choose)
    data = SpinRows(x, weights)
    if data.n < order:
        raise ValueError(f"x must have at least order = {order} columns; got {data.n}.")
    if method == "sparsitron":
        if key is not None and not data.is_one_array:
            raise ValueError("key must be None unless x is one array, because rows of others come in their own order.")
        v, loss, bound = fit_sparsitron(data, order, width, step, choose, key)
        if (share := share_used(v, bound)) > PINNED:
            warnings.warn(
                f"width must be larger than {bound:g}: a spin uses {share:.0%} of it, which cuts its couplings off.",
                stacklevel=2,
            )
        found = field_coefficients(v)
    else:
        penalty = default_penalty(method, data.n, order, data.samples) if l1 == "auto" else float(l1)
        if not penalty:
            data.refuse_equal_columns()
        found, loss = fit_nodes(data, order, method, penalty)
        bound = None
    couplings, asymmetry = symmetric(found, order)
    own = 2 * float(np.abs(found).sum(1).max())
    return SpinFit(_model(couplings, data.n, order), loss, asymmetry, own if bound is None else float(bound))


def field_coefficients(logits: np.ndarray) -> np.ndarray:
    """Those of local fields f from those of logits, of which P(x_i = 1 | others) = sigmoid(2 f_i) is the sigmoid."""
    return logits / 2


def symmetric(a: np.ndarray, order: int) -> tuple[dict[tuple[int, ...], float], float]:
    """Couplings by their spins, means of the coefficients a (n, P) of local fields, and their largest difference."""
    place = {made: p for p, made in enumerate(products(len(a), order - 1, distinct=True))}
    means, spread = {}, 0.0
    for made in products(len(a), order, least=1, distinct=True):
        values = [a[i, place[rest]] for i, rest in zip(reversed(made), combinations(made, len(made) - 1), strict=True)]
        means[made] = float(np.mean(values))
        spread = max(spread, max(values) - min(values))
    return means, float(spread)


def _model(couplings: dict[tuple[int, ...], float], n: int, order: int) -> Any:
    if order > 2:
        return MRF({made: value for made, value in couplings.items() if value}, n)
    fields, pairs = np.zeros(n), np.zeros((n, n))
    for made, value in couplings.items():
        if len(made) == 1:
            fields[made] = value
        else:
            pairs[made] = pairs[made[::-1]] = value
    return Ising(jnp.asarray(pairs, jnp.result_type(float)), jnp.asarray(fields, jnp.result_type(float)))


def _refuse_what_is_not_used(method: str, width: Any, l1: Any, key: Any, step: Any, choose: Any) -> None:
    checks.one_of("choose", choose, ("average", "held out"))
    if width is not None and not 0 < width < np.inf:
        raise ValueError(f"width must be positive and finite, or None; got {width}.")
    if not 0 < step < np.inf:
        raise ValueError(f"step must be positive and finite; got {step}.")
    if isinstance(l1, str):
        checks.one_of("l1", l1, ("auto",))
    elif not 0 <= l1 < np.inf:
        raise ValueError(f"l1 must be 'auto', or finite and at least 0; got {l1}.")
    if key is not None:
        checks.typed_key(key)
    if method != "sparsitron" and (width, key, step, choose) != (None, None, 4.0, "average"):
        raise ValueError(f"width, key, step and choose are for method 'sparsitron' alone; got method {method!r}.")
    if method == "sparsitron" and l1 != "auto":
        raise ValueError(f"l1 must be left out for method 'sparsitron', which bounds the width instead; got {l1}.")
