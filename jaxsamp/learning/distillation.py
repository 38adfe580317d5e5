"""`distill`: a small network that follows a large one, for `ParallelMidpoint(surrogate=...)`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp import grids
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser, Network, Sampled
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree
from jaxsamp.denoisers import per_event
from jaxsamp.learning.surrogates import Trial, try_surrogate
from jaxsamp.losses import EDMWeighting, UniformLogSNR
from jaxsamp.models import MLP
from jaxsamp.training import AdamW, fit
from jaxsamp.training import data as data_of
from jaxsamp.training.loop import Trainable
from jaxsamp.training.objective import sigma_data_of
from jaxsamp_kernels import prediction as predictions


class Distilled(NamedTuple):
    """What `distill` made.

    Attributes:
        surrogate: the draft if the trial kept it, else None; for `ParallelMidpoint(surrogate=...)` either way.
        draft: the draft.
        trial: what the trial found.
    """

    surrogate: Any
    draft: Any
    trial: Trial


class Lesson(NamedTuple):
    """What belongs to each noised sample of a batch: its level, the denoiser's answer, and the condition."""

    lam: Array
    answer: Array
    cond: PyTree


@dataclass(frozen=True)
class Lessons:
    """Batches of x = x_0 + s z with the denoiser's answer, for x_0 from other batches and log s uniform."""

    inner: Any
    denoiser: Any
    key: Any
    levels: UniformLogSNR

    def batch(self, index: int, size: int) -> tuple[Array, Lesson]:
        """Batch `index`: x (size, *event), and what belongs to it."""
        x, cond = data_of.on_device(self.inner.batch(index, size))
        return _lesson(self.denoiser, x, cond, jax.random.fold_in(self.key, index), self.levels)

    def std(self) -> float:
        """That of the samples without noise."""
        return self.inner.std()

    def config(self) -> Any:
        """The samples, the denoiser and the levels."""
        return {"samples": self.inner.config(), "denoiser": self.denoiser, "levels": self.levels}


@jax.jit
def _lesson(denoiser: Any, x: Array, cond: PyTree, key: Array, levels: UniformLogSNR) -> tuple[Array, Lesson]:
    for_level, for_noise = jax.random.split(key)
    level = levels.draw(for_level, len(x), denoiser.schedule)[0]
    noisy = x + per_event(level.sigma / level.alpha, x).astype(x.dtype) * jax.random.normal(for_noise, x.shape, x.dtype)
    answer = denoiser(per_event(level.alpha, x).astype(x.dtype) * noisy, level, cond)
    return noisy, Lesson(level.log_snr, answer, cond)


@dataclass(frozen=True)
class DistillationLoss:
    """(key, model, params, x, lesson) -> w |S - D|^2 / d, (batch,), with EDM's weight, at which S starts near 1."""

    def network_cond(self, cond: Lesson) -> PyTree:
        """What the network gets."""
        return cond.cond

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, lesson: Lesson) -> Array:
        """The loss of each sample; `key` is not used, because the lesson has its noise."""
        level = model.schedule.level(lesson.lam)
        alpha, sigma = (per_event(c, x).astype(x.dtype) for c in (level.alpha, level.sigma))
        rates = model.schedule.rates(level.t) if model.prediction == "velocity" else ()
        out = model(params, alpha * x, level.t, lesson.cond)
        student = predictions.to_x0(
            model.prediction, out, alpha * x, alpha, sigma, *(per_event(c, x).astype(x.dtype) for c in rates)
        )
        weight = EDMWeighting(sigma_data_of(model))(lesson.lam)
        return weight * jnp.mean(jnp.square(student - lesson.answer).reshape(len(x), -1), 1)


def distill(
    key: PRNGKey,
    denoiser: Denoiser,
    data: Data | Sampled | data_of.Batches,
    model: Network | Trainable = MLP(width=128, depth=2),  # noqa: B008  (frozen)
    steps: int = 4000,
    *,
    cond: PyTree = None,
    batch_size: int = 512,
    optimizer: Any = AdamW(2e-3),  # noqa: B008  (frozen)
    ema: float = 0.99,
    sigma_max: float = grids.SIGMA_MAX,
    sigma_min: float = grids.SIGMA_MIN,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
    rounds: int = 4,
    midpoints: int = 64,
) -> Distilled:
    """Train a small network S to answer as a denoiser D does, and try whether it saves rounds of `ParallelMidpoint`.

    S minimizes E |S(x) - D(x)|^2 / c_out^2 at x = x_0 + s z, log s uniform, c_out that of EDM's preconditioning: a fit
    whose targets come from D, which is evaluated steps * batch_size times, once and for all. The trial is that of
    `jaxsamp.learning.try_surrogate`, on the conditions of the first samples.

    Args:
        key: a typed key.
        denoiser: D as it will be sampled, with guidance and clipping applied, and with a calibration.
        data: samples of the law, as for `jaxsamp.fit`; D's own, `jaxsamp.sample(...).x`, serve as well.
        model: a network of `jaxsamp.models`, or a `Model`; a bare one gets EDM's preconditioning and D's schedule. For
            images take a narrower network of D's own kind.
        steps: number of updates.
        cond: conditions of the data, leaves (n, ...); S reads them too.
        batch_size: samples per update.
        optimizer: see `jaxsamp.fit`; by default AdamW with a cosine from 2e-3.
        ema: largest decay of the average of the weights.
        sigma_max: noisiest sigma / alpha.
        sigma_min: cleanest sigma / alpha.
        checkpoint: a folder for checkpoints of S; see `jaxsamp.fit`. `jaxsamp.training.load_denoiser` loads S from it.
        resume: continue from the latest checkpoint, if there is one.
        progress: show a progress bar.
        rounds: rounds after which the trial compares, at least 2.
        midpoints: nodes of the window in the trial.

    Returns:
        A `Distilled`, whose `surrogate` is None where the trial found that S makes late samples later.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type; see `jaxsamp.fit`.

    Source: distillation is that of Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network",
    arXiv 1503.02531; a draft that a larger network corrects is the idea of Leviathan, Kalman and Matias, "Fast
    Inference from Transformers via Speculative Decoding", arXiv 2211.17192.
    """
    denoiser = checks.denoiser(denoiser)
    if getattr(denoiser, "calibration", None) is None:
        raise ValueError(
            "denoiser must have a calibration for the trial, as from denoiser.with_calibration(jaxsamp.calibrate(key, "
            "denoiser, data)); got none."
        )
    for_fit, for_order, for_noise, for_trial = jax.random.split(checks.typed_key(key), 4)
    inner = data_of.batches(data, cond, for_order)
    lessons = Lessons(inner, denoiser, for_noise, UniformLogSNR(sigma_min, sigma_max))
    schedule = None if isinstance(model, Trainable) else denoiser.schedule
    state = fit(
        for_fit, model, lessons, schedule, steps, batch_size=batch_size, loss=DistillationLoss(), optimizer=optimizer,
        ema=ema, checkpoint=checkpoint, resume=resume, progress=progress,
    )  # fmt: skip
    draft = state.denoiser()
    x, some = data_of.on_device(inner.batch(0, 64))
    trial = try_surrogate(
        for_trial, denoiser, draft, x.shape[1:], cond=some, rounds=rounds, midpoints=midpoints, starts=len(x),
        sigma_max=sigma_max, sigma_min=sigma_min,
    )  # fmt: skip
    return Distilled(draft if trial.kept else None, draft, trial)
