"""The parts that a unit can be measured on: their tools, their cells and how many there are."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from vitric.boards.registry import DEVICES, Device
from vitric.golden.errors import UserError

__all__ = ["TARGETS", "Family", "Target", "find_target", "over_capacity"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """How Yosys and nextpnr build for one family of parts, and what its cells are called.

    Attributes
    ----------
    fabric : str
        What units are built of, where they have a choice.
    synthesis : str
        Yosys command, without ``-top`` and ``-json``.
    bare : str
        What is added to it for a design that has more ports than any part has pins.
    nextpnr : str
        Name of the tool in :mod:`vitric.toolchain.tools`.
    target_mhz : int
        Clock that it is asked for: above what units reach, so that it does not stop early.
    cells : mapping of str to mapping of str to number
        For each name in reports, the types of cells in the netlist that count for it and how much each counts.
    lut_weights : mapping of str to int
        How many look-up tables one of each kind of cell takes the place of, by name in reports.
    """

    fabric: str
    synthesis: str
    bare: str = ""
    nextpnr: str
    target_mhz: int
    cells: Mapping[str, Mapping[str, float]]
    lut_weights: Mapping[str, int]

    def count(self, netlist: Mapping[str, Mapping]) -> dict[str, float]:
        """Return how many cells of each kind a netlist's ``cells`` hold, ``lut_eq`` among them."""
        types = Counter(cell["type"] for cell in netlist.values())
        count = {}
        for name, kinds in self.cells.items():
            total = sum(weight * types[kind] for kind, weight in kinds.items())
            count[name] = int(total) if total == int(total) else total
        count["lut_eq"] = sum(weight * count[name] for name, weight in self.lut_weights.items())
        return count


@dataclass(frozen=True, kw_only=True)
class Target:
    """One legal value of ``--device``.

    Attributes
    ----------
    name, title : str
        In commands; for people.
    part : vitric.boards.registry.Device
        Its capacity.
    family : Family
    arguments : tuple of str
        What nextpnr must know about it.
    files : mapping of str to str
        Files that the arguments name, with their contents.
    """

    name: str
    title: str
    part: Device
    family: Family
    arguments: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)


_ECP5 = Family(
    fabric="ecp5", synthesis="synth_ecp5 -nodsp -nowidelut", nextpnr="nextpnr-ecp5", target_mhz=200,
    cells={
        "lut4": {"LUT4": 1}, "ccu2c": {"CCU2C": 1}, "dpr16x4": {"TRELLIS_DPR16X4": 1}, "carry": {"CCU2C": 2},
        "ff": {"TRELLIS_FF": 1}, "dsp": {"MULT18X18D": 1}, "bram": {"DP16KD": 1, "PDPW16KD": 1},
    },
    lut_weights={"lut4": 1, "ccu2c": 2, "dpr16x4": 6},
)
_ICE40 = Family(
    fabric="ice40", synthesis="synth_ice40 -device u -dsp", nextpnr="nextpnr-ice40", target_mhz=80,
    cells={
        "lut4": {"SB_LUT4": 1}, "ccu2c": {}, "dpr16x4": {}, "carry": {"SB_CARRY": 1},
        "ff": {f"SB_DFF{suffix}": 1 for suffix in ("", "E", "SR", "SS", "R", "S", "ESR", "ESS", "ER", "ES")},
        "dsp": {"SB_MAC16": 1}, "bram": {"SB_RAM40_4K": 1},
    },
    lut_weights={"lut4": 1},  # a carry stands beside the look-up table of the same logic cell
)
_GOWIN = Family(
    fabric="gowin", synthesis="synth_gowin -family gw1n -nowidelut", bare="-noiopads",
    nextpnr="nextpnr-himbaechel", target_mhz=200,
    cells={
        "lut4": {f"LUT{size}": 1 for size in (1, 2, 3, 4)}, "ccu2c": {}, "dpr16x4": {"RAM16SDP4": 1},
        "carry": {"ALU": 1},
        "ff": {f"DFF{suffix}": 1 for suffix in ("", "E", "S", "SE", "R", "RE", "P", "PE", "C", "CE")},
        "dsp": {"MULT9X9": 0.5, "MULT18X18": 1, "MULT36X36": 4},
        "bram": {name: 1 for name in ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9")},
    },
    lut_weights={"lut4": 1, "carry": 1, "dpr16x4": 6},  # an ALU is a look-up table in another mode
)


def _ecp5(name: str, size: str, option: str) -> Target:
    part = DEVICES[size]
    return Target(name=name, title=f"{part.name}, speed 6", part=part, family=_ECP5, arguments=(
        option, "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained", "--router", "router1"))


TARGETS = {target.name: target for target in (
    _ecp5("ecp5-85k", "85F", "--85k"),
    _ecp5("ecp5-12k", "12F", "--12k"),
    Target(
        name="up5k", title="iCE40UP5K", part=Device("iCE40UP5K", 5280, 5280, 30, 8), family=_ICE40,
        arguments=("--up5k", "--package", "sg48", "--pcf-allow-unconstrained")),
    Target(
        name="gw1nr-9", title="GW1NR-9, grade C6/I5", part=Device("GW1NR-9", 8640, 6480, 26, 20), family=_GOWIN,
        arguments=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C", "--vopt", "cst=top.cst"),
        files={"top.cst": "".join(f'IO_LOC "{name}" {pin};\n' for name, pin in
                                  (("clk", 52), ("rst", 4), ("i", 25), ("o", 26)))}),
)}
"""By name."""


def find_target(name: str) -> Target:
    """Return the device called ``name``; raise :exc:`UserError` that lists the legal names if there is none."""
    if name not in TARGETS:
        raise UserError(f"--device must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS[name]


def over_capacity(part: Device, *, lut_eq: int, ff: int, bram: int, dsp: float) -> list[str]:
    """Return what a design needs more of than the part has, in words; empty if it fits."""
    needed = {
        "LUT4": (lut_eq, part.lut4), "flip-flops": (ff, part.ff), "block RAMs": (bram, part.ebr),
        "multipliers": (dsp, part.mult18),
    }
    return [f"{count} {name} of {there}" for name, (count, there) in needed.items() if count > there]
