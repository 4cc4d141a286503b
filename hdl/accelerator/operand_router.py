"""Hands a command to the engines and its operands to the memories that they read."""

from contextlib import contextmanager

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, TABLE_ENTRY_BITS, Flag, Opcode, Target
from vitric.golden.spec.limits import field_bits

from .act_loader import ActLoader
from .assembler import Assembler
from .layouts import (
    CHANNEL,
    COMMAND,
    PRODUCT_COMMAND,
    ROW_COMMAND,
    affine_group,
    channel_group,
    dispatch,
    flag,
    opcode,
    target,
    weight_word,
)
from .ports import activation_read, affine_write, join, residual_write
from .progress import is_complete, outstanding

__all__ = ["OperandRouter"]


class OperandRouter(wiring.Component):
    """Dispatch of one command, then its operands: residual columns, code table, channel words, weights.

    A product is dispatched as soon as it comes; operands go into the rings as far as those have room. LOAD and NORM are
    dispatched when their residual columns or affine constants are written; these have room for one NORM, so they wait
    for the one before. Weights that stand in activation memory come from :class:`ActLoader`. The code table is loaded
    when all its users are done, and used by products and softmax not at the same time.

    *Handshake*: rules 1 to 4 on the streams. ``start`` is 1 for one cycle and ``command`` holds until ``complete``
    is 1 for one cycle; the next ``start`` may come in the cycle after it.

    Members
    -------
    command : COMMAND, in
    start, complete : 1, in and out
    i : stream of unsigned(model_bits), in
    done : unsigned(16), in
        Commands whose results are all written.
    o_product : stream of PRODUCT_COMMAND, out
        MATMUL.
    o_row : stream of ROW_COMMAND, out
        Everything else, and each MATMUL that makes softmax codes as well.
    weights, channels : streams to the rings, out
    table : stream of unsigned(8), out
        Entries for the code table.
    residual : write port of residual memory, for LOAD
    affine : write port of the affine constants, for NORM
    want, read : 1 and read port of activation memory, see :class:`ActLoader`, out
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(COMMAND), "start": In(1), "complete": Out(1), "i": In(stream.Signature(spec.model_bits)),
            "done": In(FIELD_BITS),
            "o_product": Out(stream.Signature(PRODUCT_COMMAND)), "o_row": Out(stream.Signature(ROW_COMMAND)),
            "weights": Out(stream.Signature(weight_word(spec))),
            "channels": Out(stream.Signature(channel_group(spec))),
            "table": Out(stream.Signature(TABLE_ENTRY_BITS)),
            "residual": Out(residual_write(spec)), "affine": Out(affine_write(spec)),
            "want": Out(1), "read": Out(activation_read(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, command = self.spec, self.command
        take = self.i.valid & self.i.ready
        most = max(1 << spec.index_bits, spec.residual_words, spec.max_embed, spec.weight_words, spec.channel_words)
        m.submodules.loader = loader = ActLoader(self.spec)
        m.submodules.assembler = assembler = Assembler(self.spec)
        part, left = Signal.like(assembler.count), Signal(range(most + 1))
        groups = Signal(field_bits(spec, "groups", Opcode.LOAD))  # of LOAD: begun
        address = Signal(FIELD_BITS)  # of the next columns, or constants
        sets = Signal(field_bits(spec, "sets", Opcode.MATMUL))  # of a product: left
        set_base = Signal(FIELD_BITS)  # its address in activation memory
        # The last command that uses the present table, and whether it is for softmax codes; the last NORM.
        table_user, table_softmax, norm = Signal(FIELD_BITS), Signal(), Signal(FIELD_BITS)
        near = Signal()  # few enough commands are begun and not complete, for as long as this one is not dispatched
        is_softmax = target(command) == Target.SOFTMAX
        m.d.sync += near.eq(command.index - self.done <= outstanding(spec))
        other_user = flag(command, Flag.TABLE) & (is_softmax != table_softmax)
        position = Signal(range(channel_group(self.spec).length))  # of a key bias in its word of the ring
        completes = position == channel_group(self.spec).length - 1
        join(m, loader.read, wiring.flipped(self.read))
        m.d.comb += [
            loader.command.eq(command), loader.set_base.eq(set_base), self.want.eq(loader.want),
            *dispatch(spec, self.o_product.payload, command, Opcode.MATMUL),
            *dispatch(spec, self.o_row.payload, command, Opcode.LOAD, Opcode.INPUT, Opcode.NORM, Opcode.MATMUL),
            assembler.word.eq(self.i.payload), assembler.take.eq(take), assembler.count.eq(part),
            self.residual.address.eq(address), self.residual.data.eq(assembler.residual),
            self.affine.address.eq(address), self.affine.data.eq(assembler.affine),
            self.channels.payload.eq(assembler.channels), self.weights.payload.eq(assembler.weight),
            self.table.payload.eq(assembler.entry),
            # In any state: the loader offers nothing but in its own.
            loader.weights.ready.eq(self.weights.ready), loader.channels.ready.eq(self.channels.ready | ~completes),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    groups.eq(0), address.eq(command.dst_base), sets.eq(command.sets), set_base.eq(command.w_base),
                ]
                with m.If(self.start):
                    with m.Switch(opcode(command)):
                        with m.Case(Opcode.LOAD):
                            m.next = "LOAD GROUP"
                        with m.Case(Opcode.NORM):
                            m.next = "AFFINE WAIT"
                        with m.Case(Opcode.MATMUL):
                            m.next = "PRODUCT"
                            with m.If(is_softmax):
                                m.next = "ROWS"
                        with m.Default():
                            m.next = "ROWS"
            with m.State("ROWS"):
                m.d.comb += self.o_row.valid.eq(near)
                with m.If(near & self.o_row.ready):
                    m.next = "PRODUCT"
                    with m.If(opcode(command) != Opcode.MATMUL):
                        m.d.comb += self.complete.eq(1)
                        m.next = "IDLE"
            with m.State("PRODUCT"):
                m.d.comb += self.o_product.valid.eq(near)
                with m.If(near & self.o_product.ready):
                    m.next = "SET"
                    with m.If(flag(command, Flag.NEW_TABLE) | other_user):
                        m.next = "TABLE WAIT"
                    with m.Elif(flag(command, Flag.TABLE)):
                        m.d.sync += table_user.eq(command.index)
            self._load(m, take, assembler, part, left, groups, address)
            self._affine(m, take, assembler, part, left, address, norm)
            with m.State("TABLE WAIT"):
                m.d.sync += left.eq(1 << self.spec.index_bits)
                with m.If(self._is_complete(table_user)):
                    m.d.sync += [table_user.eq(command.index), table_softmax.eq(is_softmax)]
                    m.next = "SET"
                    with m.If(flag(command, Flag.NEW_TABLE)):
                        m.next = "TABLE"
            self._table(m, assembler, part, left)
            self._sets(m, take, assembler, part, left, sets)
            self._act(m, loader, set_base, position, completes)
        return m

    def _is_complete(self, index):
        return is_complete(self.spec, self.done, index)

    @staticmethod
    @contextmanager
    def _final(m, take, completes, part, left):
        """Count model words that are taken and operand words that they complete; the block is for the final one."""
        with m.If(take):
            m.d.sync += part.eq(part + 1)
            with m.If(completes):
                m.d.sync += [part.eq(0), left.eq(left - 1)]
                with m.If(left == 1):
                    yield

    def _load(self, m, take, assembler, part, left, groups, address):
        """LOAD: ``groups`` times ``columns`` residual columns, from the address ``dst_base`` on."""
        command = self.command
        with m.State("LOAD GROUP"):
            m.d.sync += left.eq(command.columns >> exact_log2(self.spec.drain_cols))
            with m.If(groups == command.groups):
                m.next = "ROWS"
            with m.Elif(self._is_complete(command.a_wait)):
                m.d.sync += groups.eq(groups + 1)
                m.next = "LOAD"
        with m.State("LOAD"):
            m.d.comb += [self.i.ready.eq(1), self.residual.en.eq(take & assembler.residual_last)]
            m.d.sync += address.eq(address + Mux(self.residual.en, self.spec.drain_cols, 0))
            with self._final(m, take, assembler.residual_last, part, left):
                m.next = "LOAD GROUP"

    def _affine(self, m, take, assembler, part, left, address, norm):
        """NORM: ``columns`` affine constants, several to an address where a model word has several."""
        command = self.command
        together = affine_group(self.spec).length
        with m.State("AFFINE WAIT"):
            m.d.sync += [address.eq(0), left.eq((command.columns + together - 1) >> exact_log2(together))]
            with m.If(self._is_complete(norm)):
                m.d.sync += norm.eq(command.index)
                m.next = "AFFINE"
        with m.State("AFFINE"):
            m.d.comb += [self.i.ready.eq(1), self.affine.en.eq(take & assembler.affine_last)]
            m.d.sync += address.eq(address + self.affine.en)
            with self._final(m, take, assembler.affine_last, part, left):
                m.next = "ROWS"

    def _table(self, m, assembler, part, left):
        """Entries of the code table, one per cycle."""
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

    def _sets(self, m, take, assembler, part, left, sets):
        """For each set of a product its channel words and weights, from the stream or from activation memory."""
        command = self.command
        weights_act, key_bias = flag(command, Flag.WEIGHTS_ACT), flag(command, Flag.KEY_BIAS)
        together = channel_group(self.spec).length
        with m.State("SET"):
            m.d.sync += left.eq(command.set_tiles << exact_log2(self.spec.cols) - exact_log2(together))
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
                self.channels.valid.eq(self.i.valid & assembler.channels_last),
                self.i.ready.eq(self.channels.ready | ~assembler.channels_last),
            ]
            with self._final(m, take, assembler.channels_last, part, left):
                m.d.sync += left.eq(command.set_words)
                m.next = "WEIGHTS"
                with m.If(weights_act):
                    m.next = "ACT WAIT"
        with m.State("WEIGHTS"):
            m.d.comb += [
                self.weights.valid.eq(self.i.valid & assembler.weight_last),
                self.i.ready.eq(self.weights.ready | ~assembler.weight_last),
            ]
            with self._final(m, take, assembler.weight_last, part, left):
                m.next = "SET"

    def _act(self, m, loader, set_base, position, completes):
        """One set of weights from activation memory; key biases are collected until a word of the ring is complete."""
        command = self.command
        together = channel_group(self.spec).length
        before = [Signal(CHANNEL, name=f"before_{k}", reset_less=True) for k in range(together - 1)]
        with m.State("ACT WAIT"):
            with m.If(self._is_complete(command.w_wait)):
                m.d.comb += loader.start.eq(1)
                m.next = "ACT"
        with m.State("ACT"):
            m.d.comb += [
                self.weights.payload.eq(loader.weights.payload), self.weights.valid.eq(loader.weights.valid),
            ]
            with m.If(flag(command, Flag.KEY_BIAS)):
                m.d.comb += [
                    self.channels.valid.eq(loader.channels.valid & completes),
                    *(self.channels.payload[k].eq(word)
                      for k, word in enumerate([*before, loader.channels.payload])),
                ]
            with m.If(loader.channels.valid & loader.channels.ready):
                m.d.sync += position.eq(position + 1)
                for k, word in enumerate(before):
                    with m.If(position == k):
                        m.d.sync += word.eq(loader.channels.payload)
            with m.If(loader.done):
                m.d.sync += set_base.eq(set_base + command.w_set_stride)
                m.next = "SET"
