# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from vitric.hdl.accelerator.memories import ActivationMemory, ResidualMemory, Ring

from tests.hdl.accelerator.kit import SPECS, drive, matrix, name
from tests.hdl.stream_kit import plain, run, stall_pattern


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("depth", [2, 8])
def test_ring(depth, stall):
    """Against a list of all words: what is offered, read and freed, at random; a word is still there a cycle later."""
    shape = data.ArrayLayout(signed(5), 3)
    dut = Ring(shape=shape, depth=depth)

    async def testbench(ctx):
        rng, active, words = random.Random(f"{depth}/{stall}"), stall_pattern(stall, depth), []
        freed = [0, 0, 0]  # words, by two cycles ago, by the cycle before, by now
        offered, expected, full, empty, late = None, None, 0, 0, 0
        for _ in range(1000):
            if offered is None and next(active):
                offered = [rng.randrange(-16, 16) for _ in range(3)]
            ctx.set(dut.i.valid, offered is not None)
            ctx.set(dut.i.payload, offered or [rng.randrange(-16, 16) for _ in range(3)])
            freed = [*freed[1:], rng.randint(freed[2], len(words)) if rng.random() < 0.3 else freed[2]]
            ctx.set(dut.read.freed, freed[2] % (2 * depth))
            assert ctx.get(dut.read.filled) == len(words) % (2 * depth)
            ready = len(words) - freed[1] < depth
            assert ctx.get(dut.i.ready) == ready
            full, empty = full + (not ready), empty + (len(words) == freed[2])
            read = freed[0] < len(words) and rng.random() < 0.6
            at = rng.randrange(freed[0], len(words)) if read else rng.randrange(depth)
            drive(ctx, dut.read, {"address": at % depth, "en": read})
            if read:
                expected, late = words[at], late + (at < freed[1])
            if offered is not None and ready:
                words.append(offered)
                offered = None
            await ctx.tick()
            if expected is not None:
                assert plain(ctx.get(dut.read.data)) == expected
        assert min(full, empty, late) > 5 and len(words) > 10 * depth

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


@pytest.mark.parametrize("spec", SPECS[:3], ids=name)
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


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_residual_memory(spec):
    """``drain_cols`` channels in a word; the address is any of theirs."""
    dut, columns = ResidualMemory(spec), spec.drain_cols

    async def testbench(ctx):
        rng, model, expected = random.Random(2), {}, None
        for _ in range(400):
            target, address = rng.randrange(spec.residual_words), rng.randrange(spec.residual_words)
            value = matrix(rng, columns, spec.rows, spec.residual_bits, signed=True)
            write = rng.random() < 0.5
            same = write and address // columns == target // columns
            read = address // columns in model and not same and rng.random() < 0.7
            drive(ctx, dut.write, {"en": write, "address": target, "data": value})
            drive(ctx, dut.read, {"en": read, "address": address})
            expected = model[address // columns] if read else expected
            if write:
                model[target // columns] = value
            await ctx.tick()
            if expected is not None:
                assert plain(ctx.get(dut.read.data)) == expected
        assert len(model) > spec.residual_words // columns // 2

    run(dut, testbench)
