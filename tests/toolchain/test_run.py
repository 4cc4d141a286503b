import json
import sys

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import AsyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.flow.reports.console import console
from vitric.golden.errors import ToolFailure, UserError
from vitric.toolchain import tools
from vitric.toolchain.families import ECP5, FAMILIES
from vitric.toolchain.parts import PARTS
from vitric.toolchain.run import Steps, breakdown, pack, place_and_route, run_script, run_tool, synthesize

PACKING = ["Info: Packing constants..", "Info: Packing carries..."]
PLACING = ["Info:     at initial placer iter 3, wirelen = 4", "Info:     at iteration #7, type ALL: wirelen solved = 5"]
ROUTING = ["Info: Routing 2000 arcs.", "Info:            |   (re-)routed arcs  |   delta    | remaining|",
           "Info:    1000 |       11        988 |   11   988 |       500|       0.30       0.30|"]


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Return a function that puts a Python program in place of every tool."""

    def replace(program):
        path = tmp_path / "tool"
        path.write_text(f"#!{sys.executable}\nimport json, sys\n{program}\n")
        path.chmod(0o755)
        found = tools.Tool("tool", "testing", True, "PATH", str(path), "1.0", {"GREETING": "hello"})
        monkeypatch.setattr(tools, "require", lambda name: found)

    return replace


def test_run_tool(tool, tmp_path):
    tool("import os; print(os.getcwd(), os.environ['GREETING'], *sys.argv[1:]); print('end', file=sys.stderr)")
    lines = []
    run_tool("yosys", ["a", "b"], tmp_path, "tool.log", lines.append)
    assert sorted(lines) == sorted([f"{tmp_path} hello a b", "end"])
    assert (tmp_path / "tool.log").read_text().splitlines() == lines


def test_a_failing_tool_says_why(tool, tmp_path):
    tool("print('Info: 1\\nERROR: no such cell\\n0 warnings'); sys.exit(3)")
    with pytest.raises(ToolFailure, match="(?s)Info: 1.*0 warnings") as caught:
        run_tool("nextpnr-ecp5", [], tmp_path, "pnr.log", lambda line: None)
    assert caught.value.summary == "nextpnr-ecp5 ended with status 3: ERROR: no such cell"
    assert caught.value.log == tmp_path / "pnr.log"
    tool("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ToolFailure, match="yosys a.ys was ended by signal 9"):
        run_script(tmp_path, "a")
    assert (tmp_path / "a.log").read_bytes() == b""


def netlist(**cells):
    return {"modules": {"top": {"cells": {name: {"type": kind} for name, kind in cells.items()}}}}


NETLIST = netlist(**{
    "system.core.unit.x_LUT4_Z": "LUT4", "system.core.unit.field.y_LUT4_Z_1": "LUT4", "loose_LUT4_Z": "LUT4",
    "system.core.z_TRELLIS_FF_Q": "TRELLIS_FF", "system.core.unit.c_CCU2C_S0": "CCU2C", "led_OB": "OB",
    "system.core.unit.memory.0.0": "DP16KD",
})


def test_synthesize_counts_cells_and_tells_passes(tool, tmp_path):
    tool("assert sys.argv[1:] == ['top.ys']\n"
         f"open('top.json', 'w').write({json.dumps(NETLIST)!r})\n"
         "print('2.1. Executing HIERARCHY pass (x).')\nprint('2.42.3. Executing ABC9 pass.')")
    told = []
    cells = synthesize(ECP5, tmp_path, "top", lambda doing, share: told.append(doing))
    assert cells == {"lut4": 3, "ccu2c": 1, "dpr16x4": 0, "carry": 2, "ff": 1, "dsp": 0, "bram": 1, "lut_eq": 5}
    assert (tmp_path / "top.ys").read_text() == ECP5.script("top")
    assert told == ["yosys: hierarchy", "yosys: abc9"]


def test_breakdown_by_submodule(tmp_path):
    (tmp_path / "top.json").write_text(json.dumps(NETLIST))
    (tmp_path / "top.scopes").write_text("top/system\ntop/system.core\ntop/system.core.unit\n")
    rows = {row.pop("module"): row for row in breakdown(ECP5, tmp_path)}
    assert {path: {k: v for k, v in row.items() if v} for path, row in rows.items()} == {
        "system.core.unit": {"lut4": 2, "ccu2c": 1, "carry": 2, "bram": 1, "lut_eq": 4},
        "system.core": {"ff": 1}, "top": {"lut4": 1, "lut_eq": 1}}
    assert [row["module"] for row in breakdown(ECP5, tmp_path, levels=2)] == ["system.core", "top"]


class Nested(Elaboratable):
    """A register in a module in a module."""

    def __init__(self, depth):
        self.depth, self.i, self.o = depth, Signal(4), Signal(4)

    def elaborate(self, platform):
        m = Module()
        if self.depth:
            m.submodules.inner = inner = Nested(self.depth - 1)
            m.d.comb += [inner.i.eq(self.i), self.o.eq(inner.o)]
        else:
            total = Signal(4)
            m.d.sync += total.eq(self.i + total)
            m.d.comb += self.o.eq(total ^ total.rotate_left(1))
        return m


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_breakdown_of_a_real_netlist(family, tmp_path):
    """Submodules are dissolved before synthesis; their names must not be lost."""
    top = Nested(2)
    (tmp_path / "top.il").write_text(rtlil.convert(top, ports=[top.i, top.o], name="top", emit_src=False))
    cells = synthesize(family, tmp_path, "top", lambda *what: None)
    rows = {row["module"]: row for row in breakdown(family, tmp_path)}
    assert rows["inner.inner"]["ff"] == cells["ff"] == 4


def test_place_and_route_tells_how_far_it_is(tool, tmp_path):
    tool("arguments = sys.argv[1:]\nassert arguments[:3] == ['--85k', '--seed', '1'], arguments\n"
         "assert '--timing-allow-fail' in arguments\n"
         "open('report.json', 'w').write(json.dumps({'fmax': {}}))\n"
         f"for line in {PACKING + PLACING + ROUTING!r}: print(line)")
    told = []
    assert place_and_route(ECP5, tmp_path, ["--85k", "--seed", "1"], lambda *what: told.append(what)) == {"fmax": {}}
    assert told == [("packing: constants", None), ("packing: carries", None), ("placing: step 3", None),
                    ("placing: step 7", None), ("routing: 500 of 2000 arcs left", 0.75)]


def test_pack(tool, tmp_path):
    tool("open(sys.argv[sys.argv.index('--bit') + 1], 'w').write(' '.join(sys.argv[1:]))")
    assert pack(PARTS["ecp5-25k"], tmp_path).read_text() == "--compress --input top.config --bit top.bit"
    with pytest.raises(UserError, match="no packer for Lattice iCE40"):
        pack(PARTS["up5k"], tmp_path)


def test_pack_is_told_of_the_part(tool, tmp_path):
    tool("open(sys.argv[sys.argv.index('-o') + 1], 'w').write(' '.join(sys.argv[1:]))")
    assert pack(PARTS["gw2ar-18"], tmp_path).read_text() == "-d GW2A-18C -c -o top.fs top.pnr"


def test_steps_leave_one_line_each(capsys):
    console.cache_clear()
    steps = Steps(console())
    with steps.step("place and route") as tell:
        for doing in ("placing: step 1", "placing: step 2", "routing: 5 of 9 arcs left"):
            tell(doing, None)
    console.cache_clear()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("(")[0].split() for line in lines[:2]] == [
        ["place", "and", "route:", "placing"], ["place", "and", "route:", "routing"]]
    assert lines[2].split() == ["place", "and", "route", "0", "s"] and len(lines) == 3
    assert list(steps.seconds) == ["place and route"]


def test_a_step_that_fails_is_not_counted():
    steps = Steps(console())
    with pytest.raises(RuntimeError), steps.step("model"):
        raise RuntimeError
    assert steps.seconds == {}


class OneClock(wiring.Component):
    """A memory."""

    def __init__(self):
        super().__init__({"read": In(9), "write": In(9), "i": In(36), "o": Out(36)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=36, depth=512, init=[])
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += [read.addr.eq(self.read), write.addr.eq(self.write), write.data.eq(self.i), write.en.eq(1),
                     self.o.eq(read.data)]
        return m


class TwoClocks(wiring.Component):
    """A queue between two clocks, and a memory with one."""

    def __init__(self):
        super().__init__({"i": In(8), "o": Out(8), "read": In(9), "write": In(9), "new": In(36), "word": Out(36)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = AsyncFIFO(width=8, depth=16, r_domain="sdram", w_domain="sync")
        m.submodules.one = one = OneClock()
        m.d.comb += [
            queue.w_data.eq(self.i), queue.w_en.eq(1), queue.r_en.eq(1), self.o.eq(queue.r_data),
            one.read.eq(self.read), one.write.eq(self.write), one.i.eq(self.new), self.word.eq(one.o),
        ]
        return m


def test_memories_with_one_clock_and_between_two(tmp_path):
    """The collisions that nobody looks at are told of the one, and cannot be told of the other."""
    (tmp_path / "top.il").write_text(rtlil.convert(TwoClocks(), name="top", emit_src=False))
    cells = synthesize(ECP5, tmp_path, "top", lambda doing, share=None: None, bare=True)
    assert cells["bram"] == 1 and cells["dpr16x4"] > 0
    assert cells["ff"] < 83  # that many would hold the old word beside the memory
