"""Weights in one file, whatever else a module holds."""

import inspect

import jax
import numpy as np
import pytest

import jaxsamp as js
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


def test_weights_are_loaded_from_a_file_as_from_a_folder(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    params = {"params": {"Dense_0": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, jax.numpy.bfloat16)}}}
    save_safetensors(params, path)
    found = js.training.load_weights(path)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(params), strict=True):
        assert isinstance(a, np.ndarray) and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "ema", "words"),
    [
        ("weights.npz", True, r"path must be a folder of checkpoints or a \.safetensors file; got the file .*npz"),
        ("bad.safetensors", True, "path must be a safetensors file; .* could not be read"),
        ("bad.safetensors", False, "ema must be left out for a file, which holds one set of weights; got False"),
        ("none.safetensors", True, "path must be a safetensors file; .* could not be read"),
        ("", True, "folder must hold a complete checkpoint; .* has none"),
    ],
)
def test_what_holds_no_weights_is_one_sentence(tmp_path, name, ema, words):
    pytest.importorskip("safetensors")
    for file in ("weights.npz", "bad.safetensors"):
        (tmp_path / file).write_bytes(b"no weights")
    with pytest.raises(ValueError, match=words) as caught:
        inspect.unwrap(js.training.load_weights)(tmp_path / name, ema)
    assert "\n" not in str(caught.value)
