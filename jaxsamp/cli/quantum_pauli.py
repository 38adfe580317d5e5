"""`jaxsamp quantum pauli`: the eigenvalues and error rates of a Pauli channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
from tyro.conf import arg

from jaxsamp import quantum, recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, named
from jaxsamp.cli.devices import chosen
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.core import checks
from jaxsamp.quantum.pauli_shots import KINDS
from jaxsamp.recipes.pauli import CHANNELS

SHOWN, FILE = 12, "shots.npz"  # rows of a table that are printed; the outcomes
HELP = f"The channel: {', '.join(CHANNELS)}; a .json file of rates by label."


@dataclass(frozen=True)
class QuantumPauli(ReportingCommand):
    """Estimate the eigenvalues and error rates of a Pauli channel, from a simulated experiment or a recorded one.

    Of a channel that is simulated, or given beside recorded outcomes, the estimates are compared with the truth.
    """

    channel: Annotated[str | None, arg(metavar="NAME|FILE", help=HELP, help_behavior_hint="(default: random)")] = None
    qubits: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 3)")] = None
    """Number of qubits of a channel by name."""
    data: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: simulated)")] = None
    """Recorded outcomes: an .npz file, see docs/pauli-channels.md."""
    method: Annotated[str | None, named("The experiment", KINDS, "(default: bell, or that of --data)")] = None
    shots: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 100000)")] = None
    """Measurements in each setting of a simulated experiment."""
    visibility: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(default: 1)")] = None
    """Of decay: the signal that preparation and measurement leave."""
    confidence: float = 0.95
    """Confidence of the intervals."""
    simultaneous: bool = False
    """Whether all intervals hold together at this confidence."""
    devices: Annotated[str, arg(metavar="all|INT")] = "all"
    """Devices of this machine over which the shots are divided."""
    common: Shared = Common()

    files: ClassVar = ("pauli.png", "report.json", FILE)
    names: ClassVar[Mapping[str, str]] = {"paulis": "--data"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the channel."""
        if self.method is not None:
            checks.one_of("method", self.method, KINDS)
        if self.shots is not None:
            checks.at_least("shots", self.shots, 1)
        if not 0 < self.confidence < 1:
            raise BadArgument(f"--confidence must be between 0 and 1; got {self.confidence}.")
        for name in ("shots", "visibility"):
            if self.data is not None and getattr(self, name) is not None:
                raise BadArgument(f"--{name} must be left out with --data, which was recorded.")
        if self.data is not None and self.qubits is not None and self.channel is None:
            raise BadArgument(
                "--qubits must be left out with --data, which has its own, unless --channel is given too."
            )
        chosen(self.devices)

    def default_out(self) -> Path:
        """runs/CHANNEL-METHOD, or runs/DATA-pauli."""
        if self.data is not None:
            return Path("runs") / f"{self.data.stem}-pauli"
        return Path("runs") / f"{Path(self.channel or CHANNELS[0]).stem}-{self.method or 'bell'}"

    def work(self, stages: Stages) -> Made:
        """Make the channel, measure it or load what was measured, estimate, and compare."""
        for_channel, for_shots = jax.random.split(jax.random.key(self.common.seed))
        channel = None
        with stages("load"):
            if self.data is None or self.channel is not None:
                channel = recipes.pauli_channel(for_channel, self.channel or CHANNELS[0], self.qubits)
            data = None if self.data is None else quantum.load_shots(self.data)
        if data is None:
            assert channel is not None
            with stages("measure"):
                data = quantum.measure_channel(
                    for_shots, channel, self.shots or 100_000, self.method or "bell", visibility=self.visibility,
                    mesh=chosen(self.devices), progress=self.watched,
                )  # fmt: skip
        elif channel is not None and channel.qubits != data.qubits:
            raise BadArgument(f"--channel must act on the {data.qubits} qubits of --data; got {channel.qubits}.")
        with stages("estimate", "estimating"):
            estimate = quantum.pauli_eigenvalues(
                data, self.method, confidence=self.confidence, simultaneous=self.simultaneous
            )
            facts = recipes.pauli_facts(data, estimate, channel)
        name = self.data.stem if self.data is not None else Path(self.channel or CHANNELS[0]).stem
        title = f"{name}: {data.qubits} qubits, {data.uses:,} uses of the channel, method {data.method}"
        with stages("picture"):
            figure = recipes.pauli_picture(facts, title)
        return Made({"title": title, **facts}, figure, partial(_write, data))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["title"], "")
        for name, what in (("rates", "largest error rates"), ("eigenvalues", "smallest eigenvalues")):
            if name in facts:
                shown = [[row["label"], *(_shown(row[key]) for key in COLUMNS)] for row in facts[name][:SHOWN]]
                page.table((what, "estimate", "standard error", "from", "to", "true"), shown)
            if facts.get(f"{name}_inside") is not None:
                share, most = facts[f"{name}_inside"], facts[f"{name}_largest_error"]
                page.line(f"{name}: {share:.1%} of the intervals hold the truth; largest error {_shown(most)}")
        page.line("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in facts["seconds"].items()))
        page.written(facts, out)


COLUMNS = ("value", "standard_error", "low", "high", "exact")


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _write(data: Any, folder: Path) -> None:
    quantum.save_shots(data, folder / FILE)
