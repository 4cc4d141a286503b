# amaranth: UnusedElaboratable=no
import random
from types import SimpleNamespace

import pytest
from vitric.boards.link import crc32c
from vitric.boards.model_store import ModelStore, model_bytes
from vitric.golden.spec.accelerator import SPECS

from tests.hdl.stream_kit import interval, receive, run, send

SPEC = SPECS["tiny"]
CAPACITY = 21  # not a power of two


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
    dut = ModelStore(spec, init=first, capacity=CAPACITY)

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
    dut = ModelStore(SPEC, init=first, capacity=CAPACITY)
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
    dut = ModelStore(SPEC, init=first, capacity=CAPACITY)

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
    dut = ModelStore(SPEC, init=first, capacity=CAPACITY)

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
    dut = ModelStore(SPEC, init=first, capacity=CAPACITY)

    async def testbench(ctx):
        ctx.set(dut.start, 1)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(30)

    checkers = run(dut, testbench)
    assert checkers["o"].first_valid == dut.latency
    assert interval(checkers["o"]) == dut.interval


def test_no_model():
    dut = ModelStore(SPEC, init=[], capacity=CAPACITY)

    async def testbench(ctx):
        do = driver(ctx, dut)
        assert (ctx.get(dut.words), ctx.get(dut.crc)) == (0, 0)
        await do.write(words(3, 1))
        assert await do.commit(3, crc(words(3, 1))) == 1
        assert await do.stream(3) == words(3, 1)

    run(dut, testbench)


def test_model_bytes_are_those_of_the_file():
    assert model_bytes([0x0403_0201, 0x0807_0605], 32) == bytes(range(1, 9))


def test_rejected_capacity():
    with pytest.raises(ValueError, match="at least the 5 words of the model, not 4"):
        ModelStore(SPEC, init=words(5, 1), capacity=4)
    with pytest.raises(ValueError, match="capacity must be"):
        ModelStore(SPEC, init=[], capacity=0)
