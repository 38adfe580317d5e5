"""Labels from an RBM that was learned without them: `fit_supervised_rbm`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.discrete import RBM, LabeledRBM
from jaxsamp.learning.rbm import fit_rbm
from jaxsamp.learning.spins_data import rows_of
from jaxsamp_kernels import rbm as kernel

STEPS = 500  # of L-BFGS, at most
ERRORS = 2.0  # standard errors by which the held-out loss must fall
LEAST = 10  # labels held out


@pytree
@dataclass(frozen=True)
class SupervisedRBM:
    """What `fit_supervised_rbm` returns: all three stages.

    Attributes:
        rbm: stage 1, the law of x, learned without labels.
        frozen: stage 2, a `LabeledRBM` of this law whose head alone has seen labels.
        tuned: stage 3, a `LabeledRBM` whose weights have been fitted to labels too, whether or not it is accepted.
        frozen_loss, tuned_loss: mean log loss of held-out labels, in nats, after a fit to the others.
        error: standard error of the difference of the two.
        accepted: whether `tuned_loss` is below `frozen_loss` by more than twice the error.
    """

    rbm: RBM
    frozen: LabeledRBM
    tuned: LabeledRBM
    frozen_loss: Any
    tuned_loss: Any
    error: Any
    accepted: Any

    @property
    def model(self) -> LabeledRBM:
        """The stage to use: `tuned` if it is accepted, else `frozen`."""
        return self.tuned if self.accepted else self.frozen


def fit_supervised_rbm(
    key: PRNGKey,
    x: Any,
    y: Any,
    hidden: int = 0,
    unlabeled: Any = None,
    *,
    rbm: RBM | None = None,
    held_out: float = 0.2,
    penalty: float = 1e-3,
    **options: Any,
) -> SupervisedRBM:
    """Learn labels of a law that is known better than they are: E[y | x] with few labels and many x.

    The label y is one more spin, seen by hidden ones: E[y | x] = tanh(a + sum_j artanh(tanh u_j tanh(c_j + (x.W)_j))).
    Stage 1 fits the RBM to all x without labels. Stage 2 keeps W and c, and fits the m + 1 numbers (a, u) by logistic
    loss. Stage 3 fits a, u, W and c together from there. It is accepted only where the loss of held-out labels falls by
    more than two standard errors: with few labels it forgets the law, with many it overcomes the errors of stage 1.

    Args:
        key: a typed key.
        x: samples (rows, n) with labels, of -1 and +1, or of 0 and 1.
        y: their labels (rows,), of -1 and +1, or of 0 and 1.
        hidden: m, number of hidden spins.
        unlabeled: further samples (k, n).
        rbm: the law of x, instead of stage 1; then `hidden` is left out.
        held_out: share of the labels that stage 3 is judged by; both stages are also fitted to the others for that.
        penalty: l of l (a^2 + |u|^2) / 2, added to the mean loss.
        options: others of `fit_rbm`.

    Raises:
        TypeError, ValueError: as by `fit_rbm`; or labels are not of two kinds, do not fit x, or are too few.

    Source: the identity is that of Goel, Klivans and Koehler, "From Boltzmann Machines to Neural Networks and Back
    Again", arXiv 2007.12815; the three stages are our own, and not an algorithm of that paper.
    """
    for_rbm, for_split = jax.random.split(checks.typed_key(key))
    given = rows_of(x)
    labels = _labels(y, len(given))
    if not 0 <= penalty < np.inf:
        raise ValueError(f"penalty must be at least 0 and finite; got {penalty}.")
    apart = round(held_out * len(given)) if 0 < held_out < 1 else 0
    if apart < LEAST:
        raise ValueError(
            f"held_out must be a share in (0, 1) of {LEAST} labels at least; got {held_out} of {len(given)}."
        )
    if len(given) - apart < LEAST:
        raise ValueError(f"held_out must leave {LEAST} labels at least; got {held_out} of {len(given)}.")
    if rbm is None:
        data = given if unlabeled is None else [given, rows_of(unlabeled)]
        rbm = fit_rbm(for_rbm, data, hidden, **options)
    elif hidden or unlabeled is not None or options:
        raise ValueError("hidden, unlabeled and options of fit_rbm must be left out where rbm is given.")
    elif rbm.event_shape != given.shape[1:]:
        raise ValueError(f"rbm must be of {given.shape[1]} spins, as x is; got one of {rbm.sites}.")
    order = np.asarray(jax.random.permutation(for_split, len(given)))
    held, rest = order[:apart], order[apart:]
    frozen, tuned = _stages(rbm, given[rest], labels[rest], penalty)
    losses = [np.asarray(_losses(_parts(part), given[held], labels[held]), float) for part in (frozen, tuned)]
    gap, error = losses[0] - losses[1], float((losses[0] - losses[1]).std(ddof=1) / np.sqrt(apart))
    frozen, tuned = _stages(rbm, given, labels, penalty)
    falls = bool(gap.mean() > ERRORS * error)
    return SupervisedRBM(rbm, frozen, tuned, float(losses[0].mean()), float(losses[1].mean()), error, falls)


def _stages(rbm: RBM, x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[LabeledRBM, LabeledRBM]:
    """The head alone by logistic loss, and everything from there."""
    dtype = rbm.weights.dtype
    given = jnp.asarray(x), jnp.asarray(y, dtype), jnp.asarray(penalty, dtype)
    body = {"weights": rbm.weights, "hidden": rbm.hidden}
    head = {"head": jnp.zeros_like(rbm.hidden), "bias": jnp.zeros((), dtype)}
    head = _descended(head, partial(_value, body, *given))
    all_of_it = _descended(body | head, partial(_value, {}, *given))
    tuned = RBM(all_of_it["weights"], rbm.visible, all_of_it["hidden"])
    return LabeledRBM(rbm, **head), LabeledRBM(tuned, all_of_it["head"], all_of_it["bias"])


def _parts(model: LabeledRBM) -> dict[str, Array]:
    rbm = model.rbm
    return {"weights": rbm.weights, "hidden": rbm.hidden, "head": model.head, "bias": model.bias}


@jax.jit
def _losses(parts: dict[str, Array], x: Array, y: Array) -> Array:
    """-log P(y | x) of each row."""
    return jax.nn.softplus(-2 * y * kernel.label_field(x.astype(parts["weights"].dtype), **parts))


@jax.jit
def _value(body: dict[str, Array], x: Array, y: Array, penalty: Array, part: dict[str, Array]) -> tuple[Array, Any]:
    def loss(part: dict[str, Array]) -> Array:
        size = jnp.sum(part["head"] ** 2) + part["bias"] ** 2
        return _losses(body | part, x, y).mean() + 0.5 * penalty * size

    return jax.value_and_grad(loss)(part)


def _descended(start: dict[str, Array], value: Callable[[dict[str, Array]], tuple[Array, Any]]) -> dict[str, Array]:
    """Where L-BFGS comes to from a start."""
    flat, shaped = ravel_pytree(start)

    def of(point: np.ndarray) -> tuple[float, np.ndarray]:
        found, slope = value(shaped(jnp.asarray(point, flat.dtype)))
        return float(found), np.asarray(ravel_pytree(slope)[0], float)

    found = minimize(of, np.asarray(flat, float), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return shaped(jnp.asarray(found.x, flat.dtype))


def _labels(y: Any, rows: int) -> np.ndarray:
    """Labels as -1 and +1, (rows,), else raise ValueError."""
    made = np.asarray(y)
    if made.shape != (rows,):
        raise ValueError(f"y must have shape (rows,) = ({rows},), as x has; got {made.shape}.")
    kinds = np.unique(made).tolist()
    if kinds not in ([-1, 1], [0, 1]):
        raise ValueError(f"y must be of -1 and +1, or of 0 and 1, both of them; got {kinds[:5]}.")
    return np.where(made > 0, 1, -1)
