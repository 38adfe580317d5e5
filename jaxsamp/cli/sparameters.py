"""`jaxsamp sparameters <command>`: S-parameters; each command is one file beside this one."""

from jaxsamp.cli.group import Group

COMMANDS = {  # module, class and summary of each
    "fit": ("sparameters_fit", "SParametersFit", "Interpolate S-parameters from a share of their frequencies."),
}


class SParametersCommands(Group):
    """A group of commands."""

    commands, about = COMMANDS, "S-parameters of networks."
