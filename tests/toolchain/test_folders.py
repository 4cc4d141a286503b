"""A folder belongs to one process at a time."""

import subprocess
import sys

import pytest
from vitric.golden.errors import UserError
from vitric.toolchain.folders import locked

OWNER = """
import sys
from pathlib import Path
from vitric.toolchain.folders import locked
with locked(Path("work")):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_is_refused_and_told_who_has_it(tmp_path):
    folder = tmp_path / "work"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdout.readline() == b"locked\n"
    message = f"{folder} is in use by another run of vitric, process {owner.pid}"
    with pytest.raises(UserError, match=message), locked(folder):
        pass
    owner.kill()
    owner.communicate()
    with locked(folder):
        pass


def test_the_same_process_may_lock_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with locked(tmp_path / "work"), locked(tmp_path / "work" / ".." / "work"):
        pass
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "work"):
        raise ZeroDivisionError
    done = subprocess.run([sys.executable, "-c", OWNER], cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert done.returncode == 0


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"cannot write {tmp_path / 'file' / 'work'}: Not a directory"), locked(
            tmp_path / "file" / "work"):
        pass
