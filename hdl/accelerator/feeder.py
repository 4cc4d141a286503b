"""Feeds the array with operands: the loops of a matrix product, one beat per cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, MAX_PASSES, PASS_LAST, Flag, Opcode, Target
from vitric.golden.spec.limits import field_bits, field_limits

from .layouts import (
    DRAIN_COMMAND,
    PRODUCT_COMMAND,
    PROGRESS,
    WRITE_COMMAND,
    array_beat,
    assign,
    channel_group,
    flag,
    held,
    planes,
    target,
    weight_word,
)
from .ports import activation_read, ring_port
from .progress import RowWait

__all__ = ["Feeder"]


class Feeder(wiring.Component):
    """First engine of a product: walks its loops and reads its operands.

    For each weight set (as soon as its weights and channel words are complete in the rings), for each row group (as
    soon as it may be read), for each tile of the set, for each pass, for each step: one beat for the array. A product
    is handed on to drain and writeback as soon as it is taken.

    Nothing behind the feeder ever stops. So the last beats of two tiles are as far apart as the drain takes for a tile
    or the tile writer for its planes, at the end of a product ``spec.command_gap`` cycles more; and a row group of
    scores begins only if softmax has room for it.

    *Handshake*: rules 1 to 4 on ``i``, and on ``o_drain`` and ``o_write`` if the ``ready`` of either falls only with a
    transfer, as a queue's does: each is valid only while the other is ready. ``o`` has no ``ready``.

    *Latency*: four cycles from the loop counters to the array: two for addresses, memory, operand registers.
    *Interval*: one beat per cycle, without a gap between steps, passes, tiles and row groups; 2 cycles between sets, 3
    between products.

    Members
    -------
    i : stream of PRODUCT_COMMAND, in
    o_drain, o_write : streams of DRAIN_COMMAND and WRITE_COMMAND, out
        What the other engines need; softmax codes are not for the writeback.
    done, product, rows : see :class:`~vitric.hdl.accelerator.progress.RowWait`, in
    o : stream of the array's input, always ready, out
    wanted : 1, in
        The read port of activation memory is somebody else's in the cycle after the next.
    row_room : 1, in
        Softmax has room for a row group.
    row_begins : 1, out
        The first beat of a row group of scores is issued.
    bad_set : 1, out
        From the cycle after one on: the tiles of a set have other words than the set.
    issued, index : 1 and unsigned(16), out
        A beat of command ``index`` leaves the loop counters.
    read : read port of activation memory
    weights : read side of the weight ring
    channels_filled : place in the channel ring, in
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        self._channel_depth = spec.channel_words // channel_group(spec).length
        super().__init__({
            "i": In(stream.Signature(PRODUCT_COMMAND)),
            "o_drain": Out(stream.Signature(DRAIN_COMMAND)), "o_write": Out(stream.Signature(WRITE_COMMAND)),
            "done": In(FIELD_BITS), "product": In(PROGRESS), "rows": In(PROGRESS),
            "o": Out(stream.Signature(array_beat(spec), always_ready=True)),
            "wanted": In(1), "row_room": In(1), "row_begins": Out(1), "bad_set": Out(1),
            "issued": Out(1), "index": Out(FIELD_BITS),
            "read": Out(activation_read(spec)),
            "weights": Out(ring_port(weight_word(spec), spec.weight_words)),
            "channels_filled": In(range(2 * self._channel_depth)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        command = held(m, self.spec, self.i, self.i.ready)
        to_softmax = target(self.i.payload) == Target.SOFTMAX
        start, running, finished, open_set = Signal(), Signal(), Signal(), Signal()
        take = Signal()
        m.d.comb += [
            *assign(self.o_drain.payload, self.i.payload), *assign(self.o_write.payload, self.i.payload),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [
                    self.i.ready.eq(self.o_drain.ready & self.o_write.ready), take.eq(self.i.valid & self.i.ready),
                    self.o_drain.valid.eq(self.i.valid & self.o_write.ready),
                    self.o_write.valid.eq(self.i.valid & self.o_drain.ready & ~to_softmax),
                ]
                with m.If(take):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += [start.eq(1), open_set.eq(1)]
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                with m.If(finished):
                    m.next = "IDLE"
        issue, beat = self._loops(m, command, start, running, finished, open_set)
        m.d.comb += [self.issued.eq(issue), self.index.eq(command.index)]
        self._read(m, command, issue, beat)
        return m

    def _loops(self, m, command, start, running, finished, open_set):
        """Count the loops while ``running``; return whether a beat is issued and what it is."""
        spec = self.spec
        limits = field_limits(spec, Opcode.MATMUL)
        bits = {name: field_bits(spec, name, Opcode.MATMUL) for name in ("k_words", "sets", "groups", "set_tiles")}
        k, last_k = Signal(bits["k_words"]), Signal(bits["k_words"])
        row_base = Signal(FIELD_BITS)
        tile_offset = Signal(range(limits["set_tiles"] * limits["tile_words"] + 1))
        next_tile = (tile_offset + command.tile_words)[:len(tile_offset)]
        sets, groups, tiles = Signal(bits["sets"]), Signal(bits["groups"]), Signal(bits["set_tiles"])  # left
        index = Signal(range(MAX_PASSES))
        now = Cat(command.passes01, command.passes23).word_select(index, 8)
        last_step, last_pass = k == last_k, now[PASS_LAST.bit_length() - 1]
        ends_tile, ends_group, ends_set = Signal(), Signal(), Signal()
        begins_group, issue = Signal(), Signal()
        is_softmax = target(command) == Target.SOFTMAX

        m.submodules.row_wait = row_wait = RowWait(spec)
        m.d.comb += [
            ends_tile.eq(last_step & last_pass), ends_group.eq(ends_tile & (tiles == 1)),
            ends_set.eq(ends_group & (groups == 1)), finished.eq(issue & ends_set & (sets == 1)),
            row_wait.wait.eq(command.a_wait), row_wait.whole.eq(flag(command, Flag.WHOLE)), row_wait.start.eq(start),
            row_wait.step.eq(issue & ends_group), row_wait.end.eq(ends_set), row_wait.done.eq(self.done),
            row_wait.product.eq(self.product), row_wait.rows.eq(self.rows),
            self.row_begins.eq(issue & begins_group & is_softmax),
        ]
        is_there, place = self._sets(m, command, issue & ends_set, open_set)
        m.d.comb += issue.eq(
            running & is_there & row_wait.ok & ~self.wanted & self._paced(m, command, issue, ends_tile, finished)
            & ~(begins_group & is_softmax & ~self.row_room))

        with m.If(start):
            m.d.sync += [
                k.eq(0), last_k.eq(command.k_words - 1), index.eq(0), tile_offset.eq(0), begins_group.eq(1),
                row_base.eq(command.a_base),
                sets.eq(command.sets), groups.eq(command.groups), tiles.eq(command.set_tiles),
            ]
        with m.Elif(issue):
            m.d.sync += [k.eq(k + 1), begins_group.eq(ends_group)]
            with m.If(ends_group & (next_tile != command.set_words)):
                m.d.sync += self.bad_set.eq(1)
            with m.If(last_step):
                m.d.sync += [k.eq(0), index.eq(index + 1)]
            with m.If(ends_tile):
                m.d.sync += [index.eq(0), tiles.eq(tiles - 1), tile_offset.eq(next_tile)]
            with m.If(ends_group):
                m.d.sync += [
                    tiles.eq(command.set_tiles), tile_offset.eq(0), groups.eq(groups - 1),
                    row_base.eq(row_base + command.a_group_stride),
                ]
            with m.If(ends_set):
                m.d.sync += [groups.eq(command.groups), row_base.eq(command.a_base), sets.eq(sets - 1)]
        return issue, {
            "k": k, "row_base": row_base, "tile": place + tile_offset, "a_plane": now[0:2], "w_plane": now[2:4],
            "first": (k == 0) & (index == 0), "last": ends_tile, "shift": Mux(k == 0, now[4:6], 0),
        }

    def _sets(self, m, command, leave, open_set):
        """Return whether the present set is complete in the rings, and its place in the weight ring."""
        weight_place, channel_place = Signal.like(self.weights.filled), Signal.like(self.channels_filled)
        set_channels = (command.set_tiles << self.spec.cols.bit_length() - 1) >> (
            channel_group(self.spec).length.bit_length() - 1)
        is_open, holds, settles = Signal(), Signal(), Signal()
        m.d.sync += [
            # Compared in the cycle before: the rings only fill up meanwhile, but the place may just have moved.
            holds.eq(((self.weights.filled - weight_place)[:len(weight_place)] >= command.set_words)
                     & ((self.channels_filled - channel_place)[:len(channel_place)] >= set_channels)),
            settles.eq(leave), self.weights.freed.eq(weight_place),
        ]
        is_there = is_open | (holds & ~settles)
        with m.If(leave):
            m.d.sync += [
                is_open.eq(0), weight_place.eq(weight_place + command.set_words),
                channel_place.eq(channel_place + set_channels),
            ]
        with m.Elif(open_set):
            m.d.sync += is_open.eq(0)
        with m.Elif(is_there):
            m.d.sync += is_open.eq(1)
        return is_there, weight_place

    def _paced(self, m, command, issue, ends_tile, finished):
        """Return whether the present beat is late enough behind the last beat of the tile before."""
        spec = self.spec
        drain = spec.cols // spec.drain_cols
        spacing = Signal(range(max(drain, spec.code_planes) + spec.command_gap))  # cycles until a tile may end
        interval = Signal.like(spacing)
        m.d.comb += interval.eq(Mux(planes(command) >= drain, planes(command), drain - 1))
        with m.If(issue & ends_tile):
            m.d.sync += spacing.eq(interval + Mux(finished, spec.command_gap, 0))
        with m.Elif(spacing != 0):
            m.d.sync += spacing.eq(spacing - 1)
        return (spacing == 0) | ~ends_tile

    def _read(self, m, command, issue, beat):
        """Bring a beat from the counters to the array: sums, addresses, memory, registers."""
        spec = self.spec
        flags = data.StructLayout({"valid": 1, "first": 1, "last": 1, "shift": self.o.p.shift.shape()})
        stages = [Signal(flags, name=f"stage_{k}") for k in range(4)]
        a_row, a_step = Signal(FIELD_BITS), Signal(FIELD_BITS)
        w_tile, w_step = Signal.like(self.weights.address), Signal.like(self.weights.address)
        m.d.sync += [
            stages[0].valid.eq(issue), *(stages[0][name].eq(beat[name]) for name in ("first", "last", "shift")),
            *(late.eq(early) for early, late in zip(stages, stages[1:], strict=False)),
            a_row.eq(beat["row_base"] + Mux(beat["a_plane"][0], command.a_plane_stride, 0)),
            a_step.eq(beat["k"] + Mux(beat["a_plane"][1], command.a_plane_stride << 1, 0)),
            w_tile.eq(beat["tile"]), w_step.eq(beat["k"] + Mux(beat["w_plane"][0], command.k_words, 0)),
            self.read.address.eq(a_row + a_step), self.weights.address.eq(w_tile + w_step),
        ]
        m.d.comb += [
            self.read.en.eq(stages[1].valid), self.weights.en.eq(stages[1].valid),
            self.o.valid.eq(stages[3].valid),
            *(self.o.p[name].eq(stages[3][name]) for name in ("first", "last", "shift")),
        ]
        a, w = (Signal.like(self.o.p[name], name=name, reset_less=True) for name in ("a", "w"))  # wide: no reset
        m.d.comb += [self.o.p.a.eq(a), self.o.p.w.eq(w)]
        for row in range(spec.rows):
            for d in range(spec.depth):
                m.d.sync += a[row][d].eq(self.read.data[row][d][:spec.a_bits])
        m.d.sync += w.eq(self.weights.data)
