"""Columns of the accelerator's input port from an image in a memory."""

from amaranth.hdl import Module, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.accelerator.layouts import input_column
from vitric.hdl.memory.block import BlockSpec
from vitric.hdl.memory.layouts import line_layout
from vitric.hdl.memory.splitter import read_layout
from vitric.hdl.stream_width import Narrow, Widen
from vitric.hdl.streams import PipelineRegister

from .slots import image_words

__all__ = ["ImageReader", "image_layout"]


def image_layout(memory: BlockSpec | SdramSpec) -> data.StructLayout:
    """Return the layout of an image in a memory: the address of its first line, and its columns."""
    return data.StructLayout({"address": memory.address_bits, "columns": 32})


class ImageReader(wiring.Component):
    """Read an image from a memory, and hand it on column by column, ``last`` with the final one.

    An image begins with a line; what is left of its last one is passed over.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; ``i.ready`` is 1 when the image before has been handed on.

    *Latency*: that of the memory, and 3 cycles. *Interval*: one column or one line per cycle, whichever is slower.

    Parameters
    ----------
    spec : AcceleratorSpec
    memory : BlockSpec or SdramSpec
        Its lines are as wide as a model word.

    Members
    -------
    i : stream of image_layout(memory), in
        An image of at least one column.
    o : stream of input_column(spec), out
    read : stream of read_layout(memory), out
    line : stream of line_layout(memory), in
    """

    def __init__(self, spec: AcceleratorSpec, memory: BlockSpec | SdramSpec):
        self.spec = spec
        self.memory = memory
        super().__init__({
            "i": In(stream.Signature(image_layout(memory))), "o": Out(stream.Signature(input_column(spec))),
            "read": Out(stream.Signature(read_layout(memory))), "line": In(stream.Signature(line_layout(memory))),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        left = Signal(32)  # columns that have not been handed on
        clear = Signal()
        m.submodules.columns = columns = ResetInserter(clear)(self._converter())
        m.d.comb += [
            Value.cast(columns.i.payload).eq(self.line.p.data), columns.i.valid.eq(self.line.valid),
            self.line.ready.eq(columns.i.ready),
            self.o.p.pixel.eq(Value.cast(columns.o.payload)), self.o.p.last.eq(left == 1),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.i.ready.eq(1), clear.eq(1)]
                m.d.sync += [
                    left.eq(self.i.p.columns), self.read.p.address.eq(self.i.p.address),
                    self.read.p.lines.eq(image_words(
                        self.i.p.columns, rows=self.spec.rows, model_bits=self.spec.model_bits)),
                ]
                with m.If(self.i.valid):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += [self.read.valid.eq(1), clear.eq(1)]
                with m.If(self.read.ready):
                    m.next = "COLUMNS"
            with m.State("COLUMNS"):
                m.d.comb += [self.o.valid.eq(columns.o.valid), columns.o.ready.eq(self.o.ready)]
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "IDLE"
        return m

    def _converter(self) -> Narrow | Widen | PipelineRegister:
        column, line = 8 * self.spec.rows, self.spec.model_bits
        if column < line:
            return Narrow(column, ratio=line // column)
        return Widen(line, ratio=column // line) if column > line else PipelineRegister(column)
