"""Frames on a stream of bytes: a receiver that finds and checks them, a transmitter that makes them."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import crc, data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_int

from .link import LENGTH_MAX, SYNC, LinkError

__all__ = ["RECEIVED", "SENT", "FrameReceiver", "FrameTransmitter"]

RECEIVED = data.StructLayout({"error": 8, "kind": 8, "sequence": 8, "length": 16})
"""A frame that arrived: 0 or the :class:`~vitric.boards.link.LinkError` found in it, its kind and sequence number (0
if its header is not complete), bytes of payload."""

SENT = data.StructLayout({"kind": 8, "sequence": 8, "length": 16})
"""A frame to be sent: its kind, sequence number and bytes of payload."""

_HEADER_BYTES = 4  # after the sync bytes
_CRC_BYTES = 4


class FrameReceiver(wiring.Component):
    """Find frames in the bytes of ``i``; offer each at ``frame`` with its payload at ``o``.

    A frame is offered once all of it has arrived: a good one with ``error`` 0, and one that was begun but is bad
    with ``BAD_CRC``, ``TOO_LONG`` or ``CUT_OFF`` and no payload. Bytes outside frames are passed over. A frame whose
    length is beyond ``max_payload`` ends with its header; one after which the line is silent for ``gap`` cycles is
    cut off. From either, and from garbage that looks like the start of a frame, the receiver thus finds back to the
    next frame that follows a pause of ``gap`` cycles, and mostly before.

    *Handshake*: ``i`` is always ready. ``frame`` and ``o`` obey rules 1 to 4 of :mod:`vitric.hdl.streams`; take the
    payload from ``o`` first (``length`` bytes, not more appear), then the frame, which ends the offer. Bytes that
    arrive during an offer are dropped: the two sides of the link take turns.

    *Latency*: ``frame.valid`` rises 2 cycles after the transfer of the last byte, ``o.valid`` one cycle later.
    *Interval* of ``o``: 1 cycle.

    Parameters
    ----------
    max_payload : int
        Longest payload in bytes: 32 to 65535. It is held in block RAM; read and write never happen at the same time.
    gap : int
        Cycles of silence that end a frame, 16 to 2**30.

    Members
    -------
    i : stream of unsigned(8), in, always ready
    frame : stream of RECEIVED, out
    o : stream of unsigned(8), out
        Payload of the frame that is offered.
    """

    latency = 2

    def __init__(self, *, max_payload: int, gap: int):
        check_int("max_payload", max_payload, 32, LENGTH_MAX)
        check_int("gap", gap, 16, 1 << 30)
        self.max_payload = max_payload
        self.gap = gap
        super().__init__({
            "i": In(stream.Signature(8, always_ready=True)),
            "frame": Out(stream.Signature(RECEIVED)),
            "o": Out(stream.Signature(8)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.crc = check = crc.catalog.CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.buffer = buffer = Memory(shape=8, depth=self.max_payload, init=[])
        write, read = buffer.write_port(), buffer.read_port()
        byte, take = self.i.payload, self.i.valid
        frame = self.frame.p
        header = Cat(frame.kind, frame.sequence, frame.length)
        length = Cat(frame.length[8:], byte)  # when the last byte of the header is there
        count = Signal(range(max(self.max_payload, 8)))  # bytes of the present part so far
        silence = Signal(range(self.gap + 1))
        inside = Signal()  # a frame has begun: silence ends it
        m.d.comb += [
            check.data.eq(byte), write.data.eq(byte), write.addr.eq(count),
            read.en.eq(self.frame.valid),
        ]
        with m.If(take | ~inside):
            m.d.sync += silence.eq(0)
        with m.Else():
            m.d.sync += silence.eq(silence + 1)

        def give_up(error: LinkError):
            m.d.sync += frame.error.eq(error)
            m.next = "OFFER"

        with m.FSM():
            with m.State("SYNC"):
                m.d.comb += check.start.eq(1)
                m.d.sync += [count.eq(0), frame.eq(0)]
                with m.If(take & (byte == SYNC[0])):
                    m.next = "SYNC 2"
            with m.State("SYNC 2"):
                with m.If(take & (byte != SYNC[0])):
                    m.next = "SYNC"
                    with m.If(byte == SYNC[1]):
                        m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [inside.eq(1), check.valid.eq(take)]
                with m.If(take):
                    m.d.sync += [header.eq(Cat(header, byte)[8:]), count.eq(count + 1)]
                    with m.If(count == _HEADER_BYTES - 1):
                        m.d.sync += count.eq(0)
                        m.next = "PAYLOAD"
                        with m.If(length > self.max_payload):
                            give_up(LinkError.TOO_LONG)
                        with m.Elif(length == 0):
                            m.next = "CHECK"
                with m.If(silence == self.gap):
                    m.d.sync += header.eq(0)
                    give_up(LinkError.CUT_OFF)
            with m.State("PAYLOAD"):
                m.d.comb += [inside.eq(1), check.valid.eq(take), write.en.eq(take)]
                with m.If(take):
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == frame.length - 1):
                        m.d.sync += count.eq(0)
                        m.next = "CHECK"
                with m.If(silence == self.gap):
                    give_up(LinkError.CUT_OFF)
            with m.State("CHECK"):
                m.d.comb += [inside.eq(1), check.valid.eq(take)]
                with m.If(take):
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == _CRC_BYTES - 1):
                        m.next = "VERDICT"
                with m.If(silence == self.gap):
                    give_up(LinkError.CUT_OFF)
            with m.State("VERDICT"):
                m.next = "OFFER"
                with m.If(~check.match_detected):
                    give_up(LinkError.BAD_CRC)
            with m.State("OFFER"):
                m.d.comb += self.frame.valid.eq(1)
                with m.If(self.frame.ready):
                    m.next = "SYNC"

        # The byte at `o` is the one whose address the memory was given in the cycle before.
        position = Signal(range(self.max_payload + 1))
        following = Signal.like(position)
        fetched = Signal()
        m.d.comb += [
            following.eq(position + (self.o.valid & self.o.ready)),
            read.addr.eq(following), self.o.payload.eq(read.data),
            self.o.valid.eq(fetched & (position != frame.length) & (frame.error == 0)),
        ]
        m.d.sync += [
            fetched.eq(self.frame.valid & ~self.frame.ready),
            position.eq(Mux(self.frame.valid, following, 0)),
        ]
        return m


class FrameTransmitter(wiring.Component):
    """Send a frame: take its header at ``frame``, then ``length`` bytes of payload at ``i``; add sync and CRC.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`. ``i.ready`` is 1 only while payload is being sent, and
    then follows ``o.ready``. ``frame.ready`` is 1 once the frame before is complete.

    *Latency*: the first byte is valid in the cycle after the transfer at ``frame``. *Interval*: ``10 + length``
    bytes for each frame, one cycle a byte, and one cycle between frames.

    Members
    -------
    frame : stream of SENT, in
    i : stream of unsigned(8), in
    o : stream of unsigned(8), out
    """

    latency = 1

    def __init__(self):
        super().__init__({
            "frame": In(stream.Signature(SENT)),
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(8)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.crc = check = crc.catalog.CRC32_ISO_HDLC(data_width=8).create()
        header = Signal(data.ArrayLayout(8, len(SYNC) + _HEADER_BYTES))
        left = Signal(16)  # bytes of payload
        count = Signal(range(max(len(SYNC) + _HEADER_BYTES, _CRC_BYTES)))
        moves = self.o.valid & self.o.ready
        m.d.comb += check.data.eq(self.o.payload)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.frame.ready.eq(1), check.start.eq(1)]
                sync = (Const(byte, 8) for byte in SYNC)
                m.d.sync += [
                    header.as_value().eq(Cat(*sync, self.frame.payload.as_value())),
                    left.eq(self.frame.p.length), count.eq(0),
                ]
                with m.If(self.frame.valid):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    self.o.valid.eq(1), self.o.payload.eq(header[0]),
                    check.valid.eq(moves & (count >= len(SYNC))),
                ]
                with m.If(moves):
                    m.d.sync += [header.as_value().eq(header.as_value()[8:]), count.eq(count + 1)]
                    with m.If(count == len(SYNC) + _HEADER_BYTES - 1):
                        m.d.sync += count.eq(0)
                        m.next = "PAYLOAD"
                        with m.If(left == 0):
                            m.next = "CHECK"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload), self.i.ready.eq(self.o.ready),
                    check.valid.eq(moves),
                ]
                with m.If(moves):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(check.crc.word_select(count[:2], 8))]
                with m.If(moves):
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == _CRC_BYTES - 1):
                        m.next = "IDLE"
        return m
