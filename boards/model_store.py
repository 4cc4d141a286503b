"""The model stream in block RAM: one bank in use, one to load the next model into."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import crc, data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.hdl.accelerator.layouts import model_word
from vitric.hdl.stream_width import Narrow
from vitric.hdl.streams import Queue, StreamBuffer, connect

from .link import crc32c

__all__ = ["COMMIT", "ModelStore", "model_bytes", "usual_capacity"]

COMMIT = data.StructLayout({"words": 32, "crc": 32})
"""Length in model words and CRC-32C of a model that was written."""

_READ_AHEAD = 8
"""Words asked for but not sent: at least the cycles from asking for one to knowing that it has left."""


def usual_capacity(words: int) -> int:
    """Return the capacity of a store for a model of so many words, unless chosen otherwise: a multiple of 2048."""
    return -(-words // 2048) * 2048


def model_bytes(words: Sequence[int], model_bits: int) -> bytes:
    """Return model words as the bytes of a model file."""
    return b"".join(word.to_bytes(model_bits // 8, "little") for word in words)


class ModelStore(wiring.Component):
    """Two banks of ``capacity`` model words; stream the one in use, fill and check the other.

    ``start`` streams the model in use once at ``o``, ``last`` on its final word. ``write`` puts a word into the other
    bank. ``commit`` reads that bank back: if the CRC-32C of its first ``words`` words is ``crc`` the banks change
    roles and ``result`` is 1, else nothing changes and ``result`` is 0; ``commit`` is taken with ``result``. So the
    model in use is never touched, and what was checked is what the memory holds. A ``words`` of 0 or beyond
    ``capacity`` gives ``result`` 0 at once.

    *Handshake*: ``write`` is always ready; addresses beyond ``capacity`` are passed over. ``o``, ``commit`` and
    ``result`` obey rules 1 to 4 of :mod:`vitric.hdl.streams`. ``start`` is accepted only while ``idle`` and must not
    come together with ``commit.valid``; write only while ``idle``.

    *Latency*: 5 cycles from ``start`` to the first word; a commit takes about ``words * model_bits / 8`` cycles.
    *Interval*: 1 cycle a word.

    A reset ends what is being done, and leaves the model in use as it is.

    The banks lie in one memory, which is not read while it is written, so that it needs no collision logic.

    Parameters
    ----------
    spec : AcceleratorSpec
        Gives the model word.
    init : sequence of int
        Words of the model in use after configuration; empty for none.
    capacity : int
        Words of one bank, 1 to 2**20; at least those of ``init``.

    Members
    -------
    start : 1, in
    o : stream of model_word(spec), out
    write : stream of {address: 32, data: model_bits}, in, always ready
    commit : stream of COMMIT, in
    result : stream of 1, out
    words : 32, out
        Length of the model in use, 0 if there is none.
    crc : 32, out
        CRC-32C of all its bytes.
    idle : 1, out
    """

    latency = 5
    interval = 1

    def __init__(self, spec: AcceleratorSpec, *, init: Sequence[int], capacity: int):
        check_int("capacity", capacity, 1, 1 << 20)
        if len(init) > capacity:
            raise ValueError(f"capacity must be at least the {len(init)} words of the model, not {capacity}")
        self.spec = spec
        self.init = tuple(init)
        self.capacity = capacity
        super().__init__({
            "start": In(1),
            "o": Out(stream.Signature(model_word(spec))),
            "write": In(stream.Signature(data.StructLayout({"address": 32, "data": spec.model_bits}),
                                         always_ready=True)),
            "commit": In(stream.Signature(COMMIT)),
            "result": Out(stream.Signature(1)),
            "words": Out(32),
            "crc": Out(32),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, capacity = self.spec, self.capacity
        m.submodules.memory = memory = Memory(shape=spec.model_bits, depth=2 * capacity, init=self.init)
        write, read = memory.write_port(), memory.read_port()
        m.submodules.queue = queue = Queue(model_word(spec), depth=_READ_AHEAD, buffered=False)
        m.submodules.output = output = StreamBuffer(model_word(spec))
        m.submodules.to_bytes = to_bytes = Narrow(8, ratio=spec.model_bits // 8)
        m.submodules.crc = check = crc.catalog.CRC32_ISCSI(data_width=8).create()
        # The model in use outlives a reset.
        bank = Signal(reset_less=True)
        words_in_use = Signal(32, init=len(self.init), reset_less=True)
        crc_in_use = Signal(32, init=crc32c(model_bytes(self.init, spec.model_bits)), reset_less=True)
        m.d.comb += [self.words.eq(words_in_use), self.crc.eq(crc_in_use)]
        connect(m, output.o, wiring.flipped(self.o))

        word = self.write.p
        m.d.sync += [
            write.en.eq(self.write.valid & (word.address < capacity)),
            write.addr.eq(word.address[:ceil_log2(capacity + 1)] + Mux(bank, 0, capacity)),
            write.data.eq(word.data),
        ]

        # The memory is spread over the part, so its address and its data have registers of their own. A word is
        # asked for when the queue has room for it and for all that are on their way.
        address = Signal(range(2 * capacity))
        left = Signal(range(capacity + 1))  # words that have not been asked for
        room = Signal(range(_READ_AHEAD + 1), init=_READ_AHEAD)
        ask, checking = Signal(), Signal()
        asked, arrived = Signal(2), Signal(2)  # valid, last
        read_data = Signal(spec.model_bits)
        m.d.comb += [
            ask.eq((left != 0) & (room != 0)),
            read.en.eq(1), read.addr.eq(address),
            queue.i.valid.eq(arrived[0]), queue.i.p.data.eq(read_data), queue.i.p.last.eq(arrived[1]),
            output.i.payload.eq(queue.o.payload), to_bytes.i.payload.as_value().eq(queue.o.p.data),
            output.i.valid.eq(queue.o.valid & ~checking), to_bytes.i.valid.eq(queue.o.valid & checking),
            queue.o.ready.eq(Mux(checking, to_bytes.i.ready, output.i.ready)),
            to_bytes.o.ready.eq(1), check.valid.eq(to_bytes.o.valid), check.data.eq(to_bytes.o.payload),
        ]
        m.d.sync += [
            asked.eq(Cat(ask, left == 1)), arrived.eq(asked), read_data.eq(read.data),
            address.eq(address + ask), left.eq(left - ask),
            room.eq(room - ask + (queue.o.valid & queue.o.ready)),
        ]
        ended = (left == 0) & (room == _READ_AHEAD)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), check.start.eq(1)]
                m.d.sync += [self.result.payload.eq(0), checking.eq(0)]
                with m.If(self.commit.valid):
                    m.d.sync += [address.eq(Mux(bank, 0, capacity)), checking.eq(1)]
                    m.next = "ANSWER"
                    with m.If((self.commit.p.words != 0) & (self.commit.p.words <= capacity)):
                        m.d.sync += left.eq(self.commit.p.words)
                        m.next = "CHECK"
                with m.Elif(self.start):
                    m.d.sync += [address.eq(Mux(bank, capacity, 0)), left.eq(self.words)]
                    m.next = "STREAM"
            with m.State("STREAM"):
                with m.If(ended & ~self.o.valid):
                    m.next = "IDLE"
            with m.State("CHECK"):
                with m.If(ended & ~to_bytes.o.valid):
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
