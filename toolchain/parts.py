"""The FPGAs that can be built for: what each has, and how nextpnr is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vitric.golden.errors import UserError

from .families import ECP5, GOWIN, ICE40, Family

__all__ = ["PARTS", "Part", "find_part", "over_capacity"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One FPGA, in the package and speed grade that it is measured in.

    Attributes
    ----------
    key : str
        Legal value of ``--device``.
    name : str
        The maker's.
    title : str
        For people, with the speed grade.
    family : Family
    lut4, ff, bram, dsp : int
        Look-up tables, flip-flops, block RAMs and multipliers, as nextpnr counts them.
    arguments : tuple of str
        What nextpnr must know: size, package, speed.
    files : mapping of str to str
        Files that nextpnr needs for a design whose pins do not matter, with their contents.
    packing : tuple of str
        What the packer must know.
    pll : mapping
        What the part's clock generator is, as :func:`~vitric.hdl.fabric.pll.pll_settings` takes it.
    """

    key: str
    name: str
    title: str
    family: Family
    lut4: int
    ff: int
    bram: int
    dsp: int
    arguments: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    packing: tuple[str, ...] = ()
    pll: Mapping[str, object] = field(default_factory=dict)


_LFE5U = {"85F": (83640, 208, 156), "45F": (43848, 108, 72), "25F": (24288, 56, 28), "12F": (24288, 56, 28)}


def _ecp5(letters: str, package: str = "CABGA381", speed: int = 6) -> Part:
    """Return an LFE5U, by default in the package of the ULX3S; another one is in key and title."""
    lut4, bram, dsp = _LFE5U[letters]
    size, balls, own = letters.replace("F", "k"), package[-3:], package != "CABGA381"
    return Part(
        key=f"ecp5-{size}" + f"-{balls}" * own, name=f"LFE5U-{letters}",
        title=f"LFE5U-{letters}, " + f"{balls} balls, " * own + f"speed {speed}", family=ECP5, lut4=lut4, ff=lut4,
        bram=bram, dsp=dsp, arguments=(f"--{size}", "--package", package, "--speed", str(speed)))


def _gowin(name: str, ordered: str, database: str, device: str, *, vco: tuple[int, int], pins: tuple[int, ...],
           **holds: int) -> Part:
    """Return a part of Gowin's; ``pins`` are those of clk, rst, i and o of a unit alone."""
    return Part(
        key=name.lower(), name=name, title=f"{name}, grade {ordered[-5:]}", family=GOWIN,
        arguments=("--device", ordered, "--vopt", f"family={database}"), packing=("-d", database),
        files={"top.cst": "".join(
            f'IO_LOC "{port}" {pin};\n' for port, pin in zip(("clk", "rst", "i", "o"), pins, strict=True))},
        pll={"device": device, "vco": vco}, **holds)


PARTS = {part.key: part for part in (
    *map(_ecp5, _LFE5U), _ecp5("25F", "CABGA256"), _ecp5("25F", "CSFBGA285", 8), _ecp5("85F", "CSFBGA285", 8),
    Part(key="up5k", name="iCE40UP5K", title="iCE40UP5K", family=ICE40, lut4=5280, ff=5280, bram=30, dsp=8,
         arguments=("--up5k", "--package", "sg48")),
    _gowin("GW1NR-9", "GW1NR-LV9QN88PC6/I5", "GW1N-9C", "GW1NR-9C", vco=(400, 1200), pins=(52, 4, 25, 26),
           lut4=8640, ff=6480, bram=26, dsp=20),
    _gowin("GW2AR-18", "GW2AR-LV18QN88C8/I7", "GW2A-18C", "GW2AR-18C", vco=(500, 1250), pins=(4, 87, 25, 26),
           lut4=20736, ff=15552, bram=46, dsp=48),
)}
"""By ``--device``."""


def find_part(key: str) -> Part:
    """Return the part called ``key``; raise :exc:`UserError` that lists the legal names if there is none."""
    if key not in PARTS:
        raise UserError(f"--device must be one of {', '.join(PARTS)}, not {key!r}")
    return PARTS[key]


def over_capacity(part: Part, cells: Mapping[str, float]) -> list[str]:
    """Return what a design needs more of than the part has, in words; empty if it fits.

    Flip-flops that take the place of a look-up table count as one.

    ``cells`` are what :meth:`Family.count` gives.
    """
    needed = {
        "LUT4": (cells["lut_eq"] + cells.get("alone", 0), part.lut4), "flip-flops": (cells["ff"], part.ff),
        "block RAMs": (cells["bram"], part.bram), "multipliers": (cells["dsp"], part.dsp),
    }
    return [f"{count} {name} of {there}" for name, (count, there) in needed.items() if count > there]
