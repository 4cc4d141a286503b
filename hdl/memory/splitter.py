"""Reads of any length, cut where a page ends."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import SdramSpec

from .layouts import segment_layout

__all__ = ["Splitter", "read_layout"]


def read_layout(spec: SdramSpec) -> data.StructLayout:
    """Return the layout of a read: ``lines`` of them, 0 to all, from ``address`` on."""
    return data.StructLayout({"address": spec.address_bits, "lines": spec.address_bits + 1})


class Splitter(wiring.Component):
    """Cut a read into segments, each within one page; ``last`` is that of the last one.

    After the last line of the chip comes its first one. A read of no lines makes no segment.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; ``i.ready`` is 1 when every segment has been taken.

    *Latency* 3 cycles to the first segment; *interval* 3 cycles per segment, while a full page takes the bus
    ``2**column_bits`` cycles.

    Parameters
    ----------
    spec : SdramSpec

    Members
    -------
    i : stream of read_layout(spec), in
    o : stream of segment_layout(spec), out
    """

    latency = 3

    def __init__(self, spec: SdramSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(read_layout(spec))), "o": Out(stream.Signature(segment_layout(spec))),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, segment = self.spec, self.o.p
        position = Signal(spec.address_bits)
        left = Signal(spec.address_bits + 1)
        room = Signal(spec.line_column_bits + 1)  # lines from here to the end of the page
        column = position[:spec.line_column_bits]
        m.d.comb += [
            segment.column.eq(column), segment.page.as_value().eq(position[spec.line_column_bits:]),
            segment.count.eq(Mux(segment.last, left, room)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [position.eq(self.i.p.address), left.eq(self.i.p.lines)]
                with m.If(self.i.valid & (self.i.p.lines != 0)):
                    m.next = "ROOM"
            with m.State("ROOM"):
                m.d.sync += room.eq(spec.row_lines - column)
                m.next = "LAST"
            with m.State("LAST"):
                m.d.sync += segment.last.eq(left <= room)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [
                        left.eq(left - room),
                        position.eq(Cat(column & 0, position[spec.line_column_bits:] + 1)),
                    ]
                    m.next = "ROOM"
                    with m.If(segment.last):
                        m.next = "IDLE"
        return m
