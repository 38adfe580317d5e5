"""Quantum learning, simulated: measurements of states on several copies at once, and Pauli channels."""

__all__: list[str] = []
