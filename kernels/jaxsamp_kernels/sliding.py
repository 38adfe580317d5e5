"""The sliding window: many steps of a one-step method at once, corrected until they agree with each other.

A trajectory of N cells, in a variable y in which a step is nothing but an increment:

    P_i = E_{i-1} + v_i F_{i-1},    E_i = E_{i-1} + G_i(P_i),    i < N,

where P_i are the points at which the method evaluates, E_i the ends of its cells, G_i the increments and F_i the
slopes. For midpoint rules that reuse slopes, G_i = w_i F_i, where w_i is the clock of the cell and v_i the clock from
its start to its node. For one-step methods v_i = 0 and P_i is the start of the cell. All increments of a window of
cells are evaluated at once at guessed points, which gives new points. The window then slides over the leading cells
whose points have moved by no more than a tolerance. Its first point is never a guess, so every sweep settles at least
one cell; with tolerance 0 the result is that of the sequential method, in at most N sweeps.

Source: Shih, Belkhale, Ermon, Sadigh and Anari, "Parallel Sampling of Diffusion Models", arXiv 2305.16317; here with
one window per sample and guesses along the last slope. With randomized midpoints: Gupta, Cai and Chen,
"Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel", arXiv 2406.00924.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax


class Slid(NamedTuple):
    """The end of a trajectory, and its cost.

    Attributes:
        y: the end of the last cell.
        sweeps: number of evaluations of a whole window.
        cells: number of evaluations of a single cell, without those that only fill up the last windows.
        residual: the largest accepted change, in the unit of the tolerance.
    """

    y: Array
    sweeps: Array
    cells: Array
    residual: Array


class _Window(NamedTuple):
    first: Array  # index of the first cell that is not settled
    y: Array  # its start
    points: Array  # (window, *event)
    sweeps: Array
    cells: Array
    residual: Array


def slide(y, slope, evaluate, weights, offsets, unit, *, window, tolerance, max_sweeps=None, noise=None) -> Slid:
    """Run the window over all cells of one sample.

    Args:
        y: the start of the first cell, (*event).
        slope: F_{-1}, from which the first guess is made, (*event).
        evaluate: (first, points) -> (increments G, slopes F) of the cells first, first + 1, ..., all (window, *event).
            `first` may be any cell; values returned for cells beyond the last are not used.
        weights: w_i, the clock of each cell, (N,) or (N, *event).
        offsets: v_i, same shapes.
        unit: factor from a change of P_i to the unit of the tolerance, same shapes.
        window: number of cells per sweep.
        tolerance: largest root mean square change, times `unit`, of a point that counts as settled.
        max_sweeps: after this number of sweeps, every further sweep settles its whole window; None for no limit.
        noise: first -> the part of G_i known in advance, noise_i in G_i = w_i F_i + noise_i, (window, *event); None if
            there is none.
    """
    cells = weights.shape[0]
    weights, offsets, unit = (_padded(v, 2 * window, y.ndim) for v in (weights, offsets, unit))
    place, axes = jnp.arange(window), tuple(range(1, y.ndim + 1))

    def ahead(first, end, slope):
        """Points of the cells from `first` on, along one slope from the end of the previous cell."""
        w, v = (lax.dynamic_slice_in_dim(table, first, window) for table in (weights, offsets))
        known = 0.0 if noise is None else _where(first + place < cells, noise(first), y.ndim)
        gained = w * slope + known
        return end + (jnp.cumsum(gained, 0) - gained) + v * slope

    def sweep(at: _Window) -> _Window:
        left = cells - at.first
        increments, slopes = (_where(place < left, v, y.ndim) for v in evaluate(at.first, at.points))
        ends = at.y + jnp.cumsum(increments, 0)
        v, scale = (lax.dynamic_slice_in_dim(table, at.first, window) for table in (offsets, unit))
        # However the first point was reached, it is the one that the sequential method would have evaluated.
        moved = ends[:-1] + v[1:] * slopes[:-1]
        points = jnp.concatenate([at.points[:1], moved])
        change = jnp.sqrt(jnp.mean(jnp.square((points - at.points) * scale), axes))
        settled = (change <= tolerance) | (place == 0)
        if max_sweeps is not None:
            settled |= at.sweeps + 1 > max_sweeps
        settled = jnp.cumprod(settled).astype(bool) & (place < left)
        count = jnp.sum(settled, dtype=jnp.int32)
        points = jnp.concatenate([points, ahead(at.first + window, ends[-1], slopes[-1])])
        # The points after the last settled cell start from its end along its slope, which `moved` already holds.
        return _Window(
            at.first + count,
            ends[count - 1],
            lax.dynamic_slice_in_dim(points, count, window),
            at.sweeps + 1,
            at.cells + jnp.minimum(window, left),
            jnp.maximum(at.residual, jnp.max(jnp.where(settled, change, 0.0))),
        )

    zero = jnp.zeros((), jnp.int32)
    start = _Window(zero, y, ahead(zero, y, slope), zero, zero, jnp.zeros((), y.dtype))
    end = lax.while_loop(lambda at: at.first < cells, sweep, start)
    return Slid(end.y, end.sweeps, end.cells, end.residual)


def _padded(table: Any, more: int, event: int) -> Array:
    """`table` with zeros after the last cell, broadcasting over an event with `event` axes."""
    table = table.reshape(*table.shape, *(1,) * (event + 1 - table.ndim)) if table.ndim == 1 else table
    return jnp.pad(table, [(0, more)] + [(0, 0)] * (table.ndim - 1))


def _where(keep: Array, values: Array, event: int) -> Array:
    """`values` where kept, zero elsewhere."""
    return jnp.where(keep.reshape(-1, *(1,) * event), values, 0.0)
