"""`estimate_state`: a state from the outcomes of measurements, with standard errors."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp.core import checks, shown
from jaxsamp.core.types import Array
from jaxsamp.quantum.outcomes import Outcomes, check_outcomes
from jaxsamp.quantum.shapes import linear_response
from jaxsamp.quantum.states import nearest_state
from jaxsamp_kernels import young

METHODS = ("debiased", "keyl", "linear")


class StateEstimate(NamedTuple):
    """An estimate of a state.

    Attributes:
        rho: the mean of the batches, (d, d): Hermitian with trace 1, but its eigenvalues may be negative; or, if asked
            for, the state nearest to it.
        standard_error: of each entry of the mean, (d, d): root mean squared modulus, from the scatter of the batches;
            NaN for a single batch.
        batches: the estimate from each measurement, (n, d, d). They are not states, and averaging needs them so.
    """

    rho: Array
    standard_error: Array
    batches: Array

    def __repr__(self) -> str:
        return shown.line(self)


def estimate_state(out: Outcomes, method: str = "debiased", physical: bool = False) -> StateEstimate:
    """Estimate a state from outcomes: the mean over measurements of an estimate from each, with standard errors.

    | method | estimate from a diagram lambda of t copies and a frame U | bias |
    |---|---|---|
    | `"debiased"` | U diag(donate(lambda) / t) U^dag, donate_i = lambda_i + #{shorter rows} - #{longer rows} | none |
    | `"keyl"` | U diag(lambda / t) U^dag, a state | toward I / d |
    | `"linear"` | I / d + (Keyl's - I / d) / c(t, d), `linear_response`; t at most 40 | of order (rho - I / d)^2 |

    For outcomes of `Single` all but `"keyl"` are linear inversion, (d + 1) |u><u| - I. Outcomes of `Purified` have one
    estimate, ((D + t) R - d I) / t, which answers to `"debiased"`.

    Args:
        out: what `measure` has returned, or outcomes recorded elsewhere.
        method: how.
        physical: return the state nearest to the mean in place of the mean, by `nearest_state`. It has a bias then.

    Returns:
        `StateEstimate(rho, standard_error, batches)`.

    Raises:
        ValueError: the parts of `out` do not fit each other, or the method does not take its protocol.
        TypeError: `out` is not an `Outcomes`.

    Source: Pelecanos, Spilecki and Wright, "The debiased Keyl's algorithm: a new unbiased estimator for full state
    tomography", arXiv 2510.07788 (its donation of boxes; the formula here is derived); Keyl, "Quantum state estimation
    and large deviations", arXiv quant-ph/0412053.
    """
    checks.one_of("method", method, METHODS)
    out = check_outcomes(out)
    if out.protocol == "purified" and method != "debiased":
        raise ValueError(f"method must be 'debiased' for the protocol 'purified', its one estimator; got {method!r}.")
    response = linear_response(out.copies, out.partition.shape[1]) if method == "linear" else 1.0
    batches = _batches(out.partition, out.frame, jnp.asarray(response, float), out.protocol == "purified", method)
    return summarized(batches, physical)


def summarized(batches: Array, physical: bool = False) -> StateEstimate:
    """The mean of estimates (n, d, d) with its standard errors."""
    mean = batches.mean(0)
    squared = (jnp.abs(batches - mean) ** 2).sum(0)
    n = len(batches)
    error = jnp.sqrt(squared / n / (n - 1)) if n > 1 else jnp.full_like(squared, jnp.nan)
    return StateEstimate(nearest_state(mean) if physical else mean, error, batches)


@jax.jit(static_argnums=(3, 4))
def _batches(partition: Array, frame: Array, response: Array, purified: bool, method: str) -> Array:
    d = partition.shape[1]
    t = partition.sum(1, keepdims=True).astype(frame.real.dtype)
    if purified:
        reduced = jnp.einsum("nik,njk->nij", frame, frame.conj(), precision="highest")
        made = ((d**2 + t[..., None]) * reduced - d * jnp.eye(d)) / t[..., None]
    else:
        weights = (young.donate(partition) if method == "debiased" else partition) / t
        weights = 1 / d + (weights - 1 / d) / response
        made = jnp.einsum("nij,nj,nkj->nik", frame, weights, frame.conj(), precision="highest")
    # The trace is 1 but for rounding, which estimates with large eigenvalues would show.
    excess = jnp.trace(made, axis1=1, axis2=2).real - 1
    return (made + made.conj().mT) / 2 - excess[:, None, None] / d * jnp.eye(d)
