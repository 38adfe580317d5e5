"""Restricted Boltzmann machines by maximum likelihood: `fit_rbm`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.progress import bar
from jaxsamp.core.types import PRNGKey
from jaxsamp.discrete import RBM
from jaxsamp.learning.rbm_steps import RBMState, Settings, advance, begun
from jaxsamp.learning.spins_data import SpinRows
from jaxsamp.running.engine import PIECES
from jaxsamp.training.checkpoint import Checkpoints, begin

METHODS = ("pcd", "cd", "tempered_pcd", "exact")
MOST = 16  # spins or hidden ones over whose states each step of "exact" sums
ROWS = 2**16  # read at a time


def fit_rbm(
    key: PRNGKey,
    x: Any,
    hidden: int,
    method: str = "pcd",
    *,
    steps: int = 5000,
    batch_size: int = 512,
    chains: int = 2048,
    sweeps: int = 10,
    temperatures: int = 10,
    learning_rate: float = 1e-2,
    last_rate: float = 1e-4,
    weight_decay: float = 1e-4,
    std: float = 0.1,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
    resume: bool = False,
    progress: bool = False,
) -> RBM:
    """Fit p(x) proportional to exp(b.x) prod_j 2cosh(c_j + (x.W)_j) to samples by stochastic gradient ascent.

    The gradient of the log likelihood is E_data[g] - E_p[g], g = (x tanh(c + x.W)^T, x, tanh(c + x.W)) for W, b and c.
    The second mean is over draws of the model, from block Gibbs chains that "pcd" keeps from step to step, "cd" starts
    at the rows of each step (biased: the model may put mass where there are no data), and "tempered_pcd" runs at
    several temperatures, from W = 0 to the model, with exchanges, at so many times the cost: for laws of several modes.
    "exact" sums over all states of the smaller side. Steps are those of Adam. The start is b = artanh(mean x), c = 0
    and a small W, with chains that are draws of independent spins. All is a function of key, data and settings.

    Args:
        key: a typed key.
        x: samples (rows, n) of -1 and +1, or of 0 and 1, or several such arrays; they are kept on the device as int8.
        hidden: m, number of hidden spins.
        method: "pcd", "cd", "tempered_pcd", or "exact", for at most 16 spins or 16 hidden ones.
        steps: number of updates.
        batch_size: rows drawn for each; "exact" takes all.
        chains: number of chains, at each temperature.
        sweeps: k, of all chains before each update.
        temperatures: of "tempered_pcd".
        learning_rate, last_rate: of the first and of the last step, geometric between them.
        weight_decay: l of the penalty l |W|^2 / 2 on the mean log likelihood.
        std: standard deviation of W before the first step.
        checkpoint: a folder in which what the fit has is written every `checkpoint_every` steps.
        resume: go on from the last checkpoint in it, to the same machine bit for bit.
        progress: show a progress bar.

    Raises:
        TypeError: x is not of numbers, or a count no integer.
        ValueError: x is not of spins, or has constant columns, which have no finite field; a setting is out of range;
            or the checkpoint is of another fit.
        FloatingPointError: the weights did not stay finite.

    Source: Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient", ICML
    2008 (PCD); Hinton, "Training products of experts by minimizing contrastive divergence", Neural Comput. 14 (2002);
    Desjardins et al., "Tempered Markov chain Monte Carlo for training of restricted Boltzmann machines", AISTATS 2010.
    """
    checks.typed_key(key)
    checks.one_of("method", method, METHODS)
    counts = {"hidden": hidden, "steps": steps, "batch_size": batch_size, "chains": chains, "sweeps": sweeps}
    for name, count in (counts | {"checkpoint_every": checkpoint_every}).items():
        checks.at_least(name, count, 1)
    checks.at_least("temperatures", temperatures, 2)
    for name, value in (("learning_rate", learning_rate), ("last_rate", last_rate), ("std", std)):
        if not 0 < value < np.inf:
            raise ValueError(f"{name} must be positive and finite; got {value}.")
    if not 0 <= weight_decay < np.inf:
        raise ValueError(f"weight_decay must be at least 0 and finite; got {weight_decay}.")
    data = SpinRows(x, finite="fields")
    if method == "exact" and min(data.n, hidden) > MOST:
        raise ValueError(
            f"method must be 'pcd' for more than {MOST} spins and more than {MOST} hidden ones; got 'exact' for "
            f"{data.n} and {hidden}."
        )
    rows, share = _loaded(data, method)
    mean = jnp.asarray(data.mean, jnp.result_type(float))
    sizes = (batch_size, chains, temperatures)
    state = begun(key, mean, hidden, std, method, sizes)
    settings = Settings(steps, sweeps, learning_rate, last_rate, weight_decay)
    kept: Any = nullcontext()
    if checkpoint is not None:
        config = {"key": key, "data": np.asarray(rows), "hidden": hidden, "method": method, "std": std}
        config |= {
            "settings": settings._asdict(),
            "sizes": sizes,
            "share": None if share is None else np.asarray(share),
        }
        kept = Checkpoints(checkpoint, describe(config))
    with kept as store:
        state = state if store is None else begin(store, state, resume, steps)
        state = _run(state, rows, share, settings, store, checkpoint_every, progress)
    return RBM(**state.params)


def _run(
    state: RBMState, rows: Any, share: Any, settings: Settings, store: Any, every: int, progress: bool
) -> RBMState:
    """All steps that are left, in pieces that end where something is to be said or written."""
    steps, done = settings.steps, int(state.step)
    size = max(1, steps // PIECES) if progress else steps
    with bar("fitting", steps, progress) as move:
        move(done)
        while done < steps:
            due = steps if store is None else min(steps, (done // every + 1) * every)
            count = min(size, due - done)
            state = advance(state, rows, share, settings, count)
            done += count
            move(count, wait_for=state.step)
            if done in (due, steps) and not all(bool(jnp.isfinite(part).all()) for part in state.params.values()):
                raise FloatingPointError(
                    f"weights must stay finite; they did not in the {done} steps so far. A smaller learning_rate helps."
                )
            if store is not None and done == due:
                store.save(state)
    return state


def _loaded(data: SpinRows, method: str) -> tuple[Any, Any]:
    """All rows on the device, and for "exact" each state once, with its share of the data."""
    if method == "exact":
        data = data.condensed()
    parts = [(x[w > 0], w[w > 0]) for x, w in data.chunks(min(ROWS, data.longest))]
    x, share = (np.concatenate(part) for part in zip(*parts, strict=True))
    return jnp.asarray(x), jnp.asarray(share, jnp.result_type(float)) if method == "exact" else None
