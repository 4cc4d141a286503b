"""Reads rows of the residual stream for the LayerNorm unit."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from .layouts import COMMAND, residual_column
from .ports import residual_read

__all__ = ["NormFeeder", "norm_beat"]


def norm_beat(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload for the LayerNorm unit: one channel of ``rows`` tokens, ``last`` on a row's last channel."""
    return data.StructLayout({"x": residual_column(spec), "last": 1})


class NormFeeder(wiring.Component):
    """For each row group of a NORM command, for each channel: one beat from residual memory.

    Address of row group g, channel c: ``a_base + g * a_group_stride + c``. Nothing else may use the memory's read
    port meanwhile: a NORM waits for the additions before it, and what follows depends on its result.

    *Handshake*: rules 1 to 4 on ``o``; ``start`` for one cycle, ``command`` held until ``done`` is 1 for one cycle,
    that of the last beat's transfer.
    *Latency* 2 cycles from ``start`` to the first beat; *interval* 1 cycle per beat.

    Members
    -------
    command : COMMAND, in
    start, done : 1, in and out
    o : stream of norm_beat(spec), out
    residual : read port of residual memory
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(COMMAND), "start": In(1), "done": Out(1),
            "o": Out(stream.Signature(norm_beat(spec))),
            "residual": Out(residual_read(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        command = self.command
        running, finishing, last, free, issue = Signal(), Signal(), Signal(), Signal(), Signal()
        row_base, channel, groups = Signal(FIELD_BITS), Signal(FIELD_BITS), Signal(FIELD_BITS)
        m.d.comb += [
            free.eq(self.o.ready | ~self.o.valid),
            issue.eq(running & free),
            last.eq(channel == command.columns - 1),
            self.residual.en.eq(issue),
            self.residual.address.eq(row_base + channel),
            self.o.p.x.eq(self.residual.data),
            self.done.eq(finishing & free),
        ]
        with m.If(free):
            m.d.sync += [self.o.valid.eq(issue), self.o.p.last.eq(last)]
        with m.If(self.start):
            m.d.sync += [running.eq(1), row_base.eq(command.a_base), channel.eq(0), groups.eq(command.groups)]
        with m.Elif(issue):
            m.d.sync += channel.eq(channel + 1)
            with m.If(last):
                m.d.sync += [channel.eq(0), groups.eq(groups - 1), row_base.eq(row_base + command.a_group_stride)]
            with m.If(last & (groups == 1)):
                m.d.sync += [running.eq(0), finishing.eq(1)]
        with m.If(self.done):
            m.d.sync += finishing.eq(0)
        return m
