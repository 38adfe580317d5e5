"""Draws from the posterior of a causal interpolation, and passive ones."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.tree_util import Partial
from scipy.interpolate import CubicSpline

from jaxsamp import running
from jaxsamp.core import checks, shown
from jaxsamp.core.types import Array
from jaxsamp.running.diagnostics import statistic
from jaxsamp.sparameters.interpolation import Interpolation
from jaxsamp_kernels.passivity import Affine, elliptical_slice, largest_singular_value, project

SAMPLERS = ("projection", "slice")
MARGIN = 1e-7  # below 1, at which singular values are clipped
WEIGHT, ITERATIONS = 100.0, 120  # of the projection: 4e-5 are left at most on both circuits of `circuits`
START = 1e-3  # the margin of the first state of slice sampling
LOUD = 8  # standard deviations of the noise, by which a measured matrix of a passive network may exceed 1
FINER = 4


class Draws(NamedTuple):
    """What `posterior` returns.

    Attributes:
        s: complex draws, (n, f, p, p).
        stats: arrays of shape (n,). "largest", the largest singular value over the grid, and "between", that on a grid
            four times as fine, with splines between. Of "projection": "distance", |c' - c| / sqrt(number of c), and
            "residual", by how much a singular value still was above 1 before the last division. Of "slice": "tried",
            evaluations per step, and "rhat" of the largest singular value, the same for all.
    """

    s: np.ndarray
    stats: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return shown.line(self)


def posterior(
    key: Array,
    fit: Interpolation,
    n: int = 100,
    passive: bool = True,
    *,
    sampler: str = "projection",
    steps: int = 1000,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    progress: bool = False,
) -> Draws:
    """Draws of S on the grid of a causal interpolation.

    Passive draws have no singular value above 1 at any frequency of the grid. "projection" moves each draw to the
    nearest passive one, in the metric of the posterior, |c' - c| with S = m + G c and c standard normal: it is not the
    posterior given passivity, and its bands are narrower, but draws are independent. "slice" samples that posterior by
    chains, which hardly move where few draws are passive: see "rhat". Both are passive on the grid and inside its band
    alone.

    Args:
        key: a typed key; draw i uses fold_in(key, i).
        fit: of `interpolate(method="causal")`.
        n: number of draws.
        passive: whether draws are passive.
        sampler: "projection" or "slice", of passive draws.
        steps: of each chain of "slice", whose last state is the draw.
        mesh: devices that the draws are divided over, `jaxsamp.mesh()`.
        microbatch: largest number of draws at a time on each device.
        progress: show a progress bar.

    Raises:
        ValueError: `fit` is not of method "causal"; a setting is out of range; `passive` and the samples are active, by
            more than 8 standard deviations of their noise; no passive start is found for "slice".
    """
    checks.one_of("sampler", sampler, SAMPLERS)
    checks.at_least("n", n, 1)
    checks.at_least("steps", steps, 8)
    if not fit.responses:
        raise ValueError(f'fit must be of interpolate(method="causal"), which has a posterior; got "{fit.method}".')
    if passive:
        _check_passive(fit)
    options: dict[str, Any] = {"mesh": mesh, "microbatch": microbatch, "progress": progress}
    with jax.enable_x64(True):
        law = _affine(fit)
        if not passive:
            s, stats = running.rows(key, Partial(_free, law), n, **options)
        elif sampler == "projection":
            s, stats = running.rows(key, Partial(_projected, law), n, **options)
        else:
            start, largest = _start(law)
            if not largest <= 1:
                raise ValueError(
                    "sampler must be projection: no passive state near the mean was found to begin slice sampling at; "
                    f"the nearest one has a singular value of {float(largest):.6f}."
                )
            chain = Partial(_chained, law, start, jnp.zeros(steps))
            s, stats = running.rows(key, chain, n, **options)
            stats["rhat"] = np.full(n, statistic("rhat", stats.pop("trace"), "rank"))
        s, stats = jax.tree.map(np.asarray, (s, stats))
    return Draws(s, stats | {"between": _between(fit.frequencies, s)})


def _check_passive(fit: Interpolation) -> None:
    measured = float(np.linalg.svd(fit.samples.s, compute_uv=False).max())
    noise = max(found.noise for found in fit.responses.values())
    if measured > 1 + LOUD * noise:
        raise ValueError(
            f"passive must be False for active data: the samples have a singular value of {measured:.4f}, above 1 by "
            f"more than their noise of {noise:.2g} explains."
        )


def _affine(fit: Interpolation) -> Affine:
    """The posterior as the kernels take it, in float64 where that is on."""
    found, ports = fit.responses, fit.s.shape[-1]
    rank = max(one.factor.shape[1] for one in found.values())
    factor = np.stack([np.pad(one.factor, ((0, 0), (0, rank - one.factor.shape[1]))) for one in found.values()])
    place = np.empty((ports, ports), int)
    for k, (i, j) in enumerate(found):
        place[i, j] = k
        if fit.reciprocal:
            place[j, i] = k
    copies = np.bincount(place.reshape(-1)).astype(float)
    mean = np.stack([one.mean for one in found.values()])
    return Affine(*map(jnp.asarray, (mean, factor, np.sum(factor**2, 1), copies, place)))


def _free(law: Affine, key: Array, item: None) -> tuple[Array, dict[str, Array]]:
    s = law.matrices(jax.random.normal(key, law.variance.shape, law.mean.dtype))
    return s, {"largest": jnp.max(largest_singular_value(s))}


def _projected(law: Affine, key: Array, item: None) -> tuple[Array, dict[str, Array]]:
    c = jax.random.normal(key, law.variance.shape, law.mean.dtype)
    moved, _ = project(law, c, 1 - MARGIN, WEIGHT, ITERATIONS)
    s = law.matrices(moved)
    left = jnp.maximum(0, jnp.max(largest_singular_value(s)) - 1)
    s = s / (1 + left)
    distance = jnp.sqrt(jnp.mean((moved - c) ** 2))
    return s, {"largest": jnp.max(largest_singular_value(s)), "distance": distance, "residual": left}


@jax.jit
def _start(law: Affine) -> tuple[Array, Array]:
    """The passive state nearest to the mean, a little inside, and its largest singular value."""
    c, _ = project(law, jnp.zeros_like(law.variance), 1 - START, WEIGHT, 4 * ITERATIONS)
    return c, jnp.max(largest_singular_value(law.matrices(c)))


def _chained(law: Affine, start: Array, steps: Array, key: Array, item: None) -> tuple[Array, dict[str, Array]]:
    c, trace, tried = elliptical_slice(law, start, *draws_of(key, start), len(steps))
    s = law.matrices(c)
    largest = jnp.max(largest_singular_value(s))
    return s, {"largest": largest, "tried": jnp.mean(tried.astype(c.dtype)), "trace": trace}


def draws_of(key: Array, like: Array) -> tuple[Any, Any]:
    """The normal draws of each step, and the uniform ones of each try, as `elliptical_slice` takes them."""
    for_normals, for_angles = jax.random.split(key)

    def normal(step: Array) -> Array:
        return jax.random.normal(jax.random.fold_in(for_normals, step), like.shape, like.dtype)

    def uniform(step: Array, tried: Array) -> Array:
        return jax.random.uniform(jax.random.fold_in(jax.random.fold_in(for_angles, step), tried), (), like.dtype)

    return normal, uniform


def _between(f: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The largest singular value of each draw on a grid four times as fine; of one frequency there is no finer one."""
    finer = np.interp(np.arange(FINER * (len(f) - 1) + 1) / FINER, np.arange(len(f)), f)
    between = (CubicSpline(f, one)(finer) if len(f) > 1 else one for one in draws)
    return np.array([float(np.linalg.svd(one, compute_uv=False).max()) for one in between])
