"""Lines in block RAM, behind the ports that an SDRAM has."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from vitric.golden.spec.check import check_int

from ..streams import Queue, connect
from .layouts import line_layout, write_layout
from .splitter import read_layout

__all__ = ["BlockMemory", "BlockSpec"]

_READ_AHEAD = 8
"""Lines asked for but not sent: at least the cycles from asking for one to knowing that it has left."""


@dataclass(frozen=True, kw_only=True)
class BlockSpec:
    """Size of a :class:`BlockMemory`.

    Parameters
    ----------
    line_bits : int
        Width of a line.
    lines : int
        Number of lines, 2 to 2**24.
    """

    line_bits: int
    lines: int

    def __post_init__(self):
        check_int("lines", self.lines, 2, 1 << 24)

    @property
    def address_bits(self) -> int:
        """Width of the address of a line."""
        return ceil_log2(self.lines)


class BlockMemory(wiring.Component):
    """Read and write block RAM in lines, with the requests of :class:`~vitric.hdl.memory.sdram.Sdram`.

    ``read`` asks for lines from an address on, which come at ``o``, ``last`` with the final one; ``write`` puts one
    line. A read sees all writes that were accepted before it.

    *Handshake*: ``write`` is always ready. ``read`` and ``o`` obey rules 1 to 4 of :mod:`vitric.hdl.streams`; the next
    read is accepted when every line of the one before has been asked for. Do not write lines that a read has yet to
    give: so no address is read and written in one cycle, and the memory needs no logic for that.

    *Latency*: 4 cycles from ``read`` to the first line. *Interval*: 1 cycle a line.

    The memory is spread over the part, so its address and its data have registers of their own.

    Parameters
    ----------
    spec : BlockSpec
    init : sequence of int
        Lines after configuration, from address 0 on.

    Members
    -------
    read : stream of read_layout(spec), in
    write : stream of write_layout(spec), in
    o : stream of line_layout(spec), out
    """

    latency = 4
    interval = 1

    def __init__(self, spec: BlockSpec, *, init: Sequence[int] = ()):
        if len(init) > spec.lines:
            raise ValueError(f"init must have at most {spec.lines} lines, not {len(init)}")
        self.spec = spec
        self.init = tuple(init)
        super().__init__({
            "read": In(stream.Signature(read_layout(spec))), "write": In(stream.Signature(write_layout(spec))),
            "o": Out(stream.Signature(line_layout(spec))),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        m.submodules.memory = memory = Memory(shape=spec.line_bits, depth=spec.lines, init=self.init)
        write, read = memory.write_port(), memory.read_port()
        m.submodules.queue = queue = Queue(line_layout(spec), depth=_READ_AHEAD, buffered=False)
        connect(m, queue.o, wiring.flipped(self.o))
        m.d.comb += self.write.ready.eq(1)
        m.d.sync += [
            write.en.eq(self.write.valid), write.addr.eq(self.write.p.address), write.data.eq(self.write.p.data)]

        # A line is asked for when the queue has room for it and for all that are on their way.
        address = Signal(spec.address_bits)
        left = Signal(spec.address_bits + 1)  # lines that have not been asked for
        room = Signal(range(_READ_AHEAD + 1), init=_READ_AHEAD)
        ask = Signal()
        asked, arrived = Signal(2), Signal(2)  # valid, last
        data = Signal(spec.line_bits)
        m.d.comb += [
            self.read.ready.eq(left == 0), ask.eq((left != 0) & (room != 0)),
            read.en.eq(1), read.addr.eq(address),
            queue.i.valid.eq(arrived[0]), queue.i.p.data.eq(data), queue.i.p.last.eq(arrived[1]),
        ]
        m.d.sync += [
            asked.eq(Cat(ask, left == 1)), arrived.eq(asked), data.eq(read.data),
            address.eq(address + ask), left.eq(left - ask), room.eq(room - ask + (self.o.valid & self.o.ready)),
        ]
        with m.If(self.read.valid & self.read.ready):
            m.d.sync += [address.eq(self.read.p.address), left.eq(self.read.p.lines)]
        return m
