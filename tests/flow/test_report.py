"""Files are whole or as they were: never cut off, never left beside."""

from pathlib import Path

import pytest
from vitric.flow.report import UserError, write_bytes


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "model"
    write_bytes(target, b"old")
    genuine = Path.write_bytes

    def cut_off(path, data):
        genuine(path, data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", cut_off)
    with pytest.raises(UserError, match="cannot write .*model: No space left on device"):
        write_bytes(target, b"new and longer")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_folders_are_made_and_the_file_is_replaced(tmp_path):
    target = tmp_path / "a" / "b"
    write_bytes(target, b"old")
    assert write_bytes(target, b"new") == target
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]
