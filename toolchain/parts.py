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


_LFE5U = {"85F": (83640, 208, 156), "45F": (43848, 108, 72), "25F": (24288, 56, 28), "12F": (24288, 56, 28)}


def _ecp5(letters: str, package: str = "CABGA381", speed: int = 6) -> Part:
    """Return an LFE5U, by default in the package of the ULX3S; another one is in key and title."""
    lut4, bram, dsp = _LFE5U[letters]
    size, balls, own = letters.replace("F", "k"), package[-3:], package != "CABGA381"
    return Part(
        key=f"ecp5-{size}" + f"-{balls}" * own, name=f"LFE5U-{letters}",
        title=f"LFE5U-{letters}, " + f"{balls} balls, " * own + f"speed {speed}", family=ECP5, lut4=lut4, ff=lut4,
        bram=bram, dsp=dsp, arguments=(f"--{size}", "--package", package, "--speed", str(speed)))


PARTS = {part.key: part for part in (
    *map(_ecp5, _LFE5U), _ecp5("25F", "CABGA256"), _ecp5("25F", "CSFBGA285", 8), _ecp5("85F", "CSFBGA285", 8),
    Part(key="up5k", name="iCE40UP5K", title="iCE40UP5K", family=ICE40, lut4=5280, ff=5280, bram=30, dsp=8,
         arguments=("--up5k", "--package", "sg48")),
    Part(
        key="gw1nr-9", name="GW1NR-9", title="GW1NR-9, grade C6/I5", family=GOWIN, lut4=8640, ff=6480, bram=26, dsp=20,
        arguments=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
        files={"top.cst": "".join(f'IO_LOC "{name}" {pin};\n' for name, pin in
                                  (("clk", 52), ("rst", 4), ("i", 25), ("o", 26)))}),
)}
"""By ``--device``."""


def find_part(key: str) -> Part:
    """Return the part called ``key``; raise :exc:`UserError` that lists the legal names if there is none."""
    if key not in PARTS:
        raise UserError(f"--device must be one of {', '.join(PARTS)}, not {key!r}")
    return PARTS[key]


def over_capacity(part: Part, cells: Mapping[str, float]) -> list[str]:
    """Return what a design needs more of than the part has, in words; empty if it fits.

    ``cells`` are what :meth:`Family.count` gives.
    """
    needed = {
        "LUT4": (cells["lut_eq"], part.lut4), "flip-flops": (cells["ff"], part.ff),
        "block RAMs": (cells["bram"], part.bram), "multipliers": (cells["dsp"], part.dsp),
    }
    return [f"{count} {name} of {there}" for name, (count, there) in needed.items() if count > there]
