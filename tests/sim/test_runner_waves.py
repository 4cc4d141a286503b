"""A SystemVerilog harness that clocks itself, with a trace of a chosen window."""

import re

from vitric.sim.runner import run_bench
from vitric.toolchain.tools import has_header

HARNESS = """
module harness(input wire [15:0] limit, output reg [15:0] count, output wire done);
    parameter STEP = 2;
    reg clk = 0;
    always #5 clk = ~clk;
    initial count = 0;
    assign done = limit != 0 && count == limit;
    always @(posedge clk) if (limit != 0 && !done) count <= count + STEP;
endmodule
"""


def trace_times(folder):
    """Return the first and last time in the trace in ns; an FST trace must be there but is not read."""
    text = (folder / "dump.vcd").read_text()
    assert re.search(r"\$timescale\s+1ps", text)
    times = [int(time) / 1000 for time in re.findall(r"^#(\d+)$", text, re.MULTILINE)]
    return times[0], times[-1]


def test_self_clocked_harness_and_window(tmp_path):
    source = tmp_path / "harness.sv"
    source.write_text(HARNESS)
    result = run_bench(
        source, test_module="tests.sim.bench_waves", build_dir=tmp_path / "build", toplevel="harness", timing=True,
        parameters={"STEP": 3}, waves=True, extra_env={"VITRIC_WAVES_BEGIN": "400", "VITRIC_WAVES_END": "600"},
    )
    assert result.tests == ("tests.sim.bench_waves.harness_counts",)
    if has_header("lz4.h"):
        assert (tmp_path / "build" / "dump.fst").stat().st_size > 100
    else:
        assert trace_times(tmp_path / "build") == (400, 595)
