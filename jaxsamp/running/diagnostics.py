"""Diagnostics of chains by ArviZ, and their draws as its data."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsamp.core import checks, extras, shown
from jaxsamp.core.types import Array, PyTree

LEAST = 4  # draws per chain, of which a diagnostic needs two halves of two


class Diagnosed:
    """The methods of results that have draws of chains, (n, kept, *event)."""

    draws: Array | None
    traced: tuple[str, ...] = ("draws",)  # the attributes that diagnostics are of

    def __repr__(self) -> str:
        return shown.line(self)

    def effective_sample_size(self, method: str = "bulk", of: str = "draws") -> np.ndarray:
        """Effective number of independent draws in `draws`, over all chains, for each coordinate: shape (*event).

        `of` may also be "exponent" where chains have one. `method` is one that arviz-stats has: "bulk"
        (rank-normalized, split chains), "tail", "mean", "sd", ... Source: Vehtari et al., "Rank-normalization, folding,
        and localization: an improved R-hat for assessing convergence of MCMC", arXiv 1903.08008. It accounts for
        autocorrelation, but not for the bias of a finite step size. Draws that are all the same count as independent;
        their R-hat is NaN.

        Raises:
            ImportError: arviz-stats is not installed. ValueError: there are no draws, or fewer than four per chain.
        """
        return statistic("ess", self._series(of), method)

    def rhat(self, method: str = "rank", of: str = "draws") -> np.ndarray:
        """Split R-hat of `draws`, of shape (*event): near 1 (below 1.01) if the chains agree; source as above.

        NaN for a single chain, as arviz-stats has it, and where all draws are the same.

        Raises:
            ImportError: arviz-stats is not installed. ValueError: there are no draws, or fewer than four per chain.
        """
        return statistic("rhat", self._series(of), method)

    def summary(self, transform: Callable[[Array], PyTree] | None = None, **options: Any) -> Any:
        """A table of means, standard deviations and intervals, how exactly they are known, and whether chains agree.

        Args:
            transform: as for `to_arviz`.
            **options: further arguments of `arviz_stats.summary`, such as round_to=2 or ci_prob=0.95.

        Returns:
            A `pandas.DataFrame` with a row per coordinate; `mcse_mean` and `mcse_sd` are the Monte Carlo standard
            errors of `mean` and `sd`, that is sd / sqrt(effective sample size) for the mean.

        Raises:
            ImportError: ArviZ is not installed. ValueError: there are no draws, or fewer than four per chain; or as for
            `to_arviz`.
        """
        return summary(self.draws, transform, options)

    def to_arviz(self, transform: Callable[[Array], PyTree] | None = None) -> Any:
        """`draws` as an `xarray.DataTree` with the group "posterior", for all of ArviZ and for files.

        Args:
            transform: draws (n, kept, *event) -> a pytree of arrays (n, kept, ...), such as the `forward` of a target
                made by `jaxsamp.targets.transformed`. Variables are named by their paths in it, such as "layer.scale";
                a single array is "x".

        Raises:
            ImportError: ArviZ is not installed.
            TypeError: `transform` is not a function.
            ValueError: there are no draws, or `transform` returns arrays without the axes of chains and draws.
        """
        return data(self.draws, transform)

    def _series(self, of: str) -> Array | None:
        return getattr(self, checks.one_of("of", of, self.traced))


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
