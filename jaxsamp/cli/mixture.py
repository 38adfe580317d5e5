"""`jaxsamp mixture <command>`: what is known of mixtures; each command is one file beside this one."""

from collections.abc import Sequence
from typing import Any

COMMANDS = {  # module, class and summary of each
    "learn": ("mixture_learn", "MixtureLearn", "Learn a mixture from data."),
    "windows": ("mixture_windows", "MixtureWindows", "When samples decide for a group, going back from noise."),
}


class Mixture:
    """A group of commands."""

    @staticmethod
    def parsed(words: Sequence[str], name: str) -> Any:
        """The command that `words` describe; see `jaxsamp.cli.command.Command.parsed`."""
        from jaxsamp.cli import chosen

        return chosen(words, COMMANDS, "Mixtures of Gaussians.", name)
