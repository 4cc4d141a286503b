import io
import os
import time

import pytest
from rich.console import Console
from vitric.flow.reports import simulating
from vitric.flow.reports.simulating import Simulating, build_state


def files(folder, *names, age=0):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("")
        os.utime(folder / name, (time.time() - age,) * 2)


def test_a_build_is_told_by_its_files(tmp_path):
    model, since = tmp_path / "model", time.time() - 10
    assert build_state(model, since).startswith("generating hardware")
    files(model, "Vtop.mk", age=60)  # of the build before
    assert build_state(model, since).startswith("generating hardware")
    files(model, "Vtop.mk", "Vtop.cpp", "Vtop__Syms.cpp", "main.cpp")
    assert build_state(model, since) == "compiling C++, 0 of 7 files"
    files(model, "main.o", "verilated.o", "Vtop.o")
    assert build_state(model, since) == "compiling C++, 3 of 7 files"


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_come_while_it_builds_and_while_it_runs(tmp_path, monkeypatch, terminal):
    monkeypatch.setattr(simulating, "_POLL_S", 0.01)
    monkeypatch.setattr(simulating, "_TELL_S", 0.05)
    out = io.StringIO()
    with Simulating(Console(file=out, force_terminal=terminal, width=100), 32, tmp_path) as report:
        time.sleep(0.3)
        told = out.getvalue()
        report(8, 1000)
        report(9, 1100)
        time.sleep(0.1)
    after = out.getvalue()[len(told):]
    if terminal:
        assert "generating hardware" in told and "simulating, 1100 cycles" in after
    else:
        assert told.count("generating hardware, as Verilog and as C++ (") >= 2
        assert after.splitlines()[-1:] == ["running   8 images, 1000 cycles"]
