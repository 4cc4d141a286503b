import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands import mutate
from vitric.hdl.units import UNITS
from vitric.sim import mutants
from vitric.sim.mutants import Fault

LINE = Path(mutate.__file__).read_text(encoding="utf-8").splitlines()[0]


def fault(number, **changes):
    values = {"change": "mutate", "mode": "inv", "kind": "add", "port": "Y", "bit": number, "control": -1,
              "wire": "sum[1]", "sources": ("flow/commands/mutate.py:1",)}
    return Fault(number=number, **values | changes)


def planting(planted):
    def plant(component, folder, **options):
        (folder / "before.il").write_text("netlist")
        return folder / "mutants.v", planted

    return plant


@pytest.mark.parametrize(("entry", "fits"), [
    ({"mode": "inv", "port": "Y"}, True), ({"mode": "const0"}, False), ({"line": LINE, "bit": 1}, True),
    ({"line": "other"}, False), ({"wire": "sum[1]", "kind": "sub"}, False), ({}, True),
])
def test_reason(entry, fits):
    assert mutate.reason_of(fault(1), [{"port": "Z", "reason": "no"}, {**entry, "reason": "because"}]) == (
        "because" if fits else "")


def test_place_that_is_gone():
    gone = fault(1, sources=("gone.py:7", "flow/commands/mutate.py:99999"))
    assert mutate.reason_of(gone, [{"line": LINE, "reason": "because"}]) == ""


@pytest.mark.parametrize("path", sorted(mutate.REASONS.glob("*.json")), ids=lambda path: path.stem)
def test_reason_files(path):
    assert path.stem in UNITS
    sources = Path(mutate.__file__).resolve().parents[2] / "hdl"
    lines = {line.strip() for source in sources.rglob("*.py") for line in source.read_text("utf-8").splitlines()}
    allowed = {"line", "mode", "kind", "port", "bit", "wire", "reason"}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        assert set(entry) <= allowed and len(entry["reason"]) > 20 and ("line" in entry or "wire" in entry)
        assert entry.get("line") in (None, *lines), "no line of the hardware reads like this any more"


@pytest.mark.parametrize(("alive", "proved", "status", "share"), [
    ([], False, 0, 1.0), ([7], True, 0, 1.0), ([7], False, 1, 0.975), ([7, 8, 9], True, 0, 1.0),
    ([1, 2, 3], False, 1, 0.925),
])
def test_verdict(alive, proved, status, share, tmp_path, monkeypatch):
    planted = [fault(number) for number in range(1, 41)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutate, "REASONS", tmp_path / "none" / "at all")
    monkeypatch.setattr(mutants, "plant", planting(planted))
    monkeypatch.setattr(mutants, "hunt", lambda *_, **__: {n: "test" for n in range(1, 41) if n not in alive})
    monkeypatch.setattr("vitric.formal.equivalent.is_equivalent", lambda *_, **__: proved)
    done = CliRunner().invoke(app, ["mutate", "gelu", "--json", "report.json"])
    assert done.exit_code == status, done.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["share"] == pytest.approx(share) and [one["number"] for one in report["survivors"]] == alive
    assert ("NO REASON" in done.output) == bool(status)


def test_reasons_are_enough_only_up_to_five_percent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutate, "REASONS", tmp_path / "reasons" / "here")
    mutate.REASONS.mkdir(parents=True)
    (mutate.REASONS / "gelu.json").write_text(json.dumps([{"kind": "add", "reason": "this is how it is"}]))
    monkeypatch.setattr(mutants, "plant", planting([fault(number) for number in range(1, 21)]))
    for alive, status in ((1, 0), (2, 1)):
        monkeypatch.setattr(mutants, "hunt", lambda *_, alive=alive, **__: dict.fromkeys(range(1, 21 - alive), "test"))
        assert CliRunner().invoke(app, ["mutate", "gelu"]).exit_code == status


def test_unknown_unit():
    done = CliRunner().invoke(app, ["mutate", "coffee"])
    assert done.exit_code == 2
    assert f"unit must be one of {', '.join(UNITS)}, not 'coffee'" in " ".join(done.output.split())


def test_faults_are_shared_among_workers(scheduler, tmp_path, monkeypatch):
    parts = []

    def hunt(unit, settings, netlist, faults, folder, **options):
        parts.append(faults)
        assert (unit.name, netlist.read_text()) == ("gelu", "faulty netlist")
        return {number: f"test {number}" for number in faults if number not in (3, 5)}

    def plant(component, folder, **options):
        (folder / "before.il").write_text("netlist")
        (folder / "mutants.v").write_text("faulty netlist")
        return folder / "mutants.v", [fault(number) for number in range(1, 6)]

    def is_equivalent(netlist, change, folder, seconds):
        assert netlist.read_text() == "netlist" and seconds == 7
        return folder.name == "equal-3"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutate, "REASONS", tmp_path / "none" / "at all")
    monkeypatch.setattr(mutants, "plant", plant)
    monkeypatch.setattr(mutants, "hunt", hunt)
    monkeypatch.setattr("vitric.formal.equivalent.is_equivalent", is_equivalent)
    arguments = ["mutate", "gelu", "--seconds", "7", "--json"]
    for options in ([], ["--scheduler", scheduler]):
        done = CliRunner().invoke(app, [*arguments, f"{len(options)}.json", *options])
        assert done.exit_code == 1 and "3: inv at" in done.output and "5: inv at" in done.output
    assert sorted(parts, key=len) == [range(4, 6), range(1, 4), range(1, 6)]
    reports = [json.loads((tmp_path / f"{number}.json").read_text()) for number in (0, 2)]
    assert reports[0] == reports[1] and reports[0]["caught"] == 3
    assert [(one["number"], one["equivalent"]) for one in reports[0]["survivors"]] == [(3, True), (5, False)]
