"""An SDRAM for a core with a clock of its own: requests in, lines out, and the test of its lines at start."""

from amaranth.hdl import DomainRenamer, Module, Mux, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import BUS_BITS, SdramSpec

from ..streams import StreamBuffer, connect
from .controller import SdramController
from .layouts import line_layout, pins_layout, request_layout, write_layout
from .line_test import LineTest
from .splitter import read_layout

__all__ = ["MEMORY_DOMAIN", "Sdram"]

MEMORY_DOMAIN = "sdram"
"""Clock domain of controller and pins."""

_REQUESTS = 8  # entries of the queue of requests


class Sdram(wiring.Component):
    """Read and write an SDRAM from the domain ``sync``; the controller works in the domain ``sdram``.

    Requests and lines cross between the two clocks in Amaranth's ``AsyncFIFO``. Reads and writes pass in the order in
    which they are accepted, a write before a read if both are offered, so that a read sees all writes before it; see
    :class:`~vitric.hdl.memory.controller.SdramController` for what else is promised, and who comes first.

    After configuration :class:`~vitric.hdl.memory.line_test.LineTest` has the memory, and nothing is accepted until
    ``ready``. A memory that is not there, or not in order, is ``failed``; requests are served all the same, with
    whatever comes back.

    *Handshake*: ``read``, ``write`` and ``o`` obey rules 1 to 4 of :mod:`vitric.hdl.streams`; ``o`` may be stalled for
    as long as it takes.

    *Reset*: both domains are reset together; what was asked for is forgotten, and the words in the chip stay (no
    refresh is done during ``t_power_up``, which is short beside the time that cells keep their charge).

    *Interval*: ``burst`` cycles of ``sdram`` per line, or one of ``sync``, whichever is longer.

    Parameters
    ----------
    spec : SdramSpec

    Members
    -------
    read : stream of read_layout(spec), in
    write : stream of write_layout(spec), in
    o : stream of line_layout(spec), out
    ready, failed : 1, out
        The memory test is over; it found an error.
    pins : pins_layout(spec), out
        Registered, in the domain ``sdram``.
    dq : 16, in
        In the domain ``sdram``.
    """

    def __init__(self, spec: SdramSpec):
        self.spec = spec
        super().__init__({
            "read": In(stream.Signature(read_layout(spec))), "write": In(stream.Signature(write_layout(spec))),
            "o": Out(stream.Signature(line_layout(spec))), "ready": Out(1), "failed": Out(1),
            "pins": Out(pins_layout(spec)), "dq": In(BUS_BITS),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        m.submodules.test = test = LineTest(spec)
        m.submodules.controller = controller = DomainRenamer(MEMORY_DOMAIN)(SdramController(spec))
        m.submodules.entry = entry = StreamBuffer(request_layout(spec))
        m.submodules.requests = requests = fifo.AsyncFIFO(
            width=len(Value.cast(entry.o.payload)), depth=_REQUESTS, w_domain="sync", r_domain=MEMORY_DOMAIN)
        m.submodules.lines = lines = fifo.AsyncFIFO(
            width=len(Value.cast(self.o.payload)), depth=spec.queue_lines, w_domain=MEMORY_DOMAIN, r_domain="sync")
        m.d.comb += [self.pins.eq(controller.pins), controller.dq.eq(self.dq)]
        m.d.comb += [self.ready.eq(test.done), self.failed.eq(test.failed)]

        # Requests: of the test, then writes before reads. A write may take the place of a read that waits; the buffer
        # looks at what it is offered in the cycle of the transfer only.
        read, write = self.read, self.write
        with m.If(test.done):
            m.d.comb += [
                entry.i.valid.eq(read.valid | write.valid), entry.i.p.write.eq(write.valid),
                entry.i.p.address.eq(Mux(write.valid, write.p.address, read.p.address)),
                entry.i.p.data.eq(Mux(write.valid, write.p.data, read.p.lines)),
                write.ready.eq(entry.i.ready), read.ready.eq(entry.i.ready & ~write.valid),
            ]
        with m.Else():
            m.d.comb += [
                entry.i.valid.eq(test.request.valid), entry.i.payload.eq(test.request.payload),
                test.request.ready.eq(entry.i.ready),
            ]
        m.d.comb += [
            requests.w_data.eq(entry.o.payload), requests.w_en.eq(entry.o.valid), entry.o.ready.eq(requests.w_rdy),
        ]
        m.submodules.exit = exit_ = DomainRenamer(MEMORY_DOMAIN)(StreamBuffer(request_layout(spec)))
        m.d.comb += [
            Value.cast(exit_.i.payload).eq(requests.r_data), exit_.i.valid.eq(requests.r_rdy),
            requests.r_en.eq(exit_.i.ready),
        ]
        connect(m, exit_.o, controller.request)

        # Lines: asked for while the queue has room for them and for all that its level does not show yet.
        m.d[MEMORY_DOMAIN] += controller.room.eq(lines.w_level <= spec.queue_lines - spec.lines_in_flight)
        m.d.comb += [
            lines.w_data.eq(controller.line), lines.w_en.eq(controller.arrives),
            Value.cast(self.o.payload).eq(lines.r_data), test.line.payload.eq(self.o.payload),
            self.o.valid.eq(lines.r_rdy & test.done), test.line.valid.eq(lines.r_rdy & ~test.done),
            lines.r_en.eq(Mux(test.done, self.o.ready, test.line.ready)),
        ]
        return m
