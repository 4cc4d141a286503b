"""Test of the SDRAM at start, of its data lines and its address lines."""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import BUS_BITS, SdramSpec

from ..streams import TAPS
from .layouts import line_layout, request_layout

__all__ = ["LineTest"]

_SEED = 0xACE1


class LineTest(wiring.Component):
    """Write a line at address 0 and at each power of two, read them back, then once more with all bits inverted.

    Each line differs from every other, so a row, bank or column line that is stuck or tied to another one brings back
    the wrong line; each data line is 0 and 1, and differs from every other one, within each pass. What lies at those
    addresses is lost. The words of a line are a state of a shift register with feedback, turned by 5 bits a word, every
    other one inverted.

    *Handshake*: ``request`` and ``line`` obey rules 1 to 4 of :mod:`vitric.hdl.streams`. The test begins after
    configuration, and not again after a reset that comes when it is ``done``.

    *Latency*: four times ``address_bits + 1`` requests, and the answers to half of them, one after another.

    Parameters
    ----------
    spec : SdramSpec

    Members
    -------
    request : stream of request_layout(spec), out
    line : stream of line_layout(spec), in
    done, failed : 1, out
    """

    def __init__(self, spec: SdramSpec):
        self.spec = spec
        super().__init__({
            "request": Out(stream.Signature(request_layout(spec))), "line": In(stream.Signature(line_layout(spec))),
            "done": Out(1), "failed": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, request = self.spec, self.request
        done, failed = Signal(reset_less=True), Signal(reset_less=True)
        state = Signal(BUS_BITS, init=_SEED)
        place = Signal(spec.address_bits + 1, init=1)  # one-hot; its lowest bit stands for address 0
        inverted = Signal()
        words = [state.rotate_left(5 * k) ^ (inverted ^ (k % 2)).replicate(BUS_BITS) for k in range(spec.burst)]
        m.d.comb += [
            self.done.eq(done), self.failed.eq(failed), request.p.address.eq(place[1:]),
            request.p.data.eq(Mux(request.p.write, Cat(words), 1)),
        ]
        turn = Signal()  # to the next place
        with m.If(turn):
            parity = reduce(xor, (state[stage - 1] for stage in TAPS[BUS_BITS]))
            m.d.sync += [place.eq(place << 1), state.eq(Cat(parity, state[:-1]))]
            with m.If(place[-1]):
                m.d.sync += [place.eq(1), state.eq(_SEED)]

        with m.FSM():
            with m.State("WRITE"):
                m.d.comb += [request.valid.eq(~done), request.p.write.eq(1)]
                with m.If(request.ready & ~done):
                    m.d.comb += turn.eq(1)
                    with m.If(place[-1]):
                        m.next = "READ"
            with m.State("READ"):
                m.d.comb += request.valid.eq(1)
                with m.If(request.ready):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += self.line.ready.eq(1)
                with m.If(self.line.valid):
                    m.d.comb += turn.eq(1)
                    with m.If((self.line.p.data != Cat(words)) | ~self.line.p.last):
                        m.d.sync += failed.eq(1)
                    m.next = "READ"
                    with m.If(place[-1]):
                        m.d.sync += [inverted.eq(1), done.eq(inverted)]
                        m.next = "WRITE"
        return m
