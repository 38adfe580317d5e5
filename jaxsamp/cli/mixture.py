"""`jaxsamp mixture <command>`: what is known of mixtures; each command is one file beside this one."""

from jaxsamp.cli.group import Group

COMMANDS = {  # module, class and summary of each
    "learn": ("mixture_learn", "MixtureLearn", "Learn a mixture from data."),
    "windows": ("mixture_windows", "MixtureWindows", "When samples decide for a group, going back from noise."),
}


class Mixture(Group):
    """A group of commands."""

    commands, about = COMMANDS, "Mixtures of Gaussians."
