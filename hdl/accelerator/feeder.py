"""Feeds the array with operands: the loops of a matrix product, one beat per cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, MAX_PASSES, PASS_LAST, Opcode
from vitric.golden.spec.limits import field_limits

from ..streams import connect
from .layouts import COMMAND, array_beat, opcode, weight_word
from .norm_feeder import NormFeeder, norm_beat
from .ports import activation_read, join, residual_read, ring_port

__all__ = ["Feeder"]


class Feeder(wiring.Component):
    """First engine: walks the loops of a command and reads its operands.

    MATMUL: for each weight set (as soon as it is complete in the ring), for each row group, for each tile of the
    set, for each pass, for each step: one beat for the array. NORM is left to :class:`NormFeeder`. Other commands
    read nothing here. Every command is handed on to the next engine as soon as it is taken.

    *Handshake*: rules 1 to 4 on the streams. ``read_free`` says that the data register of activation memory may
    change in this cycle; another reader that uses the port then reports it by ``read_stolen``.

    *Latency*: three cycles from the loop counters to the array: addresses, memory, operands. *Interval*: one beat
    per cycle, without a gap between steps, passes, tiles, row groups and sets.

    Members
    -------
    i : stream of COMMAND, in
    o_command : stream of COMMAND, out
    done : unsigned(16), in
        Commands whose results are all written.
    o : stream of the array's input, out
    o_norm : stream of norm_beat(spec), out
    norm_command : COMMAND, out
        The NORM that ``o_norm`` belongs to.
    bad_set : 1, out
        From the cycle after one on: the tiles of a set have other words than the set.
    read_free, read_stolen : 1, out and in
    read : read port of activation memory
    weights : read side of the weight ring
    residual : read port of residual memory, for NORM
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(COMMAND)),
            "o_command": Out(stream.Signature(COMMAND)),
            "done": In(FIELD_BITS),
            "o": Out(stream.Signature(array_beat(spec))),
            "o_norm": Out(stream.Signature(norm_beat(spec))), "norm_command": Out(COMMAND),
            "bad_set": Out(1), "read_free": Out(1), "read_stolen": In(1),
            "read": Out(activation_read(spec)),
            "weights": Out(ring_port(weight_word(spec), spec.weight_words)),
            "residual": Out(residual_read(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        command = Signal(COMMAND)
        m.submodules.norm = norm = NormFeeder(self.spec)
        join(m, norm.residual, wiring.flipped(self.residual))
        connect(m, norm.o, wiring.flipped(self.o_norm))
        m.d.comb += [
            norm.command.eq(command), self.norm_command.eq(command), self.o_command.payload.eq(self.i.payload),
        ]
        start, running, finished = Signal(), Signal(), Signal()
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.o_command.valid.eq(self.i.valid), self.i.ready.eq(self.o_command.ready)]
                m.d.sync += command.eq(self.i.payload)
                with m.If(self.i.valid & self.i.ready):
                    with m.Switch(opcode(self.i.payload)):
                        with m.Case(Opcode.MATMUL, Opcode.NORM):
                            m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += start.eq(1)
                with m.If(self.done >= command.a_wait):
                    with m.If(opcode(command) == Opcode.MATMUL):
                        m.next = "MATMUL"
                    with m.Else():
                        m.d.comb += norm.start.eq(1)
                        m.next = "NORM"
            with m.State("MATMUL"):
                m.d.comb += running.eq(1)
                with m.If(finished):
                    m.next = "IDLE"
            with m.State("NORM"):
                with m.If(norm.done):
                    m.next = "IDLE"
        self._matmul(m, command, start, running, finished)
        return m

    def _matmul(self, m, command, start, running, finished):
        """Count the loops while ``running``; two register stages carry a beat to memory and to the array."""
        address_valid, operand_valid = Signal(), Signal()
        stage = data.StructLayout({"first": 1, "last": 1, "shift": self.o.p.shift.shape()})
        address_beat, operand_beat = Signal(stage), Signal(stage)
        release, set_words = Signal(), Signal(FIELD_BITS)

        operand_free, read, issue_free, issue = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            operand_free.eq(self.o.ready | ~operand_valid),
            read.eq(address_valid & operand_free & ~self.read_stolen),
            issue_free.eq(read | ~address_valid),
            self.read_free.eq(operand_free),
            self.read.en.eq(read), self.weights.en.eq(read),
            self.o.valid.eq(operand_valid),
            self.o.p.first.eq(operand_beat.first), self.o.p.last.eq(operand_beat.last),
            self.o.p.shift.eq(operand_beat.shift), self.o.p.w.eq(self.weights.data),
        ]
        for row in range(self.spec.rows):
            for d in range(self.spec.depth):
                m.d.comb += self.o.p.a[row][d].eq(self.read.data[row][d][:self.spec.a_bits])
        with m.If(read & release):
            m.d.comb += self.weights.release.eq(set_words)

        k, row_base = Signal(FIELD_BITS), Signal(FIELD_BITS)
        limits = field_limits(self.spec, Opcode.MATMUL)
        tile_offset = Signal(range(limits["set_tiles"] * limits["tile_words"] + 1))
        next_tile = (tile_offset + command.tile_words)[:len(tile_offset)]
        sets, groups, tiles = Signal(FIELD_BITS), Signal(FIELD_BITS), Signal(FIELD_BITS)  # left
        index = Signal(range(MAX_PASSES))
        now = Cat(command.passes01, command.passes23).word_select(index, 8)
        a_plane, w_plane, shift = now[0:2], now[2:4], now[4:6]
        last_k = Signal(FIELD_BITS)
        last_step, last_pass = k == last_k, now[PASS_LAST.bit_length() - 1]

        # A set is open once the ring holds all of it behind the one before it, which may still have to be released.
        # The comparisons are those of the cycle before: without a release since then the ring can only hold more.
        is_open, opens = Signal(), Signal()
        holds_set, holds_both, released = Signal(), Signal(), Signal()
        m.d.sync += [
            holds_set.eq(self.weights.level >= command.set_words),
            holds_both.eq(self.weights.level >= command.set_words + set_words),
            released.eq(read & release),
        ]
        m.d.comb += [
            opens.eq(is_open | holds_both | (holds_set & ~(address_valid & release) & ~released)),
            issue.eq(running & opens & issue_free),
        ]
        a_offset = Mux(a_plane[0], command.a_plane_stride, 0) + Mux(a_plane[1], command.a_plane_stride << 1, 0)
        w_offset = Mux(w_plane[0], command.k_words, 0)
        end_group, end_set = Signal(), Signal()
        m.d.comb += [
            end_group.eq(last_step & last_pass & (tiles == 1)),
            end_set.eq(end_group & (groups == 1)),
            finished.eq(issue & end_set & (sets == 1)),
        ]
        with m.If(operand_free):
            m.d.sync += [operand_valid.eq(read), operand_beat.eq(address_beat)]
        with m.If(issue_free):
            m.d.sync += [
                address_valid.eq(issue),
                self.read.address.eq(row_base + a_offset + k),
                self.weights.offset.eq(tile_offset + w_offset + k),
                address_beat.first.eq((k == 0) & (index == 0)),
                address_beat.last.eq(last_step & last_pass),
                address_beat.shift.eq(Mux(k == 0, shift, 0)),
                release.eq(end_set), set_words.eq(command.set_words),
            ]
        with m.If(start):
            m.d.sync += [
                k.eq(0), last_k.eq(command.k_words - 1), index.eq(0), tile_offset.eq(0), is_open.eq(0),
                row_base.eq(command.a_base),
                sets.eq(command.sets), groups.eq(command.groups), tiles.eq(command.set_tiles),
            ]
        with m.Elif(issue):
            m.d.sync += [k.eq(k + 1), is_open.eq(1)]
            with m.If(end_group & (next_tile != command.set_words)):
                m.d.sync += self.bad_set.eq(1)
            with m.If(last_step):
                m.d.sync += [k.eq(0), index.eq(index + 1)]
                with m.If(last_pass):
                    m.d.sync += [index.eq(0), tiles.eq(tiles - 1), tile_offset.eq(next_tile)]
            with m.If(end_group):
                m.d.sync += [
                    tiles.eq(command.set_tiles), tile_offset.eq(0), groups.eq(groups - 1),
                    row_base.eq(row_base + command.a_group_stride),
                ]
            with m.If(end_set):
                m.d.sync += [
                    groups.eq(command.groups), row_base.eq(command.a_base), sets.eq(sets - 1), is_open.eq(0),
                ]
