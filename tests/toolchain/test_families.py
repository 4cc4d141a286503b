import pytest
from vitric.hdl.fabric import FABRICS
from vitric.toolchain.families import COLLISIONS, ECP5, FAMILIES, GOWIN, ICE40
from vitric.toolchain.tools import TOOL_NAMES


def netlist(*kinds):
    return {f"cell_{n}": {"type": kind, "port_directions": {"D": "input"}, "connections": {"D": [1]}}
            for n, kind in enumerate(kinds)}


@pytest.mark.parametrize(("family", "kinds", "expected"), [
    ("ecp5", ["LUT4"] * 3 + ["CCU2C"] * 2 + ["TRELLIS_DPR16X4", "TRELLIS_FF", "MULT18X18D", "DP16KD", "PFUMX"],
     {"lut4": 3, "ccu2c": 2, "dpr16x4": 1, "carry": 4, "ff": 1, "dsp": 1, "bram": 1, "lut_eq": 13}),
    ("ice40", ["SB_LUT4"] * 3 + ["SB_CARRY", "SB_DFFESR", "SB_DFF", "SB_MAC16", "SB_RAM40_4K", "$scopeinfo"],
     {"lut4": 3, "ccu2c": 0, "dpr16x4": 0, "carry": 1, "ff": 2, "dsp": 1, "bram": 1, "lut_eq": 3, "alone": 2}),
    ("gowin", ["LUT1", "LUT4", "ALU", "RAM16SDP4", "DFFRE", "MULT9X9", "MULT18X18", "SDPX9B", "MUX2_LUT5", "GND"],
     {"lut4": 2, "ccu2c": 0, "dpr16x4": 1, "carry": 1, "ff": 1, "dsp": 1.5, "bram": 1, "lut_eq": 9, "alone": 1}),
])
def test_cells_are_counted(family, kinds, expected):
    count = FAMILIES[family].count(netlist(*kinds))
    assert count == expected
    assert all(type(value) is type(expected[name]) for name, value in count.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_whole(name):
    family = FAMILIES[name]
    assert family.name == name and name in FABRICS and family.nextpnr in TOOL_NAMES
    assert set(family.lut_weights) <= set(family.cells) == set(family.words)
    if (packer := family.packer) is not None:
        assert packer.tool in TOOL_NAMES and packer.product in packer.arguments
    assert family.constraints in " ".join(family.constrained)


def test_script():
    script = FAMILIES["gowin"].script("unit", bare=True).splitlines()
    assert script[0] == "read_rtlil unit.il" and COLLISIONS in script
    assert script[-1] == "synth_gowin -family gw1n -nowidelut -noiopads -top top -json unit.json"
    assert FAMILIES["ecp5"].script("top").splitlines()[-1] == "synth_ecp5 -nodsp -nowidelut -top top -json top.json"


def test_every_fabric_but_the_generic_one_is_a_family():
    assert set(FABRICS) == {"generic", *FAMILIES}


def cell(kind, **pins):
    directions = {name: "output" if name in ("F", "Q", "O", "SUM") else "input" for name in pins}
    return {"type": kind, "port_directions": directions, "connections": {name: [bit] for name, bit in pins.items()}}


@pytest.mark.parametrize(("family", "lut", "out", "flop"), [
    (GOWIN, "LUT2", "F", "DFFE"), (ICE40, "SB_LUT4", "O", "SB_DFF")])
def test_flip_flops_that_take_a_place_alone(family, lut, out, flop):
    """Behind a table of their own they take none; behind one that feeds others, another flip-flop or a pin they do."""
    netlist = {
        "table": cell(lut, I0=1, **{out: 2}), "own": cell(flop, D=2, Q=3),
        "shared": cell(lut, I0=3, **{out: 4}), "one": cell(flop, D=4, Q=5), "two": cell(flop, D=4, Q=6),
        "chain": cell(flop, D=5, Q=7), "pin": cell(flop, D=1, Q=8),
    }
    assert family.count(netlist)["alone"] == 4
    assert "alone" not in ECP5.count({})
