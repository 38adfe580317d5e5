"""Young diagrams of t letters 0, ..., d - 1, for measurements of t copies of a state.

A diagram is an array (d,) of row lengths, decreasing, with sum t. Functions take one of them unless they say otherwise;
`jax.vmap` makes batches.
"""

import jax.numpy as jnp
from jax import Array, lax


def rsk_insert(table: Array, letter: Array) -> Array:
    """The table after row insertion of a letter (Robinson, Schensted, Knuth): counts of each letter in each row.

    A letter goes to the end of the first row, or takes the place of the smallest larger letter there, which is then
    inserted into the next row.

    Args:
        table: (d, d) of integers; entry (i, a) is how often row i has the letter a.
        letter: a number from 0 to d - 1; d inserts nothing.
    """
    numbers = jnp.arange(len(table))

    def insert(letter: Array, row: Array) -> tuple[Array, Array]:
        larger = (row > 0) & (numbers > letter)
        bumped = jnp.min(jnp.where(larger, numbers, len(row)))  # d, which no row takes, if nothing is larger
        return bumped, row + (numbers == letter) - (numbers == bumped)

    return lax.scan(insert, jnp.asarray(letter, numbers.dtype), table)[1]


def row_lengths(table: Array) -> Array:
    """The diagram of a table, (d,)."""
    return table.sum(1)


def donate(partition: Array) -> Array:
    """The diagram after each row has given a box to every longer one: lambda_i + #{shorter rows} - #{longer rows}.

    Args:
        partition: (..., d) of integers, of JAX or NumPy. The sum stays the same; entries may become negative.
    """
    longer = partition[..., :, None] > partition[..., None, :]
    return partition + longer.sum(-1) - longer.sum(-2)
