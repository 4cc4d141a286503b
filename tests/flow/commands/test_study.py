import json
import shutil

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.project.file import CONFIGS
from vitric.flow.studies import STUDIES, granularity, study_named
from vitric.flow.studies.store import Store, network


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


def test_some_of_the_cases(tmp_path):
    done = run("roofline", "--config", "tiny", "--where", "w_bits=4", "--where", "a_bits=8", "--json", "-")
    assert done.exit_code == 0, done.output
    some = json.loads(done.stdout)
    everything = json.loads(run("roofline", "--config", "tiny", "--json", "-").stdout)
    assert 0 < len(some) < len(everything)
    assert some == [record for record in everything if (record["w_bits"], record["a_bits"]) == (4, 8)]


def test_a_project_of_ones_own(own, tmp_path, monkeypatch):
    assert CliRunner().invoke(app, ["init", "shapes", *map(str, own), "--array", "tiny"]).exit_code == 0
    monkeypatch.setattr(granularity, "_METHODS", ("minmax",))
    monkeypatch.setattr(granularity, "_BITS", ((4, 4), (8, 8)))
    done = run("granularity", "--project", "shapes", "--json", "all.json")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "shapes" / "build" / "studies"
    assert {path.name for path in folder.glob("granularity-*")} == {f"granularity-shapes.{end}" for end in
                                                                    ("json", "md", "svg")}
    assert len(list((folder / "cases" / "granularity").iterdir())) == 8 and not (tmp_path / "build").exists()
    records = json.loads((tmp_path / "all.json").read_text())
    assert {record["images"] for record in records} == {12} and "**shapes**, 12 test images" in done.stdout
    assert {record["config"] for record in records} == {str(tmp_path / "shapes")}
    monkeypatch.chdir(tmp_path / "shapes")  # from within, the same results
    again = run("granularity", "--json", "-")
    assert json.loads(again.stdout) == records and "kept from before" in again.stderr
    assert run("roofline").exit_code == 0 and "**shapes**" in (folder / "roofline.md").read_text()
    twice = run("roofline", "--project", ".", "--project", str(tmp_path / "other" / "shapes"))
    assert twice.exit_code == 2 and "or a project of one's own, not " in twice.stderr
    shutil.copy(CONFIGS / "deit_tiny.toml", tmp_path / "random.toml")
    unmeasured = run("methods", "--project", tmp_path / "random.toml")
    assert unmeasured.exit_code == 2 and "needs a project with weights and data; random has not" in unmeasured.stderr


def test_other_weights_or_another_file_are_other_cases(own, tmp_path):
    CliRunner().invoke(app, ["init", "shapes", *map(str, own), "--array", "tiny"])
    case, paths = {"config": str(tmp_path / "shapes")}, set()
    for path in (None, tmp_path / "shapes" / "vitric.toml", tmp_path / "vit.safetensors"):
        if path is not None:
            content = path.read_bytes()
            is_file = path.suffix == ".toml"
            path.write_bytes(content.replace(b'"ulx3s"', b'"ulx3s_12f"') if is_file else content[:-1] + b"~")
        network.cache_clear()
        paths.add(Store(tmp_path, study_named("methods")).path(case))
    assert len(paths) == 3


@pytest.mark.parametrize("arguments,message", [
    (["everything"], f"study must be one of {', '.join(STUDIES)}, not "),
    (["methods", "--config", "deit_tiny"], "--project of methods must be one of digits, "),
    (["roofline", "--config", "vgg"], "--project of roofline must be one of tiny, digits, fashion, "),
    (["pruning", "--project", "."], "--project of pruning must be one of digits, "),
    (["roofline", "--images", 3], "--images has no effect on roofline"),
    (["methods", "--images", 0], "--images must be at least 1, not 0"),
    (["roofline", "--where", "bits=8"], "--where of roofline must be FIELD=VALUE, the field one of config, "),
    (["sensitivity", "--config", "tiny", "--where", "part=head"], "the field one of method, w_bits, a_bits, config, "),
    (["roofline", "--config", "tiny", "--where", "config=digits"], "--where config= must be one of tiny, not 'digits'"),
    (["roofline", "--jobs", 0], "--jobs must be between 1 and 256, not 0"),
])
def test_rejected(arguments, message, tmp_path):
    done = run(*arguments)
    assert done.exit_code == 2 and message in done.stderr
    assert list(tmp_path.iterdir()) == []
