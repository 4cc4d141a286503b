import json

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.studies import granularity


def run(*arguments):
    return CliRunner().invoke(app, ["study", *map(str, arguments)])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_roofline(tmp_path):
    done = run("roofline", "--config", "deit_tiny", "--config", "tiny", "--out", "here", "--json", "-")
    assert done.exit_code == 0, done.output
    records = json.loads(done.stdout)
    assert {record["config"] for record in records} == {"deit_tiny", "tiny"}
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"roofline.json", "roofline.svg", "roofline.md"}
    assert json.loads((tmp_path / "here" / "roofline.json").read_text()) == records
    assert "written: here/roofline.json" in done.stderr and "| ulx3s    | W4A4   |" in done.stderr


def test_measured_study_and_its_second_run(tmp_path, monkeypatch):
    monkeypatch.setattr(granularity, "_METHODS", ("minmax",))
    monkeypatch.setattr(granularity, "_BITS", ((4, 4),))
    first = run("granularity", "--config", "tiny", "--images", 20, "--json", "all.json")
    assert first.exit_code == 0, first.output
    folder = tmp_path / "build" / "studies"
    kept = {path: path.stat().st_mtime_ns for path in (folder / "cases" / "granularity").iterdir()}
    assert len(kept) == 4
    table = (folder / "granularity-tiny.md").read_text()
    assert "**tiny**, 20 test images" in first.stdout
    second = run("granularity", "--config", "tiny", "--images", 20)
    assert second.stdout == first.stdout and (folder / "granularity-tiny.md").read_text() == table
    assert kept == {path: path.stat().st_mtime_ns for path in (folder / "cases" / "granularity").iterdir()}
    records = json.loads((tmp_path / "all.json").read_text())
    assert [record["method"] for record in records] == ["minmax"] * 3 + ["p2_vit"]
    assert len({record["lut_eq_per_lane"] for record in records[:3]}) == 1
    assert records[3]["lut_eq_per_lane"] == granularity.lut_per_lane(multiplier=False) < records[0]["lut_eq_per_lane"]
    assert records == json.loads((folder / "granularity-tiny.json").read_text())


@pytest.mark.parametrize("arguments,message", [
    (["everything"], "study must be one of methods, calibration, granularity, sensitivity, pruning, roofline, not "),
    (["methods", "--config", "deit_tiny"], "--config of methods must be one of digits, "),
    (["roofline", "--config", "vgg"], "--config of roofline must be one of tiny, digits, fashion, "),
    (["roofline", "--images", 3], "--images has no effect on roofline"),
    (["methods", "--images", 0], "--images must be at least 1, not 0"),
    (["roofline", "--jobs", 0], "--jobs must be between 1 and 256, not 0"),
])
def test_rejected(arguments, message, tmp_path):
    done = run(*arguments)
    assert done.exit_code == 2 and message in done.stderr
    assert list(tmp_path.iterdir()) == []
