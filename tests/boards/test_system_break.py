# amaranth: UnusedElaboratable=no
"""A break on the line: the board drops what it is doing, and keeps the model in use."""

import struct

import pytest
from vitric.boards.crc import crc32c
from vitric.boards.link import Frame, Kind, LinkError, encode
from vitric.boards.model_store import model_bytes

from tests.boards.machine import DIVISOR, GAP, HANGS, IMAGE, MODEL, STARVES


@pytest.mark.parametrize(("first", "image"), [(STARVES, IMAGE), (HANGS, IMAGE), (HANGS, IMAGE[:2])])
def test_a_break_ends_an_inference(simulate, first, image):
    hanging = [first, *range(1, 20)]

    async def testbench(host):
        await host.send(encode(Kind.INFER, image))
        await host.ctx.tick().repeat(3 * GAP)
        assert host.received == [] and host.ctx.get(host.dut.leds) == 0x40  # it would go on for ever
        await host.send(encode(Kind.INFO))  # nobody listens
        await host.send_break()
        info = await host.info()
        assert (info["model_words"], info["model_crc"]) == (20, crc32c(model_bytes(hanging, 32)))
        assert await host.load(MODEL, piece=4) == Frame(Kind.COMMIT_ANSWER)
        cycles = await host.infer(MODEL, IMAGE)  # nothing is left of the hanging one
        before = await host.info()
        await host.send_break()
        assert await host.info() == before
        assert await host.infer(MODEL, IMAGE) == cycles

    simulate(testbench, init=hanging)


@pytest.mark.parametrize("count", [1, 4, 10])
def test_a_break_ends_a_load_and_a_frame(simulate, count):
    async def testbench(host):
        await host.ask(Kind.BEGIN, struct.pack("<II", 2, crc32c(model_bytes([1, 2], 32))))
        await host.ask(Kind.DATA, struct.pack("<III", 0, 1, 2))
        await host.send(encode(Kind.INFER, IMAGE)[:count])
        await host.send_break()
        await host.check_refused(Kind.COMMIT, b"", LinkError.NOT_BEGUN)
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)


def test_a_break_ends_an_answer(simulate):
    async def testbench(host):
        for byte_times in (1, 3, 12):
            await host.send(encode(Kind.INFO))
            await host.ctx.tick().repeat(10 * DIVISOR * byte_times)
            await host.send_break()
            await host.ctx.tick().repeat(20 * DIVISOR)
            assert host.received == []
            await host.info()  # long enough to end what the listener takes for a frame
            await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)


def test_a_short_pulse_is_no_break(simulate):
    async def testbench(host):
        await host.ask(Kind.BEGIN, struct.pack("<II", 1, crc32c(bytes(4))))
        await host.ask(Kind.DATA, bytes(8))
        await host.send_break(bits=18)
        assert await host.ask(Kind.COMMIT) == Frame(Kind.COMMIT_ANSWER)

    simulate(testbench, init=MODEL)
