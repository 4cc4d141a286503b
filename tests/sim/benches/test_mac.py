import re
import subprocess

import pytest
from amaranth.back import verilog
from vitric.golden.spec.mac import MacArraySpec
from vitric.hdl.mac.array import MacArray
from vitric.sim.cells import cell_model
from vitric.sim.parameters import environment
from vitric.sim.runner import BenchFailure, run_bench
from vitric.toolchain import tools

from tests.sim.cell_models import with_ice40_models

pytestmark = pytest.mark.long

PORTS = ["clk", "rst", *(f"{stream}__{part}" for stream in "io" for part in ("payload", "valid", "ready"))]
SMALL = MacArraySpec(
    rows=2, cols=3, depth=4, a_bits=4, w_bits=4, acc_bits=24, shifts=(0, 4), mapping="mixed", dsp_cols=2)
MULTIPLIER, GOWIN_MULTIPLIERS = cell_model("mult18x18d"), cell_model("gowin_multipliers")


def bench(dut, spec, folder, **options):
    return run_bench(
        dut, test_module="vitric.sim.benches.mac", build_dir=folder, public=PORTS,
        extra_env=environment(spec), **options,
    )


def netlist(component, folder, operands=0, multipliers=1):
    """Synthesize for ECP5 and return the netlist as plain Verilog: models of the cells, flattened.

    There must be so many registers of operands that blocks keep, and as many multipliers or more.
    """
    (folder / "multiplier.v").write_text(MULTIPLIER.read_text())
    (folder / "rtl.v").write_text(verilog.convert(component, name="top", emit_src=False))
    script = (
        "read_verilog rtl.v; synth_ecp5 -top top -nodsp; "
        "select -assert-min 1 t:CCU2C; select -assert-min 1 t:TRELLIS_FF; "
        f"select -assert-count {operands} c:block_*.[aw]_*.copy_*; "
        f"select -assert-min {multipliers} t:MULT18X18D; write_verilog cells.v; design -reset; "
        "read_verilog cells.v; read_verilog -DNO_INCLUDES -overwrite +/ecp5/cells_sim.v; read_verilog multiplier.v; "
        "hierarchy -top top; proc; flatten; opt -purge; "
        "select -assert-none t:*CCU2C t:*TRELLIS_FF t:*LUT4 t:*MULT18X18D; write_verilog -noattr netlist.v"
    )
    subprocess.run([tools.require("yosys").path, "-q", "-p", script], cwd=folder, check=True)
    return folder / "netlist.v"


def test_simulation_model(tmp_path):
    spec = MacArraySpec(rows=3, cols=2, depth=5, a_bits=4, w_bits=4, acc_bits=32, mapping="lut")
    assert len(bench(MacArray(spec), spec, tmp_path).tests) == 26


@pytest.mark.parametrize("bits", [4, 8])  # four products in a MULT18X18 and in an SB_MAC16 two; one in a MULT9X9
@pytest.mark.parametrize("fabric", ["gowin", "ice40"])
def test_multipliers_of_other_parts(tmp_path, fabric, bits):
    spec = MacArraySpec(
        rows=2, cols=2, depth=3, a_bits=bits, w_bits=bits, acc_bits=28, shifts=(0, bits), mapping="dsp")
    array, sources = MacArray(spec, fabric=fabric), [GOWIN_MULTIPLIERS]
    if fabric == "ice40":
        array, sources = with_ice40_models(array, tmp_path), []
    assert len(bench(array, spec, tmp_path, extra_sources=sources).tests) == 26


def test_synthesized_netlist(tmp_path):
    path = netlist(MacArray(SMALL, fabric="ecp5"), tmp_path)
    assert len(bench(path, SMALL, tmp_path / "good").tests) == 26
    # one gate that is the other one: the bench must see it
    text = path.read_text()
    gate = re.search(r" = [^;=]*( \^ )[^;=]*;", text[text.index("dot_1_2.level_1"):])
    start = text.index("dot_1_2.level_1") + gate.start(1)
    path.write_text(text[:start] + " | " + text[start + 3:])
    with pytest.raises(BenchFailure, match="accumulators: beat"):
        bench(path, SMALL, tmp_path / "bad", test_filter="source=always/sink=always")


def test_blocks_keep_their_operands(tmp_path):
    spec = MacArraySpec(rows=5, cols=5, depth=1, a_bits=2, w_bits=8, acc_bits=16, shifts=(0, 4), mapping="lut")
    operands = 2 * (spec.rows * spec.a_bits + spec.cols * spec.w_bits) * spec.depth
    path = netlist(MacArray(spec, fabric="ecp5"), tmp_path, operands, multipliers=0)
    assert len(bench(path, spec, tmp_path / "bench").tests) == 26
