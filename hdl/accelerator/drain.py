"""Takes results out of the array, some columns per cycle, and joins each with its channel's constants."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import Flag, Opcode
from vitric.golden.spec.limits import field_bits

from ..activation.requantize import requantize_input
from .layouts import CHANNEL, DRAIN_COMMAND, array_result, channel_group, column_tag, flag, held, target
from .ports import ring_port

__all__ = ["Drain"]


class Drain(wiring.Component):
    """Second engine of a product: result tiles to columns for the requantize units.

    For each weight set, row group and tile: the tile's ``cols`` columns, ``drain_cols`` of them in each cycle, each
    with the channel word of its output channel; columns beyond ``columns`` of a row are dropped (padded keys). Channel
    words are freed with the last use of their set.

    *Handshake*: rules 1 to 4 on ``i``. The other ports have no ``ready``: tiles come at least ``cols / drain_cols``
    cycles apart, the next command's first one at least 3 cycles later than that, and each stays until the next one; a
    set's channel words are there when its first tile is.
    *Latency* 2 cycles from tile to first columns.

    Members
    -------
    i : stream of DRAIN_COMMAND, in
    i_tile : stream of the array's output, always ready, in
    valid : 1, out
        The columns at ``columns`` are there.
    columns : drain_cols times the input of the requantize unit, out
    tag : column_tag(spec), out
    channels : read side of the channel ring
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        self._depth = spec.channel_words // channel_group(spec).length
        super().__init__({
            "i": In(stream.Signature(DRAIN_COMMAND)),
            "i_tile": In(stream.Signature(array_result(spec), always_ready=True)),
            "valid": Out(1), "columns": Out(requantize_input(spec.requantize)).array(spec.drain_cols),
            "tag": Out(column_tag(spec)),
            "channels": Out(ring_port(channel_group(spec), self._depth)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        command = held(m, spec, self.i, self.i.ready)
        beats = spec.cols // spec.drain_cols
        beat = Signal(range(beats))
        bits = {name: field_bits(spec, name, Opcode.MATMUL) for name in ("columns", "sets", "groups")}
        channel = Signal(bits["columns"])  # first column of the row
        sets, groups = Signal(bits["sets"]), Signal(bits["groups"])  # left
        place, set_channels = Signal.like(self.channels.filled), Signal.like(self.channels.filled)
        last_channel = Signal.like(channel)
        limits = [Signal(bits["columns"], name=f"limit_{k}") for k in range(spec.drain_cols + 1)]  # columns - k, or 0
        issue, ends_row, ends_set, finished = Signal(), Signal(), Signal(), Signal()
        log2_group = exact_log2(channel_group(spec).length)
        group_part = Signal(range(channel_group(spec).length))

        m.d.comb += [
            issue.eq(self.i_tile.valid | (beat != 0)),
            ends_row.eq(channel == last_channel), ends_set.eq(ends_row & (groups == 1)),
            finished.eq(issue & ends_set & (sets == 1)),
            self.channels.en.eq(issue), self.channels.address.eq(place + (channel >> log2_group)),
        ]
        m.d.sync += self.channels.freed.eq(place)
        with m.FSM():
            with m.State("IDLE"):
                row_channels = self.i.p.set_tiles << exact_log2(spec.cols)
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    sets.eq(self.i.p.sets), groups.eq(self.i.p.groups), channel.eq(0),
                    last_channel.eq(row_channels - spec.drain_cols), set_channels.eq(row_channels >> log2_group),
                    *(limit.eq(Mux(self.i.p.columns > k, self.i.p.columns - k, 0)) for k, limit in enumerate(limits)),
                ]
                with m.If(self.i.valid):
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(finished):
                    m.next = "LAST"
            with m.State("LAST"):  # the command holds for its last columns
                m.next = "IDLE"
        with m.If(issue):
            m.d.sync += [channel.eq(channel + spec.drain_cols), beat.eq(beat + 1)]
            with m.If(ends_row):
                m.d.sync += [channel.eq(0), groups.eq(groups - 1)]
            with m.If(ends_set):
                m.d.sync += [groups.eq(command.groups), sets.eq(sets - 1), place.eq(place + set_channels)]

        # Beside the read of the channel words, and beside the register behind it.
        is_used, used = Signal(), Signal()
        tags = [Signal(column_tag(spec), name=f"tag_{k}") for k in range(2)]
        m.d.sync += [
            is_used.eq(issue & (channel < limits[0])), used.eq(is_used),
            tags[0].last.eq(channel >= limits[-1]),
            tags[0].mask.eq(Cat(1, *(channel < limit for limit in limits[1:-1]))),
            tags[1].last.eq(tags[0].last), tags[1].mask.eq(tags[0].mask),
            group_part.eq(channel[:log2_group]),
        ]
        m.d.comb += [
            self.valid.eq(used), self.tag.last.eq(tags[1].last), self.tag.mask.eq(tags[1].mask),
            self.tag.target.eq(target(command)), self.tag.table.eq(flag(command, Flag.TABLE)),
            self.tag.offset.eq(command.offset), self.tag.index.eq(command.index),
        ]
        for index, column in enumerate(self.columns):
            constants = Signal(CHANNEL, name=f"constants_{index}")
            m.d.sync += constants.eq(Array(self.channels.data)[group_part + index])
            m.d.comb += [
                column.zero_point.eq(command.zero_point), column.low.eq(command.low), column.high.eq(command.high),
                column.bias.eq(constants.bias), column.multiplier.eq(constants.multiplier),
                column.shift.eq(constants.shift),
            ]
            for row in range(spec.rows):
                accumulators = Array(self.i_tile.p.acc[row][c] for c in range(index, spec.cols, spec.drain_cols))
                acc = Signal.like(column.acc[row], name=f"acc_{index}_{row}", reset_less=True)
                late = Signal.like(acc, name=f"late_{index}_{row}", reset_less=True)
                m.d.sync += [acc.eq(accumulators[beat]), late.eq(acc)]
                m.d.comb += column.acc[row].eq(late)
        return m
