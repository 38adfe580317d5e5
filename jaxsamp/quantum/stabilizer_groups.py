"""A partition of all Pauli strings into groups that commute: 2^n + 1 groups, from mutually unbiased bases."""

import numpy as np

# Irreducible polynomials of degree n over the field of two elements, by the bits of their coefficients.
POLYNOMIALS = {1: 0b11, 2: 0b111, 3: 0b1011, 4: 0b10011, 5: 0b100101, 6: 0b1000011}
MOST = max(POLYNOMIALS)


def generators(qubits: int) -> np.ndarray:
    """Generators of the groups, (2^n + 1, n) indices of strings: every string but the identity is in one group.

    Strings (x | M x) commute with each other if the n x n matrix M of bits is symmetric, and two such groups share
    nothing but the identity if the difference of their matrices can be inverted. The 2^n matrices M_ij = t_{i+j}, of
    all sequences t with the linear recurrence of an irreducible polynomial, are a field of traces tr(m a^(i+j)), so
    that every difference can. The group of all (0 | z) is the last one.

    Raises:
        ValueError: there are more than 6 qubits.

    Source: Wootters and Fields, "Optimal state-determination by mutually unbiased measurements", Ann. Phys. 191 (1989).
    """
    if qubits not in POLYNOMIALS:
        raise ValueError(f"channel must be of at most {MOST} qubits for groups of stabilizers; got n = {qubits}.")
    places = 1 << np.arange(qubits - 1, -1, -1)
    starts = (np.arange(2**qubits)[:, None] >> np.arange(qubits)) & 1
    terms = [*starts.T]
    taps = [k for k in range(qubits) if POLYNOMIALS[qubits] >> k & 1]
    for first in range(qubits - 1):
        terms.append(np.bitwise_xor.reduce([terms[first + k] for k in taps]))
    sequence = np.stack(terms, 1)
    rows = np.arange(qubits)
    hankel = sequence[:, rows[:, None] + rows]  # (2^n, n, n), symmetric: row j is the z part of generator j
    return np.concatenate([(places << qubits) + hankel @ places, places[None]])


def members(qubits: int) -> np.ndarray:
    """All strings of each group, (2^n + 1, 2^n): that of c is the product of the generators whose bit of c is set.

    Bit n - 1 - j of c is that of generator j, as in a syndrome.
    """
    chosen = (np.arange(2**qubits)[:, None] >> np.arange(qubits - 1, -1, -1)) & 1
    return np.bitwise_xor.reduce(chosen * generators(qubits)[:, None, :], -1)
