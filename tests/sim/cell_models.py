"""Components with primitives of a part as Verilog that Verilator can run."""

import subprocess

from amaranth.back import verilog
from vitric.toolchain import tools


def with_ice40_models(component, folder):
    """Return the component as Verilog with Yosys's models of the iCE40 primitives in place of the instances."""
    (folder / "rtl.v").write_text(verilog.convert(component, name="top", emit_src=False))
    script = (
        "read_verilog rtl.v; select -assert-min 1 t:SB_MAC16; read_verilog -DBLACKBOX +/ice40/cells_sim.v; "
        "hierarchy -top top; proc; flatten; async2sync; opt -purge; "
        "select -assert-none t:SB_MAC16; write_verilog -noattr flat.v"
    )
    subprocess.run([tools.require("yosys").path, "-q", "-p", script], cwd=folder, check=True, timeout=60)
    return folder / "flat.v"
