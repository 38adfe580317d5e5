"""Diagnostics of chains by ArviZ, and their draws as its data."""

from typing import Any

import jax
import numpy as np

from jaxsamp.core import extras
from jaxsamp.core.types import Array

LEAST = 4  # draws per chain, of which a diagnostic needs two halves of two


def statistic(name: str, draws: Array | None, method: str) -> np.ndarray:
    """`array_stats.ess`, `rhat` or another of arviz-stats, of draws (n, kept, *event): shape (*event)."""
    draws = enough(draws)
    with extras.needed("a diagnostic"):
        from arviz_stats.base.array import array_stats
    return np.asarray(getattr(array_stats, name)(np.asarray(draws, float), chain_axis=0, draw_axis=1, method=method))


def data(draws: Array | None, transform: Any) -> Any:
    """The draws, or what `transform` makes of them, as an `xarray.DataTree` with the group "posterior"."""
    if draws is None:
        raise ValueError("draws must be kept for ArviZ; got thin = 0, which keeps none.")
    variables = named(draws, transform)
    with extras.needed("to_arviz"):
        from arviz_base import from_dict
    return from_dict({"posterior": variables}, check_conventions=False)  # which wants fewer chains than draws


def summary(draws: Array | None, transform: Any, options: dict[str, Any]) -> Any:
    """The table of `arviz_stats.summary`, with numbers that are not rounded."""
    tree = data(enough(draws), transform)
    with extras.needed("summary"):
        import arviz_stats
    make: Any = arviz_stats.summary  # pyright: ignore[reportPrivateImportUsage]
    return make(tree, **{"round_to": "none"} | options)


def enough(draws: Array | None) -> Array:
    """The draws, if there are enough of each chain, else raise ValueError."""
    kept = 0 if draws is None else draws.shape[1]
    if draws is None or kept < LEAST:
        raise ValueError(
            f"diagnostics need at least {LEAST} draws per chain; got {kept}: raise steps or lower thin (0 keeps none)."
        )
    return draws


def named(draws: Array, transform: Any) -> dict[str, np.ndarray]:
    """The arrays of draws by their paths in the tree, such as "layer.scale"; "x" if there is one array alone."""
    if transform is not None and not callable(transform):
        with_forward = ", its `forward` for instance" if hasattr(transform, "forward") else ""
        raise TypeError(
            "transform must be a function of draws, such as the `forward` of a transformed target; got a "
            f"{type(transform).__name__}{with_forward}."
        )
    tree = draws if transform is None else transform(draws)
    variables = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "x"
        if np.shape(leaf)[:2] != draws.shape[:2]:
            raise ValueError(
                f"transform must return arrays with the axes (chains, draws) = {draws.shape[:2]} in front; got shape "
                f"{np.shape(leaf)} for {name!r}."
            )
        variables[name] = np.asarray(leaf)
    return variables
