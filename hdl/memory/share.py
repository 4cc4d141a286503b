"""One memory for several readers, none of whom waits for another, and several writers."""

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_int
from vitric.golden.spec.sdram import SdramSpec

from ..streams import PipelineRegister, Queue, connect
from .block import BlockSpec
from .layouts import line_layout, write_layout
from .splitter import read_layout

__all__ = ["CHUNK", "Share"]

CHUNK = 8
"""Most lines that are asked for at once."""


class Share(wiring.Component):
    """Let several readers read one memory at a time, each as fast as it takes its lines.

    A read is cut into chunks of :data:`CHUNK` lines. Each reader has a queue of its own, and a chunk is asked for only
    when that has room for all of it: so whatever the memory gives can be put away at once, and a reader that takes
    nothing stops none of the others. The readers take turns, chunk by chunk. Of the writers the first has precedence;
    their lines go to the memory in the order in which they are accepted.

    *Handshake*: every stream obeys rules 1 to 4 of :mod:`vitric.hdl.streams`; a reader or writer may withdraw what has
    not been accepted. The next read of a reader is accepted when all of its last one has been asked for. A read has at
    least one line. Towards the memory reads and writes are registers, and its lines are always taken.

    *Latency*: 3 cycles from a read to its first request to the memory, 1 cycle for a line. *Interval*: 1 cycle a line,
    and a request every second cycle.

    Parameters
    ----------
    memory : BlockSpec or SdramSpec
    depths : sequence of int
        Lines of the queue of each reader, :data:`CHUNK` to 1024, in look-up tables. A reader gets every line that the
        memory can give if it is as deep as what is on the way, and a chunk.
    writers : int
        1 to 8.

    Members
    -------
    reads : streams of read_layout(memory), in
    lines : streams of line_layout(memory), out
        ``last`` with the final line of a read.
    writes : streams of write_layout(memory), in
    read : stream of read_layout(memory), out
    write : stream of write_layout(memory), out
    line : stream of line_layout(memory), in
        To and from the memory.

    Raises
    ------
    TypeError, ValueError
        A depth is out of range, or there is none.
    """

    latency = 3

    def __init__(self, memory: BlockSpec | SdramSpec, *, depths: Sequence[int], writers: int = 1):
        check_int("number of readers", len(depths), 1, 8)
        for depth in depths:
            check_int("depth", depth, CHUNK, 1024)
        check_int("writers", writers, 1, 8)
        self.memory = memory
        self.depths = tuple(depths)
        read, line = stream.Signature(read_layout(memory)), stream.Signature(line_layout(memory))
        write = stream.Signature(write_layout(memory))
        super().__init__({
            "reads": In(read).array(len(depths)), "lines": Out(line).array(len(depths)),
            "writes": In(write).array(writers), "read": Out(read), "write": Out(write), "line": In(line),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        self._write(m)
        readers = range(len(self.depths))
        m.submodules.order = order = Queue(
            data.StructLayout({"reader": readers, "last": 1}), depth=sum(self.depths) // CHUNK, buffered=False)
        m.submodules.request = request = PipelineRegister(read_layout(self.memory))
        connect(m, request.o, wiring.flipped(self.read))
        wanted, turn = Signal(len(readers)), Signal(readers)
        address = Array(Signal(self.memory.address_bits, name=f"address_{k}") for k in readers)
        left = Array(Signal(self.memory.address_bits + 1, name=f"left_{k}") for k in readers)
        size = Array(Signal(range(CHUNK + 1), name=f"size_{k}") for k in readers)  # of its next chunk

        asks = Signal()  # a chunk of the reader whose turn it is
        m.d.comb += [
            asks.eq(wanted.bit_select(turn, 1) & request.i.ready & order.i.ready),  # short reads can fill the order
            request.i.valid.eq(asks), request.i.p.address.eq(address[turn]), request.i.p.lines.eq(size[turn]),
            order.i.valid.eq(asks), order.i.p.reader.eq(turn), order.i.p.last.eq(left[turn] == size[turn]),
        ]
        self._take_turns(m, wanted, turn)
        m.d.comb += [
            self.line.ready.eq(1), order.o.ready.eq(self.line.valid & self.line.p.last),
        ]
        for k in readers:
            depth = self.depths[k]
            m.submodules[f"queue_{k}"] = queue = Queue(line_layout(self.memory), depth=depth, buffered=False)
            connect(m, queue.o, wiring.flipped(self.lines[k]))
            mine = self.line.valid & (order.o.p.reader == k)
            chosen = asks & (turn == k)
            room = Signal(range(depth + 1), init=depth, name=f"room_{k}")  # lines neither there nor on their way
            left_queue = Signal(name=f"left_queue_{k}")  # in the cycle before: the path from the reader ends here
            m.d.comb += [
                queue.i.valid.eq(mine), queue.i.p.data.eq(self.line.p.data),
                queue.i.p.last.eq(self.line.p.last & order.o.p.last),
                size[k].eq(Mux(left[k] > CHUNK, CHUNK, left[k])), self.reads[k].ready.eq(left[k] == 0),
            ]
            m.d.sync += [
                left_queue.eq(queue.o.valid & queue.o.ready), room.eq(room - Mux(chosen, size[k], 0) + left_queue),
                wanted[k].eq((left[k] != 0) & (room >= CHUNK) & ~chosen),  # so it ends with each chunk: turns are taken
            ]
            with m.If(chosen):
                m.d.sync += [address[k].eq(address[k] + size[k]), left[k].eq(left[k] - size[k])]
            with m.Elif(self.reads[k].valid & self.reads[k].ready):
                m.d.sync += [address[k].eq(self.reads[k].p.address), left[k].eq(self.reads[k].p.lines)]
        return m

    def _write(self, m):
        """Pass on the first write that is offered."""
        m.submodules.written = written = PipelineRegister(write_layout(self.memory))
        connect(m, written.o, wiring.flipped(self.write))
        offered = Signal(len(self.writes))
        for k, port in reversed(list(enumerate(self.writes))):
            m.d.comb += [offered[k].eq(port.valid), port.ready.eq(written.i.ready & (offered[:k] == 0))]
            with m.If(port.valid):  # the last assignment, to the first port, holds
                m.d.comb += [written.i.valid.eq(1), written.i.payload.eq(port.payload)]

    def _take_turns(self, m, wanted, turn):
        """Move ``turn`` to the next reader that wants something, when the present one wants nothing."""
        count = len(self.depths)
        with m.If(~wanted.bit_select(turn, 1)), m.Switch(turn):
            for k in range(count):
                with m.Case(k):
                    for step in reversed(range(1, count)):
                        with m.If(wanted[(k + step) % count]):
                            m.d.sync += turn.eq((k + step) % count)
