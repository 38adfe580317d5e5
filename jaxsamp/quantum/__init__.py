"""Quantum learning, simulated: measurements of states on several copies at once, and Pauli channels."""

from jaxsamp.quantum.counter import CounterRates, CounterRuns, counter_test, run_counter_test
from jaxsamp.quantum.estimating import StateEstimate, estimate_state
from jaxsamp.quantum.keyl import Keyl
from jaxsamp.quantum.measuring import measure
from jaxsamp.quantum.outcomes import Outcomes
from jaxsamp.quantum.pauli import PauliChannel
from jaxsamp.quantum.pauli_eigenvalues import PauliEstimate, pauli_eigenvalues
from jaxsamp.quantum.pauli_intervals import Intervals
from jaxsamp.quantum.pauli_measure import measure_channel
from jaxsamp.quantum.pauli_shots import BellShots, DecayShots, ProductShots, StabilizerShots, load_shots, save_shots
from jaxsamp.quantum.pauli_strings import indices_of, labels_of
from jaxsamp.quantum.protocol import CopyProtocol
from jaxsamp.quantum.purified import Purified, purified_error
from jaxsamp.quantum.shapes import keyl_error, linear_response, partitions, sample_partitions, schur_weyl
from jaxsamp.quantum.single import Single
from jaxsamp.quantum.splitting import Splitting, splitting
from jaxsamp.quantum.stabilizer_groups import generators as stabilizer_groups
from jaxsamp.quantum.states import haar, nearest_state, random_state, trace_distance
from jaxsamp.quantum.two_stage import two_stage

__all__ = [
    "BellShots",
    "CopyProtocol",
    "CounterRates",
    "CounterRuns",
    "DecayShots",
    "Intervals",
    "Keyl",
    "Outcomes",
    "PauliChannel",
    "PauliEstimate",
    "ProductShots",
    "Purified",
    "Single",
    "Splitting",
    "StabilizerShots",
    "StateEstimate",
    "counter_test",
    "estimate_state",
    "haar",
    "indices_of",
    "keyl_error",
    "labels_of",
    "linear_response",
    "load_shots",
    "measure",
    "measure_channel",
    "nearest_state",
    "partitions",
    "pauli_eigenvalues",
    "purified_error",
    "random_state",
    "run_counter_test",
    "sample_partitions",
    "save_shots",
    "schur_weyl",
    "splitting",
    "stabilizer_groups",
    "trace_distance",
    "two_stage",
]
