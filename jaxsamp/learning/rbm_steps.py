"""Steps of maximum likelihood for restricted Boltzmann machines: where the model's side of the gradient comes from.

The gradient of the mean log likelihood is the mean gradient of S at the data less that at draws of the model, where
dS / dW = x tanh(c + x.W)^T, dS / db = x and dS / dc = tanh(c + x.W): hidden spins by their means, spins as samples.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike
from jaxsamp.discrete import RBM
from jaxsamp_kernels import rbm as kernel

Params = dict[str, Array]  # "weights", "visible" and "hidden": a plain tree, for files of any kind
ROWS, SWEEPS, SWAPS = range(3)  # what a key of a step is for


class Settings(NamedTuple):
    """Numbers of the steps; they do not recompile."""

    steps: Any
    sweeps: Any
    first_rate: Any
    last_rate: Any
    decay: Any


@pytree
@dataclass(frozen=True)
class RBMState:
    """What a fit has between two steps: step i draws with fold_in(key, i).

    Attributes:
        step: number of steps made.
        params: the weights and offsets.
        opt_state: the moments of Adam.
        chains: spins (temperatures, chains, n), from beta = 0, or from the only one, to beta = 1; "cd" and "exact" have
            one that nothing reads, because a checkpoint takes no empty array.
        key: a typed key.
    """

    step: Array
    params: Params
    opt_state: Any
    chains: Array
    key: Array
    method: str = field(metadata={"static": True})
    batch: int = field(metadata={"static": True})


ADAM = optax.scale_by_adam()


@jax.jit
def advance(state: RBMState, x: Array, share: Array | None, settings: Settings, count: Array) -> RBMState:
    """`count` more steps on rows x, (rows, n) of int8, of which "exact" takes all, each with its share of the data."""
    return lax.fori_loop(0, count, lambda _, state: _step(state, x, share, settings), state)


def _step(state: RBMState, x: Array, share: Array | None, settings: Settings) -> RBMState:
    key = jax.random.fold_in(state.key, state.step)
    p, dtype = state.params, state.params["weights"].dtype
    if state.method == "exact":
        chains, data = state.chains, x.astype(dtype)
    else:
        rows = jax.random.randint(jax.random.fold_in(key, ROWS), (state.batch,), 0, len(x))
        data, share = x[rows].astype(dtype), None
        chains = data[None] if state.method == "cd" else state.chains.astype(dtype)
        chains = moved(key, p, chains, settings.sweeps)
    drawn = None if state.method == "exact" else lax.stop_gradient(chains[-1])
    gradient = jax.grad(_loss)(p, data, share, drawn, settings.decay)
    change, opt_state = ADAM.update(gradient, state.opt_state)
    done = state.step / jnp.maximum(settings.steps - 1, 1)
    rate = settings.first_rate * (settings.last_rate / settings.first_rate) ** done
    params = jax.tree.map(lambda a, b: a - jnp.asarray(rate, dtype) * b, p, change)
    kept = state.chains if state.method == "cd" else chains.astype(jnp.int8)
    return RBMState(state.step + 1, params, opt_state, kept, state.key, state.method, state.batch)


def _loss(p: Params, data: Array, share: Array | None, drawn: Array | None, decay: ArrayLike) -> Array:
    """Mean -log p of the data with a penalty on W, up to what has no gradient: `drawn` stands for log Z."""
    log_partition = RBM(**p).log_partition() if drawn is None else kernel.exponent(drawn, **p).mean()
    fit = jnp.average(kernel.exponent(data, **p), weights=share)
    return log_partition - fit + 0.5 * decay * jnp.sum(p["weights"] ** 2)


def moved(key: Array, p: Params, chains: Array, sweeps: ArrayLike) -> Array:
    """Chains (temperatures, chains, n) after block Gibbs sweeps at each temperature, and swaps between them."""
    w, b, c = p["weights"], p["visible"], p["hidden"]
    n, m = w.shape
    beta = jnp.linspace(0, 1, len(chains), dtype=w.dtype) if len(chains) > 1 else jnp.ones(1, w.dtype)

    def sweep(k: Array, x: Array) -> Array:
        u = jax.random.uniform(jax.random.fold_in(for_sweeps, k), (*x.shape[:2], n + m), w.dtype)
        at = beta[:, None, None]
        h = kernel.spins(at * kernel.hidden_fields(x, w, c), u[..., n:])
        fields = jnp.matmul(h, w.T, precision="highest") * at + b
        return kernel.spins(fields, u[..., :n])

    for_sweeps, for_swaps = (jax.random.fold_in(key, use) for use in (SWEEPS, SWAPS))
    x = lax.fori_loop(0, sweeps, sweep, chains)
    return x if len(chains) == 1 else _swapped(for_swaps, kernel.hidden_fields(x, w, c), x, beta)


def _swapped(key: Array, fields: Array, x: Array, beta: Array) -> Array:
    """Chains after the neighbors (0, 1), (2, 3), ... and then (1, 2), (3, 4), ... have exchanged states."""
    u = jax.random.uniform(key, (2, *x.shape[:2]), fields.dtype)
    for first in (0, 1):
        a, b = jnp.arange(first, len(x) - 1, 2), jnp.arange(first + 1, len(x), 2)
        gain = kernel.ais_increment(fields[a], beta[a, None, None], beta[b, None, None])
        gain -= kernel.ais_increment(fields[b], beta[a, None, None], beta[b, None, None])
        swap = (jnp.log(u[first, a]) < gain)[..., None]
        x, fields = (
            y.at[a].set(jnp.where(swap, y[b], y[a])).at[b].set(jnp.where(swap, y[a], y[b])) for y in (x, fields)
        )
    return x


def begun(key: Array, mean: Array, hidden: int, std: float, method: str, counts: tuple[int, int, int]) -> RBMState:
    """The state before the first step: independent spins with the means of the data, and chains that are draws of them.

    `counts` are rows per step, chains and temperatures.
    """
    for_weights, for_chains, for_steps = jax.random.split(key, 3)
    batch, chains, temperatures = counts
    visible = jnp.arctanh(mean)
    w = std * jax.random.normal(for_weights, (len(mean), hidden), visible.dtype)
    p = {"weights": w, "visible": visible, "hidden": jnp.zeros(hidden, w.dtype)}
    kept = {"pcd": (1, chains), "tempered_pcd": (temperatures, chains)}.get(method, (1, 1))
    start = kernel.spins(visible, jax.random.uniform(for_chains, (*kept, len(mean)), w.dtype)).astype(jnp.int8)
    return RBMState(jnp.zeros((), jnp.int32), p, ADAM.init(p), start, for_steps, method, batch)
