"""Tools end with whoever started them, whatever ends that; nothing outside steers them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from vitric.toolchain import processes
from vitric.toolchain.processes import last_lines, own_environment, run, started, variables

from docs.imports import FOLDERS
from tests.processes import alive, wait_for

# A tool that starts another process, as make starts compilers, and writes the ids of both.
TOOL = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
with open("ids.tmp", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename("ids.tmp", "ids")
time.sleep(60)
"""
COMMAND = [sys.executable, "-S", "-c", TOOL]

# A process that runs that tool, as a command of vitric does.
PARENT = f"""
import signal
from pathlib import Path
from vitric.toolchain.processes import run
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs do not have
run({COMMAND!r}, Path("."), log=Path("log"))
"""


def ids(folder):
    path = wait_for(lambda: (folder / "ids").exists() and folder / "ids")
    return [int(word) for word in path.read_text().split()]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_tool_and_what_it_started_die_with_their_parent(tmp_path, end):
    with open(tmp_path / "parent.log", "w") as log:
        parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, stderr=log)
        tool = ids(tmp_path)
        assert all(map(alive, tool))
        parent.send_signal(end)
        assert parent.wait(10) != 0
    wait_for(lambda: not any(map(alive, tool)))


def test_a_tool_ends_with_its_block(tmp_path):
    with pytest.raises(ZeroDivisionError), started(COMMAND, tmp_path):
        tool = ids(tmp_path)
        raise ZeroDivisionError
    wait_for(lambda: not any(map(alive, tool)))


def test_a_tool_ends_with_its_time(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        run(COMMAND, tmp_path, log=tmp_path / "log", seconds=0.5)
    wait_for(lambda: not any(map(alive, ids(tmp_path))))


def test_status_and_output(tmp_path):
    log = tmp_path / "log"

    def status(code):
        return run([sys.executable, "-c", code], tmp_path, log=log)

    assert status("import os; print(os.getcwd(), repr(input.__name__), end='')") == 0
    assert log.read_text() == f"{tmp_path} 'input'"
    assert status("import sys; print(sys.stdin.read() == '', file=sys.stderr); sys.exit(7)") == 7
    assert log.read_text() == "True\n"
    assert status("import os; os.kill(os.getpid(), 11)") == 128 + 11
    assert run([tmp_path / "no such tool"], tmp_path, log=log) == 127
    assert last_lines(log) == [f"cannot start {tmp_path / 'no such tool'}: No such file or directory"]
    assert last_lines(tmp_path / "none") == []


STEERED = ("COCOTB_TEST_FILTER", "MAKEFLAGS", "MAKEFILES", "VERILATOR_ROOT", "PYTHONPATH", "PYTHONHOME", "WAVES",
           "AMARANTH_USE_YOSYS", "VITRIC_SPEC", "GPI_USERS")


def test_variables_that_would_steer_a_tool_are_left_out(monkeypatch, tmp_path):
    for name in STEERED:
        monkeypatch.setenv(name, "somebody's")
    monkeypatch.setenv("MAKEUP", "kept")
    assert not set(STEERED) & set(own_environment()) and own_environment()["MAKEUP"] == "kept"
    code = f"import os, sys; sys.exit(len(set({STEERED!r}) & set(os.environ)))"
    assert run([sys.executable, "-c", code], tmp_path, log=tmp_path / "log") == 0
    with variables({"AMARANTH_USE_YOSYS": "builtin", "NEW": "1"}):
        assert set(STEERED) & set(os.environ) == {"AMARANTH_USE_YOSYS"}
        assert (os.environ["AMARANTH_USE_YOSYS"], os.environ["NEW"]) == ("builtin", "1")
    assert {os.environ[name] for name in STEERED} == {"somebody's"} and "NEW" not in os.environ


def test_a_home_folder_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "XDG_CACHE_HOME" not in own_environment()
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.chdir(tmp_path)
    assert own_environment()["XDG_CACHE_HOME"] == str(tmp_path / "build" / "cache")
    with variables({}):
        assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / "build" / "cache")
    assert "XDG_CACHE_HOME" not in os.environ


def test_every_tool_is_started_here():
    """What is started in another way may outlive this process; the exceptions take a moment, or are no part of it."""
    starts = re.compile(r"subprocess\.(run|Popen|call|check_\w+)\(|os\.(system|popen|exec\w+|spawn\w+|fork)\(")
    assert starts.search("subprocess.run(x)") and not starts.search("processes.run(x)")
    root = Path(processes.__file__).resolve().parents[1]
    sources = [path for folder in FOLDERS for path in (root / folder).rglob("*.py")]
    found = {path.relative_to(root).as_posix() for path in sources if starts.search(path.read_text())}
    assert found == {f"toolchain/{name}.py" for name in ("processes", "guard", "tools", "bootstrap")}
