"""Classifier guidance: a denoiser of all data and a classifier of noisy samples give a denoiser of one class."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import is_function, pytree
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.corruptions import Corrupted
from jaxsamp.corruptions.condition import split
from jaxsamp.denoisers.base import Wrapper, per_event
from jaxsamp.denoisers.scales import Scale, scale_at, scale_of


@pytree
@dataclass(frozen=True)
class ClassifierGuided(Wrapper):
    """A denoiser that a classifier guides; made by `classifier_guide`."""

    denoiser: Denoiser
    log_prob: Any
    scale: Any = 1.0
    conditional: bool = field(default=False, metadata={"static": True})
    calibration: Any = None

    @property
    def evaluations(self) -> int:
        """Those of the inner denoiser, and two: the classifier, and the backward pass through it."""
        return super().evaluations + 2

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise one sentence unless `cond` is given and the inner denoiser takes its part."""
        super().check_cond(self._parts(cond)[1], n)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D + scale (sigma^2 / alpha) grad_x log p(cond | x_t = x); D alone where alpha is 0."""
        x = checks.floating("x", x)
        given, inner = self._parts(cond)
        timed = self.denoiser.schedule.level(level.log_snr) if level.t is None else level
        timed = Level(level.alpha, level.sigma, timed.t)

        def total(x: Array) -> Array:
            found = self.log_prob(x, timed, given)
            if jnp.shape(found) != x.shape[:1]:
                raise ValueError(f"log_prob must return shape {x.shape[:1]}, one per sample; got {jnp.shape(found)}.")
            return jnp.sum(found)  # the gradient of each sample, which no other one depends on

        alpha, sigma = (jnp.asarray(v, x.dtype) for v in (level.alpha, level.sigma))
        factor = jnp.where(alpha > 0, sigma**2 / jnp.where(alpha > 0, alpha, 1), 0)
        pull = per_event(factor, x) * jax.grad(total)(x)
        denoised = self.denoiser(x, level, inner)
        return denoised + scale_at(self.scale, level, denoised) * pull.astype(denoised.dtype)

    def _parts(self, cond: PyTree) -> tuple[PyTree, PyTree]:
        """The `cond` of the classifier, and that of the inner denoiser."""
        operator, given = split(cond)
        if given is None:
            raise ValueError("cond must be given to a denoiser that a classifier guides; got None.")
        inner = given if self.conditional else None
        return given, inner if operator is None else Corrupted(operator, inner)


def classifier_guide(
    denoiser: Denoiser,
    log_prob: Callable[[Array, Level, PyTree], Array],
    scale: Scale = 1.0,
    conditional: bool = False,
) -> ClassifierGuided:
    """Classifier guidance: D + scale (sigma^2 / alpha) grad_x log p(c | x_t = x).

    By Bayes' rule and Tweedie's formula this is E[x_0 | x_t, c] at scale 1, if D and the classifier are exact: then the
    samples have the law given c. A larger scale is that of p(c | x_t)^scale, which is no diffusion of a law. What the
    samples are conditioned on, such as their labels, is the `cond` of `jaxsamp.sample`, one entry per sample.

    Args:
        denoiser: D, of the law of all classes, or a conditional one.
        log_prob: (x, level, cond) -> log p(cond | x_t = x), (batch,), in nats, that of each sample independent of the
            others; it can be differentiated. `level.t` is the time of the denoiser's schedule, for networks that were
            trained with it. A function is compared by identity: pass weights by
            `jax.tree_util.Partial(function, weights)`, and new ones do not recompile.
        scale: as for `guide`: a number, a table or a function of sigma / alpha.
        conditional: whether the denoiser gets `cond` too; otherwise it gets None.

    Raises:
        TypeError: log_prob is not a function.
        TypeError, ValueError: the scale is not as for `guide`; or, when it is called, cond is None, or log_prob does
            not return one number per sample.

    Source: Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", arXiv 2105.05233, whose steps add the
    gradient to the mean of DDPM or to the noise of DDIM; here it is a denoiser.
    """
    if not callable(log_prob):
        raise TypeError(f"log_prob must be a function (x, level, cond); got a {type(log_prob).__name__}.")
    log_prob = jax.tree_util.Partial(log_prob) if is_function(log_prob) else log_prob
    return ClassifierGuided(denoiser, log_prob, scale_of(scale), conditional)
