"""Reads of a memory by a user who may be reset, while the memory is not."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import SdramSpec

from ..streams import connect
from .block import BlockSpec
from .layouts import line_layout
from .splitter import read_layout

__all__ = ["LineReader"]


class LineReader(wiring.Component):
    """Pass a user's reads to a memory and the lines back; after ``drop``, drop what the memory has yet to give.

    One read at a time, of at least one line: ``i.ready`` is 1 when the lines of the one before have all been given. It
    is reset together with the memory; its user may be reset alone, with ``drop``.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`. With ``drop`` an offer of either side may end; the memory
    must be one that looks at a request in the cycle of its transfer only.

    *Latency*: none of its own; after ``drop``, until the last line of the read before has come. *Interval*: 1 cycle a
    line.

    Parameters
    ----------
    memory : BlockSpec or SdramSpec

    Members
    -------
    drop : 1, in
        The user is being reset.
    i : stream of read_layout(memory), in
    o : stream of line_layout(memory), out
    read : stream of read_layout(memory), out
    line : stream of line_layout(memory), in
        To and from the memory.
    """

    def __init__(self, memory: BlockSpec | SdramSpec):
        self.memory = memory
        super().__init__({
            "drop": In(1),
            "i": In(stream.Signature(read_layout(memory))), "o": Out(stream.Signature(line_layout(memory))),
            "read": Out(stream.Signature(read_layout(memory))), "line": In(stream.Signature(line_layout(memory))),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        reading, stale = Signal(), Signal()
        connect(m, wiring.flipped(self.line), wiring.flipped(self.o))
        m.d.comb += [
            self.read.payload.eq(self.i.payload), self.read.valid.eq(self.i.valid & ~reading),
            self.i.ready.eq(self.read.ready & ~reading),
        ]
        with m.If(stale):
            m.d.comb += [self.line.ready.eq(1), self.o.valid.eq(0)]
        with m.If(self.drop):
            m.d.sync += stale.eq(1)
        with m.Elif(~reading):
            m.d.sync += stale.eq(0)
        with m.If(self.line.valid & self.line.ready & self.line.p.last):
            m.d.sync += reading.eq(0)
        with m.If(self.read.valid & self.read.ready):
            m.d.sync += reading.eq(1)
        return m
