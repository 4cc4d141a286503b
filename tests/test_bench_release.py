"""The archive of bitstreams: what is in it, the same for the same files, and only what met its clock."""

import hashlib
import io
import json
import sys
import tarfile

import pytest
from vitric.boards.registry import BOARDS
from vitric.golden.errors import UserError

from bench import release


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Put bitstreams into build/ of an empty folder."""
    monkeypatch.chdir(tmp_path)

    def put(config, board, met=True, content=b"bits"):
        folder = tmp_path / "build" / config / board
        folder.mkdir(parents=True)
        (folder / "top.bit").write_bytes(content)
        (folder / "report.json").write_text(json.dumps({"timing_met": met}))

    return put


def contents(packed):
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {name.partition("/")[2]: tar.extractfile(name).read() for name in tar.getnames()}


def test_what_is_released():
    assert len(set(release.RELEASED)) == len(release.RELEASED)
    assert {board for _, board in release.RELEASED} == set(BOARDS) - {"tang_nano_9k"}  # too small for anything
    assert ("digits", "ulx3s") in release.RELEASED and ("digits_25f", "icepi_zero") in release.RELEASED


def test_the_archive(there):
    there("tiny", "ulx3s", content=b"first")
    there("tiny", "icepi_zero", met=False)
    there("digits", "ulx3s", content=b"second")
    pairs = [("tiny", "ulx3s"), ("tiny", "icepi_zero"), ("digits", "ulx3s"), ("tiny", "orangecrab")]
    packed, missing = release.archive(pairs)
    assert missing == [("tiny", "icepi_zero"), ("tiny", "orangecrab")]
    files = contents(packed)
    assert set(files) == {"tiny-ulx3s.bit", "tiny-ulx3s.json", "digits-ulx3s.bit", "digits-ulx3s.json", "LICENSE",
                          "README", "SHA256SUMS"}
    assert files["tiny-ulx3s.bit"] == b"first" and files["digits-ulx3s.bit"] == b"second"
    sums = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert release.archive(pairs)[0] == packed


def test_nothing_there(there):
    with pytest.raises(UserError, match="build/ has none of these bitstreams; --build makes them"):
        release.archive([("tiny", "ulx3s")])


def test_the_command_builds_what_is_not_there(there, monkeypatch, capsys, tmp_path):
    there("tiny", "ulx3s")
    built = []

    def build(project, *, seeds, until_met):
        built.append((project.name, project.board.name, seeds, until_met))
        there(project.name, project.board.name)

    monkeypatch.setattr(release, "build_bitstream", build)
    monkeypatch.setattr(release, "RELEASED", (("tiny", "ulx3s"), ("tiny", "orangecrab"), ("digits", "ulx3s")))
    monkeypatch.setattr(sys, "argv", ["release", "--out", "some/where.tar.gz"])
    release.main()
    said = capsys.readouterr()
    assert "not there: make bitstream CONFIG=digits BOARD=ulx3s" in said.err and "1 of 3 bitstreams" in said.out
    monkeypatch.setattr(sys, "argv", ["release", "--build", "--seeds", "3", "--out", "some/where.tar.gz"])
    release.main()
    assert built == [("tiny", "orangecrab", 3, True), ("digits", "ulx3s", 3, True)]
    assert "3 of 3 bitstreams" in capsys.readouterr().out
    assert len(contents((tmp_path / "some" / "where.tar.gz").read_bytes())) == 9
