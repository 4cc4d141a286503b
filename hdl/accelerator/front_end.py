"""Reads the model stream: checks it, decodes commands and routes their operands."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import crc, data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, MAGIC, TABLE_ENTRY_BITS, VERSION, ErrorCode, Flag, Opcode

from .act_loader import ActLoader
from .assembler import Assembler
from .command_check import is_malformed, is_too_large
from .layouts import CHANNEL, COMMAND, HEADER, act_word, flag, model_word, opcode, residual_column, weight_word

__all__ = ["FrontEnd"]


class FrontEnd(wiring.Component):
    """The only reader of the model stream; its format is in :mod:`vitric.golden.spec.command`.

    It runs ahead of the engines: a command is dispatched to them as soon as it is read, and its operands go into
    the rings as far as those have room. It stops at END until every command has written its results.

    *Handshake*: rules 1 to 4 on the streams. ``command`` delivers each command once. ``error_valid`` is 1, from
    then on, with the code of the first error found; the component then waits to be reset.

    Members
    -------
    i : stream of model_word(spec), in
    done : unsigned(16), in
        Commands whose results are all written.
    command : stream of COMMAND, out
    weights, channels : streams to the rings, out
    table : stream of unsigned(8), out
        Entries for the code table.
    residual_en, residual_address, residual_data : write port of residual memory for LOAD, out
    read_request, read_grant, read_address, read_data : read port of activation memory
    finished : 1, out
        END is checked and every command is complete; held until the component is reset.
    error_valid, error : out
    index : unsigned(16), out
        Command being read, for the status.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(model_word(spec))),
            "done": In(FIELD_BITS),
            "command": Out(stream.Signature(COMMAND)),
            "weights": Out(stream.Signature(weight_word(spec))),
            "channels": Out(stream.Signature(CHANNEL)),
            "table": Out(stream.Signature(TABLE_ENTRY_BITS)),
            "residual_en": Out(1), "residual_address": Out(ceil_log2(spec.residual_words)),
            "residual_data": Out(residual_column(spec)),
            "read_request": Out(1), "read_grant": In(1), "read_address": Out(FIELD_BITS),
            "read_data": In(act_word(spec)),
            "finished": Out(1),
            "error_valid": Out(1), "error": Out(8), "index": Out(FIELD_BITS),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        take = self.i.valid & self.i.ready
        word = self.i.p.data

        # CRC of all words taken so far, a check word being compared before it is taken itself.
        m.submodules.crc = check = crc.catalog.CRC32_ISO_HDLC(data_width=spec.model_bits).create()
        m.d.comb += [check.valid.eq(take), check.data.eq(word)]

        # A block is shifted in from the top, so that its last word ends up highest.
        header_words = -(-HEADER.size // spec.model_bits)
        command_words = -(-COMMAND.size // spec.model_bits)
        block = Signal(command_words * spec.model_bits)
        header = data.View(HEADER, block[-header_words * spec.model_bits:][:HEADER.size])
        command = data.View(COMMAND, block[:COMMAND.size])
        count = Signal(range(command_words + 1))
        remaining = Signal(32)  # model words of the stream after the present one, plus one
        commands = Signal(FIELD_BITS)
        malformed, too_large = Signal(), Signal()
        table_index = Signal(FIELD_BITS)  # the last command that uses the present table
        is_final = Signal()
        m.d.comb += is_final.eq(remaining == 1)
        with m.If(take):
            m.d.sync += remaining.eq(remaining - 1)

        def fail(code: ErrorCode):
            m.d.sync += [self.error.eq(code), self.error_valid.eq(1)]
            m.next = "ERROR"

        def shift_block():
            m.d.sync += [block.eq(Cat(block, word)[spec.model_bits:]), count.eq(count + 1)]

        m.submodules.loader = loader = ActLoader(spec)
        m.submodules.assembler = assembler = Assembler(spec)
        sets, tiles = Signal(FIELD_BITS), Signal(FIELD_BITS)
        set_base = Signal(FIELD_BITS)
        left = Signal(32)
        part = Signal.like(assembler.count)
        residual_address = Signal(FIELD_BITS)
        weights_act, key_bias = flag(command, Flag.WEIGHTS_ACT), flag(command, Flag.KEY_BIAS)
        m.d.comb += [
            loader.command.eq(command), loader.set_base.eq(set_base),
            self.read_request.eq(loader.read_request), loader.read_grant.eq(self.read_grant),
            self.read_address.eq(loader.read_address), loader.read_data.eq(self.read_data),
            self.command.payload.eq(command), assembler.word.eq(word),
            assembler.take.eq(take), assembler.count.eq(part), self.residual_address.eq(residual_address),
            self.residual_data.eq(assembler.residual), self.channels.payload.eq(assembler.channel),
            self.weights.payload.eq(assembler.weight), self.table.payload.eq(assembler.entry),
        ]

        with m.FSM() as fsm:
            with m.State("HEADER"):
                m.d.comb += [self.i.ready.eq(1), check.start.eq(count == 0)]
                with m.If(take):
                    shift_block()
                    with m.If(self.i.p.last):
                        fail(ErrorCode.BAD_LENGTH)
                    with m.Elif(count == header_words - 1):
                        m.next = "HEADER CHECK"
            with m.State("HEADER CHECK"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += count.eq(0)
                with m.If(take):
                    m.d.sync += remaining.eq(Cat(header.words_low, header.words_high) - (header_words + 1))
                    m.d.sync += commands.eq(header.commands)
                    with m.If(Cat(header.magic_low, header.magic_high) != MAGIC):
                        fail(ErrorCode.BAD_MAGIC)
                    with m.Elif(word[:32] != check.crc):
                        fail(ErrorCode.BAD_CRC)
                    with m.Elif(header.version != VERSION):
                        fail(ErrorCode.BAD_VERSION)
                    with m.Elif(Cat(header.spec_low, header.spec_high) != spec.hash):
                        fail(ErrorCode.BAD_SPEC)
                    with m.Elif(self.i.p.last):
                        fail(ErrorCode.BAD_LENGTH)
                    with m.Else():
                        m.next = "COMMAND"
            with m.State("COMMAND"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(take):
                    shift_block()
                    with m.If(count == command_words - 1):
                        m.d.sync += [count.eq(0), self.index.eq(self.index + 1)]
                        m.next = "COMMAND CHECK"
            with m.State("COMMAND CHECK"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(take):
                    with m.If(word[:32] != check.crc):
                        fail(ErrorCode.BAD_CRC)
                    with m.Elif((opcode(command) == Opcode.END) & ~self.i.p.last):
                        fail(ErrorCode.BAD_LENGTH)
                    with m.Else():
                        m.next = "VALIDATE"
            with m.State("VALIDATE"):
                m.d.sync += [
                    sets.eq(command.sets), tiles.eq(0), set_base.eq(command.w_base),
                    residual_address.eq(command.dst_base),
                    malformed.eq(is_malformed(command, self.index, commands)),
                    too_large.eq(is_too_large(command, spec)),
                ]
                m.next = "ACCEPT"
            with m.State("ACCEPT"):
                with m.If(malformed):
                    fail(ErrorCode.BAD_COMMAND)
                with m.Elif(too_large):
                    fail(ErrorCode.CAPACITY)
                with m.Else():
                    with m.Switch(opcode(command)):
                        with m.Case(Opcode.END):
                            m.next = "FINISH"
                        with m.Case(Opcode.LOAD):
                            m.next = "LOAD GROUP"
                        with m.Default():
                            m.next = "DISPATCH"
            with m.State("DISPATCH"):
                m.d.comb += self.command.valid.eq(1)
                with m.If(self.command.ready):
                    with m.Switch(opcode(command)):
                        with m.Case(Opcode.MATMUL):
                            m.next = "SET"
                            with m.If(flag(command, Flag.NEW_TABLE)):
                                m.next = "TABLE WAIT"
                            with m.Elif(flag(command, Flag.TABLE)):
                                m.d.sync += table_index.eq(command.index)
                        with m.Case(Opcode.NORM):
                            m.d.sync += left.eq(command.columns)
                            m.next = "CHANNELS"
                        with m.Default():
                            m.next = "COMMAND"

            # LOAD: `groups` times `columns` residual words, from the address dst_base on.
            with m.State("LOAD GROUP"):
                m.d.sync += left.eq(command.columns)
                with m.If(tiles == command.groups):
                    m.next = "DISPATCH"
                with m.Elif(self.done >= command.a_wait):
                    m.d.sync += tiles.eq(tiles + 1)
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += [self.i.ready.eq(1), self.residual_en.eq(take & assembler.residual_last)]
                with m.If(take):
                    m.d.sync += part.eq(part + 1)
                    with m.If(assembler.residual_last):
                        m.d.sync += [part.eq(0), left.eq(left - 1), residual_address.eq(residual_address + 1)]
                        with m.If(left == 1):
                            m.next = "LOAD GROUP"
                        with m.If(residual_address >= spec.residual_words):
                            fail(ErrorCode.CAPACITY)

            # Code table: only once no command uses the present one any more.
            with m.State("TABLE WAIT"):
                m.d.sync += left.eq(1 << spec.index_bits)
                with m.If(self.done >= table_index):
                    m.d.sync += table_index.eq(command.index)
                    m.next = "TABLE"
            with m.State("TABLE"):
                m.d.comb += [
                    self.table.valid.eq(self.i.valid),
                    self.i.ready.eq(self.table.ready & assembler.entry_last),
                ]
                with m.If(self.table.valid & self.table.ready):
                    m.d.sync += [left.eq(left - 1), part.eq(part + 1)]
                    with m.If(assembler.entry_last):
                        m.d.sync += part.eq(0)
                    with m.If(left == 1):
                        m.next = "SET"

            with m.State("SET"):
                m.d.sync += left.eq(command.set_tiles << (spec.cols.bit_length() - 1))
                m.d.sync += sets.eq(sets - 1)
                with m.If(sets == 0):
                    m.next = "COMMAND"
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
                                m.next = "COMMAND"
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
                        self.channels.payload.eq(loader.channels.payload),
                        self.channels.valid.eq(loader.channels.valid),
                        loader.channels.ready.eq(self.channels.ready),
                    ]
                with m.If(loader.done):
                    m.d.sync += set_base.eq(set_base + command.w_set_stride)
                    m.next = "SET"

            with m.State("FINISH"):
                with m.If(self.done == commands - 1):
                    m.next = "FINISHED"
            with m.State("FINISHED"):
                m.d.comb += self.finished.eq(1)
            with m.State("ERROR"):
                pass

        # The length of the stream holds in every state behind the header; END is the only legal end.
        is_end = fsm.ongoing("COMMAND CHECK") & (opcode(command) == Opcode.END)
        behind_header = ~fsm.ongoing("HEADER") & ~fsm.ongoing("HEADER CHECK")
        with m.If(take & behind_header & ((self.i.p.last != is_final) | (self.i.p.last & ~is_end))):
            m.d.sync += [self.error.eq(ErrorCode.BAD_LENGTH), self.error_valid.eq(1)]
        return m
