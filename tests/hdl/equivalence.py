"""Proves with a SAT solver that a circuit of ECP5 cells equals its plain twin, for all inputs."""

import subprocess

from amaranth.back import verilog
from vitric.toolchain import tools


def prove_equal(plain, fabric, folder, spoil=lambda text: text):
    """Run the proof for two combinational components with the same ports; ``spoil`` may damage the second."""
    (folder / "gold.v").write_text(verilog.convert(plain, name="gold"))
    (folder / "gate.v").write_text(spoil(verilog.convert(fabric, name="gate")))
    script = (
        "read_verilog gate.v; read_verilog -DNO_INCLUDES -overwrite +/ecp5/cells_sim.v; "
        "hierarchy -top gate; proc; flatten; opt_clean; design -stash gate; "
        "read_verilog gold.v; hierarchy -top gold; proc; opt_clean; design -copy-from gate gate; "
        "miter -equiv -flatten -make_assert gold gate miter; sat -verify -prove-asserts miter"
    )
    return subprocess.run(
        [tools.require("yosys").path, "-q", "-p", script], cwd=folder, capture_output=True, text=True)
