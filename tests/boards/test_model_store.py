# amaranth: UnusedElaboratable=no
import random
from types import SimpleNamespace

import pytest
from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.sim import Simulator
from vitric.boards.crc import crc32c
from vitric.boards.model_store import WORDS_MAX, ModelStore, model_bytes
from vitric.golden.spec.accelerator import SPECS
from vitric.hdl.memory.block import BlockMemory, BlockSpec
from vitric.hdl.memory.reader import LineReader
from vitric.hdl.streams import connect

from tests.hdl.stream_kit import interval, receive, run, send

SPEC = SPECS["tiny"]
CAPACITY = 21  # not a power of two


class Stored(wiring.Component):
    """A store with its block RAM, and a reset for the store alone."""

    def __init__(self, spec, *, init):
        self.blocks = BlockSpec(line_bits=spec.model_bits, lines=2 * CAPACITY)
        self.store = ModelStore(spec, self.blocks, capacity=CAPACITY, init=init)
        inside = ("read", "put", "line")
        super().__init__({"reset": In(1)} | {
            name: member for name, member in self.store.signature.members.items() if name not in inside})

    def elaborate(self, platform):
        m = Module()
        store = self.store
        m.submodules.memory = memory = BlockMemory(self.blocks, init=store.init)
        m.submodules.store = ResetInserter(self.reset)(store)
        m.submodules.reader = reader = LineReader(self.blocks)
        m.d.comb += reader.drop.eq(self.reset)
        for source, target in (
                (store.read, reader.i), (reader.o, store.line), (reader.read, memory.read), (memory.o, reader.line),
                (store.put, memory.write), (store.o, wiring.flipped(self.o)),
                (store.result, wiring.flipped(self.result)),
                (wiring.flipped(self.write), store.write), (wiring.flipped(self.commit), store.commit)):
            connect(m, source, target)
        m.d.comb += [store.start.eq(self.start), *(
            getattr(self, name).eq(getattr(store, name)) for name in ("words", "crc", "idle"))]
        return m


def slow_memory(dut, content):
    """Return a background testbench: a memory at the ports of a bare store that takes its time over everything."""
    async def memory(ctx):
        rng, lines, busy = random.Random(4), [], False
        while True:
            busy = bool(lines)
            offered = busy and (ctx.get(dut.line.valid) or rng.random() < 0.4)
            ctx.set(dut.line.valid, offered)
            if offered:
                ctx.set(dut.line.p, {"data": content.get(lines[0], 0), "last": len(lines) == 1})
            ctx.set(dut.put.ready, rng.random() < 0.4)
            # writes before reads, as an SDRAM has them
            ctx.set(dut.read.ready, not busy and rng.random() < 0.4 and not ctx.get(dut.put.valid))
            _, _, put, address, word, put_ready, read, start, count, read_ready, line_ready = await ctx.tick().sample(
                dut.put.valid, dut.put.p.address, dut.put.p.data, dut.put.ready,
                dut.read.valid, dut.read.p.address, dut.read.p.lines, dut.read.ready, dut.line.ready)
            if put and put_ready:
                content[address] = word
            if read and read_ready:
                lines = [*range(start, start + count)]
            elif offered and line_ready:
                lines.pop(0)
                ctx.set(dut.line.valid, 0)
    return memory


def words(count, seed, bits=SPEC.model_bits):
    rng = random.Random(seed)
    return [rng.getrandbits(bits) for _ in range(count)]


def crc(model, bits=SPEC.model_bits):
    return crc32c(model_bytes(model, bits))


