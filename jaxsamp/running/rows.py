"""`rows`: any function of one row, over many rows, devices and microbatches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.tree_util import Partial

from jaxsamp import devices
from jaxsamp.core import checks
from jaxsamp.core.batching import each
from jaxsamp.core.progress import bar
from jaxsamp.core.types import Array, PRNGKey, PyTree
from jaxsamp.running.engine import LEAST, PIECES, numbered, spread, taken


def rows(
    key: PRNGKey,
    one: Callable[[Array, Any], PyTree],
    n: int,
    items: PyTree = None,
    *,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    progress: bool = False,
) -> PyTree:
    """`one(fold_in(key, i), items[i])` for i = 0 .. n - 1: no row depends on another one.

    Args:
        key: a typed key.
        one: a pure function of a row's key and its item. Arrays that all rows share go through
            `jax.tree_util.Partial(function, arrays...)`, whose arrays come first, or another callable pytree: new ones
            do not recompile. Keep the function itself between calls: another one compiles anew.
        n: number of rows.
        items: a pytree with leaves (n, ...), or None.
        mesh: devices that the rows are divided over, `jaxsamp.mesh()`.
        microbatch: the most rows at a time, on each device, against running out of memory.
        progress: show a progress bar, which moves after every few rows.

    Returns:
        What `one` returns, with leaves (n, ...).

    Raises:
        ValueError, TypeError: an argument is not as above.
    """
    checks.typed_key(key)
    checks.at_least("n", n, 1)
    devices.check_mesh(mesh)
    if microbatch is not None:
        checks.at_least("microbatch", microbatch, 1)
    for leaf in jax.tree.leaves(items):
        if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != n:
            raise ValueError(f"items must have leaves of shape (n = {n}, ...); got a leaf of shape {jnp.shape(leaf)}.")
    shared = (key, Partial(one) if jax.tree_util.all_leaves([one]) else one)
    given = (numbered(0, n), items)
    if not checks.is_concrete(shared, given):
        return _run(shared, given, mesh, microbatch)
    shared = devices.replicate(shared, mesh)
    if not progress:
        return _compiled(shared, devices.replicate(given, mesh), mesh, microbatch)
    size = devices.padded(min(n, microbatch or max(LEAST, -(-n // PIECES))), mesh)
    done = []
    with bar("computing", n, devices.leads(mesh)) as move:
        for first in range(0, n, size):
            done.append(_compiled(shared, devices.divide(taken(given, first, size), mesh), mesh, microbatch))
            move(min(size, n - first), wait_for=done[-1])
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[:n], *done)


def _run(shared: tuple[Array, Any], given: PyTree, mesh: Any, microbatch: int | None) -> PyTree:
    def whole(shared: tuple[Array, Any], given: PyTree) -> PyTree:
        key, one = shared
        return each(lambda row: one(jax.random.fold_in(key, row[0]), row[1]), given, microbatch)

    return spread(whole, shared, given, mesh)


_compiled = jax.jit(_run, static_argnums=(2, 3))
