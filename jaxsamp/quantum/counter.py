"""A test of a Pauli channel with two ancillas and one measurement: its exact error rates, and the protocol itself."""

import math
from functools import reduce
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool

from jaxsamp.core import checks, shown
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.quantum.pauli import PauliChannel
from jaxsamp.quantum.pauli_strings import letters_of

MOST = 2  # qubits whose density matrices are simulated, beside two ancillas
MATRICES = np.array([np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], np.diag([1, -1])], complex)  # I, X, Y, Z


class CounterRates(NamedTuple):
    """How often the test raises an alarm, and what it costs.

    Attributes:
        false_positive: probability of an alarm if the channel depolarizes completely.
        true_positive: probability of an alarm if one more string has the eigenvalue.
        uses: how often the channel is used, an exact integer.
    """

    false_positive: float
    true_positive: float
    uses: int


def counter_test(n: int, eigenvalue: float, run: int, repeats: int) -> CounterRates:
    """The error rates of a test whether a channel on n qubits depolarizes completely, with two ancillas in all.

    The alternative: one string, nobody knows which, has an eigenvalue l. The first ancilla is set to 1; then m times in
    a row a +1 eigenstate of a string goes through the channel, and a coherent check sets the ancilla to 0 where the
    string is found to be -1. If it is still 1, the second ancilla is set to 1. This is done R times for each of the N =
    4^n - 1 strings, and the second ancilla alone is measured, once, in the end:

        false positive = 1 - (1 - 2^-m)^(R N),
        true positive  = 1 - (1 - 2^-m)^(R (N - 1)) (1 - ((1 + l) / 2)^m)^R,
        uses           = m R N.

    This is arithmetic, not an experiment that anybody can run: memory and measurements are constant, but uses are
    exponential in n and in m, 2 10^16 at n = 8, l = 1/3 and error rates of 5 %. It decides one question, and estimates
    no eigenvalue. For l < 0, prepare the -1 eigenstate in a second pass, which is this test with -l.

    Args:
        n: qubits of the channel.
        eigenvalue: l, from -1 to 1.
        run: m, uses of the channel in a row.
        repeats: R, runs for each string. R = ln(1/b) (2 / (1 + l))^m misses with probability b, and 4^n R 2^-m <= a
            then keeps false positives below a.

    Raises:
        TypeError: `n`, `run` or `repeats` is not an integer.
        ValueError: one of them is below 1, or `eigenvalue` not from -1 to 1.

    Source: Chen and Gong, "Efficient Pauli channel estimation with logarithmic quantum memory", arXiv 2309.14326v1,
    whose abstract has the test with two ancillas and one measurement; this protocol is reconstructed from that, and is
    not the estimator of the published version.
    """
    for name, value in (("n", n), ("run", run), ("repeats", repeats)):
        checks.at_least(name, value, 1)
    if not -1 <= eigenvalue <= 1:
        raise ValueError(f"eigenvalue must be from -1 to 1; got {eigenvalue}.")
    strings = 4**n - 1
    chance, seen = 0.5**run, ((1 + eigenvalue) / 2) ** run
    no_alarm = repeats * strings * math.log1p(-chance)
    missed = -math.inf if seen == 1 else repeats * math.log1p(-seen)
    others = repeats * (strings - 1) * math.log1p(-chance)
    return CounterRates(-math.expm1(no_alarm), -math.expm1(others + missed), run * repeats * strings)


class CounterRuns(NamedTuple):
    """Runs of the test.

    Attributes:
        found: whether the one measurement raised the alarm, (trials,).
        probability: of that, from the density matrix before the measurement.
        uses: how often each trial uses the channel.
    """

    found: Bool[Array, " trials"]
    probability: float
    uses: int

    def __repr__(self) -> str:
        return shown.line(self)


