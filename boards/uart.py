"""Serial receiver and transmitter: 8 data bits, no parity, 1 stop bit, least significant bit first."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_int

__all__ = ["BREAK_BITS", "DIVISOR_MIN", "UartReceiver", "UartTransmitter"]

DIVISOR_MIN = 4
"""Fewest clock cycles per bit: the receiver needs them to find the middle of a bit."""

BREAK_BITS = 20
"""Bit times for which the line is 0 in a break: two bytes, more than any byte has."""

_DIVISOR_MAX = 1 << 20
_FRAME_BITS = 10  # start, 8 data, stop


class UartReceiver(wiring.Component):
    """Receive bytes from the line ``rx``.

    The line is oversampled ``divisor`` times: a falling edge starts a byte, the start bit is looked at again in its
    middle (a shorter pulse is passed over), and so is every later bit. A byte whose stop bit is 0 is dropped, and
    the receiver waits for the line to be 1.

    *Handshake*: rules 1 to 3 of :mod:`vitric.hdl.streams`. The line cannot be stalled: a byte that is not taken
    before the next one is complete is replaced by it, which is the one exception to rule 2; hold ``ready`` at 1, or
    take each byte within ``9 * divisor`` cycles.

    *Latency*: ``o.valid`` rises ``9.5 * divisor`` cycles (rounded, plus 3 for the synchroniser and the output
    register) after the falling edge of the start bit. *Interval*: ``10 * divisor`` cycles; clocks of the two sides
    may differ by 3 %.

    Parameters
    ----------
    divisor : int
        Most clock cycles per bit, 4 to 2**20.

    Members
    -------
    divisor : in
        Clock cycles per bit, 4 to the most; change it between bytes.
    rx : 1, in
        The line, asynchronous.
    o : stream of unsigned(8), out
    held : 1, out
        The line has been 0 for :data:`BREAK_BITS` of the longest bit times or longer, and still is: a break.
    """

    def __init__(self, *, divisor: int):
        check_int("divisor", divisor, DIVISOR_MIN, _DIVISOR_MAX)
        self.most = divisor
        super().__init__({
            "divisor": In(range(divisor + 1), init=divisor), "rx": In(1, init=1), "o": Out(stream.Signature(8)),
            "held": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = cdc.FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.most))
        bits = Signal(8)
        count = Signal(range(_FRAME_BITS))
        sample = Signal()
        m.d.comb += sample.eq(timer == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(sample):
            m.d.sync += timer.eq(self.divisor - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        low = Signal(range(BREAK_BITS * self.most + 1))  # cycles for which the line has been 0
        m.d.comb += self.held.eq(low == BREAK_BITS * self.most)
        with m.If(line):
            m.d.sync += low.eq(0)
        with m.Elif(~self.held):
            m.d.sync += low.eq(low + 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [timer.eq((self.divisor >> 1) - 1), count.eq(0)]
                with m.If(~line):
                    m.next = "START"
            with m.State("START"):
                with m.If(sample):
                    m.next = "BITS"
                    with m.If(line):
                        m.next = "IDLE"
            with m.State("BITS"):
                with m.If(sample):
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == 8):
                        m.next = "BREAK"
                        with m.If(line):
                            m.d.sync += [self.o.payload.eq(bits), self.o.valid.eq(1)]
                            m.next = "IDLE"
                    with m.Else():
                        m.d.sync += bits.eq(Cat(bits[1:], line))
            with m.State("BREAK"):
                with m.If(line):
                    m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Send bytes on the line ``tx``.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; ``i.ready`` is 1 while the line is idle.

    *Latency*: the start bit begins in the cycle after the transfer. *Interval*: ``10 * divisor`` cycles.

    Parameters
    ----------
    divisor : int
        Most clock cycles per bit, 4 to 2**20.

    Members
    -------
    divisor : in
        Clock cycles per bit, 4 to the most; change it while ``idle``.
    idle : 1, out
        No byte is being sent.
    i : stream of unsigned(8), in
    tx : 1, out
        The line, 1 when idle.
    """

    def __init__(self, *, divisor: int):
        check_int("divisor", divisor, DIVISOR_MIN, _DIVISOR_MAX)
        self.most = divisor
        self.interval = _FRAME_BITS * divisor
        super().__init__({
            "divisor": In(range(divisor + 1), init=divisor), "idle": Out(1),
            "i": In(stream.Signature(8)), "tx": Out(1, init=1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        timer = Signal(range(self.most))
        bits = Signal(_FRAME_BITS - 1, init=-1)
        left = Signal(range(_FRAME_BITS + 1))
        # A byte is taken in the last cycle of the one before it too, so that there is no gap between them.
        m.d.comb += [self.idle.eq(left == 0), self.i.ready.eq(self.idle | ((left == 1) & (timer == 0)))]
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                self.tx.eq(0), bits.eq(Cat(self.i.payload, Const(1, 1))), left.eq(_FRAME_BITS),
                timer.eq(self.divisor - 1),
            ]
        with m.Elif((left != 0) & (timer == 0)):
            m.d.sync += [
                self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], Const(1, 1))), left.eq(left - 1),
                timer.eq(self.divisor - 1),
            ]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m
