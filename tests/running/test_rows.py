"""Any function of one row keeps the contracts of the doors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxsamp as js
from jaxsamp.running import rows

KEY = jax.random.key(0)


def noisy(scale, key, item):
    return {"value": scale * item + jax.random.normal(key, item.shape), "key": jax.random.key_data(key)}


ITEMS = jnp.arange(14.0).reshape(7, 2)


def test_each_row_has_its_own_key_and_item():
    out = rows(KEY, Partial(noisy, 2.0), 7, ITEMS)
    for i in range(7):
        one = noisy(2.0, jax.random.fold_in(KEY, i), ITEMS[i])
        np.testing.assert_array_equal(out["key"][i], one["key"])
        np.testing.assert_allclose(out["value"][i], one["value"], rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"microbatch": 3},
        {"progress": True},
        {"microbatch": 2, "progress": True},
        {"mesh": 4},
        {"mesh": 2, "microbatch": 1},
    ],
)
def test_nothing_depends_on_how_they_are_run(options, capsys):
    if "mesh" in options:
        options |= {"mesh": js.mesh(options["mesh"], devices=jax.devices()[: options["mesh"]])}
    chex.assert_trees_all_close(
        rows(KEY, Partial(noisy, 2.0), 7, ITEMS, **options), rows(KEY, Partial(noisy, 2.0), 7, ITEMS)
    )


def test_new_arrays_do_not_compile_anew_and_it_stands_inside_jit():
    one = lambda scale, key, item: scale * item  # noqa: E731
    rows(KEY, Partial(one, jnp.asarray(1.0)), 7, ITEMS)
    with jax.no_tracing(True):
        out = rows(KEY, Partial(one, jnp.asarray(2.0)), 7, ITEMS)
    np.testing.assert_allclose(out, 2 * ITEMS)
    inside = jax.jit(lambda scale: rows(KEY, Partial(one, scale), 7, ITEMS))(3.0)
    np.testing.assert_allclose(inside, 3 * ITEMS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"items": ITEMS[:3]}, "items must have leaves"),
        ({"microbatch": 0}, "microbatch"),
    ],
)
def test_bad_arguments_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        rows(**({"key": KEY, "one": Partial(noisy, 1.0), "n": 7, "items": ITEMS} | change))
