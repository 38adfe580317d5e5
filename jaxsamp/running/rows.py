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
from jaxsamp.core.pytrees import adopted, is_function
from jaxsamp.core.types import Array, PRNGKey, PyTree
from jaxsamp.running.engine import MIN_ROWS, PIECES, numbered, spread, taken


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
    """Compute `one(fold_in(key, i), items[i])` for i = 0 .. n - 1: no row depends on another one.

    Args:
        key: a typed key.
        one: a pure function of a row's key and its item. Arrays that all rows share go into
            `jax.tree_util.Partial(function, arrays...)`, whose function takes them first, or into another callable
            pytree: new arrays do not recompile. Keep the function between calls: another one is compiled anew.
        n: number of rows.
        items: a pytree with leaves (n, ...), or None.
        mesh: devices that the rows are divided over, `jaxsamp.mesh()`.
        microbatch: largest number of rows at a time on each device, to save memory.
        progress: show a progress bar, which moves whenever a part of the rows is done.

    Returns:
        What `one` returns, stacked: leaves (n, ...).

    Raises:
        ValueError: n or microbatch is below 1, or `items` has a leaf without n rows.
        TypeError: `key` is not a typed key, `one` not a function, or `mesh` not a mesh.
    """
    checks.typed_key(key)
    if not callable(one):
        raise TypeError(f"one must be a function of a key and an item; got a {type(one).__name__}.")
    checks.at_least("n", n, 1)
    devices.check_mesh(mesh)
    if microbatch is not None:
        checks.at_least("microbatch", microbatch, 1)
    for leaf in jax.tree.leaves(items):
        if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != n:
            raise ValueError(f"items must have leaves of shape (n = {n}, ...); got a leaf of shape {jnp.shape(leaf)}.")
    shared = (key, Partial(one) if is_function(one) else adopted("one", one))
    given = (numbered(0, n), items)
    if not checks.is_concrete(shared, given, jnp.zeros(())):
        return _run(shared, given, mesh, microbatch)
    call = {"the function": "rows", "key": key, "one": one, "n": n, "items": items}
    devices.agree(call | {"microbatch": microbatch, "progress": progress}, devices.several_hosts(mesh))
    shared = devices.replicate(shared, mesh)
    if not progress:
        return _compiled(shared, devices.placed(given, mesh), mesh, microbatch)
    size = microbatch * devices.padded(1, mesh) if microbatch else max(MIN_ROWS, -(-n // PIECES))
    size = devices.padded(min(n, size), mesh)
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
