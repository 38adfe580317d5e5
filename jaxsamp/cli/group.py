"""A group of commands, such as `jaxsamp mixture <command>`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Group:
    """Commands under one word, of which one module is imported when its command is chosen.

    Attributes:
        commands: module, class and summary of each.
        about: what they are of, for --help.
    """

    commands: ClassVar[Mapping[str, tuple[str, str, str]]]
    about: ClassVar[str]

    @classmethod
    def parsed(cls, words: Sequence[str], name: str) -> Any:
        """The command that `words` describe; see `jaxsamp.cli.command.Command.parsed`."""
        from jaxsamp.cli import chosen

        return chosen(words, cls.commands, cls.about, name)