def run_counter_test(key: PRNGKey, channel: PauliChannel, run: int, repeats: int, trials: int = 1000) -> CounterRuns:
    """Run the test of `counter_test` on any channel of one or two qubits, by density matrices of the whole register.

    Each use is simulated as it is: a product eigenstate beside the two ancillas, the errors of the channel as matrices,
    projections on the string's eigenspaces with a reset of `run`, and the register traced out. Nothing is assumed on
    eigenvalues.

    Args:
        key: a typed key; trial i depends on fold_in(key, i).
        channel: of at most two qubits.
        run: uses of the channel in a row.
        repeats: runs for each string.
        trials: number of independent measurements.

    Raises:
        TypeError: the key is not a typed key, the channel no `PauliChannel`, or a number no integer.
        ValueError: a number is below 1, or the channel has more than two qubits.
    """
    checks.typed_key(key)
    for name, value in (("run", run), ("repeats", repeats), ("trials", trials)):
        checks.at_least(name, value, 1)
    if not isinstance(channel, PauliChannel):
        raise TypeError(f"channel must be a jaxsamp.quantum.PauliChannel; got a {type(channel).__name__}.")
    if channel.qubits > MOST:
        raise ValueError(f"channel must be of at most {MOST} qubits to be simulated; got {channel.qubits}.")
    n = channel.qubits
    errors, rates = [_matrix(i, n) for i in range(4**n)], np.asarray(channel.probabilities, float)
    set_run, note = _on_ancillas(SET_RUN), _on_ancillas(NOTE)
    state = np.zeros(16, complex)
    state[0] = 1  # both ancillas 0
    for string in range(1, 4**n):
        use = _use(string, n, errors, rates)
        once = note @ np.linalg.matrix_power(use, run) @ set_run
        state = np.linalg.matrix_power(once, repeats) @ state
    density = state.reshape(4, 4)
    chance = float(np.clip((density[1, 1] + density[3, 3]).real, 0, 1))
    draws = jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(key, i)))(np.arange(trials))
    return CounterRuns(draws < chance, chance, run * repeats * (4**n - 1))


# Of the ancillas (run, found): run is set to 1, whatever it was; found is flipped once if run is 1 and it was 0.
_KEEP, _ZERO, _ONE = np.eye(2), np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
_RAISE, _LOWER = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])
SET_RUN = [np.kron(_RAISE, _KEEP), np.kron(_ONE, _KEEP)]
NOTE = [np.kron(_ZERO, _KEEP), np.kron(_ONE, _RAISE), np.kron(_ONE, _ONE)]


def _on_ancillas(operators: list[np.ndarray]) -> np.ndarray:
    """The map rho -> sum K rho K^dagger as a matrix on the 16 entries of rho."""
    return np.sum([np.kron(k, k.conj()) for k in operators], 0)


def _use(string: int, n: int, errors: list[np.ndarray], rates: np.ndarray) -> np.ndarray:
    """One use of the channel and the check of its outcome, as a matrix on the 16 entries of the ancillas' state."""
    pauli, one = _matrix(string, n), np.eye(4)
    plus, minus = (np.eye(2**n) + pauli) / 2, (np.eye(2**n) - pauli) / 2
    factors = [(MATRICES[0] + MATRICES[letter or 3]) / 2 for letter in letters_of(string, n)]
    prepared = reduce(np.kron, factors)  # each factor is a +1 eigenstate
    sent = np.sum([p * e @ prepared @ e.conj().T for p, e in zip(rates, errors, strict=True)], 0)
    check = [np.kron(plus, one), *(np.kron(minus, np.kron(reset, _KEEP)) for reset in (_LOWER, _ZERO))]
    columns = []
    for entry in np.eye(16).reshape(16, 4, 4):
        whole = np.kron(sent, entry)
        whole = np.sum([k @ whole @ k.conj().T for k in check], 0)
        columns.append(np.einsum("iaib->ab", whole.reshape(2**n, 4, 2**n, 4)).ravel())
    return np.stack(columns, 1)


def _matrix(index: int, n: int) -> Any:
    return reduce(np.kron, [MATRICES[letter] for letter in letters_of(index, n)])
