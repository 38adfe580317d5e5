"""What can be trained on by name."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.cli import data
from jaxsamp.cli.train import Train
from jaxsamp.core.fingerprint import describe
from jaxsamp.training.data import batches


def test_another_law_is_another_configuration():
    def told(**options):
        return describe(batches(js.targets.ring(**options), None, jax.random.key(0)).config())

    assert told() == told() != told(std=0.2) and told() != told(radius=1.0)
    json.dumps(told())


def test_a_mixture_in_a_file_is_a_law():
    means = np.array([[0.0, 0.0], [3.0, 1.0]])
    np.savez("law.npz", weights=[0.25, 0.75], means=means, covariances=np.stack([np.eye(2)] * 2))
    for source in (data.load("law.npz", 1), data.load_reference("law.npz", 1)):
        assert source.train is None and source.event == (2,) and source.name == "law"
        np.testing.assert_allclose(source.law.means, means)


def test_data_sets_on_a_hub_are_data_with_their_labels(monkeypatch):
    def hub(name, size):
        assert (name, size) == ("someone/shapes", 4)
        return js.datasets.lazy.dataset(30, lambda i: (np.full((size, size), i, np.float32), np.int32(i % 3)))

    def closed(name, size):
        raise ConnectionError("no way to it")

    monkeypatch.setattr(data, "HUBS", {"hf": hub, "tfds": closed})
    source = data.load("hf:someone/shapes", 4)
    assert source.name == "shapes" and source.train.shape == (24, 4, 4) and source.held_out.shape == (6, 4, 4)
    np.testing.assert_array_equal(source.train[:, 0, 0] % 3, source.labels)
    assert Train("hf:someone/shapes").folder == Path("runs/shapes") and data.is_known("hf:someone/shapes")
    with pytest.raises(data.BadArgument, match=r"--data must be a data set that tfds has; cifar .* \(no way to it\)"):
        data.load("tfds:cifar", 4, "--data")
    with pytest.raises(data.BadArgument, match="--data must name a data set, hf:NAME; got hf: alone"):
        data.load("hf:", 4, "--data")


def test_patches_and_labels_are_data():
    patches = data.load("patches", 1)
    assert patches.event == (8, 8) and len(patches.train) > len(patches.held_out) > 100
    digits = data.load("digits", 1)
    assert digits.labels.shape == (1297,) and digits.held_out_labels.shape == (500,)
    nines = digits.only(9)
    assert len(nines.train) == (digits.labels == 9).sum() and nines.name == "digits 9"
    np.savez("rare.npz", x=np.zeros((50, 3)), labels=np.r_[np.zeros(49, int), 2])
    with pytest.raises(data.BadArgument, match="--label must have at least 4 .* label 1 of rare has 0 and 0"):
        data.load("rare.npz", 1).only(1)
    blobs = data.load("two.npz", 1)
    assert ((blobs.train.mean(1) > 2) == blobs.labels).mean() > 0.9  # labels are shuffled with their samples
    assert ((blobs.held_out.mean(1) > 2) == blobs.held_out_labels).all()
