# amaranth: UnusedElaboratable=no
"""The host link through the pins of System, with a small machine in place of the accelerator."""

import random
import struct

import pytest
from vitric.boards import system
from vitric.boards.crc import crc32c
from vitric.boards.link import PROTOCOL, Frame, Kind, LinkError, encode
from vitric.boards.model_store import ModelStore, model_bytes
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.memory.block import BlockMemory

from tests.boards.machine import CAPACITY, DIVISOR, GAP, IMAGE, MAX_PAYLOAD, MODEL, REFUSES, SPEC, check_error


def test_info(simulate):
    async def testbench(host):
        assert await host.info() == {
            "protocol": PROTOCOL, "rows": SPEC.rows, "model_bits": SPEC.model_bits, "max_classes": SPEC.max_classes,
            "max_payload": MAX_PAYLOAD, "spec_hash": SPEC.hash, "capacity": CAPACITY, "model_words": len(MODEL),
            "model_crc": crc32c(model_bytes(MODEL, 32)), "clock_hz": 12_345_678, "image_words": 0, "memory_failed": 0,
            "flash_state": 0, "flash_slot": 0, "flash_written": 0,
        }

    simulate(testbench, init=MODEL)


def test_inferences_follow_each_other(simulate):
    async def testbench(host):
        rng = random.Random(1)
        for columns in (1, 3, MAX_PAYLOAD // 2):
            cycles = await host.infer(MODEL, rng.randbytes(2 * columns))
            # The latencies of store and memory, the model, up to three columns that wait already, two cycles for each
            # further one, four logits.
            waiting = min(columns, 3)
            expected = ModelStore.latency + BlockMemory.latency + len(MODEL) + 2 * columns - waiting + 4
            assert cycles == expected

    simulate(testbench, init=MODEL)


def test_a_slow_line_is_waited_for(simulate):
    """The accelerator starts when the whole image is here: it never sees how slowly that came, nor counts it."""
    async def testbench(host):
        at_once = await host.infer(MODEL, IMAGE)
        assert await host.infer(MODEL, IMAGE, pause=GAP - 12 * DIVISOR) == at_once

    simulate(testbench, init=MODEL)


def test_the_first_of_equal_logits_wins(simulate):
    async def testbench(host):
        image = bytes([100, 100] * 3)  # rows 0 and 1, classes 2 and 3
        assert sum(MODEL) % 0x10000 < 300
        await host.infer(MODEL, image)
        assert host.ctx.get(host.dut.leds) & 0x3F == 2

    simulate(testbench, init=MODEL)


def test_leds(simulate):
    async def testbench(host):
        ctx, leds = host.ctx, host.dut.leds
        assert ctx.get(leds) == 0
        await host.infer(MODEL, IMAGE)  # row 0 has the largest sum: class 2
        await ctx.tick().repeat(20)
        assert ctx.get(leds) == 2
        await host.check_refused(0x40, b"", LinkError.BAD_KIND)
        await ctx.tick().repeat(20)
        assert ctx.get(leds) == 0x80 | 2
        await host.send(encode(Kind.INFO))
        await ctx.tick().repeat(10)
        assert ctx.get(leds) & 0x40  # answering
        await host.answer()
        await ctx.tick().repeat(20)
        assert ctx.get(leds) == 2

    simulate(testbench, init=MODEL)


@pytest.mark.parametrize(("kind", "payload", "reason"), [
    (0x00, b"", LinkError.BAD_KIND), (0x06, b"abc", LinkError.BAD_KIND), (0x81, bytes(28), LinkError.BAD_KIND),
    (Kind.INFO, b"x", LinkError.BAD_LENGTH), (Kind.COMMIT, b"x", LinkError.BAD_LENGTH),
    (Kind.BEGIN, bytes(7), LinkError.BAD_LENGTH), (Kind.BEGIN, bytes(9), LinkError.BAD_LENGTH),
    (Kind.BEGIN, b"", LinkError.BAD_LENGTH),
    (Kind.BEGIN, struct.pack("<II", CAPACITY + 1, 0), LinkError.TOO_LARGE),
    (Kind.BEGIN, struct.pack("<II", 1 << 31, 0), LinkError.TOO_LARGE),
    (Kind.BEGIN, bytes(8), LinkError.BAD_MODEL),
    (Kind.DATA, b"", LinkError.BAD_LENGTH), (Kind.DATA, bytes(4), LinkError.BAD_LENGTH),
    (Kind.DATA, bytes(7), LinkError.BAD_LENGTH), (Kind.DATA, bytes(10), LinkError.BAD_LENGTH),
    (Kind.DATA, bytes(8), LinkError.NOT_BEGUN), (Kind.COMMIT, b"", LinkError.NOT_BEGUN),
    (Kind.INFER, b"", LinkError.BAD_LENGTH), (Kind.INFER, bytes(3), LinkError.BAD_LENGTH),
])
def test_refused_requests_change_nothing(simulate, kind, payload, reason):
    async def testbench(host):
        await host.check_refused(kind, payload, reason)
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)


