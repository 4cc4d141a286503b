"""Reads and checks the model stream: header, command blocks, check words, length."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import crc, data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import (
    FIELD_BITS,
    LIMIT_MAX,
    MAGIC,
    VERSION,
    VERSION_BITS,
    ErrorCode,
    Flag,
    Opcode,
)

from .command_check import is_malformed, is_too_large
from .layouts import COMMAND, HEADER, flag, model_word, opcode

__all__ = ["CommandReader"]


class CommandReader(wiring.Component):
    """One checked command after the other, with the words behind it as its operands.

    The format is in :mod:`vitric.golden.spec.command`. A command is read and checked; then ``start`` is 1 for one
    cycle, ``command`` holds, and the words of the stream leave by ``operands`` until ``complete``, in the cycle of
    the last one or later. At END it waits until every command has written its results. With ``spec.command_queue`` 0
    it does so behind each command, and ``command`` holds until then.

    *Handshake*: rules 1 to 4 on the streams; ``operands`` passes a word on in the cycle in which it is offered.
    ``error_valid`` is 1, from then on, with the code of the first error found; the component then waits to be reset.

    Members
    -------
    i : stream of model_word(spec), in
    done : unsigned(16), in
        Commands whose results are all written.
    command : COMMAND, out
    start : 1, out
    operands : stream of unsigned(model_bits), out
    complete : 1, in
        The present command needs no more words.
    limit : 5, out
        Binary logarithm of the cycles that the stream may take; before its header is checked, the largest.
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
            "command": Out(COMMAND), "start": Out(1),
            "operands": Out(stream.Signature(spec.model_bits)), "complete": In(1),
            "limit": Out(range(LIMIT_MAX + 1), init=LIMIT_MAX), "finished": Out(1),
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

        # A block is shifted in from the top, so that its last word ends up highest. While it is, `i.ready` is 1, and
        # `i.valid` says that a word is taken: no path leads from `operands.ready` to the block.
        header_words = -(-HEADER.size // spec.model_bits)
        command_words = -(-COMMAND.size // spec.model_bits)
        block = Signal(command_words * spec.model_bits, reset_less=True)
        header = data.View(HEADER, block[-header_words * spec.model_bits:][:HEADER.size])
        count = Signal(range(command_words + 1))
        remaining = Signal(32)  # model words of the stream after the present one, plus one
        commands = Signal(FIELD_BITS)
        malformed, too_large, has_table = Signal(), Signal(), Signal()
        version, limit = header.version[:VERSION_BITS], header.version[VERSION_BITS:]
        is_final = Signal()
        command = self.command
        m.d.comb += [
            command.eq(data.View(COMMAND, block[:COMMAND.size])), self.operands.payload.eq(word),
            is_final.eq(remaining == 1),
        ]
        with m.If(take):
            m.d.sync += remaining.eq(remaining - 1)

        def fail(code: ErrorCode):
            m.d.sync += [self.error.eq(code), self.error_valid.eq(1)]
            m.next = "ERROR"

        def shift_block():
            m.d.sync += [block.eq(Cat(block, word)[spec.model_bits:]), count.eq(count + 1)]

        with m.FSM() as fsm:
            with m.State("HEADER"):
                m.d.comb += [self.i.ready.eq(1), check.start.eq(count == 0)]
                with m.If(self.i.valid):
                    shift_block()
                    with m.If(self.i.p.last):
                        fail(ErrorCode.BAD_LENGTH)
                    with m.Elif(count == header_words - 1):
                        m.next = "HEADER CHECK"
            with m.State("HEADER CHECK"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += count.eq(0)
                with m.If(self.i.valid):
                    m.d.sync += remaining.eq(Cat(header.words_low, header.words_high) - (header_words + 1))
                    m.d.sync += [commands.eq(header.commands), self.limit.eq(limit)]
                    with m.If(Cat(header.magic_low, header.magic_high) != MAGIC):
                        fail(ErrorCode.BAD_MAGIC)
                    with m.Elif(word[:32] != check.crc):
                        fail(ErrorCode.BAD_CRC)
                    with m.Elif((version != VERSION) | (limit > LIMIT_MAX)):
                        fail(ErrorCode.BAD_VERSION)
                    with m.Elif(Cat(header.spec_low, header.spec_high) != spec.hash):
                        fail(ErrorCode.BAD_SPEC)
                    with m.Elif(self.i.p.last):
                        fail(ErrorCode.BAD_LENGTH)
                    with m.Else():
                        m.next = "COMMAND"
            with m.State("COMMAND"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    shift_block()
                    with m.If(count == command_words - 1):
                        m.d.sync += [count.eq(0), self.index.eq(self.index + 1)]
                        m.next = "COMMAND CHECK"
            with m.State("COMMAND CHECK"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    with m.If(word[:32] != check.crc):
                        fail(ErrorCode.BAD_CRC)
                    with m.Elif((opcode(command) == Opcode.END) & ~self.i.p.last):
                        fail(ErrorCode.BAD_LENGTH)
                    with m.Else():
                        m.next = "VALIDATE"
            with m.State("VALIDATE"):
                m.d.sync += [
                    malformed.eq(is_malformed(command, self.index, commands, has_table, spec)),
                    too_large.eq(is_too_large(command, spec)),
                ]
                m.next = "ACCEPT"
            with m.State("ACCEPT"):
                with m.If(too_large):
                    fail(ErrorCode.CAPACITY)
                with m.Elif(malformed):
                    fail(ErrorCode.BAD_COMMAND)
                with m.Elif(opcode(command) == Opcode.END):
                    m.next = "FINISH"
                with m.Else():
                    m.d.comb += self.start.eq(1)
                    m.d.sync += has_table.eq(has_table | flag(command, Flag.NEW_TABLE))
                    m.next = "OPERANDS"
            with m.State("OPERANDS"):
                m.d.comb += [self.operands.valid.eq(self.i.valid), self.i.ready.eq(self.operands.ready)]
                with m.If(self.complete):
                    m.next = "COMMAND" if spec.command_queue else "RESULTS"
            with m.State("RESULTS"):  # the block holds for the engines, which have no registers for it
                with m.If(self.done == self.index):
                    m.next = "COMMAND"
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
