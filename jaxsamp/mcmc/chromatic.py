"""The heat bath on spins with few neighbors, all spins of one color at once."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc import graphs
from jaxsamp.mcmc.spins import SpinSampler, structure
from jaxsamp_kernels.spins_sparse import color_sweep


class _Tables(NamedTuple):
    sites: Any  # the spins of each color, (C, M), filled up with n
    places: Any  # where each spin is in them, flattened, (n,)
    nearby: Any  # the places of the neighbors of each, (C, D, M)


@pytree
@dataclass(frozen=True)
class Chromatic(SpinSampler):
    """The heat bath for a `SparseIsing`, color by color: spins of one color are not coupled, and all move at once.

    It leaves the law as it is, like `HeatBath`, of which it is one order of visits; a sweep takes as many parallel
    operations as there are colors, two on a square lattice of even size.

    Args:
        colors: a whole number for each spin, (n,), different for spins that are coupled. By default two colors where
            these are enough, and otherwise a greedy coloring, spins with most neighbors first, computed on the host
            once per run; inside `jax.jit` with the model as an argument, `Chromatic().prepared(model)` outside of it.
    """

    powers = True

    colors: Any = None
    tables: Any = field(default=None, repr=False)

    def prepared(self, model: Any) -> "Chromatic":
        """The sampler with the tables of the colors of this model.

        Raises:
            TypeError: the model is not a `SparseIsing`.
            ValueError: `colors` has another shape, or one color for two spins that are coupled; or the model is an
                argument of a function that JAX transforms.
        """
        if structure(model) != "neighbors":
            raise TypeError(
                "model must have few neighbors per spin for Chromatic, as a SparseIsing has; "
                f"got {type(model).__name__}: take HeatBath()."
            )
        if checks.is_readable(model.neighbors, self.tables):
            neighbors = np.asarray(model.neighbors)
            fit = self.tables is not None and _fit(_Tables(*map(np.asarray, self.tables)), neighbors)
            return self if fit else replace(self, tables=_tables(neighbors, self.colors))
        if self.tables is None:
            raise ValueError(
                "sampler must have its colors before jax.jit, which hides the model: pass Chromatic().prepared(model)."
            )
        return self

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        """The state of a chain at x, with its spins in the order of colors."""
        sites = self.prepared(model).tables.sites
        return State(x, x.at[sites].get(mode="clip").astype(rng.dtype))

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        """The state after sweep i."""
        sites, places, nearby = self.prepared(model).tables
        weights, fields = (
            jnp.asarray(of_spins, rng.dtype).at[sites].get(mode="fill", fill_value=0)
            for of_spins in (model.neighbor_weights, model.fields)
        )
        t = replace(rng, shape=sites.shape).thresholds(i)
        y = color_sweep(state.memory, jnp.asarray(nearby), weights.swapaxes(1, 2), fields, t)
        return State(y.reshape(-1).at[places].get(mode="promise_in_bounds").astype(state.x.dtype), y)


def _tables(neighbors: np.ndarray, colors: Any) -> _Tables:
    n = len(neighbors)
    colors = graphs.colored(neighbors) if colors is None else _checked(np.asarray(colors), neighbors)
    names, colors = np.unique(colors, return_inverse=True)
    sites = graphs.grouped(colors, np.arange(n), len(names), n)
    places = np.zeros(n, np.int32)
    places[sites[sites < n]] = np.flatnonzero(sites < n)
    return _Tables(sites, places, _nearby(sites, places, neighbors))


def _nearby(sites: np.ndarray, places: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """The places of the neighbors of each; what fills up has weight zero, wherever it is: at place 0."""
    everywhere = np.pad(neighbors, ((0, 1), (0, 0)), constant_values=len(places))
    return np.append(places, np.int32(0))[everywhere[sites]].swapaxes(1, 2)


def _fit(tables: _Tables, neighbors: np.ndarray) -> bool:
    """Whether they are those of a model with these neighbors."""
    return len(tables.places) == len(neighbors) and np.array_equal(
        _nearby(tables.sites, tables.places, neighbors), tables.nearby
    )


def _checked(colors: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """The colors, if they are whole numbers, one for each spin and different for neighbors, else raise ValueError."""
    n = len(neighbors)
    if colors.shape != (n,) or not np.issubdtype(colors.dtype, np.integer):
        raise ValueError(f"colors must be whole numbers of shape ({n},); got {colors.dtype} of shape {colors.shape}.")
    theirs = np.append(colors, 0)[neighbors]
    i, k = np.nonzero((theirs == colors[:, None]) & (neighbors < n))
    if len(i):
        raise ValueError(
            f"colors must be different for spins that are coupled; got {colors[i[0]]} for both {i[0]} and "
            f"{neighbors[i[0], k[0]]}."
        )
    return colors
