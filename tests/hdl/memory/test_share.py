# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.hdl.memory.block import BlockMemory, BlockSpec
from vitric.hdl.memory.layouts import line_layout
from vitric.hdl.memory.share import CHUNK, Share
from vitric.hdl.memory.splitter import read_layout
from vitric.hdl.streams import connect

from tests.hdl.stream_kit import receive, run, send

LINES = 100  # not a power of two
SPEC = BlockSpec(line_bits=32, lines=LINES)
CONTENT = [random.Random(1).getrandbits(32) for _ in range(LINES)]
DEPTHS = (8, 32, 17)


class Shared(wiring.Component):
    """Three readers of one block RAM."""

    def __init__(self, depths=DEPTHS):
        self.share = Share(SPEC, depths=depths)
        read, line = stream.Signature(read_layout(SPEC)), stream.Signature(line_layout(SPEC))
        super().__init__({
            **{f"read_{k}": In(read) for k in range(len(depths))},
            **{f"line_{k}": Out(line) for k in range(len(depths))}, "asks": Out(1), "chunk": Out(read_layout(SPEC))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.share = share = self.share
        m.submodules.memory = memory = BlockMemory(SPEC, init=CONTENT)
        connect(m, share.read, memory.read)
        connect(m, memory.o, share.line)
        for k in range(len(share.depths)):
            connect(m, wiring.flipped(getattr(self, f"read_{k}")), share.reads[k])
            connect(m, share.lines[k], wiring.flipped(getattr(self, f"line_{k}")))
        m.d.comb += [self.asks.eq(share.read.valid & memory.read.ready), self.chunk.eq(share.read.payload)]
        return m


def wanted(reads):
    return [(CONTENT[start + k], k == count - 1) for start, count in reads for k in range(count)]


def reader(dut, k, reads, *, stall="always", then=None):
    """Return the two testbenches of one reader: it asks, and takes what it must get."""
    async def asks(ctx):
        payloads = [{"address": address, "lines": count} for address, count in reads]
        await send(ctx, getattr(dut, f"read_{k}"), payloads, stall=stall, seed=10 + k)

    async def takes(ctx):
        lines = wanted(reads)
        beats = await receive(ctx, getattr(dut, f"line_{k}"), len(lines), stall=stall, seed=20 + k)
        assert [(beat["data"], beat["last"]) for beat in beats] == lines
        await ctx.tick().repeat(100)
        assert not ctx.get(getattr(dut, f"line_{k}").valid)

    return asks, takes


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
def test_every_reader_gets_its_lines(stall):
    dut, rng = Shared(), random.Random(2)
    starts = [[rng.randrange(LINES) for _ in range(12)] for _ in DEPTHS]
    reads = [[(start, rng.randint(1, LINES - start)) for start in one] for one in starts]
    reads[1][3:6] = [(5, CHUNK), (5, CHUNK + 1), (99, 1)]
    run(dut, *(part for k in range(3) for part in reader(dut, k, reads[k], stall=stall)))


def test_short_reads_do_not_run_over():
    """Many reads of one line, more than there are chunks in the queues, while nobody takes a line."""
    dut = Shared()
    reads = [(k % LINES, 1) for k in range(60)]
    asks, takes = reader(dut, 1, reads)

    async def late(ctx):
        await ctx.tick().repeat(200)
        await takes(ctx)

    run(dut, asks, late, *reader(dut, 0, reads), *reader(dut, 2, reads, stall="random"))


def test_a_memory_that_takes_many_requests_before_it_answers():
    """More reads of one line than the order of the answers can hold."""
    dut, asked = Share(SPEC, depths=(16, 32)), []
    reads = [[(7 * k % LINES, 1) for k in range(40)], [(11 * k % (LINES - 1), 2) for k in range(40)]]

    def reader_of(k):
        async def asks(ctx):
            await send(ctx, dut.reads[k], [{"address": address, "lines": count} for address, count in reads[k]])

        async def takes(ctx):
            beats = await receive(ctx, dut.lines[k], len(wanted(reads[k])))
            assert [(beat["data"], beat["last"]) for beat in beats] == wanted(reads[k])

        return asks, takes

    async def hears(ctx):
        while True:
            asked.append((await receive(ctx, dut.read, 1))[0])

    async def answers(ctx):
        await ctx.tick().repeat(300)
        while True:
            while not asked:
                await ctx.tick()
            chunk = asked.pop(0)
            await send(ctx, dut.line, [{"data": CONTENT[chunk["address"] + k], "last": k == chunk["lines"] - 1}
                                       for k in range(chunk["lines"])])

    run(dut, *reader_of(0), *reader_of(1), background=[hears, answers])


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
def test_every_line_is_written_once(stall):
    dut, count = Share(SPEC, depths=(CHUNK,), writers=3), 30
    beats = [[{"address": 30 * k + n, "data": 1000 * k + n} for n in range(count)] for k in range(3)]

    def writer(k):
        async def writes(ctx):
            await send(ctx, dut.writes[k], beats[k], stall=stall, seed=k)
        return writes

    async def takes(ctx):
        taken = await receive(ctx, dut.write, 3 * count, stall=stall, seed=4)
        assert [[beat for beat in taken if beat["address"] // 30 == k] for k in range(3)] == beats
        if stall == "always":
            assert taken == sum(beats, [])  # the first writer has precedence
        await ctx.tick().repeat(10)
        assert not ctx.get(dut.write.valid)

    run(dut, takes, *map(writer, range(3)))


def test_a_reader_that_takes_nothing_stops_nobody():
    dut = Shared()

    async def asks(ctx):
        await send(ctx, dut.read_1, [{"address": 0, "lines": LINES}])

    run(dut, asks, *reader(dut, 0, [(3, 90)] * 3), *reader(dut, 2, [(4, 70)] * 3))


def test_no_more_is_asked_for_than_there_is_room():
    """Chunk by chunk, at most CHUNK lines each, until the queue has no room for another one."""
    dut = Shared()
    chunks = []

    async def asks(ctx):
        await send(ctx, dut.read_1, [{"address": 10, "lines": 85}])

    async def watches(ctx):
        for _ in range(200):
            if ctx.get(dut.asks):
                chunks.append((ctx.get(dut.chunk.address), ctx.get(dut.chunk.lines)))
            await ctx.tick()

    run(dut, asks, watches)
    assert chunks == [(10 + CHUNK * k, CHUNK) for k in range(DEPTHS[1] // CHUNK)]


def test_one_reader_has_the_whole_rate():
    dut = Shared()

    async def takes(ctx):
        ctx.set(dut.line_1.ready, 1)
        await ctx.tick().repeat(200)

    async def asks(ctx):
        await send(ctx, dut.read_1, [{"address": 0, "lines": LINES}])

    cycles = run(dut, takes, asks)["line_1"].transfers
    assert len(cycles) == LINES
    assert cycles[-1] - cycles[0] < LINES + LINES // CHUNK  # the block RAM needs a cycle for each request


@pytest.mark.parametrize(("depths", "named"), [((), "readers"), ((8, 7), "depth"), ((8.0,), "depth")])
def test_impossible_queues(depths, named):
    with pytest.raises((ValueError, TypeError), match=named):
        Share(SPEC, depths=depths)
