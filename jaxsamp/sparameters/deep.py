"""A deep image prior for S-parameters: a network fitted to the samples of one file, from several random starts."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, extras
from jaxsamp.core.types import Array, PyTree
from jaxsamp.sparameters.data import EDGE, entries

with extras.needed('method "deep"'):
    import optax

    from jaxsamp.models.dip import Decoder

STEPS, RATE, SEEDS = 1200, 5e-3, 8
ROUGHNESS = (0.0, 1e-5, 1e-4, 1e-3)  # weights of squared second differences
MOST = 1000  # steps of the axis of the outputs, where it is not the grid
AVERAGE, EVERY, HELD_OUT = 0.95, 50, 5  # of outputs; steps between looks at held-out samples, one in so many


def fit_network(
    key: Array | None, f: np.ndarray, s: np.ndarray, grid: np.ndarray, reciprocal: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """S on the grid as the mean over networks, their spread, and what was chosen.

    Each is a `models.dip.Decoder` with the real and imaginary parts of all entries as outputs, fitted by Adam to
    mean |S - samples|^2 + rho mean(second difference)^2 (f / m)^4. rho and the number of steps have the smallest error
    on a fifth of the samples, held out from one network each; then networks from eight starts are fitted to all.
    """
    if key is None:
        raise ValueError('key must be given with method "deep", which starts from random weights; got None.')
    checks.typed_key(key)
    points = _points(grid, f)
    n, ports = len(grid), s.shape[-1]
    pairs = entries(ports, reciprocal)
    known = np.stack([part(s[:, i, j]) for i, j in pairs for part in (np.real, np.imag)], -1)
    network = Decoder(known.shape[1], len(points))
    right, share = _between(points, f)
    where = (jnp.asarray(right), jnp.asarray(share[:, None], jnp.float32), jnp.asarray(known, jnp.float32))
    for_choice, for_fits = jax.random.split(key)
    held = jnp.arange(len(f)) % HELD_OUT == HELD_OUT // 2
    choose = jax.vmap(partial(_fitted, network, STEPS), (None, 0, None, None))
    _, errors = choose(for_choice, jnp.asarray(ROUGHNESS), where, held)
    best, look = np.unravel_index(int(jnp.argmin(errors)), errors.shape)
    steps = EVERY * (int(look) + 1)
    fits = jax.vmap(partial(_fitted, network, steps), (0, None, None, None))
    curves, _ = fits(jax.random.split(for_fits, SEEDS), jnp.asarray(ROUGHNESS[best]), where, jnp.zeros(len(f), bool))
    right, share = _between(points, grid)
    curves = np.asarray(curves, float)
    curves = (1 - share[:, None]) * curves[:, right - 1] + share[:, None] * curves[:, right]
    values = curves[..., ::2] + 1j * curves[..., 1::2]
    mean, error = np.empty((n, ports, ports), complex), np.empty((n, ports, ports))
    for k, (i, j) in enumerate(pairs):
        for place in ((i, j), (j, i)) if reciprocal else ((i, j),):
            mean[(slice(None), *place)] = values[..., k].mean(0)
            error[(slice(None), *place)] = values[..., k].std(0, ddof=1)
    return mean, error, {"roughness": ROUGHNESS[best], "steps": steps, "networks": SEEDS}


def _points(grid: np.ndarray, f: np.ndarray) -> np.ndarray:
    """The frequencies of the outputs: the grid, or where samples are outside of it or nearer together, evenly spaced.

    Samples outside would else be taken for values at its ends.
    """
    spacing, own = (np.median(np.diff(one)) if len(one) > 1 else np.inf for one in (grid, f))
    if grid[0] <= f[0] + EDGE and grid[-1] >= f[-1] - EDGE and spacing <= own + EDGE:
        return grid
    return np.linspace(f[0], f[-1], 1 + min(round((f[-1] - f[0]) / min(spacing, own)), MOST))


def _between(points: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index of the point to the right of each f, and its weight in linear interpolation."""
    right = np.clip(np.searchsorted(points, f), 1, len(points) - 1)
    return right, np.clip((f - points[right - 1]) / (points[right] - points[right - 1]), 0, 1)


@partial(jax.jit, static_argnums=(0, 1))
def _fitted(
    network: Any, steps: int, key: Array, roughness: Array, where: tuple[Array, Array, Array], held: Array
) -> tuple[Array, Array]:
    """The averaged output after so many steps, and the errors on held-out samples after every 50."""
    right, share, known = where
    for_noise, for_weights = jax.random.split(key)
    z = jax.random.normal(for_noise, (network.coarse, network.channels))
    weights = network.init(for_weights, z)
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, STEPS, 0.02))
    scale = (network.points / len(known)) ** 4

    def errors(curves: Array, kept: Array) -> Array:
        at = (1 - share) * curves[right - 1] + share * curves[right]
        return jnp.sum(kept[:, None] * (at - known) ** 2) / jnp.maximum(jnp.sum(kept) * known.shape[1], 1)

    def loss(weights: PyTree) -> tuple[Array, Array]:
        curves = network.apply(weights, z)
        rough = jnp.mean(jnp.diff(curves, 2, 0) ** 2)
        return errors(curves, ~held) + roughness * scale * rough, curves

    def step(state: tuple[PyTree, PyTree, Array], index: Array) -> tuple[Any, None]:
        weights, memory, average = state
        (_, curves), slope = jax.value_and_grad(loss, has_aux=True)(weights)
        average = jnp.where(index == 0, curves, AVERAGE * average + (1 - AVERAGE) * curves)
        change, memory = optimizer.update(slope, memory, weights)
        return (optax.apply_updates(weights, change), memory, average), None

    def look(state: Any, index: Array) -> tuple[Any, Array]:
        state, _ = jax.lax.scan(step, state, index)
        return state, errors(state[2], held)

    start = (weights, optimizer.init(weights), jnp.zeros((network.points, known.shape[1])))
    state, found = jax.lax.scan(look, start, jnp.arange(steps).reshape(-1, EVERY))
    return state[2], found
