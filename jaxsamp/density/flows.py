"""`sample_and_log_prob`: samples with the log density of the law that the sampler actually draws from."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxsamp import grids
from jaxsamp.core import checks, shown
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, PRNGKey, PyTree
from jaxsamp.running import rows, sample
from jaxsamp.running.sampling import carrying, check_sampler, raise_if_bad
from jaxsamp.running.starts import levels_of
from jaxsamp.samplers import Sampler, UniPC

MAX_EXACT_DIM = 32  # numbers per sample up to which exact Jacobians and traces are computed


class SamplesAndLogProb(NamedTuple):
    """What `jaxsamp.sample_and_log_prob` returns.

    Attributes:
        x: the samples at the last level, (n, *event), as from `jaxsamp.sample(..., final_denoise=False)`.
        log_prob: their log density in nats, (n,), under the law of these outputs.
        stats: arrays of shape (n,), as from `sample`; `evaluations_computed` counts each column of the Jacobian as one
            more run. Also `folded`: whether the map reversed orientation there (det J <= 0), so that it is not
            one-to-one and `log_prob` is not exact; use more steps.
    """

    x: Array
    log_prob: Array
    stats: dict[str, Array]

    def __repr__(self) -> str:
        return shown.line(self)


def sample_and_log_prob(
    key: PRNGKey,
    denoiser: Denoiser,
    shape: tuple[int, ...] | int,
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
    steps: int | None = None,
    *,
    grid: grids.Grid = "log_snr",
    cond: PyTree = None,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
) -> SamplesAndLogProb:
    """Draw samples by a deterministic sampler, each with its exact log density.

    All steps together are one map f of the starting noise z, which is standard normal, so that

        log q(x) = log N(z; 0, I) - log |det J|,   x = f(z),  J = df / dz.

    J is the exact Jacobian of the discrete map, including multistep samplers, by forward differentiation. So q is the
    law of these outputs, with all errors of the denoiser and of the steps, and not the law of an ideal flow. It is
    exact where f is one-to-one, which it is once the steps resolve the flow. `jaxsamp.metrics.flow_tv` and `flow_kl`
    use it to measure how far q is from a known law. One sample costs as much as d + 1 samples of `sample`.

    Args:
        key: a typed key; sample i is that of `sample` for the same key, up to rounding.
        denoiser: E[x_0 | x_t], differentiable in x.
        shape: (n, *event) with at most 32 numbers per event; or n, if the denoiser knows the event's shape.
        sampler: a deterministic one; see `jaxsamp.samplers`.
        steps: number of intervals; 32 unless `grid` is an array.
        grid: as in `sample`.
        cond: a pytree for the denoiser, leaves (n, ...); the density is then conditional on `cond`.
        mesh: devices to divide the samples over, `jaxsamp.mesh()`.
        microbatch: the most samples computed at once on each device, to limit memory.

    Returns:
        `SamplesAndLogProb(x, log_prob, stats)`; x is at the last level, in the scale of the schedule's x_t.

    Raises:
        ValueError: a stochastic sampler, more than 32 numbers per event, or a value that `sample` refuses.
        TypeError: a key, sampler or denoiser of the wrong type.
    """
    whole: tuple[int, ...] = _whole(shape, denoiser)
    sampler = check_sampler(sampler)
    denoiser = checks.batch(key, denoiser, whole, cond, microbatch)
    sampler.check()
    if sampler.stochastic:
        raise ValueError(
            f"sampler must be deterministic for a density of its outputs, such as UniPC() or Heun(); got {sampler!r}."
        )
    if math.prod(whole[1:]) > MAX_EXACT_DIM:
        raise ValueError(
            f"shape must have at most {MAX_EXACT_DIM} numbers per sample, because each costs one more run; got {whole}."
        )
    levels = jnp.asarray(levels_of(grid, denoiser, sampler, steps, "a density"), jnp.result_type(float))
    flow = _Flow(carrying(denoiser, sampler), sampler, levels, whole[1:])
    items = jax.tree.map(lambda leaf: jnp.asarray(leaf)[:, None], cond)
    out = rows(key, flow, whole[0], items, mesh=mesh, microbatch=microbatch)
    if checks.is_concrete(out.x):
        raise_if_bad(out.stats["first_bad_step"], len(levels) - 1)
    return out


@pytree
@dataclass(frozen=True)
class _Flow:
    """One sample, from the noise of its key, with its density."""

    denoiser: Denoiser
    sampler: Any
    levels: Array
    event: tuple[int, ...] = field(metadata={"static": True})

    def __call__(self, key: Array, cond: PyTree) -> SamplesAndLogProb:
        dtype, size = self.levels.dtype, math.prod(self.event)
        first = self.denoiser.schedule.level(-jnp.log(self.levels[0])).alpha.astype(dtype) * self.levels[0]
        z = Rng(key, self.event, dtype).prior()

        def flow(z: Array) -> Any:
            start = (first * z.reshape(self.event))[None]
            options = {"grid": self.levels, "init": start, "final_denoise": False, "cond": cond}
            drawn = sample(key, self.denoiser, start.shape, self.sampler, **options)
            x = drawn.x[0]
            return x.ravel(), (x, {name: value[0] for name, value in drawn.stats.items()})

        jacobian, (x, stats) = jax.jacfwd(flow, has_aux=True)(z.ravel())
        sign, log_det = jnp.linalg.slogdet(jacobian)
        more = {"evaluations_computed": stats["evaluations_computed"] * (1 + size), "folded": sign <= 0}
        return SamplesAndLogProb(x, log_normal(z) - log_det, stats | more)


def log_normal(z: Array) -> Array:
    """Log density in nats of the standard normal law at one z of any shape."""
    return -0.5 * (jnp.sum(z**2) + z.size * math.log(2 * math.pi))


def _whole(shape: Any, denoiser: Any) -> Any:
    """(n, *event), from n if the denoiser knows the event's shape."""
    if isinstance(shape, bool) or not isinstance(shape, int):
        return shape
    event = getattr(denoiser, "event_shape", None)
    if event is None:
        raise ValueError(f"shape must be (n, *event) for a denoiser that takes any event shape; got {shape}.")
    return (shape, *event)
