"""Columns of the accelerator's input port from the bytes of one image."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.hdl.accelerator.layouts import input_column
from vitric.hdl.stream_width import Widen

__all__ = ["LAST_BYTE", "ByteColumns"]

LAST_BYTE = data.StructLayout({"data": 8, "last": 1})
"""A byte; ``last`` on the final one of an image."""


class ByteColumns(wiring.Component):
    """Collect the bytes of an image into columns of ``rows`` bytes; the byte with ``last`` must complete a column.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`.

    *Latency*: a column is valid one cycle after its last byte. *Interval*: one byte per cycle.

    Parameters
    ----------
    spec : AcceleratorSpec

    Members
    -------
    i : stream of LAST_BYTE, in
    o : stream of input_column(spec), out
    """

    latency = 1

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({"i": In(stream.Signature(LAST_BYTE)), "o": Out(stream.Signature(input_column(spec)))})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.widen = widen = Widen(8, ratio=self.spec.rows)
        last = Signal()
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += last.eq(self.i.p.last)
        m.d.comb += [
            widen.i.payload.eq(self.i.p.data), widen.i.valid.eq(self.i.valid), self.i.ready.eq(widen.i.ready),
            self.o.valid.eq(widen.o.valid), widen.o.ready.eq(self.o.ready), self.o.p.last.eq(last),
            *(self.o.p.pixel[row].eq(widen.o.payload[row]) for row in range(self.spec.rows)),
        ]
        return m
