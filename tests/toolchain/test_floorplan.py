import json

import pytest
from vitric.toolchain.families import ECP5
from vitric.toolchain.floorplan import floorplan, module_of

SCOPES = {"a", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e"}


@pytest.mark.parametrize(("name", "module"), [
    ("a.b.c.d.e.x", "a.b.c.d"), ("a.b.x", "a.b"), ("a.b.x.c", "a.b"), ("a", "a"), ("x.a", "top"), ("$carry_7", "top"),
])
def test_cells_belong_to_the_innermost_module(name, module):
    assert module_of(name, SCOPES) == module


def test_levels_are_those_asked_for():
    assert module_of("a.b.c.d.e.x", SCOPES, 2) == "a.b" and module_of("a.b.c.d.e.x", SCOPES, 9) == "a.b.c.d.e"


def test_floorplan_counts_what_lies_in_each_tile(tmp_path):
    cells = {
        "a.b.x": ("TRELLIS_COMB", "X4/Y5/SLICEA.K0"), "a.b.y": ("TRELLIS_COMB", "X4/Y5/SLICEB.K1"),
        "a.z$RAMW_SLICE": ("TRELLIS_RAMW", "X4/Y5/SLICEC.RAMW"), "a.b.q": ("TRELLIS_FF", "X14/Y25/SLICEC.FF1"),
        "a.m": ("MULT18X18D", "X8/Y13/MULT18_4"), "other": ("DP16KD", "X10/Y37/EBR3"),
        "wide": ("PDPW16KD", "X10/Y37/EBR2"), "$empty.3.4.1.K": ("TRELLIS_COMB", "X4/Y3/SLICEA.K1"),
        "pin": ("TRELLIS_IO", "X0/Y35/PIOC"), "gone": ("TRELLIS_FF", None)}
    (tmp_path / "placed.json").write_text(json.dumps({"modules": {"top": {"cells": {
        name: {"type": kind, "attributes": {} if bel is None else {"NEXTPNR_BEL": bel}}
        for name, (kind, bel) in cells.items()}}}}))
    (tmp_path / "top.scopes").write_text("top/a\ntop/a.b\n")
    found = floorplan(ECP5, tmp_path / "placed.json", tmp_path / "top.scopes")
    names = found["modules"]
    assert sorted(names) == ["a", "a.b", "top"]
    at = {kind: [(x, y, names[module], count) for x, y, module, count in places]
          for kind, places in found["places"].items()}
    assert at == {"logic": [(4, 5, "a.b", 2), (4, 5, "a", 1)], "ff": [(14, 25, "a.b", 1)], "dsp": [(8, 13, "a", 1)],
                  "bram": [(10, 37, "top", 2)]}
