# amaranth: UnusedElaboratable=no
"""The speed of the line, and loads that go on where they were interrupted."""

import struct

import pytest
from vitric.boards.crc import crc32c
from vitric.boards.link import Frame, Kind, LinkError
from vitric.boards.model_store import model_bytes

from tests.boards.machine import IMAGE, MODEL

OTHER = [5, 6, 7, 8, 9, 10]


def begin(model):
    return struct.pack("<II", len(model), crc32c(model_bytes(model, 32)))


def data(model, start, end):
    return struct.pack("<I", start) + model_bytes(model[start:end], 32)


@pytest.mark.parametrize("divisor", [4, 7, 12])
def test_another_speed(simulate, divisor):
    async def testbench(host):
        assert await host.ask(Kind.SPEED, struct.pack("<I", divisor)) == Frame(Kind.SPEED_ANSWER)
        await host.ctx.tick().repeat(12)  # the stop bit of the answer
        host.divisor = divisor
        await host.infer(MODEL, IMAGE)
        await host.check_refused(Kind.SPEED, struct.pack("<I", 13), LinkError.BAD_SPEED)
        await host.infer(MODEL, IMAGE)
        await host.send_break()  # the speed is that of before
        assert host.divisor == 12
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL, divisor=12)


@pytest.mark.parametrize("divisor", [0, 3, 5, 1 << 16, 0xFFFF_FFFF])
def test_a_speed_that_cannot_be(simulate, divisor):
    async def testbench(host):
        await host.check_refused(Kind.SPEED, struct.pack("<I", divisor), LinkError.BAD_SPEED)
        await host.check_refused(Kind.SPEED, b"\x04", LinkError.BAD_LENGTH)
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)


def loaded(answer):
    assert answer.kind == Kind.BEGIN_ANSWER
    return struct.unpack("<I", answer.payload)[0]


def test_a_load_goes_on_after_a_break(simulate):
    async def testbench(host):
        assert loaded(await host.ask(Kind.BEGIN, begin(OTHER))) == 0
        for start, end, there in ((0, 2, 2), (4, 6, 2), (1, 3, 3), (3, 4, 4)):  # what is there from the first word on
            await host.ask(Kind.DATA, data(OTHER, start, end))
            assert loaded(await host.ask(Kind.BEGIN, begin(OTHER))) == there
        await host.send_break()
        await host.check_refused(Kind.DATA, data(OTHER, 4, 6), LinkError.NOT_BEGUN)
        assert loaded(await host.ask(Kind.BEGIN, begin(OTHER))) == 4
        await host.ask(Kind.DATA, data(OTHER, 4, 6))
        assert await host.ask(Kind.COMMIT) == Frame(Kind.COMMIT_ANSWER)
        await host.infer(OTHER, IMAGE)
        assert loaded(await host.ask(Kind.BEGIN, begin(OTHER))) == 0  # the other bank has nothing of it

    simulate(testbench, init=MODEL)


def test_a_load_of_another_model_begins_anew(simulate):
    async def testbench(host):
        await host.ask(Kind.BEGIN, begin(OTHER))
        await host.ask(Kind.DATA, data(OTHER, 0, 5))
        assert loaded(await host.ask(Kind.BEGIN, begin(OTHER[:5] + [11]))) == 0
        assert loaded(await host.ask(Kind.BEGIN, begin(OTHER))) == 0

    simulate(testbench, init=MODEL)


def test_wrong_words_are_not_kept(simulate):
    async def testbench(host):
        await host.ask(Kind.BEGIN, begin(OTHER))
        await host.ask(Kind.DATA, data([4] * 6, 0, 6))
        await host.check_refused(Kind.COMMIT, b"", LinkError.BAD_MODEL)
        assert loaded(await host.ask(Kind.BEGIN, begin(OTHER))) == 0
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)


@pytest.mark.parametrize(("kind", "payload"), [
    (Kind.IMAGE, bytes(8)), (Kind.RUN, bytes(14)), (Kind.STATUS, b""), (Kind.READ, bytes(6))])
def test_there_are_no_images_in_block_ram(simulate, kind, payload):
    async def testbench(host):
        await host.check_refused(kind, payload, LinkError.BAD_KIND)
        await host.infer(MODEL, IMAGE)

    simulate(testbench, init=MODEL)
