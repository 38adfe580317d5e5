"""Experiments on a Pauli channel, simulated."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.tree_util import Partial

from jaxsamp import running
from jaxsamp.core import checks
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.quantum.pauli import PauliChannel, cumulative, drawn
from jaxsamp.quantum.pauli_shots import KINDS, BellShots, DecayShots, ProductShots, StabilizerShots, check_depths
from jaxsamp.quantum.pauli_strings import indices_of, letters_of, swapped
from jaxsamp.quantum.stabilizer_groups import generators

DEPTHS = (1, 2, 4, 8, 16, 32, 64)


def measure_channel(
    key: PRNGKey,
    channel: PauliChannel,
    shots: int,
    method: str = "bell",
    *,
    paulis: Iterable[str] | None = None,
    depths: Any = None,
    visibility: float | None = None,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    progress: bool = False,
) -> BellShots | StabilizerShots | DecayShots | ProductShots:
    """Simulate one of four experiments on a channel, for `jaxsamp.quantum.pauli_eigenvalues`.

    Row i, which is a shot, or with "decay" a string at a depth, depends on fold_in(key, i) and the channel alone. Only
    the channel is noisy, but for the `visibility` of "decay".

    Args:
        key: a typed key.
        channel: what is measured.
        shots: measurements in each setting. "bell" and "product" have one setting, "stabilizer" has 2^n + 1, and
            "decay" one for each string at each depth.
        method: "bell", Bell pairs with n ancillas; "stabilizer", eigenstates of 2^n + 1 groups that commute, for at
            most 6 qubits; "decay", the channel 1 to 64 times; or "product", random product eigenstates.
        paulis: of "decay", the labels of the strings; all but the identity by default.
        depths: of "decay", the numbers of uses, increasing from an odd one; 1, 2, 4, ..., 64 by default.
        visibility: of "decay", the signal at depth 0, above 0 to 1: what preparation and measurement leave of it; 1 by
            default.
        mesh, microbatch, progress: as for `jaxsamp.running.rows`.

    Returns:
        `BellShots`, `StabilizerShots`, `DecayShots` or `ProductShots`, whose `uses` counts uses of the channel.

    Raises:
        TypeError: the key is not a typed key, the channel no `PauliChannel`, or `shots` no integer.
        ValueError: a setting is of another method or out of range, or there are too many qubits for "stabilizer".
    """
    checks.one_of("method", method, KINDS)
    checks.at_least("shots", shots, 1)
    if not isinstance(channel, PauliChannel):
        raise TypeError(f"channel must be a jaxsamp.quantum.PauliChannel; got a {type(channel).__name__}.")
    for name, value in (("paulis", paulis), ("depths", depths), ("visibility", visibility)):
        if value is not None and method != "decay":
            raise ValueError(f"{name} must be left out for method {method!r}: it is of 'decay'.")
    n, how = channel.qubits, {"mesh": mesh, "microbatch": microbatch, "progress": progress}
    if method == "bell":
        return BellShots(channel.sample(key, (shots,), **how), n)
    if method == "decay":
        return _decays(key, channel, shots, paulis, depths, 1.0 if visibility is None else visibility, how)
    sums = cumulative(channel.probabilities)
    if method == "product":
        return ProductShots(*running.rows(key, Partial(_probe, sums), shots, **how))
    groups = jnp.asarray(swapped(generators(n), n).astype(np.int32))
    which = jnp.repeat(jnp.arange(len(groups)), shots)
    syndromes = running.rows(key, Partial(_syndrome, (sums, groups)), len(which), which, **how)
    return StabilizerShots(syndromes.reshape(-1, shots), n)


def _probe(sums: tuple[Array, Array], key: Array, _: None) -> tuple[Array, Array]:
    for_error, for_axes = jax.random.split(key)
    n = int(np.log2(sums[0].shape[0]))
    letters = letters_of(drawn(sums, for_error), n)
    axes = jax.random.randint(for_axes, (n,), 1, 4, jnp.int8)
    return axes, ((letters > 0) & (letters != axes)).astype(jnp.int8)


def _syndrome(shared: tuple[Any, Array], key: Array, group: Array) -> Array:
    sums, groups = shared
    bits = jax.lax.population_count(drawn(sums, key) & groups[group]) & 1
    return jnp.sum(bits << jnp.arange(bits.shape[0] - 1, -1, -1))


def _decays(
    key: Array, channel: PauliChannel, shots: int, paulis: Any, depths: Any, visibility: float, how: dict[str, Any]
) -> DecayShots:
    n = channel.qubits
    if not 0 < visibility <= 1:
        raise ValueError(f"visibility must be above 0 and at most 1; got {visibility}.")
    depths = check_depths(DEPTHS if depths is None else depths)
    strings = np.arange(1, 4**n) if paulis is None else indices_of(paulis, n)
    signal = visibility * channel.eigenvalues[strings][:, None] ** jnp.asarray(depths)
    chances = jnp.clip((1 + signal) / 2, 0, 1).reshape(-1)
    counts = running.rows(key, Partial(_count, jnp.asarray(float(shots))), len(chances), chances, **how)
    return DecayShots(strings, depths, np.asarray(counts, np.int64).reshape(signal.shape), shots, n)


def _count(shots: Array, key: Array, chance: Array) -> Array:
    return jax.random.binomial(key, shots, chance)