def test_bad_frames_are_answered_and_the_next_is_understood(simulate):
    async def testbench(host):
        bad = bytearray(encode(Kind.INFER, IMAGE))
        bad[7] ^= 4
        await host.send(bad)
        check_error(await host.answer(), Kind.INFER, LinkError.BAD_CRC)
        await host.infer(MODEL, IMAGE)
        await host.send(encode(Kind.INFER, IMAGE)[:6])
        check_error(await host.answer(), Kind.INFER, LinkError.CUT_OFF)
        await host.infer(MODEL, IMAGE)
        await host.send(encode(Kind.INFER, bytes(MAX_PAYLOAD + 2))[:6])
        check_error(await host.answer(), Kind.INFER, LinkError.TOO_LONG)
        await host.send(bytes(range(255, 90, -1)))  # garbage without the first sync byte
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)


def test_load_another_model(simulate):
    async def testbench(host):
        rng = random.Random(3)
        other = [rng.getrandbits(32) for _ in range(CAPACITY)]
        assert await host.load(other) == Frame(Kind.COMMIT_ANSWER)
        await host.infer(other, IMAGE)
        info = await host.info()
        assert (info["model_words"], info["model_crc"]) == (CAPACITY, crc32c(model_bytes(other, 32)))
        await host.check_refused(Kind.COMMIT, b"", LinkError.NOT_BEGUN)
        assert await host.load(MODEL, piece=15) == Frame(Kind.COMMIT_ANSWER)
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)


def test_a_broken_load_leaves_the_old_model(simulate):
    other = [7] * 10
    data = model_bytes(other, 32)
    begin = struct.pack("<II", 10, crc32c(data))

    async def testbench(host):
        # A piece is missing.
        await host.ask(Kind.BEGIN, begin)
        await host.ask(Kind.DATA, struct.pack("<I", 0) + data[:36])
        await host.check_refused(Kind.COMMIT, b"", LinkError.BAD_MODEL)
        await host.infer(MODEL, IMAGE)
        # Another CRC than the words have.
        await host.ask(Kind.BEGIN, struct.pack("<II", 10, crc32c(data) ^ 1))
        await host.ask(Kind.DATA, struct.pack("<I", 0) + data)
        await host.check_refused(Kind.COMMIT, b"", LinkError.BAD_MODEL)
        await host.infer(MODEL, IMAGE)
        # Beyond the length that was stated, once across its end and once far away.
        await host.ask(Kind.BEGIN, begin)
        await host.check_refused(Kind.DATA, struct.pack("<I", 9) + bytes(8), LinkError.TOO_LARGE)
        await host.check_refused(Kind.DATA, struct.pack("<I", 0xFFFF_FFFF) + bytes(8), LinkError.TOO_LARGE)
        await host.infer(MODEL, IMAGE)
        # The load that was begun goes on, in any order and with a piece sent twice.
        for offset, count in ((5, 5), (0, 3), (0, 3), (3, 2)):
            piece = struct.pack("<I", offset) + data[4 * offset:4 * (offset + count)]
            assert await host.ask(Kind.DATA, piece) == Frame(Kind.DATA_ANSWER)
        assert await host.ask(Kind.COMMIT) == Frame(Kind.COMMIT_ANSWER)
        await host.infer(other, IMAGE)

    simulate(testbench, init=MODEL)


def test_no_model(simulate):
    async def testbench(host):
        await host.check_refused(Kind.INFER, IMAGE, LinkError.NO_MODEL)
        assert await host.load(MODEL) == Frame(Kind.COMMIT_ANSWER)
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=[])


def test_an_error_of_the_accelerator_is_reported(simulate):
    refused = [REFUSES, 1, 2]

    async def testbench(host):
        for size in (2, 6, MAX_PAYLOAD):
            await host.check_refused(
                Kind.INFER, bytes([7] * size), LinkError.ACCELERATOR, code=ErrorCode.BAD_CRC, command=0x1234)
        assert host.ctx.get(host.dut.leds) & 0x80
        assert await host.load(MODEL) == Frame(Kind.COMMIT_ANSWER)
        for image in (IMAGE, IMAGE[:2], bytes(MAX_PAYLOAD)):  # nothing of the refused images is left
            await host.infer(MODEL, image)

    simulate(testbench, init=refused)


def test_rejected_parameters():
    parameters = {"init": MODEL, "capacity": 4, "divisor": DIVISOR, "clock_hz": 1}
    with pytest.raises(ValueError, match="capacity must be .*4"):
        system.System(SPEC, **parameters | {"capacity": 3})
    with pytest.raises(ValueError, match="divisor must be"):
        system.System(SPEC, **parameters | {"divisor": 3})
