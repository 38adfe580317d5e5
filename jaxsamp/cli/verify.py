"""`jaxsamp verify`: compare the files of a big job with their checksums."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from jaxsamp.cli.command import Command
from jaxsamp.cli.errors import FAILED, Stopped, about_flags, complaints
from jaxsamp.running.shards import Damaged, Shards


@dataclass(frozen=True)
class Verify(Command):
    """Compare every shard of a folder with its checksum, and print those that are damaged or missing.

    The command that has drawn them draws these again, with the same bytes.
    """

    folder: Annotated[
        Positional[Path], arg(metavar="FOLDER", help="A folder of shards, as written by `jaxsamp sample`.")
    ]

    names: ClassVar[Mapping[str, str]] = {"folder": "FOLDER"}

    def run(self) -> None:
        """Read every file, and print what is damaged or missing."""
        with complaints(self):
            try:
                read = Shards(self.folder)
            except Damaged as error:
                raise Stopped(about_flags(str(error), self), FAILED) from error
            wrong = {name: "is missing" for name in read.missing} | dict.fromkeys(read.damaged(), "is damaged")
        for name in sorted(wrong):
            print(f"{name} {wrong[name]}")
        total = -(-len(read) // read.shard_size)
        if wrong:
            raise Stopped(
                f"{len(wrong):,} of {total:,} shards in {self.folder} are damaged or missing. "
                "Run the command that drew them again to draw these anew.",
                FAILED,
            )
        print(f"{self.folder}: {total:,} shards with {len(read):,} samples are as they were written.")
