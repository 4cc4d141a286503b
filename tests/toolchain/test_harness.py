# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from vitric.toolchain.harness import Harness


class Unit(wiring.Component):
    """Two inputs and two outputs of odd sizes, all combinational."""

    a: In(3)
    b: In(2)
    total: Out(4)
    same: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.total.eq(self.a + self.b), self.same.eq(self.a[:2] == self.b)]
        return m


def test_every_input_is_driven_and_every_output_seen():
    dut = Harness(Unit())
    rng = random.Random(1)

    async def bench(ctx):
        sent, drive, seen = [], 0, 0
        for _ in range(60):
            bit = rng.getrandbits(1)
            ctx.set(dut.i, bit)
            a, b = drive & 7, drive >> 3
            outputs = a + b | (a % 4 == b) << 4
            assert ctx.get(dut.unit.total) == a + b
            assert ctx.get(dut.o) == seen >> 4
            sent.append(outputs)
            drive = (drive << 1 | bit) & 31
            seen = ((seen << 1 | bit) ^ outputs) & 31
            await ctx.tick()
        assert len(set(sent)) > 5

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


def test_a_unit_without_outputs_is_refused():
    with pytest.raises(ValueError, match="without outputs"):
        Harness(wiring.Component({"i": In(3)}))