def driver(ctx, dut, *, stall="always", seed=0):
    """Return the operations on a store as functions of a testbench."""

    async def stream(count):
        while not ctx.get(dut.idle):
            await ctx.tick()
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        beats = await receive(ctx, dut.o, count, stall=stall, seed=seed)
        assert [beat["last"] for beat in beats] == [0] * (count - 1) + [1]
        return [beat["data"] for beat in beats]

    async def write(model, offset=0):
        while not ctx.get(dut.idle):
            await ctx.tick()
        await send(ctx, dut.write, [{"address": offset + k, "data": word} for k, word in enumerate(model)])

    async def commit(count, check):
        ctx.set(dut.commit.p.words, count)
        ctx.set(dut.commit.p.crc, check)
        ctx.set(dut.commit.valid, 1)
        ctx.set(dut.result.ready, 1)
        taken = result = 0
        while not taken:
            _, _, taken, valid, result = await ctx.tick().sample(
                dut.commit.ready, dut.result.valid, dut.result.payload)
            assert taken == valid
        ctx.set(dut.commit.valid, 0)
        ctx.set(dut.result.ready, 0)
        return result

    return SimpleNamespace(stream=stream, write=write, commit=commit)


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("bits", [32, 64])
def test_models_take_turns(stall, bits):
    spec = SPECS["tiny"] if bits == 32 else SPECS["fashion"]
    first, second, third = words(13, 1, bits), words(CAPACITY, 2, bits), words(1, 3, bits)
    dut = Stored(spec, init=first)

    async def testbench(ctx):
        do = driver(ctx, dut, stall=stall)
        assert (ctx.get(dut.words), ctx.get(dut.crc)) == (13, crc(first, bits))
        for _ in range(2):
            assert await do.stream(13) == first
        await do.write(second)
        assert await do.stream(13) == first  # what was written is not in use before it is committed
        assert await do.commit(CAPACITY, crc(second, bits)) == 1
        assert (ctx.get(dut.words), ctx.get(dut.crc)) == (CAPACITY, crc(second, bits))
        assert await do.stream(CAPACITY) == second
        await do.write(third)
        assert await do.commit(1, crc(third, bits)) == 1
        assert await do.stream(1) == third
        assert await do.stream(1) == third

    run(dut, testbench)


@pytest.mark.parametrize("case", ["crc", "missing word", "length", "zero", "beyond"])
def test_a_broken_model_changes_nothing(case):
    first, second = words(9, 1), words(12, 2)
    dut = Stored(SPEC, init=first)
    count, check = {"crc": (12, crc(second) ^ 1), "length": (11, crc(second)), "zero": (0, 0),
                    "beyond": (CAPACITY + 1, crc(second))}.get(case, (12, crc(second)))

    async def testbench(ctx):
        do = driver(ctx, dut)
        if case == "missing word":
            await do.write(second[:5])
            await do.write(second[6:], offset=6)
        else:
            await do.write(second)
        assert await do.commit(count, check) == 0
        assert (ctx.get(dut.words), ctx.get(dut.crc)) == (9, crc(first))
        assert await do.stream(9) == first
        await do.write(second)
        assert await do.commit(12, crc(second)) == 1  # and the next good one is taken
        assert await do.stream(12) == second

    run(dut, testbench)


def test_every_bit_of_the_crc_counts():
    first, second = words(9, 1), words(2, 2)
    dut = Stored(SPEC, init=first)

    async def testbench(ctx):
        do = driver(ctx, dut)
        await do.write(second)
        for bit in range(32):
            assert await do.commit(2, crc(second) ^ 1 << bit) == 0
        assert ctx.get(dut.words) == 9
        assert await do.commit(2, crc(second)) == 1

    run(dut, testbench)


def test_addresses_beyond_the_bank_are_passed_over():
    first, second = words(CAPACITY, 1), words(CAPACITY, 2)
    dut = Stored(SPEC, init=first)

    async def testbench(ctx):
        do = driver(ctx, dut)
        await do.write(second)
        for beyond in (CAPACITY, 2 * CAPACITY, 1 << 31, (1 << 32) - CAPACITY):
            await do.write([0xBAD], offset=beyond)
        assert await do.stream(CAPACITY) == first
        assert await do.commit(CAPACITY, crc(second)) == 1
        for beyond in (CAPACITY, 2 * CAPACITY):
            await do.write([0xBAD], offset=beyond)
        assert await do.stream(CAPACITY) == second

    run(dut, testbench)


