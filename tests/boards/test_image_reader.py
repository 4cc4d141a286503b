# amaranth: UnusedElaboratable=no
import random
from dataclasses import replace

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.boards.image_reader import ImageReader, image_layout
from vitric.boards.slots import Slots, image_words, record_words
from vitric.golden.spec.accelerator import SPECS
from vitric.hdl.accelerator.layouts import input_column
from vitric.hdl.memory.block import BlockMemory, BlockSpec
from vitric.hdl.streams import connect

from tests.hdl.stream_kit import receive, run, send

LINES = 64
SPECIFICATIONS = {"two in a line": SPECS["tiny"], "one in a line": replace(SPECS["digits"], model_bits=64),
                  "two lines each": replace(SPECS["digits"], model_bits=32)}


class InMemory(wiring.Component):
    """A reader of images and the memory they lie in."""

    def __init__(self, spec, content):
        self.spec, self.content = spec, content
        self.memory = BlockSpec(line_bits=spec.model_bits, lines=LINES)
        super().__init__({
            "i": In(stream.Signature(image_layout(self.memory))), "o": Out(stream.Signature(input_column(spec)))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = BlockMemory(self.memory, init=self.content)
        m.submodules.reader = reader = ImageReader(self.spec, self.memory)
        connect(m, reader.read, memory.read)
        connect(m, memory.o, reader.line)
        connect(m, wiring.flipped(self.i), reader.i)
        connect(m, reader.o, wiring.flipped(self.o))
        return m


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECIFICATIONS.values(), ids=SPECIFICATIONS)
def test_images_column_by_column(spec, stall):
    rng = random.Random(7)
    content = [rng.getrandbits(spec.model_bits) for _ in range(LINES)]
    images = [(0, 1), (3, 7), (3, 8), (50, 2), (10, 20), (63 - (8 * spec.rows > spec.model_bits), 1)]
    expected = []
    for address, columns in images:
        data = b"".join(line.to_bytes(spec.model_bits // 8, "little") for line in content[address:])
        expected += [{"pixel": list(data[k * spec.rows:(k + 1) * spec.rows]), "last": k == columns - 1}
                     for k in range(columns)]
    dut = InMemory(spec, content)

    async def asks(ctx):
        await send(ctx, dut.i, [{"address": a, "columns": n} for a, n in images], stall=stall, seed=2)

    async def takes(ctx):
        assert await receive(ctx, dut.o, len(expected), stall=stall, seed=3) == expected
        await ctx.tick().repeat(40)
        assert not ctx.get(dut.o.valid)

    run(dut, takes, asks)


@pytest.mark.parametrize(("rows", "model_bits", "columns", "words"), [
    (2, 32, 1, 1), (2, 32, 2, 1), (2, 32, 3, 2), (8, 64, 5, 5), (8, 32, 5, 10), (16, 32, 1, 4), (4, 128, 9, 3)])
def test_words_of_an_image(rows, model_bits, columns, words):
    assert image_words(columns, rows=rows, model_bits=model_bits) == words


@pytest.mark.parametrize(("logits", "model_bits", "words"), [
    (1, 32, 5), (2, 32, 5), (3, 32, 6), (10, 64, 5), (1000, 64, 252), (1, 128, 2)])
def test_words_of_a_record(logits, model_bits, words):
    assert record_words(logits, model_bits=model_bits) == words


def test_slots_of_a_deit_tiny_on_an_sdram_of_32_mib():
    slots = Slots(columns=25 * 768, rows=8, model_bits=64, max_classes=1000, memory_words=1 << 21)
    assert (slots.image_words, slots.stride, slots.count) == (19_200, 19_452, 107)
    assert (slots.image(106), slots.record(106)) == (106 * 19_452, 106 * 19_452 + 19_200)
    with pytest.raises(ValueError, match="slot must be between 0 and 106, not 107"):
        slots.image(107)
    with pytest.raises(ValueError, match="take 19452 model words, but the image memory of the board has 19451"):
        replace(slots, memory_words=19_451)
    with pytest.raises(ValueError, match="columns of an image must be between 1"):
        replace(slots, columns=0)
