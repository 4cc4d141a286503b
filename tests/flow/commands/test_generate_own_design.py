"""The example of docs/synth.md: a unit in another design, as a component and as generated Verilog."""

import re
from pathlib import Path

import pytest
import torch
from amaranth.sim import Simulator
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.golden.integer.softmax import softmax
from vitric.golden.spec.softmax import SoftmaxSpec
from vitric.sim.runner import BenchFailure, run_bench

PAGE = Path(__file__).resolve().parents[3] / "docs" / "synth.md"
BENCH = "tests.flow.commands.bench_own_design"
ROWS = [[0, 0, 0, 0, 0, 0, 0, 0], [300, -40, 512, 700, 1, -2000, 699, 250], [-5, 9, 2000, 3, 4, 5, 6, 7]]


@pytest.fixture(scope="module")
def totals():
    """Return the sum of the codes of each row, from golden."""
    spec = SoftmaxSpec(lanes=1, max_length=8)
    return softmax(torch.tensor(ROWS), spec, offset=8 << 8).sum(-1).tolist()


def test_as_a_component(totals):
    example, = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names = {"__name__": "example"}
    exec(example, names)
    dut = names["RowSums"]()
    got = []

    async def send(ctx):
        for score in sum(ROWS, []):
            ctx.set(dut.scores.payload, score)
            ctx.set(dut.scores.valid, 1)
            await ctx.tick().until(dut.scores.ready)
        ctx.set(dut.scores.valid, 0)

    async def watch(ctx):
        while len(got) < len(ROWS):
            done, total = await ctx.tick().sample(dut.done, dut.total).until(dut.done)
            got.append(int(total))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(send)
    sim.add_testbench(watch)
    sim.run()
    assert got == totals


def test_as_verilog(totals, tmp_path):
    out = tmp_path / "softmax.v"
    command, = re.findall(r"`vitric (generate softmax --set lanes=1[^`]*)`", PAGE.read_text(encoding="utf-8"))
    words = command.split()
    assert CliRunner().invoke(app, [*words[:words.index("-o")], "-o", str(out)]).exit_code == 0
    top = tmp_path / "top.v"
    top.write_text("""
module top(input clk, input rst, input [15:0] score, input last, input valid, output ready,
           output [7:0] code, output ends, output code_valid);
  softmax unit(.clk(clk), .rst(rst), .i__payload({14'd2048, last, 1'b1, score}), .i__valid(valid), .i__ready(ready),
               .o__payload({ends, code}), .o__valid(code_valid), .o__ready(1'b1));
endmodule
""")
    environment = {"VITRIC_ROWS": str(ROWS), "VITRIC_TOTALS": str(totals)}
    result = run_bench([top, out], test_module=BENCH, build_dir=tmp_path, extra_env=environment)
    assert len(result.tests) == 1
    environment["VITRIC_TOTALS"] = str([total + 1 for total in totals])
    with pytest.raises(BenchFailure):
        run_bench([top, out], test_module=BENCH, build_dir=tmp_path, extra_env=environment)
