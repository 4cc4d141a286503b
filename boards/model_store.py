"""The model stream in a memory: one bank in use, one to load the next model into."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import crc, data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.accelerator.layouts import model_word
from vitric.hdl.memory.block import BlockSpec
from vitric.hdl.memory.layouts import line_layout, write_layout
from vitric.hdl.memory.splitter import read_layout
from vitric.hdl.stream_width import Narrow
from vitric.hdl.streams import PipelineRegister, StreamBuffer, connect

from .crc import crc32c

__all__ = ["COMMIT", "ModelStore", "WORDS_MAX", "model_bytes", "usual_capacity"]

WORDS_MAX = 1 << 22
"""Longest model that a store can be made for, in model words."""

COMMIT = data.StructLayout({"words": 32, "crc": 32})
"""Length in model words and CRC-32C of a model that was written."""


def usual_capacity(words: int) -> int:
    """Return the capacity of a store for a model of so many words, unless chosen otherwise: a multiple of 2048."""
    return -(-words // 2048) * 2048


def model_bytes(words: Sequence[int], model_bits: int) -> bytes:
    """Return model words as the bytes of a model file."""
    return b"".join(word.to_bytes(model_bits // 8, "little") for word in words)


class ModelStore(wiring.Component):
    """Two banks of ``capacity`` model words in a memory; stream the one in use, fill and check the other.

    The memory is any with the ports of :class:`~vitric.hdl.memory.sdram.Sdram` and lines as wide as a model word:
    that, or block RAM (:class:`~vitric.hdl.memory.block.BlockMemory`). Bank 0 lies at address 0, bank 1 behind it.

    ``start`` streams the model in use once at ``o``, ``last`` on its final word; nothing happens if there is none.
    ``write`` puts a word into the other bank. ``commit`` reads that bank back: if the CRC-32C of its first ``words``
    words is ``crc`` the banks change roles and ``result`` is 1, else nothing changes and ``result`` is 0; ``commit`` is
    taken with ``result``. So the model in use is never touched, and what was checked is what the memory holds. A
    ``words`` of 0 or beyond ``capacity`` gives ``result`` 0 at once.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; ``write`` passes over addresses beyond ``capacity``.
    ``start`` is accepted only while ``idle`` and must not come together with ``commit.valid``; write only while
    ``idle``.

    *Latency*: 2 cycles from ``start`` to the first word and what the memory takes from ``read`` to the first line; a
    commit takes at least ``words * model_bits / 8`` cycles. *Interval*: 1 cycle a word, if the memory gives as many.

    A reset ends what is being done, and leaves the model in use as it is. Do not reset the memory with the store: lines
    that it still gives for a read from before are dropped before anything else is done.

    Parameters
    ----------
    spec : AcceleratorSpec
        Gives the model word.
    memory : BlockSpec or SdramSpec
        What the store lies in.
    capacity : int
        Words of one bank, 1 to :data:`WORDS_MAX`.
    init : sequence of int
        Words of the model in use after configuration, which the memory then holds from address 0 on; empty for none.

    Members
    -------
    start : 1, in
    o : stream of model_word(spec), out
    write : stream of {address: 32, data: model_bits}, in
    commit : stream of COMMIT, in
    result : stream of 1, out
    words : 32, out
        Length of the model in use, 0 if there is none.
    crc : 32, out
        CRC-32C of all its bytes.
    idle : 1, out
    read : stream of read_layout(memory), out
    put : stream of write_layout(memory), out
    line : stream of line_layout(memory), in
        To and from the memory.

    Raises
    ------
    TypeError, ValueError
        ``capacity`` is out of range or below the words of ``init``; the memory's lines have another width, or there are
        too few of them.
    """

    latency = 2
    interval = 1

    def __init__(self, spec: AcceleratorSpec, memory: BlockSpec | SdramSpec, *, capacity: int,
                 init: Sequence[int] = ()):
        check_int("capacity", capacity, 1, WORDS_MAX)
        if len(init) > capacity:
            raise ValueError(f"capacity must be at least the {len(init)} words of the model, not {capacity}")
        if memory.line_bits != spec.model_bits:
            raise ValueError(f"lines of the memory must be as wide as model words, {spec.model_bits} bits, not "
                             f"{memory.line_bits}")
        if memory.lines < 2 * capacity:
            raise ValueError(f"the memory must have two banks of {capacity} lines, not {memory.lines} lines")
        self.spec = spec
        self.memory = memory
        self.capacity = capacity
        self.init = tuple(init)
        super().__init__({
            "start": In(1),
            "o": Out(stream.Signature(model_word(spec))),
            "write": In(stream.Signature(data.StructLayout({"address": 32, "data": spec.model_bits}))),
            "commit": In(stream.Signature(COMMIT)),
            "result": Out(stream.Signature(1)),
            "words": Out(32),
            "crc": Out(32),
            "idle": Out(1),
            "read": Out(stream.Signature(read_layout(memory))),
            "put": Out(stream.Signature(write_layout(memory))),
            "line": In(stream.Signature(line_layout(memory))),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, capacity, line = self.spec, self.capacity, self.line
        m.submodules.output = output = StreamBuffer(model_word(spec))
        m.submodules.written = written = PipelineRegister(write_layout(self.memory))
        m.submodules.to_bytes = to_bytes = Narrow(8, ratio=spec.model_bits // 8)
        m.submodules.crc = check = crc.catalog.CRC32_ISCSI(data_width=8).create()
        bank = Signal(reset_less=True)  # the model in use outlives a reset
        reading = Signal()
        words_in_use = Signal(32, init=len(self.init), reset_less=True)
        crc_in_use = Signal(32, init=crc32c(model_bytes(self.init, spec.model_bits)), reset_less=True)
        m.d.comb += [self.words.eq(words_in_use), self.crc.eq(crc_in_use)]
        connect(m, output.o, wiring.flipped(self.o))

        word, inside = self.write.p, Signal()
        m.d.comb += [
            inside.eq(word.address < capacity), written.i.valid.eq(self.write.valid & inside),
            written.i.p.address.eq(word.address + Mux(bank, 0, capacity)), written.i.p.data.eq(word.data),
            self.write.ready.eq(written.i.ready | ~inside),
        ]
        connect(m, written.o, wiring.flipped(self.put))

        checking = Signal()
        m.d.comb += [
            output.i.p.data.eq(line.p.data), output.i.p.last.eq(line.p.last),
            to_bytes.i.payload.as_value().eq(line.p.data),
            to_bytes.o.ready.eq(1), check.valid.eq(to_bytes.o.valid), check.data.eq(to_bytes.o.payload),
        ]
        with m.If(line.valid & line.ready & line.p.last):
            m.d.sync += reading.eq(0)

        def ask(start_in, words):
            m.d.sync += [self.read.p.address.eq(start_in), self.read.p.lines.eq(words)]
            m.next = "READ"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), check.start.eq(1)]
                m.d.sync += [self.result.payload.eq(0), checking.eq(self.commit.valid)]
                with m.If(self.commit.valid):
                    m.next = "ANSWER"
                    with m.If((self.commit.p.words != 0) & (self.commit.p.words <= capacity)):
                        ask(Mux(bank, 0, capacity), self.commit.p.words)
                with m.Elif(self.start & (self.words != 0)):
                    ask(Mux(bank, capacity, 0), self.words)
            with m.State("READ"):
                m.d.comb += self.read.valid.eq(1)
                m.d.sync += reading.eq(1)
                with m.If(self.read.ready):
                    m.next = "STREAM"
                    with m.If(checking):
                        m.next = "CHECK"
            with m.State("STREAM"):
                m.d.comb += [output.i.valid.eq(line.valid), line.ready.eq(output.i.ready)]
                with m.If(~reading & ~self.o.valid):
                    m.next = "IDLE"
            with m.State("CHECK"):
                m.d.comb += [to_bytes.i.valid.eq(line.valid), line.ready.eq(to_bytes.i.ready)]
                with m.If(~reading & ~to_bytes.o.valid):
                    m.d.sync += self.result.payload.eq(check.crc == self.commit.p.crc)
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.result.valid.eq(1)
                with m.If(self.result.ready):
                    m.d.comb += self.commit.ready.eq(1)
                    with m.If(self.result.payload):
                        m.d.sync += [
                            bank.eq(~bank), words_in_use.eq(self.commit.p.words), crc_in_use.eq(self.commit.p.crc),
                        ]
                    m.next = "IDLE"
        return m
