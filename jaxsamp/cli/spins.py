"""`jaxsamp spins <command>`: laws of spins; each command is one file beside this one."""

from jaxsamp.cli.group import Group

COMMANDS = {  # module, class and summary of each
    "sample": ("spins_sample", "SpinsSample", "Draw spins from a known law, or from one that was learned."),
    "learn": ("spins_learn", "SpinsLearn", "Learn couplings from samples of spins."),
    "select": ("spins_select", "SpinsSelect", "Find the spins that a label depends on."),
}


class Spins(Group):
    """A group of commands."""

    commands, about = COMMANDS, "Laws of spins, +1 and -1."
