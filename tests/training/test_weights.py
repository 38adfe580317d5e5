"""Weights in one file, whatever else a module holds."""

import jax
import numpy as np
import pytest

from jaxsamp.training.weights import load_safetensors, save_safetensors


def test_random_keys_and_functions_of_a_module_survive_a_file(tmp_path):
    pytest.importorskip("safetensors")
    state = {"kernel": np.arange(6.0, dtype=np.float32), "dropout": jax.random.key(3), "activation": jax.nn.relu}
    save_safetensors(state, tmp_path / "weights.safetensors")
    like = state | {"kernel": np.zeros(6, np.float32), "dropout": jax.random.key(0)}
    found = load_safetensors(tmp_path / "weights.safetensors", like)
    np.testing.assert_array_equal(found["kernel"], state["kernel"])
    np.testing.assert_array_equal(jax.random.key_data(found["dropout"]), jax.random.key_data(state["dropout"]))
    assert found["activation"] is jax.nn.relu
    with pytest.raises(ValueError, match="'dropout' must have shape"):
        load_safetensors(tmp_path / "weights.safetensors", like | {"dropout": jax.random.split(jax.random.key(0), 3)})
