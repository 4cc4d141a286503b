# amaranth: UnusedElaboratable=no
import random
from collections import deque

import pytest
from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from vitric.hdl.accelerator.memories import ActivationMemory, ResidualMemory, Ring

from tests.hdl.accelerator.kit import SPECS, drive, matrix, name
from tests.hdl.stream_kit import plain, run, stall_pattern


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("depth", [2, 8])
def test_ring(depth, stall):
    """Against a deque: what is offered, read and freed, at random."""
    shape = data.ArrayLayout(signed(5), 3)
    dut = Ring(shape=shape, depth=depth)

    async def testbench(ctx):
        rng, active, model = random.Random(depth), stall_pattern(stall, depth), deque()
        offered, expected, full, empty = None, None, 0, 0
        for _ in range(800):
            if offered is None and next(active):
                offered = [rng.randrange(-16, 16) for _ in range(3)]
            ctx.set(dut.i.valid, offered is not None)
            ctx.set(dut.i.payload, offered or [rng.randrange(-16, 16) for _ in range(3)])
            level = ctx.get(dut.read.level)
            assert level == len(model)
            assert ctx.get(dut.i.ready) == (level < depth)
            full, empty = full + (level == depth), empty + (level == 0)
            offset = rng.randrange(level) if level else 0
            read = level > 0 and rng.random() < 0.6
            release = rng.randint(0, level) if rng.random() < 0.3 else 0
            drive(ctx, dut.read, {"offset": offset, "en": read, "release": release})
            if read:
                expected = model[offset]
            if offered is not None and level < depth:
                model.append(offered)
                offered = None
            for _ in range(release):
                model.popleft()
            await ctx.tick()
            if expected is not None:
                assert plain(ctx.get(dut.read.data)) == expected
        assert full > 5 and empty > 5

    run(dut, testbench)


def test_ring_refuses_parameters():
    for depth in (0, 1, 12, 1 << 17):
        with pytest.raises(ValueError, match="depth"):
            Ring(shape=unsigned(4), depth=depth)


@pytest.mark.parametrize("component,words", [(ActivationMemory, "act_words"), (ResidualMemory, "residual_words")])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_beyond(spec, component, words):
    """What is read, what is written, at the ends of the memory and of the address; not what is not enabled."""
    dut, words = component(spec), getattr(spec, words)
    tiles = len(dut.write.address) - len(dut.read.address)  # of a word, binary logarithm

    async def testbench(ctx):
        for port, shift in ((dut.read, 0), (dut.write, tiles)):
            for address in (0, words - 1, words, words + 1, 2 * words, 0x8000, 0xFFFF):
                for tile in {0, (1 << shift) - 1}:
                    ctx.set(port.address, address << shift | tile)
                    for enabled in (0, 1):
                        ctx.set(port.en, enabled)
                        assert ctx.get(dut.beyond) == (enabled and address >= words)
            ctx.set(port.en, 0)

    run(dut, testbench)


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_activation_memory(spec):
    """Element [row][s * cols + col] of a word is element [row][col] of its tile s."""
    dut = ActivationMemory(spec)

    async def testbench(ctx):
        rng = random.Random(1)
        words = [matrix(rng, spec.rows, spec.depth, spec.element_bits) for _ in range(spec.act_words)]
        tiles = [(word, tile) for word in range(spec.act_words) for tile in range(spec.word_tiles)]
        rng.shuffle(tiles)
        expected = None
        for number in range(2 * len(tiles)):
            write = number < len(tiles)
            word, tile = tiles[number % len(tiles)]
            part = [row[tile * spec.cols:(tile + 1) * spec.cols] for row in words[word]]
            drive(ctx, dut.write, {
                "en": write, "address": word * spec.word_tiles + tile,
                "data": part if write else matrix(rng, spec.rows, spec.cols, spec.element_bits)})
            address = rng.randrange(spec.act_words)
            read = not write and rng.random() < 0.7
            drive(ctx, dut.read, {"en": read, "address": address})
            await ctx.tick()
            expected = words[address] if read else expected
            if expected is not None:
                assert plain(ctx.get(dut.read.data)) == expected

    run(dut, testbench)


@pytest.mark.parametrize("spec", SPECS[:2], ids=name)
def test_residual_memory(spec):
    dut = ResidualMemory(spec)

    async def testbench(ctx):
        rng, model, expected = random.Random(2), {}, None
        for _ in range(400):
            target, address = rng.randrange(spec.residual_words), rng.randrange(spec.residual_words)
            value = matrix(rng, 1, spec.rows, spec.residual_bits, signed=True)[0]
            write = rng.random() < 0.5
            read = address in model and not (write and address == target) and rng.random() < 0.7
            drive(ctx, dut.write, {"en": write, "address": target, "data": value})
            drive(ctx, dut.read, {"en": read, "address": address})
            expected = model[address] if read else expected
            if write:
                model[target] = value
            await ctx.tick()
            if expected is not None:
                assert plain(ctx.get(dut.read.data)) == expected
        assert len(model) > spec.residual_words // 2

    run(dut, testbench)
