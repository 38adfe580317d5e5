"""A density of the plane on a grid: where it lies, its integral, and points drawn from it."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxsamp.core.types import Array

CELLS = 512  # per coordinate
FAINT = 40.0  # nats below the peak at which a density is negligible: exp(-40) = 4e-18
MOVES = 4  # that carry points from the cells of the grid to the density itself

LogDensity = Callable[[Array], Array]  # of points (m, 2) -> (m,), in nats


def log_integral(log_density: LogDensity, low: Array, high: Array, cells: int) -> Array:
    """Logarithm of the integral over a box, by a midpoint rule."""
    points, cell = _middles(low, high, cells)
    return jax.nn.logsumexp(jax.lax.map(log_density, points)) + jnp.log(cell).sum()


def box(log_density: LogDensity, near: Array) -> tuple[Array, Array]:
    """Corners of the box outside of which a density is negligible, found on three grids, each inside the one before.

    The first reaches three times as far as the points `near`, (n, 2).
    """
    low, high = near.min(0), near.max(0)
    low, high = low - 1.5 * (high - low), high + 1.5 * (high - low)
    for _ in range(3):
        points, cell = _middles(low, high, CELLS)
        logs = jax.lax.map(log_density, points)
        kept = (logs > logs.max() - FAINT)[..., None]
        low = jnp.where(kept, points, jnp.inf).min((0, 1)) - cell
        high = jnp.where(kept, points, -jnp.inf).max((0, 1)) + cell
    return low, high


def drawn(key: Array, log_density: LogDensity, low: Array, high: Array, n: int) -> Array:
    """`n` points, (n, 2): cells by their mass, and then Metropolis moves between independent such points."""
    points, cell = _middles(low, high, CELLS)
    logs = jax.lax.map(log_density, points)
    mass = jnp.exp(logs - logs.max())
    rows, columns = jnp.cumsum(mass.sum(1)), jnp.cumsum(mass, 1)
    find = jax.vmap(partial(jnp.searchsorted, side="right"))

    def propose(key: Array) -> tuple[Array, Array]:
        """Points uniform in their cells, and the log ratio of the density to that of such points."""
        for_row, for_column, for_place = jax.random.split(key, 3)
        u, v = (jax.random.uniform(k, (n,), mass.dtype) for k in (for_row, for_column))
        i = jnp.minimum(jnp.searchsorted(rows, u * rows[-1], side="right"), CELLS - 1)
        j = jnp.minimum(find(columns[i], v * columns[i, -1]), CELLS - 1)
        x = points[i, j] + cell * (jax.random.uniform(for_place, (n, 2), mass.dtype) - 0.5)
        return x, log_density(x) - logs[i, j]

    def move(state: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
        for_point, for_choice = jax.random.split(key)
        (x, ratio), (x_new, ratio_new) = state, propose(for_point)
        taken = jnp.log(jax.random.uniform(for_choice, (n,), mass.dtype)) < ratio_new - ratio
        return (jnp.where(taken[:, None], x_new, x), jnp.where(taken, ratio_new, ratio)), None

    first, *others = jax.random.split(key, MOVES + 1)
    return jax.lax.scan(move, propose(first), jnp.stack(others))[0][0]


def _middles(low: Array, high: Array, cells: int) -> tuple[Array, Array]:
    """Middles of cells x cells cells of a box, (cells, cells, 2), and the sides of a cell, (2,)."""
    cell = (high - low) / cells
    steps = jnp.arange(cells, dtype=cell.dtype) + 0.5
    return low + cell * jnp.stack(jnp.meshgrid(steps, steps, indexing="ij"), -1), cell
