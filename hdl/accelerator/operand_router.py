"""Hands a command to the engines and its operands to the memories that they read."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, TABLE_ENTRY_BITS, Flag, Opcode

from .act_loader import ActLoader
from .assembler import Assembler
from .layouts import CHANNEL, COMMAND, flag, opcode, weight_word
from .ports import activation_read, join, residual_write

__all__ = ["OperandRouter"]


class OperandRouter(wiring.Component):
    """Dispatch of one command, then its operands: residual columns, code table, channel words, weights.

    A command is dispatched as soon as it comes, LOAD when its columns are written; operands go into the rings as far
    as those have room. Weights that stand in activation memory come from :class:`ActLoader`.

    *Handshake*: rules 1 to 4 on the streams. ``start`` is 1 for one cycle and ``command`` holds until ``complete``
    is 1 for one cycle; the next ``start`` may come in the cycle after it.

    Members
    -------
    command : COMMAND, in
    start, complete : 1, in and out
    i : stream of unsigned(model_bits), in
    done : unsigned(16), in
        Commands whose results are all written.
    o_command : stream of COMMAND, out
    weights, channels : streams to the rings, out
    table : stream of unsigned(8), out
        Entries for the code table.
    residual : write port of residual memory, for LOAD
    read : read port of activation memory
    read_free : 1, in
        It may be used in this cycle.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(COMMAND), "start": In(1), "complete": Out(1), "i": In(stream.Signature(spec.model_bits)),
            "done": In(FIELD_BITS),
            "o_command": Out(stream.Signature(COMMAND)),
            "weights": Out(stream.Signature(weight_word(spec))),
            "channels": Out(stream.Signature(CHANNEL)),
            "table": Out(stream.Signature(TABLE_ENTRY_BITS)),
            "residual": Out(residual_write(spec)), "read": Out(activation_read(spec)), "read_free": In(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, command = self.spec, self.command
        take = self.i.valid & self.i.ready
        m.submodules.loader = loader = ActLoader(spec)
        m.submodules.assembler = assembler = Assembler(spec)
        part, left = Signal.like(assembler.count), Signal(32)
        groups, address = Signal(FIELD_BITS), Signal(FIELD_BITS)  # of LOAD: begun; of the next column
        sets, set_base = Signal(FIELD_BITS), Signal(FIELD_BITS)  # of a product: left; address in activation memory
        table_user = Signal(FIELD_BITS)  # the last command that uses the present table
        join(m, loader.read, wiring.flipped(self.read))
        m.d.comb += [
            loader.command.eq(command), loader.set_base.eq(set_base), loader.read_free.eq(self.read_free),
            self.o_command.payload.eq(command),
            assembler.word.eq(self.i.payload), assembler.take.eq(take), assembler.count.eq(part),
            self.residual.address.eq(address), self.residual.data.eq(assembler.residual),
            self.channels.payload.eq(assembler.channel), self.weights.payload.eq(assembler.weight),
            self.table.payload.eq(assembler.entry),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    groups.eq(0), address.eq(command.dst_base), sets.eq(command.sets), set_base.eq(command.w_base),
                ]
                with m.If(self.start):
                    m.next = "DISPATCH"
                    with m.If(opcode(command) == Opcode.LOAD):
                        m.next = "LOAD GROUP"
            with m.State("DISPATCH"):
                m.d.comb += self.o_command.valid.eq(1)
                with m.If(self.o_command.ready):
                    with m.Switch(opcode(command)):
                        with m.Case(Opcode.MATMUL):
                            m.next = "SET"
                            with m.If(flag(command, Flag.NEW_TABLE)):
                                m.next = "TABLE WAIT"
                            with m.Elif(flag(command, Flag.TABLE)):
                                m.d.sync += table_user.eq(command.index)
                        with m.Case(Opcode.NORM):
                            m.d.sync += left.eq(command.columns)
                            m.next = "CHANNELS"
                        with m.Default():
                            m.d.comb += self.complete.eq(1)
                            m.next = "IDLE"
            self._load(m, take, assembler, part, left, groups, address)
            self._table(m, assembler, part, left, table_user)
            self._sets(m, take, loader, assembler, part, left, sets, set_base)
        return m

    def _load(self, m, take, assembler, part, left, groups, address):
        """LOAD: ``groups`` times ``columns`` residual columns, from the address ``dst_base`` on."""
        command = self.command
        with m.State("LOAD GROUP"):
            m.d.sync += left.eq(command.columns)
            with m.If(groups == command.groups):
                m.next = "DISPATCH"
            with m.Elif(self.done >= command.a_wait):
                m.d.sync += groups.eq(groups + 1)
                m.next = "LOAD"
        with m.State("LOAD"):
            m.d.comb += [self.i.ready.eq(1), self.residual.en.eq(take & assembler.residual_last)]
            with m.If(take):
                m.d.sync += part.eq(part + 1)
                with m.If(assembler.residual_last):
                    m.d.sync += [part.eq(0), left.eq(left - 1), address.eq(address + 1)]
                    with m.If(left == 1):
                        m.next = "LOAD GROUP"

    def _table(self, m, assembler, part, left, table_user):
        """Code table: only once no command uses the present one any more."""
        command = self.command
        with m.State("TABLE WAIT"):
            m.d.sync += left.eq(1 << self.spec.index_bits)
            with m.If(self.done >= table_user):
                m.d.sync += table_user.eq(command.index)
                m.next = "TABLE"
        with m.State("TABLE"):
            m.d.comb += [
                self.table.valid.eq(self.i.valid), self.i.ready.eq(self.table.ready & assembler.entry_last),
            ]
            with m.If(self.table.valid & self.table.ready):
                m.d.sync += [left.eq(left - 1), part.eq(part + 1)]
                with m.If(assembler.entry_last):
                    m.d.sync += part.eq(0)
                with m.If(left == 1):
                    m.next = "SET"

    def _sets(self, m, take, loader, assembler, part, left, sets, set_base):
        """For each set of a product its channel words and weights, from the stream or from activation memory."""
        command = self.command
        weights_act, key_bias = flag(command, Flag.WEIGHTS_ACT), flag(command, Flag.KEY_BIAS)
        with m.State("SET"):
            m.d.sync += left.eq(command.set_tiles << (self.spec.cols.bit_length() - 1))
            m.d.sync += sets.eq(sets - 1)
            with m.If(sets == 0):
                m.d.comb += self.complete.eq(1)
                m.next = "IDLE"
            with m.Elif(key_bias):
                m.next = "ACT WAIT"
            with m.Else():
                m.next = "CHANNELS"
        with m.State("CHANNELS"):
            m.d.comb += [
                self.channels.valid.eq(self.i.valid & assembler.channel_last),
                self.i.ready.eq(self.channels.ready | ~assembler.channel_last),
            ]
            with m.If(take):
                m.d.sync += part.eq(part + 1)
                with m.If(assembler.channel_last):
                    m.d.sync += [part.eq(0), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.d.sync += left.eq(command.set_words)
                        with m.If(opcode(command) == Opcode.NORM):
                            m.d.comb += self.complete.eq(1)
                            m.next = "IDLE"
                        with m.Elif(weights_act):
                            m.next = "ACT WAIT"
                        with m.Else():
                            m.next = "WEIGHTS"
        with m.State("WEIGHTS"):
            m.d.comb += [
                self.weights.valid.eq(self.i.valid & assembler.weight_last),
                self.i.ready.eq(self.weights.ready | ~assembler.weight_last),
            ]
            with m.If(take):
                m.d.sync += part.eq(part + 1)
                with m.If(assembler.weight_last):
                    m.d.sync += [part.eq(0), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "SET"
        with m.State("ACT WAIT"):
            with m.If(self.done >= command.w_wait):
                m.d.comb += loader.start.eq(1)
                m.next = "ACT"
        with m.State("ACT"):
            m.d.comb += [
                self.weights.payload.eq(loader.weights.payload), self.weights.valid.eq(loader.weights.valid),
                loader.weights.ready.eq(self.weights.ready),
            ]
            with m.If(key_bias):
                m.d.comb += [
                    self.channels.payload.eq(loader.channels.payload), self.channels.valid.eq(loader.channels.valid),
                    loader.channels.ready.eq(self.channels.ready),
                ]
            with m.If(loader.done):
                m.d.sync += set_base.eq(set_base + command.w_set_stride)
                m.next = "SET"
