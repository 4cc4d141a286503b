"""Ctrl-C is one line and status 130, whenever it comes; a missing character of the terminal is no error."""

import os
import signal
import subprocess
import sys

import pytest
from vitric.golden.errors import ToolFailure, UserError

from tests.processes import wait_for

# Ctrl-C while a module is being imported, at the same place each time.
INTERRUPTED_IMPORT = """
import sys
class Interrupt:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt)
sys.argv[1:] = ["train"]
from vitric.flow.start import main
main()
"""

WAITING = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs do not have
from vitric.flow.start import run
def program():
    print("waiting", flush=True)
    time.sleep(60)
run(program)
"""


def outcome(code, **variables):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **variables})
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["typer", "vitric.flow.cli", "vitric.flow.commands.train", "torch", "numpy"])
def test_while_importing(name):
    assert outcome(INTERRUPTED_IMPORT.format(name=name)) == (130, "", "vitric: interrupted\n")


def test_while_working(tmp_path):
    with open(tmp_path / "said", "w+") as said:
        program = subprocess.Popen([sys.executable, "-c", WAITING], stdout=said, stderr=subprocess.STDOUT)
        wait_for(lambda: (tmp_path / "said").read_text() == "waiting\n")
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == 130
    assert (tmp_path / "said").read_text() == "waiting\nvitric: interrupted\n"


def test_status_of_a_program():
    code = "from vitric.flow.start import run\nrun(lambda: {})"
    assert outcome(code.format("None"))[0] == 0 and outcome(code.format("7"))[0] == 7
    status, _, said = outcome(code.format("open('no such file')"))
    assert (status, said) == (2, "vitric: no such file: No such file or directory\n")
    assert outcome(code.format("print('±')"), PYTHONIOENCODING="ascii") == (0, "\\xb1\n", "")


@pytest.mark.parametrize(("error", "line"), [
    (UserError("two\nlines \x1b[31m"), r"two; lines \x1b[31m"),
    (PermissionError(13, "Permission denied", "a\nb"), "a; b: Permission denied"),
    (OSError(28, "No space left on device"), "No space left on device"),
    (MemoryError(), "there is not enough memory for this"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "there is not enough memory for this"),
    (BrokenPipeError(32, "Broken pipe"), None), (KeyError("fault"), None), (RuntimeError("fault"), None),
])
def test_line_of(error, line):
    from vitric.flow.reports.errors import line_of

    assert line_of(error) == line


def test_line_of_a_tool(tmp_path):
    from vitric.flow.reports.errors import line_of

    error = ToolFailure("yosys ended with status 1: ERROR: x", tmp_path / "y.log", ["ERROR: x", "y"])
    assert line_of(error) == f"yosys ended with status 1: ERROR: x; the log is {tmp_path / 'y.log'}"
    assert str(error).splitlines() == [error.summary, "ERROR: x", "y", f"log: {error.log}"]
