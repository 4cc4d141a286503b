"""GELU together with its requantization: a table look-up in several lanes."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_int
from vitric.golden.spec.requantize import TableSpec

from ..pipeline import delay

__all__ = ["Gelu", "gelu_input", "gelu_output"]


def gelu_input(spec: TableSpec, tag_bits: int = 0) -> data.StructLayout:
    """Return the layout of an input beat of :class:`Gelu`."""
    return data.StructLayout({
        "index": data.ArrayLayout(unsigned(spec.index_bits), spec.lanes),
        "tag": unsigned(tag_bits),
    })


def gelu_output(spec: TableSpec, tag_bits: int = 0) -> data.StructLayout:
    """Return the layout of an output beat of :class:`Gelu`."""
    return data.StructLayout({
        "y": data.ArrayLayout(unsigned(spec.out_bits), spec.lanes),
        "tag": unsigned(tag_bits),
    })


class Gelu(wiring.Component):
    """GELU as a table: ``y = table[index]`` in each lane, with a table that is loaded at run time.

    *Loading*: ``table`` takes one entry in every cycle in which it is valid; its ``ready`` is constant 1. The first
    entry after reset goes to index 0, the next to index 1 and so on; after ``2**index_bits`` entries it starts again
    at 0, so a new table is loaded by sending it whole. Writing while reading is undefined: a beat accepted by ``i``
    from the cycle of the first entry to the cycle of the last reads either table or neither. Beats accepted before
    read the old table, beats accepted after read the new one. The memory therefore needs no collision logic.

    *Handshake*: stream rules 1 to 4 of :mod:`vitric.hdl.streams`. The pipeline advances as a whole while
    ``o.ready | ~o.valid``, which is also ``i.ready``.

    *Latency* ``spec.latency`` cycles, *interval* 1 cycle.

    *Number format*: index and entries are unsigned codes; the table owns scales and zero points.

    Parameters
    ----------
    spec : TableSpec
        Lanes and widths.
    tag_bits : int
        Width of the field ``tag`` that passes through unchanged with its beat, 0 to 64.

    Members
    -------
    i : stream of :func:`gelu_input`, in
        ``index``: ``lanes`` x unsigned(``index_bits``); ``tag``: unsigned(``tag_bits``).
    table : stream of unsigned(``out_bits``), always ready, in
        Entries in order of index.
    o : stream of :func:`gelu_output`, out
        ``y``: ``lanes`` x unsigned(``out_bits``); ``tag``: unsigned(``tag_bits``).
    """

    def __init__(self, spec: TableSpec, *, tag_bits: int = 0):
        check_int("tag_bits", tag_bits, 0, 64)
        self.spec = spec
        self.tag_bits = tag_bits
        super().__init__({
            "i": In(stream.Signature(gelu_input(spec, tag_bits))),
            "table": In(stream.Signature(unsigned(spec.out_bits))),
            "o": Out(stream.Signature(gelu_output(spec, tag_bits))),
        })

    @property
    def latency(self) -> int:
        """Cycles from an input transfer to ``o.valid`` without stalls."""
        return self.spec.latency

    @property
    def interval(self) -> int:
        """Cycles between accepted beats without stalls."""
        return self.spec.interval

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        position = Signal(spec.index_bits)
        m.d.comb += self.table.ready.eq(1)
        with m.If(self.table.valid):
            m.d.sync += position.eq(position + 1)

        en = Signal()
        valid = Signal(spec.latency)
        m.d.comb += [
            en.eq(self.o.ready | ~self.o.valid),
            self.i.ready.eq(en),
            self.o.valid.eq(valid[-1]),
            self.o.p.tag.eq(delay(m, self.i.p.tag, en, spec.latency, name="tag")),
        ]
        with m.If(en):
            m.d.sync += valid.eq(Cat(self.i.valid, valid))
        for lane in range(spec.lanes):
            # A memory for each lane: of one with many ports, Yosys weighs every way to divide them.
            entries = memory.Memory(shape=unsigned(spec.out_bits), depth=spec.entries, init=[])
            m.submodules[f"entries_{lane}"] = entries
            write, read = entries.write_port(), entries.read_port()
            m.d.comb += [
                write.addr.eq(position), write.data.eq(self.table.payload), write.en.eq(self.table.valid),
                read.addr.eq(self.i.p.index[lane]),
                read.en.eq(en),
                # Block RAM answers late in its cycle: its output goes straight to a register.
                self.o.p.y[lane].eq(delay(m, read.data, en, spec.latency - 1, name=f"y_{lane}")),
            ]
        return m
