# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from vitric.hdl.memory.block import BlockMemory, BlockSpec
from vitric.hdl.memory.layouts import line_layout
from vitric.hdl.memory.reader import LineReader
from vitric.hdl.memory.splitter import read_layout
from vitric.hdl.streams import connect

from tests.hdl.stream_kit import receive, run, send

SPEC = BlockSpec(line_bits=32, lines=40)
CONTENT = [random.Random(1).getrandbits(32) for _ in range(40)]


class Read(wiring.Component):
    """A reader and its memory."""

    def __init__(self):
        super().__init__({
            "drop": In(1),
            "i": In(stream.Signature(read_layout(SPEC))), "o": Out(stream.Signature(line_layout(SPEC)))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = BlockMemory(SPEC, init=CONTENT)
        m.submodules.reader = reader = LineReader(SPEC)
        connect(m, reader.read, memory.read)
        connect(m, memory.o, reader.line)
        connect(m, wiring.flipped(self.i), reader.i)
        connect(m, reader.o, wiring.flipped(self.o))
        m.d.comb += reader.drop.eq(self.drop)
        return m


def wanted(address, lines):
    return [{"data": CONTENT[address + k], "last": k == lines - 1} for k in range(lines)]


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
def test_lines_as_the_memory_gives_them(stall):
    dut = Read()
    reads = [(0, 40), (39, 1), (3, 5), (2, 7)]

    async def asks(ctx):
        await send(ctx, dut.i, [{"address": a, "lines": n} for a, n in reads], stall=stall, seed=2)

    async def takes(ctx):
        for address, lines in reads:
            assert await receive(ctx, dut.o, lines, stall=stall, seed=3) == wanted(address, lines)

    run(dut, takes, asks)


@pytest.mark.parametrize("cycles", range(1, 24))
@pytest.mark.parametrize("taken", [0, 1])
def test_lines_that_nobody_waits_for_are_dropped(cycles, taken):
    dut = Read()

    async def testbench(ctx):
        await send(ctx, dut.i, [{"address": 0, "lines": 12}])
        ctx.set(dut.o.ready, taken)
        await ctx.tick().repeat(cycles)
        ctx.set(dut.o.ready, 0)
        ctx.set(dut.drop, 1)
        await ctx.tick()
        ctx.set(dut.drop, 0)
        for read in ((20, 3), (30, 2)):
            await send(ctx, dut.i, [dict(zip(("address", "lines"), read, strict=True))])
            assert await receive(ctx, dut.o, read[1]) == wanted(*read)
        await ctx.tick()
        assert not ctx.get(dut.o.valid)
        ended.append(True)

    sim, ended = Simulator(dut), []  # not run(): this ends an offer, which rule 2 forbids
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run_until(500e-6)
    assert ended
