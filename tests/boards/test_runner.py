# amaranth: UnusedElaboratable=no
import struct
from dataclasses import replace

import pytest
from vitric.boards.link import RECORD_LAYOUT, LinkError, layout_bytes, unpack_layout
from vitric.boards.runner import Runner
from vitric.boards.slots import image_words, record_words
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.memory.block import BlockSpec

from tests.hdl.stream_kit import receive, run, send

SPEC = replace(SPECS["tiny"], max_classes=5)
MEMORY = BlockSpec(line_bits=32, lines=128)
UPPER = 64  # where the image memory begins
COLUMNS = 5
IMAGE, RECORD = image_words(COLUMNS, rows=2, model_bits=32), record_words(5, model_bits=32)
STRIDE = IMAGE + RECORD + 1


def outcome(**other):
    return {"error": 0, "command": 7, "cycles": 0x1_2345, "label": 1, "count": 3} | other


def simulate(request, results, *, stall="always", busy=0):
    """Run the images of a request, which come out as ``results``: (logits, outcome) each.

    ``busy`` is for how many cycles the store is busy after each image. Returns the images that were asked for, the
    lines that were written, and the last status.
    """
    dut, images, lines, status = Runner(SPEC, MEMORY), [], {}, {}

    async def asks(ctx):
        ctx.set(dut.store_idle, 1)
        await send(ctx, dut.run, [{"first": 0, "stride": STRIDE, "columns": COLUMNS, "count": 1} | request])
        assert ctx.get(dut.status.running)
        while ctx.get(dut.status.running):
            assert not ctx.get(dut.run.ready)
            await ctx.tick()
        await ctx.tick().repeat(20)
        status.update({name: ctx.get(dut.status[name]) for name in ("reason", "done", "cycles")})

    async def gives_images(ctx):
        images.extend((image["address"], image["columns"]) for image in await receive(
            ctx, dut.image, len(results), stall=stall, seed=2))

    async def infers(ctx):
        for logits, how in results:
            await ctx.tick().until(dut.start)
            ctx.set(dut.outcome.p, how)
            ctx.set(dut.outcome.valid, 1)
            ctx.set(dut.store_idle, not busy)
            await send(ctx, dut.logits, logits, stall=stall, seed=3)
            await ctx.tick().until(dut.outcome.ready)
            ctx.set(dut.outcome.valid, 0)
            for _ in range(busy):
                assert not ctx.get(dut.start)
                await ctx.tick()
            ctx.set(dut.store_idle, 1)

    async def writes(ctx):
        while True:
            (beat,) = await receive(ctx, dut.put, 1, stall=stall, seed=4)
            assert beat["address"] not in lines
            lines[beat["address"]] = beat["data"]

    run(dut, asks, gives_images, infers, background=[writes])
    return images, lines, status


def record(lines, start, logits):
    """Return the fields and the logits of a record, which must have no line more, and remove it from the lines."""
    words = record_words(logits, model_bits=32)
    data = b"".join(lines.pop(UPPER + start + k).to_bytes(4, "little") for k in range(words))
    head = layout_bytes(RECORD_LAYOUT)
    assert data[head + 2 * logits:].strip(b"\0") == b""
    return unpack_layout(RECORD_LAYOUT, data), list(struct.unpack_from(f"<{logits}h", data, head))


@pytest.mark.parametrize("busy", [0, 50])
@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
def test_a_record_behind_each_image(stall, busy):
    results = [([5, -300, 7], outcome()), ([-1], outcome(count=1, label=0, cycles=1)),
               ([1, 2, 3, 4, -0x8000], outcome(count=5, label=3, cycles=0xFFFF_FFFF))]
    images, lines, status = simulate({"first": 9, "count": 3}, results, stall=stall, busy=busy)
    starts = [9 + k * STRIDE for k in range(3)]
    assert images == [(UPPER + start, COLUMNS) for start in starts]
    for start, (logits, how) in zip(starts, results, strict=True):
        fields, found = record(lines, start + IMAGE, len(logits))
        assert found == logits
        assert fields == {**how, "reserved": 0}
    assert not lines
    assert (status["reason"], status["done"]) == (0, 3)
    assert status["cycles"] > 3 * (8 + 3) + 2 * busy


def test_the_accelerator_refuses_an_image():
    refused = outcome(error=int(ErrorCode.BAD_CRC), command=513, count=0, label=0)
    images, lines, status = simulate({"count": 5}, [([1, 2, 3], outcome()), ([], refused)])
    assert len(images) == 2
    record(lines, IMAGE, 3)
    assert record(lines, STRIDE + IMAGE, 0)[0] == {**refused, "reserved": 0}
    assert not lines
    assert (status["reason"], status["done"]) == (LinkError.ACCELERATOR, 2)


@pytest.mark.parametrize(("request_", "done"), [
    ({"columns": 0}, 0), ({"stride": IMAGE + RECORD - 1}, 0), ({"first": 64}, 0), ({"first": 64 - STRIDE + 1}, 0),
    ({"first": 64 - STRIDE, "count": 2}, 1), ({"first": 0xFFFF_FFFF}, 0), ({"stride": 0xFFFF_FFFF}, 0),
    ({"columns": 0xFFFF_FFFF}, 0), ({"first": 0xFFFF_FFF0, "stride": 0x20}, 0)])
def test_slots_that_cannot_be(request_, done):
    images, lines, status = simulate(request_, [([1], outcome(count=1, label=0))] * done)
    assert (status["reason"], status["done"], len(images)) == (LinkError.BAD_SLOT, done, done)


def test_the_tightest_slots():
    results = [([k], outcome(count=1, label=0)) for k in range(64 // (IMAGE + RECORD))]
    _, lines, status = simulate({"stride": IMAGE + RECORD, "count": len(results)}, results)
    assert (status["reason"], status["done"]) == (0, len(results))
    assert max(lines) < 128


def test_a_run_of_no_images():
    images, lines, status = simulate({"count": 0}, [])
    assert (images, lines, status["reason"], status["done"]) == ([], {}, 0, 0)


def test_a_memory_that_cannot_be_halved():
    with pytest.raises(ValueError, match="power of two of lines, not 96"):
        Runner(SPEC, BlockSpec(line_bits=32, lines=96))
