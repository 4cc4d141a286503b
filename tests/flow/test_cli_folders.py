"""Two runs in one folder, and a tool that fails there: one line that names the folder or the log, status 2."""

import fcntl

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands import synth
from vitric.golden.errors import UserError
from vitric.toolchain import tools

COMMANDS = {
    "build/tiny/verilator": ["sim", "--config", "tiny"],
    "build/tiny/waves": ["sim", "--config", "tiny", "--waves"],
    "build/tiny/ulx3s/work": ["bitstream", "--config", "tiny"],
    "build/formal/mac.hold": ["formal", "mac.hold"],
    "build/mutate/gelu": ["mutate", "gelu"],
}


def expect(arguments, message):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    line, = [line for line in result.stderr.splitlines() if line.startswith("vitric: ")]
    assert message in line


def expect_busy(arguments, folder):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        expect(arguments, "is in use by another run of vitric")
    assert [path.name for path in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("folder", COMMANDS)
def test_a_folder_in_use(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expect_busy(COMMANDS[folder], tmp_path / folder)


def test_a_folder_in_use_by_synth(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = []

    def begin(component, part, folder, *names):
        folders.append(folder)
        raise UserError("that far")

    monkeypatch.setattr(synth, "_synthesize", begin)
    expect(["synth", "gelu"], "that far")
    folder, = folders
    expect_busy(["synth", "gelu"], tmp_path / folder)


@pytest.mark.parametrize(("arguments", "log"), [
    (["formal", "mac.hold"], "build/formal/mac.hold/design.log"), (["mutate", "gelu"], "build/mutate/gelu/list.log"),
    (["synth", "gelu"], "unit.rpt"),
])
def test_a_tool_that_fails(arguments, log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    broken = tmp_path / "broken tool"
    broken.write_text("#!/bin/sh\necho 'ERROR: something'\nexit 9\n")
    broken.chmod(0o755)
    tool = tools.Tool("tool", "testing", True, "PATH", str(broken), "1.0")
    monkeypatch.setattr(tools, "require", lambda name: tool)
    expect(arguments, "ended with status 9: ERROR: something; the log is ")
    expect(arguments, log)
    broken.unlink()
    expect(arguments, "ended with status 127: cannot start")


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").write_text("a file")
    for line in ("sim", "bitstream", "synth gelu", "formal mac.hold", "mutate gelu", "train", "quantize --config tiny",
                 "qat", "prune --n-m 2:4", "allocate --budget 4", "images", "generate", "export --qonnx",
                 "study roofline"):
        expect(line.split(), "cannot write build/")
