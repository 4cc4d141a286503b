"""Takes results out of the array column by column and joins each with its channel's constants."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode

from ..activation.requantize import requantize_input
from .layouts import AFFINE, CHANNEL, COLUMN_TAG, COMMAND, array_result, flag, opcode, target
from .ports import ring_port

__all__ = ["Drain"]


class Drain(wiring.Component):
    """Second engine: result tiles to columns for the requantize unit, channel constants for NORM.

    MATMUL: for each weight set, row group and tile: the tile's ``cols`` columns, each with the channel word of its
    output channel; columns beyond ``columns`` of a row are dropped (padded keys). NORM: for each row group, the
    affine constants of every channel. Channel words are freed with the last use of their set.

    *Handshake*: rules 1 to 4. ``i_tile`` is taken with its last column.
    *Latency* 1 cycle from tile to column, if the set's channel words were there two cycles before. *Interval*
    ``cols`` cycles per tile, 1 cycle per affine beat.

    Members
    -------
    i : stream of COMMAND, in
    o_command : stream of COMMAND, out
    i_tile : stream of the array's output, in
    o : stream of the requantize unit's input with COLUMN_TAG, out
    o_affine : stream of AFFINE, out
    channels : read side of the channel ring
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(COMMAND)),
            "o_command": Out(stream.Signature(COMMAND)),
            "i_tile": In(stream.Signature(array_result(spec))),
            "o": Out(stream.Signature(requantize_input(spec.requantize, COLUMN_TAG.size))),
            "o_affine": Out(stream.Signature(AFFINE)),
            "channels": Out(ring_port(CHANNEL, spec.channel_words)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        command = Signal(COMMAND)
        is_norm = Signal()
        running, free, issue = Signal(), Signal(), Signal()
        col = Signal(range(spec.cols))
        channel = Signal(FIELD_BITS)  # column of the row, and offset in the set's channel words
        sets, groups = Signal(FIELD_BITS), Signal(FIELD_BITS)  # left
        set_channels, last_channel = Signal(FIELD_BITS), Signal(FIELD_BITS)
        end_row, end_set = Signal(), Signal()
        # Whether the ring holds the whole present set, and whether it held the next one a cycle ago as well.
        is_open, next_is_there = Signal(), Signal()

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.o_command.valid.eq(self.i.valid), self.i.ready.eq(self.o_command.ready)]
                m.d.sync += [
                    command.eq(self.i.payload), is_norm.eq(opcode(self.i.payload) == Opcode.NORM),
                    sets.eq(self.i.p.sets), groups.eq(self.i.p.groups), channel.eq(0), col.eq(0),
                    set_channels.eq(self.i.p.set_tiles << exact_log2(spec.cols)),
                    last_channel.eq((self.i.p.set_tiles << exact_log2(spec.cols)) - 1), is_open.eq(0),
                ]
                with m.If(opcode(self.i.payload) == Opcode.NORM):
                    m.d.sync += [
                        sets.eq(1), set_channels.eq(self.i.p.columns), last_channel.eq(self.i.p.columns - 1),
                    ]
                with m.If(self.i.valid & self.i.ready):
                    with m.Switch(opcode(self.i.payload)):
                        with m.Case(Opcode.MATMUL, Opcode.NORM):
                            m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                with m.If(issue & end_set & (sets == 1)):
                    m.next = "IDLE"
        m.d.comb += self.o_command.payload.eq(self.i.payload)

        m.d.comb += [
            # Both share the data register of the ring, so both must be free of the word before.
            free.eq((self.o_affine.ready | ~self.o_affine.valid) & (self.o.ready | ~self.o.valid)),
            issue.eq(running & free & (is_norm | self.i_tile.valid) & is_open),
            self.i_tile.ready.eq(issue & ~is_norm & (col == spec.cols - 1)),
            end_row.eq(channel == last_channel),
            end_set.eq(end_row & (groups == 1)),
            self.channels.en.eq(issue), self.channels.offset.eq(channel),
            self.channels.release.eq(Mux(issue & end_set, set_channels, 0)),
        ]
        m.d.sync += next_is_there.eq(self.channels.level >= (set_channels << 1))
        with m.If(running & ~is_open):
            m.d.sync += is_open.eq(self.channels.level >= set_channels)
        with m.If(issue):
            m.d.sync += [channel.eq(channel + 1), col.eq(col + 1)]
            with m.If(end_row):
                m.d.sync += [channel.eq(0), groups.eq(groups - 1)]
            with m.If(end_set):
                m.d.sync += [groups.eq(command.groups), sets.eq(sets - 1), is_open.eq(next_is_there)]

        # One register stage beside the read of the channel word.
        with m.If(self.o_affine.ready | ~self.o_affine.valid):
            m.d.sync += self.o_affine.valid.eq(issue & is_norm)
        m.d.comb += self.o_affine.payload.eq(data.View(AFFINE, self.channels.data.as_value()))

        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += self.o.valid.eq(issue & ~is_norm & (channel < command.columns))
        with m.If(issue):
            for row in range(spec.rows):
                m.d.sync += self.o.p.acc[row].eq(Array(self.i_tile.p.acc[row][c] for c in range(spec.cols))[col])
            tag = data.View(COLUMN_TAG, self.o.p.tag)
            m.d.sync += [
                self.o.p.zero_point.eq(command.zero_point), self.o.p.low.eq(command.low),
                self.o.p.high.eq(command.high),
                tag.target.eq(target(command)), tag.table.eq(flag(command, Flag.TABLE)),
                tag.last.eq(channel == command.columns - 1), tag.offset.eq(command.offset),
            ]
        m.d.comb += [
            self.o.p.bias.eq(self.channels.data.bias), self.o.p.multiplier.eq(self.channels.data.multiplier),
            self.o.p.shift.eq(self.channels.data.shift),
        ]
        return m
