"""The families of FPGAs: how Yosys, nextpnr and the packer build for each, what its cells are called, what it can do.

One :class:`Family` for each, and everything that differs between families is in it: a unit alone (`vitric synth`) and
a whole board (`vitric bitstream`) are built by the same description.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ECP5", "FAMILIES", "GOWIN", "ICE40", "Family", "Packer"]

COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i w:clk %m w:*_clk %m %i %d"
"""Yosys command: reading and writing one address of a memory in one cycle gives anything.

Memories in modules with two clocks (``clk`` and another one) are left out: those between the two know no such cycle.

Yosys would otherwise add logic that returns the old word (56 LUT4 and 83 flip-flops for 512 x 36 bits on ECP5). Every
memory of this project that has a clocked read port says in its docstring why that never happens or never matters.
"""

# Names that nothing needs make Yosys 0.70 stop in abc_ops_reintegrate ("Assert `wire' failed") for some arrays.
_SCRIPT = """read_rtlil {name}.il
delete w:$verilog_initial_trigger
{collisions}
proc
flatten
tee -q -o {name}.scopes select -list t:$scopeinfo
opt_clean -purge
{synthesis} -top top -json {name}.json
"""


@dataclass(frozen=True, kw_only=True)
class Packer:
    """What makes a bitstream of nextpnr's result.

    Attributes
    ----------
    tool : str
        Its name in :mod:`vitric.toolchain.tools`.
    arguments : tuple of str
        Among them the names of the files, which lie in the working directory. Those of the part come before them.
    product : str
        Name of the bitstream.
    """

    tool: str
    arguments: tuple[str, ...]
    product: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """How to build for one family of parts.

    Attributes
    ----------
    name : str
        The word for what units are built of, where they have a choice: ``fabric``.
    title : str
        For people.
    synthesis : str
        Yosys command, without ``-top`` and ``-json``.
    bare : str
        What is added to it for a design that has more ports than any part has pins.
    nextpnr : str
        Name of the tool in :mod:`vitric.toolchain.tools`.
    constraints : str
        Name of the file with a board's pins and clocks, as Amaranth's platforms write it.
    clocks : str
        Name of the file with the clocks of a board's PLLs; empty if nextpnr finds them by itself.
    constrained, unconstrained : tuple of str
        Arguments of nextpnr for a board, and for a design whose pins do not matter.
    packer : Packer or None
        None where no board of the family is known.
    target_mhz : int
        Clock that a unit alone is asked for: above what units reach, so that nextpnr does not stop early.
    block_bits : int
        Bits of one block RAM without parity.
    cells : mapping of str to mapping of str to number
        For each name in reports, the types of cells in the netlist that count for it and how much each counts.
    lut_weights : mapping of str to int
        How many look-up tables one of each kind of cell takes the place of, by name in reports.
    paired : bool
        Whether a flip-flop has no input but from the look-up table, or carry cell, at its place: one without logic of
        its own before it takes a place alone.
    logic : str
        What nextpnr's report calls a cell of logic.
    placed : str
        File that nextpnr writes with the place of every cell, with ``constrained``; empty if it does not.
    words : mapping of str to str
        What people call what a report counts.
    """

    name: str
    title: str
    synthesis: str
    bare: str = ""
    nextpnr: str
    constraints: str
    clocks: str = ""
    constrained: tuple[str, ...]
    unconstrained: tuple[str, ...] = ()
    packer: Packer | None = None
    target_mhz: int
    block_bits: int
    cells: Mapping[str, Mapping[str, float]]
    lut_weights: Mapping[str, int]
    paired: bool = False
    logic: str
    placed: str = ""
    words: Mapping[str, str] = field(default_factory=dict)

    def script(self, name: str, *, bare: bool = False) -> str:
        """Return what Yosys runs: ``name.il`` becomes the netlist ``name.json``.

        ``name.scopes`` lists the submodules, a line ``top/path.with.dots`` each, before they are dissolved.
        """
        synthesis = f"{self.synthesis} {self.bare}".rstrip() if bare else self.synthesis
        return _SCRIPT.format(name=name, collisions=COLLISIONS, synthesis=synthesis)

    def count(self, netlist: Mapping[str, Mapping]) -> dict[str, float]:
        """Return how many cells of each kind a netlist's ``cells`` hold, ``lut_eq`` among them.

        In a family that is ``paired``, ``alone`` are the flip-flops that take a place alone.
        """
        types = Counter(cell["type"] for cell in netlist.values())
        count = {}
        for name, kinds in self.cells.items():
            total = sum(weight * types[kind] for kind, weight in kinds.items())
            count[name] = int(total) if total == int(total) else total
        count["lut_eq"] = sum(weight * count[name] for name, weight in self.lut_weights.items())
        if self.paired:
            count["alone"] = self._alone(netlist)
        return count

    def _alone(self, netlist: Mapping[str, Mapping]) -> int:
        """Return how many flip-flops have another source than a table or carry cell that feeds nothing else."""
        logic = {kind for name in ("lut4", "carry") for kind in self.cells[name]}
        made, used = set(), Counter()
        for cell in netlist.values():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    used.update(bits)
                elif cell["type"] in logic:
                    made.update(bits)
        inputs = [cell["connections"]["D"][0] for cell in netlist.values() if cell["type"] in self.cells["ff"]]
        return sum(bit not in made or used[bit] > 1 for bit in inputs)


_WORDS = {
    "lut4": "look-up tables", "ccu2c": "CCU2C", "dpr16x4": "memories of 16 × 4 bits", "carry": "carry cells",
    "ff": "flip-flops", "dsp": "multipliers", "bram": "block RAMs",
}

ECP5 = Family(
    name="ecp5", title="Lattice ECP5", synthesis="synth_ecp5 -nodsp -nowidelut", nextpnr="nextpnr-ecp5",
    constraints="top.lpf", constrained=("--lpf", "top.lpf", "--textcfg", "top.config", "--write", "placed.json"),
    unconstrained=("--lpf-allow-unconstrained", "--router", "router1"),
    packer=Packer(tool="ecppack", arguments=("--compress", "--input", "top.config", "--bit", "top.bit"),
                  product="top.bit"),
    target_mhz=200, block_bits=16384, logic="TRELLIS_COMB", placed="placed.json",
    cells={
        "lut4": {"LUT4": 1}, "ccu2c": {"CCU2C": 1}, "dpr16x4": {"TRELLIS_DPR16X4": 1}, "carry": {"CCU2C": 2},
        "ff": {"TRELLIS_FF": 1}, "dsp": {"MULT18X18D": 1}, "bram": {"DP16KD": 1, "PDPW16KD": 1},
    },
    lut_weights={"lut4": 1, "ccu2c": 2, "dpr16x4": 6},
    words=_WORDS | {"lut4": "LUT4", "ccu2c": "CCU2C (carry, 2 LUT4 each)", "dpr16x4": "TRELLIS_DPR16X4",
                    "dsp": "MULT18X18D", "bram": "DP16KD block RAM"},
)
ICE40 = Family(
    name="ice40", title="Lattice iCE40", synthesis="synth_ice40 -device u -dsp", nextpnr="nextpnr-ice40",
    constraints="top.pcf", constrained=("--pcf", "top.pcf", "--asc", "top.asc"),
    unconstrained=("--pcf-allow-unconstrained",), target_mhz=80, block_bits=4096, logic="ICESTORM_LC",
    cells={
        "lut4": {"SB_LUT4": 1}, "ccu2c": {}, "dpr16x4": {}, "carry": {"SB_CARRY": 1},
        "ff": {f"SB_DFF{suffix}": 1 for suffix in ("", "E", "SR", "SS", "R", "S", "ESR", "ESS", "ER", "ES")},
        "dsp": {"SB_MAC16": 1}, "bram": {"SB_RAM40_4K": 1},
    },
    paired=True, lut_weights={"lut4": 1},  # a carry stands beside the look-up table of the same logic cell
    words=_WORDS | {"dsp": "SB_MAC16", "bram": "SB_RAM40_4K block RAM"},
)
GOWIN = Family(
    name="gowin", title="Gowin LittleBee and Arora", synthesis="synth_gowin -family gw1n -nowidelut", bare="-noiopads",
    nextpnr="nextpnr-himbaechel", constraints="top.cst", clocks="top.sdc",
    constrained=("--vopt", "cst=top.cst", "--sdc", "top.sdc", "--write", "top.pnr"),
    unconstrained=("--vopt", "cst=top.cst"),
    packer=Packer(tool="gowin_pack", arguments=("-c", "-o", "top.fs", "top.pnr"), product="top.fs"),
    target_mhz=200, block_bits=16384, logic="LUT4",
    cells={
        "lut4": {f"LUT{size}": 1 for size in (1, 2, 3, 4)}, "ccu2c": {}, "dpr16x4": {"RAM16SDP4": 1},
        "carry": {"ALU": 1},
        "ff": {f"DFF{suffix}": 1 for suffix in ("", "E", "S", "SE", "R", "RE", "P", "PE", "C", "CE")},
        "dsp": {"MULT9X9": 0.5, "MULT18X18": 1, "MULT36X36": 4},
        "bram": {name: 1 for name in ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9")},
    },
    paired=True, lut_weights={"lut4": 1, "carry": 1, "dpr16x4": 6},  # an ALU is a look-up table in another mode
    words=_WORDS,
)

FAMILIES = {family.name: family for family in (ECP5, ICE40, GOWIN)}
"""By name."""
