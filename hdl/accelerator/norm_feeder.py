"""Reads rows of the residual stream for the LayerNorm unit."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode
from vitric.golden.spec.limits import field_bits

from ..streams import Queue
from .layouts import PROGRESS, ROW_COMMAND, flag, residual_beat, residual_column
from .ports import residual_read
from .progress import RowWait

__all__ = ["NormFeeder", "norm_beat"]

_QUEUE = 4  # words read and not yet given out


def norm_beat(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload for the LayerNorm unit: one channel of ``rows`` tokens, ``last`` on a row's last channel."""
    return data.StructLayout({"x": residual_column(spec), "last": 1})


class NormFeeder(wiring.Component):
    """For each row group of a NORM command, as soon as it may be read, for each channel: one beat from residual memory.

    Address of row group g, channel c: ``a_base + g * a_group_stride + c``. A word of the memory has ``drain_cols``
    channels; it is read in a cycle in which ``taken`` is 0.

    *Handshake*: rules 1 to 4 on ``o``; ``start`` for one cycle, ``command`` held until the last beat is taken.
    *Latency* 3 cycles from ``start`` to the first beat; *interval* 1 cycle per beat.

    Members
    -------
    command : ROW_COMMAND, in
    start : 1, in
    done, product, rows : see :class:`~vitric.hdl.accelerator.progress.RowWait`, in
    taken : 1, in
        The read port of residual memory is somebody else's in this cycle.
    o : stream of norm_beat(spec), out
    residual : read port of residual memory
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(ROW_COMMAND), "start": In(1), "done": In(FIELD_BITS), "product": In(PROGRESS),
            "rows": In(PROGRESS), "taken": In(1),
            "o": Out(stream.Signature(norm_beat(spec))),
            "residual": Out(residual_read(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, command = self.spec, self.command
        part = exact_log2(spec.drain_cols)
        word = data.StructLayout({"x": residual_beat(spec), "last": 1, "end": range(spec.drain_cols)})
        m.submodules.words = words = Queue(word, depth=_QUEUE, buffered=False)
        m.submodules.row_wait = row_wait = RowWait(spec)
        groups, left = (Signal(field_bits(spec, n, Opcode.NORM), name=n) for n in ("groups", "columns"))
        row_base = Signal(FIELD_BITS)
        address = Signal(FIELD_BITS)
        started, arrives, room, issue, last = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            row_wait.wait.eq(command.a_wait), row_wait.whole.eq(flag(command, Flag.WHOLE)),
            row_wait.start.eq(self.start), row_wait.step.eq(issue & last), row_wait.end.eq(groups == 1),
            row_wait.done.eq(self.done), row_wait.product.eq(self.product),
            row_wait.rows.eq(self.rows),
            room.eq(words.level < _QUEUE - 1 - arrives), last.eq(left <= spec.drain_cols),
            issue.eq(started & (groups != 0) & row_wait.ok & room & ~self.taken),
            self.residual.en.eq(issue), self.residual.address.eq(address),
            words.i.valid.eq(arrives), words.i.p.x.eq(self.residual.data),
        ]
        m.d.sync += [
            started.eq((started | self.start) & ~(issue & last & (groups == 1))), arrives.eq(issue),
            words.i.p.last.eq(last), words.i.p.end.eq((left - 1)[:part]),
        ]
        with m.If(self.start):
            m.d.sync += [
                groups.eq(command.groups), row_base.eq(command.a_base), address.eq(command.a_base),
                left.eq(command.columns),
            ]
        with m.Elif(issue):
            m.d.sync += [address.eq(address + spec.drain_cols), left.eq(left - spec.drain_cols)]
            with m.If(last):
                m.d.sync += [
                    groups.eq(groups - 1), left.eq(command.columns), row_base.eq(row_base + command.a_group_stride),
                    address.eq(row_base + command.a_group_stride),
                ]

        column = Signal(range(spec.drain_cols))
        ends = Signal()
        m.d.comb += [
            ends.eq((column == spec.drain_cols - 1) | words.o.p.last & (column == words.o.p.end)),
            self.o.valid.eq(words.o.valid), words.o.ready.eq(self.o.ready & ends),
            self.o.p.x.eq(Array(words.o.p.x)[column]), self.o.p.last.eq(words.o.p.last & ends),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += column.eq(column + 1)
            with m.If(ends):
                m.d.sync += column.eq(0)
        return m
