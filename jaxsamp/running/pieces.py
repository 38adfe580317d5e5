"""The run of `sample` in equal pieces of steps and samples, with a progress bar between them."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxsamp import devices
from jaxsamp.core.progress import bar
from jaxsamp.core.types import Array
from jaxsamp.running.trajectories import End, Loop, Row, Shared, advance, counted, finish, start, taken

LEAST = 64  # samples at a time between two moves of the bar


# One compilation of each.
@jax.jit
def _start_all(shared: Shared, rows: Row) -> Loop:
    return devices.on_batch(jax.vmap(start, (None, 0)), shared.plan.mesh)(shared, rows)


@partial(jax.jit, static_argnums=4)
def _advance_all(shared: Shared, rows: Row, loop: Loop, first: Array, length: int) -> Loop:
    def part(both: tuple[Shared, Array], rows: tuple[Row, Loop]) -> Loop:
        return jax.vmap(lambda row, loop: advance(both[0], row, loop, both[1], length))(*rows)

    return devices.on_batch(part, shared.plan.mesh)((shared, first), (rows, loop))


@jax.jit
def _finish_all(shared: Shared, rows: Row, loop: Loop) -> End:
    def part(shared: Shared, rows: tuple[Row, Loop]) -> End:
        return counted(shared, jax.vmap(finish, (None, 0, 0))(shared, *rows))

    return devices.on_batch(part, shared.plan.mesh)(shared, (rows, loop))


def run_with_progress(shared: Shared, rows: Row) -> End:
    """The same numbers as `run`, in equal pieces of steps and samples with a progress bar between them."""
    plan = shared.plan
    n, steps = len(jax.tree.leaves(rows)[0]), plan.sampler.pieces(shared.lam.shape[0] - 1)
    if plan.microbatch:
        size = plan.microbatch * devices.rows(1, plan.mesh)
    else:
        size = n if steps > 1 else max(LEAST, -(-n // 20))
    size = devices.rows(min(size, n), plan.mesh)
    length = max(k for k in range(1, max(1, steps // 20) + 1) if steps % k == 0)
    starts = range(0, n, size)
    done = []
    with bar("sampling", len(starts) * steps, devices.leads(plan.mesh)) as move:
        for place in starts:
            some = devices.divide(taken(rows, place, size), plan.mesh)
            loop = _start_all(shared, some)
            for first in range(0, steps, length):
                loop = _advance_all(shared, some, loop, first, length)
                move(length, wait_for=loop.bad)
            done.append(_finish_all(shared, some, loop))
    return jax.tree.map(lambda *pieces: jnp.concatenate(pieces)[:n], *done)
