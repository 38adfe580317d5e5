"""A folder for each test, and two runs that many of them look at."""

import numpy as np
import pytest

from jaxsamp import cli


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    labels = np.arange(50) % 2
    np.savez("two.npz", x=rng.normal(size=(50, 3)) + 4 * labels[:, None], labels=labels)


@pytest.fixture(scope="session")
def ring(tmp_path_factory):
    """A run on a toy that is trained enough to be told from an untrained network, with a picture of its samples."""
    out = tmp_path_factory.mktemp("train") / "ring"
    words = ["train", "--data", "ring", "--network", "mlp", "--width", "32", "--depth", "2", "--steps", "400"]
    assert cli.main([*words, "--samples-every", "1000", "--ema", "0.98", "--no-progress", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def labeled(tmp_path_factory):
    """A run on two clusters with labels."""
    folder = tmp_path_factory.mktemp("labeled")
    labels = np.arange(200) % 2
    x = np.random.default_rng(0).normal(size=(200, 2)) / 4 + np.where(labels, 1.0, -1.0)[:, None]
    np.savez(folder / "two.npz", x=x, labels=labels)
    words = ["train", "--data", str(folder / "two.npz"), "--labels", "--width", "32", "--depth", "1", "--drop", "0.2"]
    words += ["--steps", "600", "--ema", "0.98", "--samples-every", "0", "--out", str(folder / "run")]
    assert cli.main(words) == 0
    return folder / "run"
