"""Stand-ins for the tools that make a bitstream: `tests/test_whole_way.py` runs the real ones."""

import json
from types import SimpleNamespace

import pytest
from vitric.boards.registry import Board
from vitric.flow import seeds
from vitric.flow.project import integer
from vitric.flow.reports import bitstream as bitstream_report
from vitric.toolchain import run as synthesis
from vitric.toolchain.families import ECP5

from tests.flow.bitstream_kit import CELLS, NETLIST, PLACED, placed, random_model


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Put stand-ins where Amaranth, Yosys, nextpnr and ecppack would work; return what they were asked and give."""
    state = SimpleNamespace(fmax=60.0, fmax_of={}, sdram=105.0, cells=dict(CELLS), pnr=None, used=8364, netlist=None,
                            top=None, packed=None, clocks=None)

    def prepare(top, name):
        state.top = top
        files = {f"{name}.il": "il", f"{name}.ys": "ys", f"{name}.lpf": b"lpf", f"{name}.cst": b"lpf"}
        return SimpleNamespace(files=files)

    real = Board.make_platform

    def make_platform(self):
        platform = real(self)
        platform.prepare = prepare
        return platform

    def synthesize(family, folder, name, tell):
        (folder / f"{name}.json").write_text(NETLIST)
        (folder / f"{name}.scopes").write_text("top/system\n")
        return state.cells

    def place_and_route(family, folder, arguments, tell, netlist):
        assert (folder / family.constraints).read_text() == "lpf"
        state.clocks = (folder / family.clocks).read_text() if family.clocks else None
        state.pnr, state.netlist = arguments, json.loads((folder / netlist).read_text())
        if family.placed:
            (folder / family.placed).write_text(PLACED)
        (folder / "top.config").write_text(f"placed with seed {arguments[-1]}")
        report = placed(state.fmax_of.get(int(arguments[-1]), state.fmax), float(state.top.pll.output_mhz), state.used)
        if state.top.system.sdram is not None:
            report["fmax"]["memory"] = {"achieved": state.sdram, "constraint": float(state.top.sdram_pll.output_mhz)}
        report["utilization"][family.logic] = report["utilization"][ECP5.logic]
        return report

    def pack(part, folder):
        product = folder / part.family.packer.product
        product.write_bytes(b"bits")
        state.packed = (folder / "top.config").read_text()
        return product

    monkeypatch.setattr(integer, "integer_model", random_model)
    monkeypatch.setattr(Board, "make_platform", make_platform)
    monkeypatch.setattr(synthesis, "synthesize", synthesize)
    monkeypatch.setattr(seeds, "place_and_route", place_and_route)
    monkeypatch.setattr(synthesis, "pack", pack)
    monkeypatch.setattr(bitstream_report, "breakdown", lambda family, folder: [{"module": "system", **CELLS}])
    monkeypatch.chdir(tmp_path)
    return state
