"""`fit_em`: a network that denoises, learned from corrupted samples alone."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxsamp import devices, grids, schedules
from jaxsamp.core import checks, extras
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.progress import bar
from jaxsamp.core.protocols import Denoiser, Network, Schedule
from jaxsamp.core.types import Array, ArrayLike, PRNGKey
from jaxsamp.denoisers import clip, posterior
from jaxsamp.learning.gaussian_em import check_size, complete, fit_gaussian_em
from jaxsamp.learning.laps import laps_in
from jaxsamp.learning.observations import Observations, observations
from jaxsamp.losses import LogNormal
from jaxsamp.models.precondition import EDM
from jaxsamp.running import sample
from jaxsamp.running.sampling import check_sampler
from jaxsamp.running.starts import refuses_pure_noise
from jaxsamp.samplers import DDPM, Sampler
from jaxsamp.targets import GaussianMixture
from jaxsamp.training import AdamW, TrainState, denoising_loss, fit
from jaxsamp.training.loop import Trainable
from jaxsamp.training.objective import DenoisingLoss

with extras.needed("jaxsamp.learning.fit_em"):
    import optax

# Standard deviation of log(sigma / alpha) in training. The draws use the network's Jacobian times sigma^2, at large
# levels too, which for clean data are hardly trained (1.2). The paper's law has about 2.2, which learns more slowly.
STD_OF_LEVELS = 1.5
ITERATIONS = 16  # of the Gaussian, as in the paper
MARGIN = 0.1  # of the bounds beyond the first samples, as a share of the data's standard deviation


@dataclass(frozen=True)
class Completion:
    """How each lap draws x_i given y_i: the settings of `posterior` and `sample`."""

    variance: Any
    iterations: int
    sampler: Any
    steps: int | None
    grid: Any
    microbatch: int | None
    mesh: Any

    def check(self, given: Observations, start: Any, schedule: Any) -> None:
        """Raise one sentence unless each lap can draw from the observations, and the first from the start."""
        check_sampler(self.sampler).check()
        if self.microbatch is not None:
            checks.at_least("microbatch", self.microbatch, 1)
        if hasattr(schedule, "limits"):  # else the training says what is wrong with it
            pure = refuses_pure_noise(self.sampler)
            grids.resolve(self.grid, schedule, self.steps, self.sampler.default_steps, pure)
        any_denoiser = GaussianMixture.spherical([1.0], [[0.0]], 1.0).denoiser(schedules.VarianceExploding())
        conditioned = posterior(any_denoiser, variance=self.variance, iterations=self.iterations)
        conditioned.check_cond(given.given, len(given))
        if start is None:
            return check_size(given)
        event = (given.size,) if _is_gaussian(start) else given.event
        got = getattr(start if _is_gaussian(start) else checks.denoiser(start), "event_shape", None)
        if got is not None and tuple(got) != event:
            raise ValueError(f"start must be of samples of shape {event}; got one of {tuple(got)}.")

    def draw(self, key: PRNGKey, given: Observations, prior: Any, bounds: Any) -> np.ndarray:
        """One draw of each sample given its observation, (n, *event); means are clipped to the bounds, if given."""
        if _is_gaussian(prior):
            return complete(key, prior, given)
        conditioned: Any = posterior(prior, variance=self.variance, iterations=self.iterations)
        conditioned = conditioned if bounds is None else clip(conditioned, *bounds)
        options: Any = {"grid": self.grid, "microbatch": self.microbatch, "mesh": self.mesh, "cond": given.given}
        return np.asarray(sample(key, conditioned, (len(given), *given.event), self.sampler, self.steps, **options).x)


def fit_em(
    key: PRNGKey,
    model: Network | Trainable,
    measured: Any,
    schedule: Schedule | None = None,
    laps: int = 8,
    steps: int = 500,
    *,
    predicts: str = EDM,
    start: GaussianMixture | Denoiser | None = None,
    sampler: Sampler = DDPM(),  # noqa: B008  (frozen)
    sampling_steps: int | None = None,
    grid: grids.Grid = "log_snr",
    variance: ArrayLike | None = None,
    iterations: int = 1,
    microbatch: int | None = None,
    batch_size: int = 128,
    accumulate: int = 1,
    loss: Callable[..., Array] | None = None,
    optimizer: AdamW | optax.GradientTransformation = AdamW(),  # noqa: B008  (frozen)
    ema: float = 0.9999,
    mesh: Mesh | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
    resume: bool = False,
    callback: Callable[[int, TrainState], None] | None = None,
    progress: bool = False,
) -> TrainState:
    """Train a network to denoise from observations y_i = A_i x_i + noise n_i alone, by expectation-maximization.

    No clean sample is needed, and the result is the denoiser of a law of whole samples: it takes no mask or operator,
    and `jaxsamp.sample`, `jaxsamp.posterior` and all others take it like one that was learned from clean samples. Each
    lap draws one x_i given y_i under the law of the lap before (E), and trains the network on these n samples (M),
    starting from the averaged weights of the lap before. The law of the first lap is a Gaussian, by `fit_gaussian_em`,
    under which the draws are exact. Later ones are by `posterior`, clipped to the range of each entry among the first
    samples: of a network that is still learning the conditional means can be far outside, and a few draws would double
    the variance that the next lap learns. Draws that were exact would let the likelihood of the observations rise with
    every lap, up to the errors of training on n samples.

    The scales of the network and of the noise levels are those of the first lap's samples. The training step and the
    sampler are compiled once for all laps. An interrupted run that is resumed ends with the same bits.

    Args:
        key: a typed key; draws the weights, the samples, their order and the noise.
        model: a network of `jaxsamp.models`, or a `Model`, as for `jaxsamp.fit`.
        measured: `jaxsamp.corruptions.Measurements` of n samples, each with an operator of its own, or any object with
            attributes y, operator and noise, such as a `jaxsamp.denoisers.Observed`; noise is a number or one per
            sample. Together they must depend on every part of a sample, and which parts one depends on must not depend
            on the sample.
        schedule: how noise grows; to be left out for a `Model`, which has its own.
        laps: number of laps. A resumed run may have more.
        steps: number of updates of each lap; that of a resumed run stays.
        predicts: what a bare network predicts.
        start: the law of the first lap: a `GaussianMixture` of one component on the flattened entries, such as
            `fit_gaussian_em(measured, rank=16)`, or a denoiser of events; by default
            `fit_gaussian_em(measured, iterations=16)`.
        sampler, sampling_steps, grid: of the draws; see `jaxsamp.sample`. New noise in each step corrects errors of the
            conditional means at the levels above; draws by a deterministic sampler keep them, and drift from lap to
            lap. The grid must start far above the data's scale.
        variance, iterations: of the draws; see `jaxsamp.posterior`. One iteration, as in the paper, is a backward pass
            per step of the sampler.
        microbatch: largest number of samples that are drawn at a time on each device, to save memory.
        batch_size, accumulate, optimizer, ema: of the training in each lap; see `jaxsamp.fit`.
        loss: see `jaxsamp.training.denoising_loss`; by default with levels LogNormal(std=1.5), because the draws need
            larger levels than samples do.
        mesh: devices for the draws and the training, of one host.
        checkpoint: a folder, with a subfolder for each lap: its n samples, and the checkpoints of its training, written
            every `checkpoint_every` steps and at the end.
        resume: continue what is in the folder.
        callback: called with (lap, state) after each lap, counted from 0.
        progress: show a progress bar.

    Returns:
        The `TrainState` of the last lap; `.denoiser()` is that of the averaged weights.

    Raises:
        TypeError: a key, model, optimizer, sampler or `measured` has the wrong type, such as clean samples.
        ValueError: an argument is out of range; parts of `measured` do not fit each other; noise and variance are both
            0; samples have more than 4,096 entries without a start; the mesh is of several hosts; a folder cannot be
            used, see `jaxsamp.fit`, or is of another configuration, and the fields that differ are named.
        OSError: the disk is full, or the system refuses to write for another reason.
        FloatingPointError: the loss or its gradient became NaN or infinite.

    Source: Rozet et al., "Learning Diffusion Priors from Observations by Expectation Maximization", arXiv 2405.13712.
    """
    checks.typed_key(key)
    checks.at_least("laps", laps, 1)
    checks.at_least("steps", steps, 1)
    if devices.several_hosts(mesh):
        raise ValueError("mesh must be of the devices of one host for fit_em; got a mesh of several.")
    given = observations(measured)
    completion = Completion(variance, iterations, sampler, sampling_steps, grid, microbatch, mesh)
    completion.check(given, start, getattr(model, "schedule", None) if schedule is None else schedule)
    config = {"key": key, "measured": given.given, "start": start, "sampler": sampler, "sampling_steps": sampling_steps}
    config |= {"grid": grid, "variance": variance, "iterations": iterations, "steps": steps}
    kept = nullcontext() if checkpoint is None else laps_in(checkpoint, describe(config), resume)
    loss = denoising_loss(LogNormal(std=STD_OF_LEVELS)) if loss is None else loss
    state = bounds = None
    options: Any = {"batch_size": batch_size, "accumulate": accumulate, "optimizer": optimizer, "ema": ema}
    options |= {"mesh": mesh, "checkpoint_every": checkpoint_every, "keep": 1, "resume": True}
    with kept as store, bar("laps", laps * steps, progress) as advance:
        for lap in range(laps):
            for_samples, for_training = jax.random.split(jax.random.fold_in(key, lap))
            x = None if store is None else store.samples(lap)
            is_old = store is not None and store.trained(lap, steps)
            if x is None:
                advance(0, note=f"lap {lap + 1}: drawing samples")
                if state is not None:
                    prior = state.denoiser()
                else:
                    prior = fit_gaussian_em(given, iterations=ITERATIONS) if start is None else start
                x = completion.draw(for_samples, given, prior, bounds)
                if store is not None:
                    store.save(lap, x)
            advance(0, note=f"lap {lap + 1}: training")
            if state is None:
                std = float(np.std(x - x.mean(0)))
                bounds = x.min(0) - MARGIN * std, x.max(0) + MARGIN * std
                if isinstance(loss, DenoisingLoss) and not loss.is_resolved:
                    loss = loss.resolved(std, given.event)
                options |= {"loss": loss, "predicts": predicts}
            else:  # one model for all laps, because steps and samplers are compiled once for each
                model, schedule, options = state.model, None, options | {"predicts": EDM, "params": state.ema}
            if store is not None:
                options |= {"checkpoint": store.of(lap) / "training"}
            state = fit(for_training, model, x, schedule, steps, **options)
            advance(steps)
            if callback is not None and not is_old:
                callback(lap, state)
    assert state is not None
    return state


def _is_gaussian(law: Any) -> bool:
    return isinstance(law, GaussianMixture) and len(law.weights) == 1
