# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.hdl.memory.block import BlockMemory, BlockSpec

from tests.hdl.stream_kit import interval, receive, run, send

LINES = 21  # not a power of two
SPEC = BlockSpec(line_bits=32, lines=LINES)


def lines(count, seed):
    rng = random.Random(seed)
    return [rng.getrandbits(32) for _ in range(count)]


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
def test_reads_follow_each_other(stall):
    content = lines(LINES, 1)
    dut = BlockMemory(SPEC, init=content)
    reads = [(0, LINES), (20, 1), (5, 3), (4, 0), (0, 1), (7, 14)]

    async def asks(ctx):
        await send(ctx, dut.read, [{"address": start, "lines": count} for start, count in reads], stall=stall, seed=2)

    async def takes(ctx):
        wanted = [(content[start + k], k == count - 1) for start, count in reads for k in range(count)]
        beats = await receive(ctx, dut.o, len(wanted), stall=stall, seed=3)
        assert [(beat["data"], beat["last"]) for beat in beats] == wanted
        await ctx.tick().repeat(30)
        assert not ctx.get(dut.o.valid)

    run(dut, takes, asks)


def test_a_read_sees_the_writes_before_it():
    before, after = lines(LINES, 1), lines(LINES, 2)
    dut = BlockMemory(SPEC, init=before[:4])

    async def testbench(ctx):
        for address, line in enumerate(after):
            await send(ctx, dut.write, [{"address": address, "data": line}])
            await send(ctx, dut.read, [{"address": address, "lines": 1}])
            assert (await receive(ctx, dut.o, 1))[0]["data"] == line

    run(dut, testbench)


def test_latency_and_interval():
    dut = BlockMemory(SPEC, init=lines(LINES, 1))

    async def testbench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.read.valid, 1)
        ctx.set(dut.read.p.lines, LINES)
        await ctx.tick()
        ctx.set(dut.read.valid, 0)
        await ctx.tick().repeat(40)

    checkers = run(dut, testbench)
    assert checkers["o"].first_valid == dut.latency
    assert interval(checkers["o"]) == dut.interval


def test_rejected_sizes():
    with pytest.raises(ValueError, match="init must have at most 21 lines, not 22"):
        BlockMemory(SPEC, init=lines(22, 1))
    with pytest.raises(ValueError, match="lines must be"):
        BlockSpec(line_bits=32, lines=1)
