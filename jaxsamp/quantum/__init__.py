"""Quantum learning, simulated: measurements of states on several copies at once, and Pauli channels."""

from jaxsamp.quantum.pauli import PauliChannel
from jaxsamp.quantum.pauli_strings import indices_of, labels_of

__all__ = ["PauliChannel", "indices_of", "labels_of"]
