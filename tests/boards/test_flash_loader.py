"""The loader with a flash and a store in software."""

import random

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from vitric.boards.crc import crc32c
from vitric.boards.flash_image import DATA_OFFSET, HEADER_LAYOUT, MAGIC, FlashState, flash_image
from vitric.boards.flash_loader import FlashLoader
from vitric.boards.link import pack_layout
from vitric.boards.model_store import model_bytes
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.flash import FlashSpec

SPEC = SPECS["tiny"]  # 32-bit model words
FLASH = FlashSpec(clock_hz=10_000_000, size=1 << 18, slots=(1 << 16, 1 << 17))
CAPACITY = 20
MODELS = [[1, 2, 3], [4, 5, 6, 0xFFFF_FFFF], list(range(CAPACITY))]


def image(model, written, *, spec_hash=SPEC.hash):
    return flash_image(model_bytes(model, 32), model_bits=32, spec_hash=spec_hash, written=written)


def damaged(data, byte=DATA_OFFSET + 5):
    return data[:byte] + bytes([data[byte] ^ 0x10]) + data[byte + 1:]


def header(**fields):
    """Return a header with a right CRC whatever it says."""
    known = {"magic": MAGIC, "spec_hash": SPEC.hash, "written": 9, "words": 3, "crc": 0}
    head = pack_layout(HEADER_LAYOUT[:-1], known | fields)
    return head + crc32c(head).to_bytes(4, "little")


def other_version(model, written):
    """Return a slot that only the first bytes tell from ours."""
    words = model_bytes(model, 32)
    head = header(magic=MAGIC + (1 << 24), written=written, words=len(model), crc=crc32c(words))
    return head + bytes(DATA_OFFSET - len(head)) + words


async def until(ctx, condition):
    done = False
    while not done:
        _, _, done = await ctx.tick().sample(condition)


def load(*slots, flash=FLASH, quad=True, reset_after=None, failed=0, seed=0):
    """Return state, slot, ``written``, the words of the model in use, and the lanes of each read."""
    dut = FlashLoader(SPEC, flash, capacity=CAPACITY)
    reset = Signal()
    content = {place + k: byte for place, slot in zip(flash.slots, slots, strict=True) for k, byte in enumerate(slot)}
    rng, memory, used, singles, resets = random.Random(seed), {}, [], [], []

    async def chip(ctx):
        while True:
            ctx.set(dut.read.ready, 1)
            await until(ctx, dut.read.valid & dut.read.ready & ~reset)
            address, count, single = (ctx.get(getattr(dut.read.p, name)) for name in ("address", "bytes", "single"))
            singles.append(single)
            ctx.set(dut.read.ready, 0)
            begun = len(resets)
            for k in range(count):
                while rng.random() < 0.2:
                    await ctx.tick()
                ctx.set(dut.byte.p.data, content.get(address + k, 0xFF) if quad or single else 0xFF)
                ctx.set(dut.byte.p.last, k == count - 1)
                ctx.set(dut.byte.valid, 1)
                ready = False
                while not ready and len(resets) == begun:
                    _, _, ready = await ctx.tick().sample(dut.byte.ready)
                ctx.set(dut.byte.valid, 0)
                if len(resets) > begun:
                    break

    async def store(ctx):
        while True:
            ctx.set(dut.write.ready, rng.random() < 0.7)
            _, _, written, address, word = await ctx.tick().sample(
                dut.write.valid & dut.write.ready, dut.write.p.address, dut.write.p.data)
            if written:
                memory[address] = word

    async def committer(ctx):
        while True:
            await until(ctx, dut.commit.valid)
            words, crc = ctx.get(dut.commit.p.words), ctx.get(dut.commit.p.crc)
            assert words <= CAPACITY
            model = [memory[k] for k in range(words)]
            right = crc32c(model_bytes(model, 32)) == crc
            if right:
                used[:] = model
            ctx.set(dut.result.payload, right)
            ctx.set(dut.result.valid, 1)
            await until(ctx, dut.result.ready)
            ctx.set(dut.result.valid, 0)

    async def main(ctx):
        await ctx.tick().repeat(20)
        assert not singles and ctx.get(dut.busy)  # it waits for the memory
        ctx.set(dut.failed, failed)
        ctx.set(dut.start, 1)
        if reset_after is not None:
            await ctx.tick().repeat(reset_after)
            resets.append(reset_after)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
        for _ in range(20_000):
            if not ctx.get(dut.busy):
                break
            await ctx.tick()
        else:
            raise TimeoutError
        await ctx.tick().repeat(20)
        result.extend([FlashState(ctx.get(dut.state)), ctx.get(dut.slot), ctx.get(dut.written)])
        reads = len(singles)
        ctx.set(reset, 1)  # a break later on changes nothing
        await ctx.tick().repeat(2)
        ctx.set(reset, 0)
        await ctx.tick().repeat(100)
        assert len(singles) == reads and result[0] == ctx.get(dut.state) and result[2] == ctx.get(dut.written)

    result = []
    sim = Simulator(ResetInserter(reset)(dut))
    sim.add_clock(1e-6)
    sim.add_testbench(main)
    for process in (chip, store, committer):
        sim.add_testbench(process, background=True)
    sim.run()
    return (*result, used, singles)


