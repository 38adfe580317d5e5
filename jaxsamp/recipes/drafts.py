"""The draft of a run of `jaxsamp train --draft`: whether it saves rounds, and the sampler that follows it."""

import json
from dataclasses import replace
from pathlib import Path

import jax

from jaxsamp.core import disk
from jaxsamp.core.types import Array
from jaxsamp.learning.surrogates import NODES, STARTS, Trial, try_surrogate
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.tasks import SamplingTask, calibrated, learned_denoiser, learned_task
from jaxsamp.samplers import ParallelMidpoint, Sampler
from jaxsamp.training.folder import DRAFT

TRIAL = "trial.json"  # beside the checkpoints of the draft


def try_draft(key: Array, checkpoint: str | Path, data: LearningData, batch_size: int = 128) -> Trial:
    """Try the draft of a run once, and keep what was found in its folder; see `jaxsamp.learning.try_surrogate`.

    Args:
        key: a typed key, of the labels, the calibration and the starts.
        checkpoint: the folder of the run.
        data: the data of the run.
        batch_size: the most samples that the networks get at once.

    Raises:
        ValueError: the run has no draft; or as `learned_task` and `calibrated`.
    """
    denoiser = learned_denoiser(checkpoint)
    if denoiser.draft is None:
        raise ValueError(f"checkpoint must be a run of `jaxsamp train --draft`; {checkpoint} has no draft.")
    for_labels, for_calibration, for_starts = jax.random.split(key, 3)
    microbatch = max(1, batch_size // NODES)
    task = learned_task(for_labels, data, denoiser, STARTS)
    task = calibrated(for_calibration, task, [ParallelMidpoint()], microbatch=batch_size)
    options = {"cond": task.cond, "microbatch": microbatch}
    trial = try_surrogate(for_starts, task.denoiser, task.denoiser.draft, task.event, **options)
    path = _path(checkpoint)
    with disk.writing(path):
        path.with_suffix(".part").write_text(json.dumps(trial._asdict(), indent=2) + "\n")
        path.with_suffix(".part").replace(path)
    return trial


def draft_trial(checkpoint: str | Path) -> Trial | None:
    """What `try_draft` has found for the draft of a run; None if there is none, or it was not tried."""
    try:
        return Trial(**json.loads(_path(checkpoint).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def follow_draft(task: SamplingTask, sampler: Sampler, checkpoint: str | Path) -> Sampler:
    """The sampler, with the draft of the run as its surrogate if it takes one and a trial has kept the draft.

    Args:
        task: the task of sampling the run's network, whose guidance the draft gets too.
        sampler: any sampler; `ParallelMidpoint` takes a surrogate.
        checkpoint: the folder of the run.
    """
    if not isinstance(sampler, ParallelMidpoint) or sampler.surrogate is not None:
        return sampler
    if (sampler.nodes, sampler.initial) != ("gauss", "gaussian") or not getattr(draft_trial(checkpoint), "kept", False):
        return sampler
    return replace(sampler, surrogate=getattr(task.denoiser, "draft", None))


def _path(checkpoint: str | Path) -> Path:
    return Path(checkpoint).expanduser() / DRAFT / TRIAL
