"""`jaxsamp spins <command>`: laws of spins; each command is one file beside this one."""

from collections.abc import Sequence
from typing import Any

COMMANDS = {  # module, class and summary of each
    "sample": ("spins_sample", "SpinsSample", "Draw spins from a known law, or from one that was learned."),
    "learn": ("spins_learn", "SpinsLearn", "Learn couplings from samples of spins."),
    "select": ("spins_select", "SpinsSelect", "Find the spins that a label depends on."),
}


class Spins:
    """A group of commands."""

    @staticmethod
    def parsed(words: Sequence[str], name: str) -> Any:
        """The command that `words` describe; see `jaxsamp.cli.command.Command.parsed`."""
        from jaxsamp.cli import chosen

        return chosen(words, COMMANDS, "Laws of spins, +1 and -1.", name)
