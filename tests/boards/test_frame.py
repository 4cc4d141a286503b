# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.sim import Simulator
from vitric.boards.frame import FrameReceiver, FrameTransmitter
from vitric.boards.link import SYNC, Frame, FrameReader, Kind, LinkError, encode

from tests.hdl.stream_kit import StreamChecker, receive, run, send, stall_pattern

GAP = 40
IDLE = [None] * (GAP + 8)
"""Silence on the line that is long enough to end a frame."""


def received(line, *, frames, max_payload=32, stall="always", seed=0, pause=0):
    """Feed bytes; return (error, frame) of each frame offered.

    A ``None`` in ``line`` is a cycle without a byte, after the offer before it was taken: on the real line too the
    two sides take turns.
    """
    dut = FrameReceiver(max_payload=max_payload, gap=GAP)
    found = []

    async def sender(ctx):
        for byte in line:
            while byte is None and ctx.get(dut.frame.valid):
                await ctx.tick()
            ctx.set(dut.i.valid, byte is not None)
            ctx.set(dut.i.payload, 0xEE if byte is None else byte)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            for _ in range(pause):
                await ctx.tick()
        for _ in range(1000):
            if len(found) >= frames:
                break
            await ctx.tick()
        await ctx.tick().repeat(2 * GAP)

    async def receiver(ctx):
        active = stall_pattern(stall, seed)
        payload = bytearray()
        while True:
            ready = next(active)
            ctx.set(dut.o.ready, ready)
            length = ctx.get(dut.frame.p.length) if not ctx.get(dut.frame.p.error) else 0
            accept = ready and ctx.get(dut.frame.valid) and len(payload) == length
            ctx.set(dut.frame.ready, accept)
            _, _, valid, byte, frame, offered = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.frame.p, dut.frame.valid)
            if ready and valid:
                payload.append(byte)
            if accept and offered:
                found.append((frame.error, Frame(frame.kind, bytes(payload), frame.sequence)))
                payload.clear()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(sender)
    sim.add_testbench(receiver, background=True)
    for name in ("frame", "o"):
        sim.add_testbench(StreamChecker(getattr(dut, name), name).run, background=True)
    sim.run()
    return found


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
def test_good_frames(stall):
    rng = random.Random(stall)
    frames = [(0, Frame(rng.randrange(256), rng.randbytes(size), rng.randrange(256)))
              for size in (0, 1, 2, 31, 32, 0, 7)]
    line = []
    for _, frame in frames:
        line += [*encode(frame.kind, frame.payload, frame.sequence), None, None, None, None]
    assert received(line, frames=len(frames), stall=stall) == frames


@pytest.mark.parametrize("seed", range(6))
def test_garbage_between_frames(seed):
    rng = random.Random(seed)
    # Sync bytes in any order but the one that starts a frame, and anything else.
    garbage = [SYNC[1], SYNC[0], SYNC[0], rng.randrange(86), SYNC[1], SYNC[1], *([SYNC[0]] * rng.randint(0, 3))]
    line = [*garbage, *encode(7, b"xy"), None, None, *garbage, *encode(8), None]
    assert received(line, frames=2) == [(0, Frame(7, b"xy")), (0, Frame(8))]


@pytest.mark.parametrize("position", range(2, 2 + 4 + 4 + 4))
def test_every_damaged_byte_is_found(position):
    good = encode(3, b"data", 77)
    bad = bytearray(good)
    bad[position] ^= 0x10
    found = received([*bad, *IDLE, *good, None], frames=2)
    # A damaged length makes the frame longer or too long; everything else is a wrong CRC.
    reasons = {4: LinkError.CUT_OFF, 5: LinkError.TOO_LONG}
    kind, sequence = bad[2:4]
    assert found == [(reasons.get(position, LinkError.BAD_CRC), Frame(kind, b"", sequence)), (0, Frame(3, b"data", 77))]


POLYNOMIAL = 0xEDB88320  # of the frame's CRC, reflected


def invisible_but_for(bit):
    """Return the change of a CRC field that changes one bit of what the check has computed when it has passed."""
    change = 1 << bit
    for _ in range(32):  # the CRC's shift register, backwards
        change = (change ^ POLYNOMIAL) << 1 | 1 if change >> 31 else change << 1
    return change


