"""Spins from laws, laws from spins, and the spins that a label depends on, as reports of plain values."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import discrete, learning, mcmc, plots, running
from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.learning.spins_data import rows_of

ENUMERATED, ERRORS = 16, 4  # most spins whose exact values are shown; standard errors that are no surprise
HELD_OUT, LEAST = 5, 10  # one in so many rows is held out; rows to learn from
CHAINS, SWEEPS = 1000, 500  # of the samples of a law that was learned
PAIRWISE = ("rple", "rise", "logrise", "sparsitron")
METHODS = (*PAIRWISE, "rbm")


def spin_facts(law: Any, chains: running.SpinChains) -> dict[str, Any]:
    """What chains show: means with standard errors over chains, exact values of few spins, and what the sampler says.

    Returns:
        "quantities", rows of "name", "mean", "error" (standard error), "exact" and "inside" (within four standard
        errors), the last two None for more than 16 spins; "stats", means over chains; "rhat" and "effective" of the
        exponent, None without ArviZ or without four draws per chain.
    """
    x = np.asarray(chains.x, float)
    m = x.mean(1)
    found = {"exponent": np.asarray(chains.stats["exponent"], float), "magnetization": m, "its square": m**2}
    exact: dict[str, float | None] = dict.fromkeys(found)
    if law.sites <= ENUMERATED:
        p, states = np.asarray(law.probabilities(), float), np.asarray(discrete.states(law.sites), float).mean(1)
        exact = {"exponent": float(law.enumerate().exponent), "magnetization": p @ states, "its square": p @ states**2}
    rows = [_row(name, values, exact[name]) for name, values in found.items()]
    own = {name: float(np.mean(np.asarray(value, float))) for name, value in chains.stats.items() if name not in found}
    return {"spins": law.sites, "chains": len(x), "quantities": rows, "stats": own, **_diagnosed(chains)}


def _row(name: str, values: np.ndarray, exact: float | None) -> dict[str, Any]:
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    near = None if exact is None or error is None else bool(abs(mean - exact) <= ERRORS * error + 1e-6 * abs(exact))
    return {
        "name": name,
        "mean": mean,
        "error": error,
        "exact": None if exact is None else round(float(exact), 12),  # sums over signs leave 1e-18 of what is 0
        "inside": near,
    }


def _diagnosed(chains: running.SpinChains) -> dict[str, Any]:
    try:
        rhat, effective = chains.rhat(of="exponent"), chains.effective_sample_size(of="exponent")
    except (ImportError, ValueError):  # without ArviZ, or with too few draws
        return {"rhat": None, "effective": None}
    known = np.isfinite([rhat, effective]).all()
    return {"rhat": float(rhat) if known else None, "effective": float(effective) if known else None}


class LearnedSpins(NamedTuple):
    """A law of spins that was learned from samples.

    Attributes:
        law: the law.
        x: samples of it, (1000, n) of int8.
        held_out: rows that it was not learned from.
        facts: "learned_from", "held_out" and "independent", the mean log pseudo-likelihood of a held-out row in nats
            under the law and under independent spins, and what the learner says of itself.
        said: what it warns of.
    """

    law: Any
    x: np.ndarray
    held_out: np.ndarray
    facts: dict[str, Any]
    said: tuple[str, ...]


def learn_spins(
    key: Array, data: np.ndarray, method: str = "rple", *, progress: bool = False, **settings: Any
) -> LearnedSpins:
    """Learn a law from four fifths of the rows of data, (m, n), and draw from it by the heat bath.

    Args:
        key: a typed key.
        data: of -1 and +1, or of 0 and 1.
        method: one of `jaxsamp.learning.fit_spins`, or "rbm", `jaxsamp.learning.fit_rbm`.
        progress: of "rbm", show a progress bar.
        **settings: `order` and `width` of the former, `hidden` (32) and `steps` of the latter; None for a default.

    Raises:
        ValueError: a setting is of another method, there are fewer than 10 rows, or as the learner.
    """
    checks.one_of("method", method, METHODS)
    given = {name: value for name, value in settings.items() if value is not None}
    for name in given:
        takes = ("hidden", "steps") if method == "rbm" else ("order", "width")
        if name not in takes:
            raise ValueError(f"{name} must be left out for method {method}, which takes {' and '.join(takes)}.")
    if len(data) < LEAST:
        raise ValueError(f"data must have at least {LEAST} rows; got {len(data)}.")
    order = np.random.default_rng(0).permutation(len(data))
    for_fit, for_samples = jax.random.split(checks.typed_key(key))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        spins = rows_of(data)  # checks those that are held out too
        held_out, train = (spins[part] for part in np.split(order, [max(1, len(data) // HELD_OUT)]))
        if method == "rbm":
            law: Any = learning.fit_rbm(for_fit, train, given.pop("hidden", 32), progress=progress, **given)
            about = {}
        else:
            fit = learning.fit_spins(train, method=method, **given)
            law, about = fit.model, {"asymmetry": fit.asymmetry, "width": fit.width}
    said = tuple(said_of(caught))
    p = np.clip((1 + train.mean(0, dtype=float)) / 2, 1e-9, 1 - 1e-9)
    alone = np.where(held_out > 0, np.log(p), np.log(1 - p)).sum(1).mean()
    mover = mcmc.BlockGibbs() if method == "rbm" else mcmc.HeatBath()
    chains = running.sample_spins(for_samples, law, (CHAINS, law.sites), mover, SWEEPS, warmup=0, thin=0)
    facts = {"learned_from": len(train), "held_out": pseudo_likelihood(law, held_out), "independent": float(alone)}
    return LearnedSpins(law, np.asarray(chains.x), held_out, facts | about, said)


def pseudo_likelihood(law: Any, x: np.ndarray) -> float:
    """Mean over rows of sum_i log P(x_i | x_-i), in nats."""
    spins = jnp.asarray(x, jnp.int8)
    return float(jnp.mean(jnp.sum(jax.nn.log_sigmoid(2 * spins * law.local_fields(spins)), 1)))


def spin_fit_picture(found: LearnedSpins, title: str) -> Any:
    """Couplings or weights that were learned, and means and correlations beside those of held-out rows."""
    law: Any = found.law
    shown: Any = law.weights if isinstance(found.law, discrete.RBM) else getattr(law, "couplings", None)
    if shown is None:  # terms of more spins: their pairs
        shown = np.zeros((law.sites, law.sites))
        for term, weight in law.terms.items():
            if len(term) == 2:
                shown[term] = shown[term[::-1]] = weight
    return plots.spin_fit(shown, found.held_out, found.x, title=title)


def selected_spins(x: np.ndarray, y: np.ndarray, **settings: Any) -> dict[str, Any]:
    """The spins that a label depends on, by `jaxsamp.learning.select`, whose settings are taken too, as plain values.

    Returns:
        "indices"; "search", rows of "spin", "z" and "limit"; "table", rows of "state", the values of the indices, and
        "mean" label; "calibrated", "control", "control_limit" and "ended"; and what is "said".
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = learning.select(x, y, **settings)
    search = [
        {"spin": int(i), "z": float(z), "limit": float(limit)}
        for i, z, limit in zip(found.path, found.z_path, found.limits, strict=True)
    ]
    states = np.asarray(discrete.states(len(found.indices))) if found.indices else np.zeros((1, 0), int)
    table = [{"state": state.tolist(), "mean": float(m)} for state, m in zip(states, found.table, strict=True)]
    facts = {"indices": [int(i) for i in found.indices], "search": search, "table": table}
    facts |= {name: getattr(found, name) for name in ("calibrated", "control", "control_limit", "ended")}
    return facts | {"rows": len(x), "spins": x.shape[1], "said": said_of(caught)}


def said_of(caught: list[warnings.WarningMessage]) -> list[str]:
    """What warnings of learners say, each once."""
    return [*dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, UserWarning))]
