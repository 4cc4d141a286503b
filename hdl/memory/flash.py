"""Reads a serial flash."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.flash import FlashSpec

from ..streams import StreamBuffer, connect

__all__ = ["ADDRESS_BITS", "FLASH_BYTE", "FLASH_PINS", "FLASH_READ", "FlashReader"]

ADDRESS_BITS = 24

FLASH_READ = data.StructLayout({"address": ADDRESS_BITS, "bytes": ADDRESS_BITS, "single": 1})
"""A read of ``bytes`` bytes, at least one; on one lane if ``single``, else on all."""

FLASH_BYTE = data.StructLayout({"data": 8, "last": 1})

FLASH_PINS = data.StructLayout({"select": 1, "clock": 1, "o": 4, "oe": 4})
"""Chip select (1 is selected), clock, and the four lanes: 0 is the flash's input (DI), 1 its output (DO), 2 its write
protection (WP#) and 3 its hold (HOLD#), which are kept at 1 while they carry no data."""

_EXIT, _WAKE, _READ, _READ_QUAD = 0xFFFF, 0xAB, 0x0B, 0x6B
_DUMMY = 8  # clocks between address and data
_GAP = 8  # halves of a period between two commands: 80 ns at the highest clock, 50 are asked for


class FlashReader(wiring.Component):
    """Read bytes from a serial flash, one read after another.

    After a reset it ends what the flash may be doing: ones on all lanes end a mode of continuous reads, 0xAB ends
    power-down. A read is a command (0x0B or 0x6B), the address, 8 dummy clocks, then data; the clock stands still while
    ``o`` is not taken. The flash takes bits at rising edges, which are half a period after they are put out, and what
    it gives after a falling edge is taken at the next one.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`.

    *Latency*: ``2 * half * 40`` cycles from a read to its first bit, and ``spec.wake_cycles`` after a reset.
    *Interval*: ``2 * half * 8 / lanes`` cycles a byte.

    Parameters
    ----------
    spec : FlashSpec

    Members
    -------
    i : stream of FLASH_READ, in
    o : stream of FLASH_BYTE, out
    pins : FLASH_PINS, out
        Registers.
    dq : 4, in
        The lanes. Only bits 1, and 0 to 3 in a read on four lanes, are looked at, in a cycle in which they are stable.
    """

    def __init__(self, spec: FlashSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(FLASH_READ)), "o": Out(stream.Signature(FLASH_BYTE)),
            "pins": Out(FLASH_PINS), "dq": In(4),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        m.submodules.output = output = StreamBuffer(FLASH_BYTE)
        connect(m, output.o, wiring.flipped(self.o))
        clock, select, driven = Signal(), Signal(), Signal(4, init=0b1101)
        shift, count = Signal(40), Signal(range(64))  # of bits to send; clocks, or halves of a period, that are left
        phase, moves, tick = Signal(range(spec.half)), Signal(init=1), Signal()
        fast, left = Signal(), Signal(ADDRESS_BITS)  # on four lanes; bytes to come
        byte, bits = Signal(8), Signal(3)  # the byte that comes, and its bits that are there
        m.d.comb += [
            self.pins.select.eq(select), self.pins.clock.eq(clock), self.pins.oe.eq(driven),
            self.pins.o.eq(Cat(shift[-1], Const(0b111, 3))), tick.eq(moves & (phase == 0)),
        ]
        with m.If(moves):
            m.d.sync += phase.eq(Mux(phase == 0, spec.half - 1, phase - 1))
        falls = tick & clock

        def send(bits, value, clocks):
            """Begin to send the first ``clocks`` bits of a value."""
            m.d.sync += [shift.eq(Cat(Const(0, 40 - bits), value)), count.eq(clocks - 1), select.eq(1)]

        reading, awake = Signal(), Signal()
        wait = Signal(range(spec.wake_cycles + 1))
        with m.FSM():
            with m.State("EXIT"):
                send(16, Const(_EXIT, 16), 16)
                m.next = "SEND"
            with m.State("WAKE"):
                send(8, Const(_WAKE, 8), 8)
                m.d.sync += [awake.eq(1), wait.eq(spec.wake_cycles)]
                m.next = "SEND"
            with m.State("IDLE"):
                read = self.i.p
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [reading.eq(1), left.eq(read.bytes), fast.eq(~read.single if spec.lanes > 1 else 0)]
                with m.If(self.i.valid):
                    code = Mux(read.single, _READ, _READ_QUAD) if spec.lanes > 1 else Const(_READ, 8)
                    send(32, Cat(read.address, code[:8]), 32 + _DUMMY)
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.sync += clock.eq(clock ^ tick)
                with m.If(falls):
                    m.d.sync += [shift.eq(shift << 1), count.eq(count - 1)]
                    with m.If(reading & fast & (count == _DUMMY)):
                        m.d.sync += driven.eq(0)
                    with m.If(count == 0):
                        m.d.sync += count.eq(_GAP - 1)
                        m.next = "GAP"
                        with m.If(reading):
                            m.next = "DATA"
            with m.State("DATA"):
                whole = Signal()
                m.d.comb += [
                    whole.eq(Mux(fast, bits == 4, bits == 7)), moves.eq(~(clock & whole & ~output.i.ready)),
                    output.i.p.data.eq(Mux(fast, Cat(self.dq, byte[:4]), Cat(self.dq[1], byte[:7]))),
                    output.i.p.last.eq(left == 1), output.i.valid.eq(falls & whole),
                ]
                m.d.sync += clock.eq(clock ^ tick)
                with m.If(falls):
                    m.d.sync += [byte.eq(output.i.p.data), bits.eq(bits + Mux(fast, 4, 1))]
                    with m.If(whole):
                        m.d.sync += [bits.eq(0), left.eq(left - 1)]
                        with m.If(left == 1):
                            m.d.sync += [reading.eq(0), count.eq(_GAP - 1)]
                            m.next = "GAP"
            with m.State("GAP"):
                m.d.sync += [select.eq(0), count.eq(count - tick)]
                with m.If((count == 0) & tick):
                    m.next = "REST"
            with m.State("REST"):
                m.d.sync += [driven.eq(0b1101), wait.eq(Mux(wait == 0, 0, wait - 1))]
                with m.If(~awake):
                    m.next = "WAKE"
                with m.Elif(wait == 0):
                    m.next = "IDLE"
        return m
