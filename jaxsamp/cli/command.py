"""The base class of all commands: parsing, the flags of every run, and the order of the work."""

import inspect
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from jaxsamp import plots, recipes
from jaxsamp.cli import output
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.printing import Stages
from jaxsamp.cli.settings import plain, with_settings
from jaxsamp.cli.words import HELP, checked, text_of

OUT = "(default: in runs/, in the folder of --checkpoint, or beside SAMPLES)"


@dataclass(frozen=True)
class Place:
    """The run."""

    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint=OUT)] = None
    """The folder to write."""
    force: FlagCreatePairsOff[bool] = False
    """Overwrite the results of an earlier run."""
    progress: bool = True
    """Show progress: a bar on a terminal, a line a minute in a log."""


@dataclass(frozen=True)
class Common(Place):
    """The run."""

    seed: int = 0
    """Seed of all random numbers."""


@dataclass(frozen=True)
class Command(ABC):
    """A command is a dataclass: its fields are the flags, their docstrings the help, and `run` does the work.

    Attributes:
        files: the files that it writes: the picture, and the report.
        choices: per flag that takes a name: the objects by name, and the objects by name that its settings may take.
        names: per argument of `jaxsamp.recipes` whose flag has another name: that flag.
    """

    files: ClassVar[tuple[str, ...]] = ()
    choices: ClassVar[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    names: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def parsed(cls, words: Sequence[str], name: str) -> Any:
        """The command that `words` describe; raises BadArgument if they cannot be parsed, and SystemExit for --help."""
        kind, words = with_settings(cls, words)
        if not HELP & {*words}:
            words = checked(kind, words, name)
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                return tyro.cli(kind, prog=f"jaxsamp {name}", args=words, description=inspect.getdoc(cls))
        except SystemExit as stop:
            if stop.code:  # after `checked`, only what tyro alone refuses
                raise BadArgument(f"the options could not be read: {text_of(said.getvalue())}") from stop
            raise

    @property
    def watched(self) -> bool:
        """Whether to show progress."""
        return self.common.progress  # type: ignore[attr-defined]

    @abstractmethod
    def run(self) -> None:
        """Check the flags, do the work, then write and print the results."""


class Made(NamedTuple):
    """What the work of a command is.

    Attributes:
        facts: the report.
        figure: its picture.
        write: writes further files into a folder; None for none.
    """

    facts: dict[str, Any]
    figure: Any
    write: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class ReportingCommand(Command):
    """A command that writes a picture and a report, and what its work makes besides.

    Attributes:
        replaced: patterns of further files of an earlier run, which go with --force.
    """

    replaced: ClassVar[tuple[str, ...]] = ()

    def run(self) -> None:
        """Check the flags, do the work, then write and print the results."""
        stages, common = Stages(self.watched), self.common  # type: ignore[attr-defined]
        with complaints(self):
            self.check()
            check_seed(getattr(common, "seed", 0))
            out = common.out or self.default_out()
            output.check_free(out, self.files, common.force)
        with output.folder(out, self.files, common.force, self.replaced) as folder:
            with complaints(self):
                facts, figure, write = self.work(stages)
            if write is not None:
                write(folder)
            more = [name for name in output.held(folder) if name not in self.files]
            facts |= {"settings": plain(self), **stages.facts(), "files": [*self.files, *more]}
            plots.save(figure, folder / self.files[0])
            output.write_json(facts, folder / self.files[1])
        self.show(facts, out)

    @abstractmethod
    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""

    @abstractmethod
    def default_out(self) -> Path:
        """The folder to write if --out is not given."""

    @abstractmethod
    def work(self, stages: Stages) -> Made:
        """The report and its picture; a ValueError becomes one sentence about a flag."""

    @abstractmethod
    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""


def check_seed(seed: int) -> None:
    """Raise unless every part of a run accepts this `--seed`."""
    if not 0 <= seed < 2**32:
        raise BadArgument(f"--seed must be at least 0 and below 2^32; got {seed}.")


def truth(target: str | None, checkpoint: Path | None, image_size: Any, image_fit: str = "crop") -> Any:
    """The data named by `target`, or the data that a network was trained on."""
    if target is None and checkpoint is not None:
        return recipes.load(*recipes.trained_on(checkpoint))
    return recipes.load(target or "digits", image_size, image_fit)


def clean_run(checkpoint: Path | None) -> None:
    """Raise one sentence if the network in a folder has learned from measurements, so that it needs operators."""
    if checkpoint is not None and recipes.further_of(checkpoint) is not None:
        raise BadArgument(
            f"--checkpoint must have learned from clean samples; {checkpoint} has learned from measurements. `jaxsamp "
            "restore --reference` measures its error."
        )


def clean(data: Any, given: str = "--target") -> Any:
    """The data of the flag `given`, unless they are measurements, which `train`, `restore` and --checkpoint take."""
    if data.measured is not None:
        raise BadArgument(
            f"{given} must hold clean samples; {data.name} holds measurements, which `jaxsamp train`, `jaxsamp sample "
            "--checkpoint` and `jaxsamp restore` take."
        )
    return data


def named(what: str, names: Iterable[str], default: str | None = None) -> Any:
    """A flag that takes a name from a list."""
    return arg(metavar="NAME", help=f"{what}: {', '.join(names)}.", help_behavior_hint=default)


Shared = OmitArgPrefixes[Common]
