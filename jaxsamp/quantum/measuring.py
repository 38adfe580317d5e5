"""`measure`: draw what measurements of several copies of a state return."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.tree_util import Partial

from jaxsamp import running
from jaxsamp.core import checks
from jaxsamp.core.types import Array, Data, PRNGKey
from jaxsamp.quantum.outcomes import Outcomes
from jaxsamp.quantum.protocol import CopyProtocol
from jaxsamp.quantum.states import check_state, complex_dtype, spectrum

LEAST = 1e-12  # of eigenvalues, whose roots and logarithms are taken
SURPRISE = 5  # standard errors of the mean difference of the halves of chains from 0: once in a million runs


def measure(
    key: PRNGKey,
    rho: Data,
    shape: tuple[int, ...],
    protocol: CopyProtocol,
    *,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    progress: bool = False,
) -> Outcomes:
    """Simulate n independent measurements, each of t copies of a state rho.

    Outcome i depends on fold_in(key, i), rho and the protocol, not on n, on `microbatch` or on the devices. Neither
    another state of the same dimension nor another number of copies compiles anew.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        rho: the state, a density matrix (d, d); it is read on the host.
        shape: (n,), the number of measurements: n t copies are used.
        protocol: `Keyl(copies=t)`, `Purified(copies=t)` or `Single()`.
        mesh: devices that the measurements are divided over, `jaxsamp.mesh()`.
        microbatch: largest number of measurements at a time on each device, to save memory.
        progress: show a progress bar.

    Returns:
        `Outcomes(partition, frame, stats, protocol)`, complex64, or complex128 under x64.

    Raises:
        ValueError: rho is not Hermitian, not positive or not of trace 1, or a count is below 1.
        TypeError: a key, shape or protocol has the wrong type.
    """
    checks.typed_key(key)
    state = check_state("rho", rho)
    if len(checks.shape_of(shape, None, "state")) != 1:
        raise ValueError(f"shape must be (n,), the number of measurements; got {tuple(shape)}.")
    if not isinstance(protocol, CopyProtocol):
        raise TypeError(
            "protocol must be one of jaxsamp.quantum, Keyl(copies=t), Purified(copies=t) or Single(); got "
            f"{protocol!r}."
        )
    protocol.check(len(state))
    p, basis = spectrum(state)
    p = np.maximum(p, LEAST) / np.maximum(p, LEAST).sum()
    one = Partial(_one, protocol, jnp.asarray(p, float), jnp.asarray(basis, complex_dtype()))
    partition, frame, stats = running.rows(key, one, shape[0], mesh=mesh, microbatch=microbatch, progress=progress)
    if checks.is_readable(stats):
        _judge(stats)
    return Outcomes(partition, frame, stats, protocol.name)


def _one(protocol: Any, p: Array, basis: Array, key: Array, _: None) -> tuple[Array, Array, dict[str, Array]]:
    partition, frame, stats = protocol.draw(key, p)
    return partition, jnp.matmul(basis, frame, precision="highest"), stats


def _judge(stats: dict[str, Array]) -> None:
    """Warn if chains still moved in the second half of their steps."""
    if "split_half" not in stats or len(stats["split_half"]) < 30:
        return
    apart = np.asarray(stats["split_half"], float)
    error = apart.std(ddof=1) / np.sqrt(len(apart))
    if abs(apart.mean()) > SURPRISE * error > 0:
        warnings.warn(
            f"the chains of Keyl's measurement are too short: between half of the sweeps and the end, tr(rho D) still "
            f"changes by {apart.mean():.3g} +- {error:.2g} on average; give more of them, Keyl(copies, sweeps=...).",
            stacklevel=3,
        )
