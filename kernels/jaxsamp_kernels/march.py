"""Corrections of a window that follow a surrogate of the slope through time, one evaluation of it per node.

A sweep of a window gives base_i = scale_i (x_0 / scale_0 + sum_j A_ij f_j) from the slopes f_j at the states X_j. With
a surrogate g of the slope, which is cheap, the next states also take what g changes between X_i and themselves:

    x_i = base_i + e_i,    e(lambda) = scale(lambda) int (g(x) - g(X) + J_r (x - X)) dkappa,

where J_r is an estimate of the Jacobian of what is left, f - g; see `window.secants`. Time goes forward, so every x_i
depends on earlier ones alone, and e is integrated by an Adams-Bashforth rule between neighboring nodes, exact if the
change is a polynomial of degree ORDER - 1 in lambda. A sweep leaves only f - g to be iterated on. Where the sweeps have
settled, x = X and e = 0: the limit is that of plain sweeps, whatever the surrogate and the order of the rule.

This is a deferred correction: Dutt, Greengard and Rokhlin, "Spectral deferred correction methods for ordinary
differential equations", BIT 40 (2000), with a surrogate in place of the function itself.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from numpy.polynomial.legendre import leggauss

from jaxsamp_kernels.frame import Frame
from jaxsamp_kernels.window import weighted

ORDER = 3  # of the Adams-Bashforth rule
_NODES, _WEIGHTS = leggauss(20)  # for each integral of a polynomial times the clock's rate


class Steps(NamedTuple):
    """The steps from the window's start over its R nodes to its end, R + 1 of them; a last axis (d,) per coordinate."""

    ratio: Array  # (R + 1,), the scale at the end of each step over that at its start
    weights: Array  # (R + 1, ORDER), of the changes at the step's start and at the places before it, the latest first


def steps(frame: Frame, lam0, lam, lam1) -> Steps:
    """The steps of a window from `lam0` over the nodes `lam`, (R,), to `lam1`."""
    places = jnp.concatenate([lam0[None], lam, lam1[None]])
    start, half = places[:-1], 0.5 * jnp.diff(places)
    at = start[:, None] + half[:, None] * (1 + jnp.asarray(_NODES, half.dtype))
    scale = frame.scale(places)
    rates = scale[1:, None] * frame.clock_rate(at)
    measure = half[:, None] * jnp.asarray(_WEIGHTS, half.dtype)
    i = jnp.arange(len(start))
    # Row i: places i, i - 1, .. from the step's start backward; the first steps know fewer of them.
    behind = [places[jnp.maximum(i - m, 0)] for m in range(ORDER)]
    there = [i >= m for m in range(ORDER)]
    rows = []
    for m in range(ORDER):
        basis = jnp.where(there[m][:, None], measure, 0.0)
        for n in range(ORDER):
            if n != m:
                both = there[m] & there[n]
                gap = jnp.where(both, behind[m] - behind[n], 1.0)
                basis *= jnp.where(both[:, None], (at - behind[n][:, None]) / gap[:, None], 1.0)
        rows.append(jnp.sum(basis.reshape(basis.shape + (1,) * (rates.ndim - 2)) * rates, 1))
    return Steps(scale[1:] / scale[:-1], jnp.stack(rows, 1))


def march(table: Steps, change, base, end, rows, first):
    """The states x_i = base_i + e_i, from one node to the next, and the end.

    Args:
        table: the steps.
        change: (x_i, row i of `rows`) -> the change of the slope there, and what to return of it.
        base, end: states at the nodes, (R, *event), and at the window's end without corrections.
        rows: a pytree with leaves (R, ...).
        first: the change at the window's start, (*event).

    Returns:
        The states, (R, *event); what `change` returned at each node; the end.
    """
    ring = jnp.zeros((ORDER, *end.shape), end.dtype).at[0].set(first)

    def step(carry, row):
        ratio, weights, base, own = row
        moved, ring = carry
        moved = ratio * moved + weighted(weights, ring)
        x = base + moved
        changed, kept = change(x, own)
        return (moved, jnp.concatenate([changed[None], ring[:-1]])), (x, kept)

    carry = jnp.zeros_like(end), ring
    (moved, ring), (x, kept) = lax.scan(step, carry, (table.ratio[:-1], table.weights[:-1], base, rows))
    return x, kept, end + table.ratio[-1] * moved + weighted(table.weights[-1], ring)