@pytest.mark.parametrize(("slots", "expected"), [
    ((image(MODELS[0], 7), b""), (0, 7, MODELS[0])),
    ((b"", image(MODELS[1], 7)), (1, 7, MODELS[1])),
    ((image(MODELS[0], 7), image(MODELS[2], 8)), (1, 8, MODELS[2])),
    ((image(MODELS[2], 0xFFFF_FFFF), image(MODELS[1], 8)), (0, 0xFFFF_FFFF, MODELS[2])),
    ((image(MODELS[0], 7), damaged(image(MODELS[1], 8))), (0, 7, MODELS[0])),  # the power went while it was written
    ((damaged(image(MODELS[0], 9)), image(MODELS[1], 8)), (1, 8, MODELS[1])),
    ((image(MODELS[0], 7), damaged(image(MODELS[1], 8), 9)), (0, 7, MODELS[0])),  # the header
    ((image(MODELS[0], 7), image(MODELS[1], 8, spec_hash=1)), (0, 7, MODELS[0])),
    ((image(MODELS[0], 7), header(written=8, words=CAPACITY + 1)), (0, 7, MODELS[0])),
    ((image(MODELS[0], 0), header(written=8, words=0)), (0, 0, MODELS[0])),
    ((image(MODELS[0], 7), header(written=8, words=0x4000_0003)), (0, 7, MODELS[0])),
    ((image(MODELS[0], 7), other_version(MODELS[1], 8)), (0, 7, MODELS[0])),
])
def test_the_newest_sound_model_is_loaded(slots, expected):
    state, slot, written, used, singles = load(*slots)
    assert (state, slot, written, used) == (FlashState.LOADED, *expected)
    assert not any(singles)


@pytest.mark.parametrize(("slots", "state"), [
    ((b"", b""), FlashState.EMPTY),
    ((bytes(600), b"\x55\xaa" * 300), FlashState.EMPTY),
    ((damaged(image(MODELS[0], 7), 20), b""), FlashState.EMPTY),  # no header
    ((image(MODELS[0], 7, spec_hash=1), b""), FlashState.FOREIGN),
    ((b"", header(words=CAPACITY + 1)), FlashState.FOREIGN),
    ((damaged(image(MODELS[0], 7)), image(MODELS[0], 7, spec_hash=1)), FlashState.DAMAGED),
    ((damaged(image(MODELS[0], 7)), damaged(image(MODELS[1], 8))), FlashState.DAMAGED),
])
@pytest.mark.parametrize("lanes", [1, 4])
def test_nothing_is_loaded(slots, state, lanes):
    flash = FlashSpec(clock_hz=10_000_000, size=1 << 18, slots=FLASH.slots, lanes=lanes)
    found = load(*slots, flash=flash)
    assert found[:4] == (state, 0, 0, [])
    assert (found[4].count(0) > 0) == (lanes == 4) and found[4].count(1) > 1


def test_a_flash_that_gives_nothing_on_four_lanes():
    state, slot, written, used, singles = load(image(MODELS[0], 7), image(MODELS[1], 8), quad=False)
    assert (state, slot, written, used) == (FlashState.LOADED, 1, 8, MODELS[1])
    assert singles == sorted(singles) and set(singles) == {0, 1}


@pytest.mark.parametrize("after", [1, 5, 40, 90, 140, 190, 250, 300])
def test_a_reset_in_the_middle(after):
    """It begins anew, wherever it was."""
    state, slot, _, used, _ = load(image(MODELS[0], 7), image(MODELS[2], 8), reset_after=after, seed=after)
    assert (state, slot, used) == (FlashState.LOADED, 1, MODELS[2])


def test_a_memory_that_is_not_in_order():
    found = load(image(MODELS[0], 7), b"", failed=1)
    assert found == (FlashState.NONE, 0, 0, [], [])
