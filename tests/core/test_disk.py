"""Files of arrays that are none, and paths in the home folder."""

import numpy as np
import pytest

from jaxsamp.core import disk


def renamed_npy(path):
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").rename(path)


def with_a_flipped_bit(path):
    """In the header of an array, after which a bracket opens and is never closed."""
    np.savez(path, x=np.zeros(10**5))
    path.write_bytes(path.read_bytes().replace(b"(100000,)", b"(100000,("))


def with_an_end_that_misleads(path):
    """The bits that say where the list of arrays begins; the system refuses to seek there."""
    np.savez(path, x=np.zeros(3))
    path.write_bytes(path.read_bytes()[:-6] + b"\xff" * 4 + bytes(2))


def cut(path):
    np.savez(path, x=np.zeros(3))
    path.write_bytes(path.read_bytes()[:-30])


def of_objects(path):
    np.savez(path, x=np.array([None]))


@pytest.mark.parametrize("damaged", [renamed_npy, with_a_flipped_bit, with_an_end_that_misleads, cut, of_objects])
def test_whatever_is_no_file_of_arrays_is_one_sentence(tmp_path, damaged):
    """An .npy file was a TypeError, and a flipped bit a TokenError."""
    path = tmp_path / "held.npz"
    damaged(path)
    with pytest.raises(ValueError, match=r"path must be a file of mine; .*held\.npz: .*\.$") as raised:
        disk.arrays(path, "a file of mine")
    assert "\n" not in str(raised.value)


def test_too_little_memory_is_not_the_fault_of_the_file(tmp_path, monkeypatch):
    np.savez(tmp_path / "held.npz", x=np.zeros(3))

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np, "load", full)
    with pytest.raises(MemoryError):
        disk.arrays(tmp_path / "held.npz", "a file")


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        disk.arrays(tmp_path / "none.npz", "a file")


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert disk.with_ending("~/eps0.5", ".npz") == tmp_path / "eps0.5.npz"
    assert disk.with_ending("~/c.npz", ".npz") == tmp_path / "c.npz"
