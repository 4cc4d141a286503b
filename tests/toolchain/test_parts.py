import pytest
from vitric.golden.errors import UserError
from vitric.toolchain.parts import TARGETS, find_target, over_capacity
from vitric.toolchain.tools import TOOL_NAMES


def netlist(*kinds):
    return {f"cell_{n}": {"type": kind} for n, kind in enumerate(kinds)}


@pytest.mark.parametrize(("device", "kinds", "expected"), [
    ("ecp5-85k", ["LUT4"] * 3 + ["CCU2C"] * 2 + ["TRELLIS_DPR16X4", "TRELLIS_FF", "MULT18X18D", "DP16KD", "PFUMX"],
     {"lut4": 3, "ccu2c": 2, "dpr16x4": 1, "carry": 4, "ff": 1, "dsp": 1, "bram": 1, "lut_eq": 13}),
    ("up5k", ["SB_LUT4"] * 3 + ["SB_CARRY", "SB_DFFESR", "SB_DFF", "SB_MAC16", "SB_RAM40_4K", "$scopeinfo"],
     {"lut4": 3, "ccu2c": 0, "dpr16x4": 0, "carry": 1, "ff": 2, "dsp": 1, "bram": 1, "lut_eq": 3}),
    ("gw1nr-9", ["LUT1", "LUT4", "ALU", "RAM16SDP4", "DFFRE", "MULT9X9", "MULT18X18", "SDPX9B", "MUX2_LUT5", "GND"],
     {"lut4": 2, "ccu2c": 0, "dpr16x4": 1, "carry": 1, "ff": 1, "dsp": 1.5, "bram": 1, "lut_eq": 9}),
])
def test_cells_are_counted(device, kinds, expected):
    count = TARGETS[device].family.count(netlist(*kinds))
    assert count == expected
    assert all(type(value) is type(expected[name]) for name, value in count.items())


@pytest.mark.parametrize("name", TARGETS)
def test_targets(name):
    target = find_target(name)
    assert target.name == name and target.family.nextpnr in TOOL_NAMES
    assert set(target.family.lut_weights) <= set(target.family.cells)
    assert all(text in target.files for argument in target.arguments for text in [argument.removeprefix("cst=")]
               if argument.startswith("cst="))


def test_unknown_device():
    with pytest.raises(UserError, match="--device must be one of ecp5-85k, ecp5-12k, up5k, gw1nr-9, not 'virtex'"):
        find_target("virtex")


def test_capacity():
    part = TARGETS["up5k"].part
    assert over_capacity(part, lut_eq=5280, ff=5280, bram=30, dsp=8) == []
    assert over_capacity(part, lut_eq=5281, ff=1, bram=31, dsp=8) == ["5281 LUT4 of 5280", "31 block RAMs of 30"]
