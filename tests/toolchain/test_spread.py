import json
import re

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.toolchain.families import ECP5
from vitric.toolchain.parts import PARTS
from vitric.toolchain.run import place_and_route, synthesize
from vitric.toolchain.spread import SPREAD_NETLIST, TILE_CELLS, empty_rows, logic_rows, spread


@pytest.mark.parametrize("name", ["ecp5-85k", "ecp5-45k", "ecp5-25k", "ecp5-12k"])
def test_the_rows_have_all_logic_of_the_part(name):
    rows = logic_rows(PARTS[name].name)
    assert TILE_CELLS * sum(map(len, rows.values())) == PARTS[name].lut4
    assert list(rows) == sorted(rows)


@pytest.mark.parametrize(("logic", "empty"), [
    (24_999, 0), (25_000, 34), (33_456, 34), (33_700, 33), (45_000, 16), (56_000, 0), (83_000, 0)])
@pytest.mark.parametrize("kind", ["lut_eq", "ff"])
def test_how_many_rows_are_empty(kind, logic, empty):
    """At most two of five; as many as leave the other ones filled to two thirds."""
    rows = empty_rows(PARTS["ecp5-85k"], {"lut_eq": 1000, "ff": 1000} | {kind: logic})
    assert len(rows) == empty and len(set(rows)) == empty
    full = [0, *rows, 96]
    if empty == 34:
        assert max(b - a for a, b in zip(full, full[1:], strict=False)) <= 4  # evenly


def test_other_families_and_small_parts_are_left_alone():
    assert empty_rows(PARTS["up5k"], {"lut_eq": 30_000, "ff": 0}) == []
    assert empty_rows(PARTS["ecp5-25k"], {"lut_eq": 24_000, "ff": 24_288}) == []
    assert empty_rows(PARTS["ecp5-45k"], {"lut_eq": 25_000, "ff": 0}) != []


class Counters(wiring.Component):
    i: In(1)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        counts = [Signal(16, name=f"count_{k}") for k in range(20)]
        step = self.i
        for count in counts:
            m.d.sync += count.eq(count + step)
            step = count[-1]
        m.d.comb += self.o.eq(step)
        return m


def test_nothing_is_placed_in_an_empty_row(tmp_path):
    top = Counters()
    (tmp_path / "top.il").write_text(rtlil.convert(top, ports=[top.i, top.o], name="top", emit_src=False))
    part = PARTS["ecp5-12k"]
    cells = synthesize(ECP5, tmp_path, "top", lambda *what: None)
    rows = list(logic_rows(part.name))
    keep = rows[len(rows) // 2:len(rows) // 2 + 3]
    spread(tmp_path, part, [row for row in rows if row not in keep])
    arguments = [*part.arguments, *ECP5.unconstrained, "--placer", "static", "--write", "placed.json"]
    report = place_and_route(ECP5, tmp_path, arguments, lambda *what: None, SPREAD_NETLIST)
    empty = part.lut4 - TILE_CELLS * sum(len(logic_rows(part.name)[row]) for row in keep)
    assert report["utilization"][ECP5.logic]["used"] > empty
    placed = json.loads((tmp_path / "placed.json").read_text())["modules"]["top"]["cells"]
    places = {name: re.match(r"X\d+/Y(\d+)/SLICE", cell["attributes"]["NEXTPNR_BEL"]) for name, cell in placed.items()}
    own = {int(place[1]) for name, place in places.items() if place and not name.startswith("$empty")}
    assert own <= set(keep) and cells["ff"] == 320