def test_latency_and_interval():
    first = words(16, 1)
    dut = Stored(SPEC, init=first)

    async def testbench(ctx):
        await ctx.tick()  # nothing is left of a read from before
        ctx.set(dut.start, 1)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(30)

    checkers = run(dut, testbench)
    assert checkers["o"].first_valid == 1 + BlockMemory.latency + ModelStore.latency
    assert interval(checkers["o"]) == ModelStore.interval


@pytest.mark.parametrize("stall", ["always", "bursts"])
def test_a_memory_that_takes_its_time(stall):
    first, second, third = words(13, 1), words(CAPACITY, 2), words(2, 3)
    memory = BlockSpec(line_bits=32, lines=64)
    dut = ModelStore(SPEC, memory, capacity=CAPACITY, init=first)

    async def testbench(ctx):
        do = driver(ctx, dut, stall=stall)
        assert await do.stream(13) == first
        for model in (second, third, second):
            before = ctx.get(dut.words)
            await do.write(model)
            assert await do.commit(len(model), crc(model) ^ 1) == 0 and ctx.get(dut.words) == before
            assert await do.commit(len(model), crc(model)) == 1
            assert await do.stream(len(model)) == model

    run(dut, testbench, background=[slow_memory(dut, dict(enumerate(first)))])


@pytest.mark.parametrize("after", range(1, 13))
def test_a_reset_at_any_time_leaves_the_model_in_use(after):
    first, second = words(13, 1), words(CAPACITY, 2)
    dut = Stored(SPEC, init=first)

    async def testbench(ctx):
        do = driver(ctx, dut)
        for checking in (0, 1):
            await do.write(second)
            ctx.set(dut.o.ready, 1)
            ctx.set(dut.start, 1 - checking)
            ctx.set(dut.commit.p, {"words": CAPACITY, "crc": crc(second)})
            ctx.set(dut.commit.valid, checking)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().repeat(after)
            ctx.set(dut.reset, 1)
            ctx.set(dut.commit.valid, 0)
            await ctx.tick()
            ctx.set(dut.reset, 0)
            ctx.set(dut.o.ready, 0)
            assert await do.stream(13) == first  # all of it, and nothing of what was on its way

    async def bounded(ctx):
        await testbench(ctx)
        ended.append(True)

    sim, ended = Simulator(dut), []
    sim.add_clock(1e-6)
    sim.add_testbench(bounded)
    sim.run_until(2000e-6)
    assert ended


def test_no_model():
    dut = Stored(SPEC, init=[])

    async def testbench(ctx):
        do = driver(ctx, dut)
        assert (ctx.get(dut.words), ctx.get(dut.crc)) == (0, 0)
        await do.write(words(3, 1))
        assert await do.commit(3, crc(words(3, 1))) == 1
        assert await do.stream(3) == words(3, 1)

    run(dut, testbench)


def test_model_bytes_are_those_of_the_file():
    assert model_bytes([0x0403_0201, 0x0807_0605], 32) == bytes(range(1, 9))


@pytest.mark.parametrize(("changes", "message"), [
    ({"capacity": 4}, "capacity must be at least the 5 words of the model, not 4"),
    ({"capacity": 0}, "capacity must be"), ({"capacity": WORDS_MAX + 1}, "capacity must be"),
    ({"memory": BlockSpec(line_bits=32, lines=41)}, "must have two banks of 21 lines, not 41 lines"),
    ({"memory": BlockSpec(line_bits=64, lines=42)}, "must be as wide as model words, 32 bits, not 64"),
])
def test_rejected(changes, message):
    options = {"memory": BlockSpec(line_bits=32, lines=42), "capacity": CAPACITY, **changes}
    with pytest.raises(ValueError, match=message):
        ModelStore(SPEC, options["memory"], capacity=options["capacity"], init=words(5, 1))
