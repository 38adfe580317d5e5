"""The draft of a run of `jaxsamp train --draft`: a smaller network, trained after the network, and tried."""

from typing import Any

import jax

import jaxsamp as js
from jaxsamp import recipes, training
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.runs import JOURNAL
from jaxsamp.training.folder import DRAFT


def check_draft(data: recipes.LearningData, network: Any) -> None:
    """Raise unless there can be a draft of this network on these data."""
    if data.measured is not None:
        raise BadArgument("--draft needs clean data, on which parallel samplers are calibrated.")
    recipes.draft_of(network)


def train_draft(run: Any, data: recipes.LearningData, network: Any, options: dict[str, Any]) -> str:
    """Train the draft of a run like its network, and try it; a run that was stopped goes on.

    Args:
        run: the command.
        data: its data.
        network: its network, which is trained.
        options: the other arguments of `fit`.

    Returns:
        A sentence on what the trial found.
    """
    out = run.folder / DRAFT
    before = training.latest_step(out)
    own = {"checkpoint": out, "metrics_file": out / JOURNAL, "resume": True, "callback": None}
    js.fit(jax.random.key(run.seed), recipes.draft_of(network), progress=run.progress, **options | own)
    trial = recipes.draft_trial(run.folder)
    if trial is None or training.latest_step(out) != before:
        key = jax.random.key((run.seed + 2**30) % 2**32)  # the key of --seed belongs to `fit`
        trial = recipes.try_draft(key, run.folder, data, run.batch_size)
    return (
        f"its draft, with half the width, is in {out}; a trial has {'kept' if trial.kept else 'dropped'} it: 95 % of "
        f"samples of a parallel sampler come within {trial.error:.2g}, without it within {trial.error_without:.2g}"
    )
