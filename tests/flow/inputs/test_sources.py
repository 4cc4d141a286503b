import pytest
from vitric.flow.inputs import sources
from vitric.flow.inputs.sources import source_digest
from vitric.golden.errors import UserError


def test_digest_follows_files_names_and_words(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    (tmp_path / "room").mkdir()
    for name in ("a.py", "room/b.py", "room/c.toml", "room/d.txt"):
        (tmp_path / name).write_text(name)
    before = source_digest(["a.py", "room"], "torch 2")
    (tmp_path / "room" / "d.txt").write_text("no source")
    assert source_digest(["a.py", "room"], "torch 2") == before
    assert source_digest(["a.py", "room"], "torch 3") != before != source_digest(["room"], "torch 2")
    (tmp_path / "room" / "c.toml").write_text("changed")
    assert source_digest(["a.py", "room"], "torch 2") != before
    with pytest.raises(UserError, match="nowhere must be a file of vitric or a folder with sources"):
        source_digest(["nowhere"])
