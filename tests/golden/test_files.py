"""Files are whole or as they were: never cut off, never left beside."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from vitric.golden.errors import UserError
from vitric.golden.files import is_writable, parse_json, write_bytes, write_json


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "model"
    write_bytes(target, b"old")

    def fails(path, other):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
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


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    broken = tmp_path / "broken"
    broken.symlink_to(tmp_path / "later")
    write_bytes(broken, b"made")
    assert broken.is_symlink() and (tmp_path / "later").read_bytes() == b"made"


def test_what_is_no_file_is_written_to(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write_json(fifo, {"x": 1})
    reader.join(10)
    assert json.loads(got[0]) == {"x": 1} and stat.S_ISFIFO(fifo.stat().st_mode)
    write_json("/dev/null", {"x": 1})
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_bytes(tmp_path, b"x")
    assert list(tmp_path.iterdir()) == []


def test_json_is_whole_or_absent(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"x": 1})
    for bad, error in (({"x": object()}, TypeError), ({"x": float("nan")}, ValueError)):
        with pytest.raises(error):
            write_json(path, bad)
    assert json.loads(path.read_text()) == {"x": 1}
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]
    with pytest.raises(UserError, match="cannot write"):
        write_json(path / "below_a_file.json", {})


def test_json_texts():
    assert parse_json('{"x": [1, null]}') == {"x": [1, None]}
    with pytest.raises(ValueError, match="Expecting value"):
        parse_json("[")
    with pytest.raises(ValueError, match="its values are nested too deeply"):
        parse_json('{"x": ' * 100_000)


def test_what_can_be_written_is_known_before(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("file", "new", "a/b/new", "link", "/dev/null"):
        assert is_writable(tmp_path / name), name
    for name in ("", "file/below", "file/a/b", "/dev/null/new"):
        assert not is_writable(tmp_path / name), name
