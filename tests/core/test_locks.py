"""One writer at a time, and no lock outlives its holder."""

import os
import threading

import pytest

from jaxsamp.core import locks

pytest.importorskip("fcntl")


def test_a_folder_has_one_holder_who_may_lock_it_again_and_leaves_nothing(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    refused = []

    def other():
        try:
            with locks.folder(tmp_path, "it is taken"):
                pass
        except ValueError as error:
            refused.append(str(error))

    with locks.folder(tmp_path, "it is taken"), locks.folder(tmp_path / "link", "it is taken"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused == ["it is taken"]
    other()
    assert len(refused) == 1 and os.listdir(tmp_path) == ["link"]


def test_a_file_has_one_holder_and_a_system_without_locks_none(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(45, "Operation not supported")

    with (tmp_path / "file").open("w") as one, (tmp_path / "file").open("w") as two:
        locks.hold(one, "it is taken")
        with pytest.raises(ValueError, match="it is taken"):
            locks.hold(two, "it is taken")
        monkeypatch.setattr(locks.fcntl, "flock", no_locks)
        locks.hold(two, "it is taken")
