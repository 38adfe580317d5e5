"""`jaxsamp quantum <command>`: quantum learning, simulated; each command is one file beside this one."""

from jaxsamp.cli.group import Group

COMMANDS = {  # module, class and summary of each
    "tomography": ("quantum_tomography", "QuantumTomography", "Estimate a state from measurements of several copies."),
    "pauli": ("quantum_pauli", "QuantumPauli", "Estimate the eigenvalues and error rates of a Pauli channel."),
}


class Quantum(Group):
    """A group of commands."""

    commands, about = COMMANDS, "Quantum learning, simulated."
