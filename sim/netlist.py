"""A unit as Yosys synthesizes it for the ECP5, in plain Verilog: gates and registers of the part, behind its ports."""

import re
from collections.abc import Mapping
from pathlib import Path

from vitric.hdl.units import Unit
from vitric.toolchain.run import run_script
from vitric.toolchain.verilog import to_verilog

from .cells import cell_model

__all__ = ["ecp5_netlist"]

_SCRIPT = """read_verilog rtl.v
read_verilog -lib model.v
proc
flatten
opt_clean -purge
synth_ecp5 -top top -nobram -nodsp
write_verilog cells.v
design -reset
read_verilog cells.v
read_verilog -DNO_INCLUDES -overwrite +/ecp5/cells_sim.v
read_verilog -overwrite model.v
hierarchy -top top
proc
flatten
opt -purge
select -assert-none t:*CCU2C t:*TRELLIS_FF t:*LUT4 t:*TRELLIS_DPR16X4 t:*PFUMX t:*L6MUX21 t:*MULT18X18D
write_verilog -noattr netlist.v
"""


def ecp5_netlist(unit: Unit, settings: Mapping[str, object], folder: Path) -> tuple[Path, dict[str, int]]:
    """Synthesize a unit for the ECP5 and put Yosys's model in the place of every cell.

    Memories become distributed memory and logic, because Yosys has no model of the block memory; multipliers are the
    instances that the unit makes itself, with the model of this project.

    Returns
    -------
    path : pathlib.Path
        ``netlist.v`` with one module, ``top``.
    cells : dict of str to int
        How many cells of each type there were.

    Raises
    ------
    vitric.golden.errors.ToolFailure
        Yosys failed, or a cell is left without a model.
    """
    text = to_verilog(unit.make(settings, "ecp5"), folder / "unit.v").read_text()
    (folder / "rtl.v").write_text(re.sub(r'\(\* ram_style = "block" \*\)', "", text))
    (folder / "model.v").write_text(cell_model("mult18x18d").read_text())
    (folder / "netlist.ys").write_text(_SCRIPT)
    run_script(folder, "netlist")
    cells: dict[str, int] = {}
    for kind in re.findall(r"^  ([A-Z]\w+) (?:#\(|\S+ \()", (folder / "cells.v").read_text(), re.M):
        cells[kind] = cells.get(kind, 0) + 1
    return folder / "netlist.v", cells