@pytest.mark.parametrize("change_of", [lambda bit: 1 << bit, invisible_but_for], ids=["of the field", "of the check"])
def test_every_bit_of_the_crc_counts(change_of):
    """Whichever of the 32 bits the receiver ignored, of the field or of its check: one of these would get through."""
    good = encode(3, b"data", 77)
    line = []
    for bit in range(32):
        field = int.from_bytes(good[-4:], "little") ^ change_of(bit)
        line += [*good[:-4], *field.to_bytes(4, "little"), *[None] * 4]
    found = received([*line, *good, None], frames=33)
    assert found == [(LinkError.BAD_CRC, Frame(3, b"", 77))] * 32 + [(0, Frame(3, b"data", 77))]


@pytest.mark.parametrize("position", range(2))
def test_damaged_sync_is_no_frame(position):
    bad = bytearray(encode(3, b"data"))
    bad[position] ^= 0x10
    assert received([*bad, *IDLE, *encode(4), None], frames=1) == [(0, Frame(4))]


def test_longest_payload():
    fine, too_long = encode(1, bytes(range(32))), encode(2, bytes(33))
    found = received([*fine, None, None, *too_long[:6], None, None, *fine, None], frames=3)
    assert found == [(0, Frame(1, bytes(range(32)))), (LinkError.TOO_LONG, Frame(2)), (0, Frame(1, bytes(range(32))))]


@pytest.mark.parametrize("count", range(2, 13))
def test_a_frame_that_is_cut_off(count):
    good = encode(3, b"abc", 77)
    assert len(good) == 13
    found = received([*good[:count], *IDLE, *good, None], frames=2)
    # kind and number are known once the header is there
    assert found == [(LinkError.CUT_OFF, Frame(3, b"", 77) if count >= 6 else Frame(0)), (0, Frame(3, b"abc", 77))]


def test_pauses_shorter_than_the_gap_do_not_matter():
    assert received([*encode(9, b"slow")], frames=1, pause=GAP - 2) == [(0, Frame(9, b"slow"))]


def test_bytes_during_an_offer_are_dropped():
    # The second frame begins before the first was taken: it is lost, and nothing of it appears.
    dut_line = [*encode(1, b"one"), *encode(2, b"two")]
    found = received([*dut_line, None, None, *encode(3), None], frames=2, stall="always")
    assert found[0] == (0, Frame(1, b"one")) and found[-1] == (0, Frame(3))


def test_receiver_latency():
    dut = FrameReceiver(max_payload=32, gap=GAP)

    async def testbench(ctx):
        await send(ctx, dut.i, encode(1, b"ab"))
        cycles = 1  # `send` returns one cycle after the last transfer
        while not ctx.get(dut.frame.valid):
            await ctx.tick()
            cycles += 1
        assert cycles == dut.latency
        assert not ctx.get(dut.o.valid)
        await ctx.tick()
        ctx.set(dut.o.ready, 1)
        assert (ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == (1, ord("a"))
        await ctx.tick()
        assert (ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == (1, ord("b"))
        await ctx.tick()
        assert not ctx.get(dut.o.valid)

    run(dut, testbench)


@pytest.mark.parametrize("send_stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("receive_stall", ["always", "random", "bursts"])
def test_transmitter(send_stall, receive_stall):
    rng = random.Random(f"{send_stall} {receive_stall}")
    frames = [Frame(rng.randrange(256), rng.randbytes(size), rng.randrange(256)) for size in (0, 1, 2, 60, 0, 5)]
    dut = FrameTransmitter()
    expected = b"".join(encode(frame.kind, frame.payload, frame.sequence) for frame in frames)
    line = []

    async def header(ctx):
        headers = [{"kind": frame.kind, "sequence": frame.sequence, "length": len(frame.payload)} for frame in frames]
        await send(ctx, dut.frame, headers, stall=send_stall)

    async def payload(ctx):
        await send(ctx, dut.i, b"".join(frame.payload for frame in frames), stall=send_stall, seed=1)

    async def receiver(ctx):
        line.extend(await receive(ctx, dut.o, len(expected), stall=receive_stall, seed=2))

    checkers = run(dut, header, payload, receiver)
    assert bytes(line) == expected
    assert list(FrameReader().feed(bytes(line))) == frames
    if send_stall == receive_stall == "always":
        assert checkers["o"].first_valid - checkers["frame"].transfers[0] == dut.latency
        # 10 bytes around each payload, one cycle between frames
        first, second = checkers["frame"].transfers[:2]
        assert second - first == len(encode(Kind.INFO)) + 1


@pytest.mark.parametrize(("name", "value"), [("max_payload", 31), ("max_payload", 65536), ("gap", 15)])
def test_rejected_parameters(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        FrameReceiver(**{"max_payload": 64, "gap": 100, name: value})
