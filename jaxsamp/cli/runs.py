"""The folder of a run of `jaxsamp train`: who may write to it, and the settings that it keeps."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jaxsamp import recipes, training
from jaxsamp.cli import output
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.settings import flags, words_of
from jaxsamp.core import checks
from jaxsamp.recipes.tasks import CONFIG, TABLE
from jaxsamp.training.checkpoint import alone
from jaxsamp.training.folder import DRAFT

JOURNAL = "metrics.jsonl"


@contextmanager
def held(run: Any, data: recipes.LearningData) -> Iterator[None]:
    """Hold the folder of a run of `jaxsamp train`, and keep the settings beside the checkpoints.

    A run that ends before its first checkpoint leaves nothing, and one that another holds up touches nothing. What
    --resume has changed is kept when the run has got further with it.
    """
    out = run.folder
    with output.made(out), ExitStack() as stack:
        with complaints(run):
            stack.enter_context(alone(out))
            check_free(run)  # again, because another run may have come before
        settings = run.stored() | ({TABLE: data.table.tolist()} if run.labels else {})
        begun = _steps(out)
        new = begun[0] is None
        try:
            if new:
                output.write_json(settings, out / CONFIG)
            yield
        except BaseException:
            if new and training.latest_step(out) is None:
                for name in (CONFIG, JOURNAL):
                    (out / name).unlink(missing_ok=True)
            elif _steps(out) != begun:
                output.write_json(settings, out / CONFIG)
            raise
        output.write_json(settings, out / CONFIG)


def _steps(out: Path) -> tuple[int | None, int | None]:
    """The latest steps of a run and of its draft: those that a run has made show that its settings were accepted."""
    return training.latest_step(out), training.latest_step(out / DRAFT)


def check_free(run: Any) -> None:
    """Raise unless the folder has no run, or --resume is given."""
    if not run.resume and ((run.folder / CONFIG).exists() or training.latest_step(run.folder) is not None):
        raise BadArgument(
            f"--out must be a folder without a run, or add --resume to continue it; {run.folder} has one."
        )


def stored_settings(kind: Any, path: Path, where: str) -> dict[str, Any]:
    """The settings that a run of the command `kind` has stored.

    Raises:
        BadArgument: there is no such file, or a setting is unknown or has the wrong type.
    """
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadArgument(
            f"{where} must be a file of settings that `jaxsamp train` wrote; got {path} ({error})."
        ) from error
    if not isinstance(stored, dict):
        raise BadArgument(f"{where} {path} must hold settings by name; got {stored!r}.")
    stored.pop(TABLE, None)  # follows from the data
    known = [name for name, _ in flags(kind())]
    for name in stored:
        checks.one_of(f"{where} {path}: every setting", name.partition(".")[0], known)
    parse = super(kind, kind).parsed
    try:
        parse(words_of(stored), "train")
    except BadArgument:  # which one? To parse each takes half as long as to start the program
        for name, value in stored.items():
            given = {choice: stored.get(choice) for choice in kind.choices if name.startswith(f"{choice}.")}
            try:
                parse(words_of(given | {name: value}), "train")
            except BadArgument as error:
                sentence = f"{where} {path}: {name} must be a setting of `jaxsamp train`; got {value!r}."
                raise BadArgument(sentence) from error
    return stored
