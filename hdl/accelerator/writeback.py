"""Writes the results of products to memory, in order."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Target

from .layouts import PROGRESS, WRITE_COMMAND, code_columns, flag, held, logit_beat, planes, target, value_columns
from .ports import activation_write, join, residual_read, residual_write
from .position import ProductPosition
from .residual_adder import ResidualAdder
from .tile_writer import TileWriter

__all__ = ["Writeback"]


class Writeback(wiring.Component):
    """Last engine of a product: takes its columns from requantize or code table; never stops them.

    Codes go to activation memory through a :class:`TileWriter`; residual columns are added to residual memory; logits
    are lane 0 of row group 0, the first ``dst_stride`` of them. Addresses are those of :class:`ProductPosition`.

    *Handshake*: rules 1 to 4 on ``i``. Values and codes have no ``ready``; those of one command come
    ``spec.command_gap`` cycles after those of the one before, counted where they leave requantize.
    *Interval* ``drain_cols`` columns per cycle.

    Members
    -------
    i : stream of WRITE_COMMAND, in
    i_direct, i_table : streams of value_columns(spec) and code_columns(spec), always ready, in
        Requantized values that need no further unit; codes from the code table.
    o_logits : stream of logit_beat(spec), always ready, out
    progress : PROGRESS, out
    complete, index : 1 and unsigned(16), out
        Command ``index`` is complete.
    act : write port of activation memory
    residual_read, residual_write : ports of residual memory
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(WRITE_COMMAND)),
            "i_direct": In(stream.Signature(value_columns(spec), always_ready=True)),
            "i_table": In(stream.Signature(code_columns(spec), always_ready=True)),
            "o_logits": Out(stream.Signature(logit_beat(spec), always_ready=True)),
            "progress": Out(PROGRESS), "complete": Out(1), "index": Out(FIELD_BITS),
            "act": Out(activation_write(spec)),
            "residual_read": Out(residual_read(spec)), "residual_write": Out(residual_write(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        m.submodules.writer = writer = TileWriter(spec)
        m.submodules.adder = adder = ResidualAdder(spec)
        m.submodules.position = position = ProductPosition(spec)
        join(m, writer.write, wiring.flipped(self.act))
        join(m, adder.read, wiring.flipped(self.residual_read))
        join(m, adder.write, wiring.flipped(self.residual_write))
        command = held(m, spec, self.i, self.i.valid & self.i.ready)
        take = Signal()
        logits_left = Signal(range(spec.max_classes + 1))
        to_residual, to_logits = target(command) == Target.RESIDUAL, target(command) == Target.LOGITS
        has_code = Signal()
        m.d.comb += [
            has_code.eq(self.i_table.valid), take.eq(self.i_direct.valid | has_code),
            position.command.eq(command), position.step.eq(take),
            writer.grant.eq(1), writer.i.valid.eq(take & ~to_residual & ~to_logits),
            writer.i.p.address.eq(position.tile_address), writer.i.p.plane_stride.eq(command.dst_plane_stride),
            writer.i.p.planes.eq(planes(command)), writer.i.p.signed.eq(flag(command, Flag.SIGNED)),
            writer.i.p.transpose.eq(flag(command, Flag.TRANSPOSE)), writer.i.p.ends_group.eq(position.ends_group),
            adder.i.valid.eq(take & to_residual), adder.i.p.address.eq(position.residual_address),
            adder.i.p.y.eq(self.i_direct.payload), adder.i.p.ends_group.eq(position.ends_group),
            self.o_logits.valid.eq(take & to_logits & position.first_group & (logits_left != 0)),
            self.o_logits.p.count.eq(Mux(logits_left < spec.drain_cols, logits_left - 1, spec.drain_cols - 1)),
            self.progress.index.eq(command.index), self.index.eq(command.index),
        ]
        for c in range(spec.drain_cols):
            m.d.comb += self.o_logits.p.value[c].eq(self.i_direct.payload[c][0])
            for row in range(spec.rows):
                m.d.comb += writer.i.p.code[c][row].eq(Mux(
                    has_code, self.i_table.payload[c][row], self.i_direct.payload[c][row][:spec.code_bits]))
        with m.If(self.o_logits.valid):
            m.d.sync += logits_left.eq(logits_left - self.o_logits.p.count - 1)
        with m.If(writer.group_done | adder.group_done):
            m.d.sync += self.progress.groups.eq(self.progress.groups + 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += self.progress.groups.eq(0)
                    m.next = "START"
            with m.State("START"):
                m.d.comb += position.start.eq(1)
                m.d.sync += logits_left.eq(command.dst_stride)
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(take & position.end):
                    m.next = "FINISH"
            with m.State("FINISH"):
                with m.If(~writer.busy & ~adder.busy):
                    m.d.comb += self.complete.eq(1)
                    m.next = "IDLE"
        return m
