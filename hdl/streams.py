"""Streams between components: the checked connection, registers and queues.

Everything in :mod:`vitric.hdl` exchanges data over :class:`amaranth.lib.stream.Signature` ports under the four
rules of Amaranth's stream chapter, which the rest of this project cites by number:

1. A transfer happens in each cycle in which ``valid`` and ``ready`` are both 1.
2. Once ``valid`` is 1, ``valid`` and ``payload`` hold until the transfer.
3. ``valid`` never waits for ``ready``.
4. ``ready`` may change at any time, also as a combinational function of ``valid``.

``latency`` counts cycles from the cycle of an input transfer to the first cycle in which the result is valid at the
output, without stalls; ``interval`` counts cycles between accepted input beats when nothing stalls.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_int

__all__ = ["TAPS", "DeepQueue", "PipelineRegister", "Queue", "StreamBuffer", "connect"]

TAPS = {
    2: (2, 1), 3: (3, 2), 4: (4, 3), 5: (5, 3), 6: (6, 5), 7: (7, 6), 8: (8, 6, 5, 4), 9: (9, 5), 10: (10, 7),
    11: (11, 9), 12: (12, 6, 4, 1), 13: (13, 4, 3, 1), 14: (14, 5, 3, 1), 15: (15, 14), 16: (16, 15, 13, 4),
}
"""Stages, from 1, whose parity a shift register of so many stages takes in to go through all states but one."""


def _describe(port) -> str:
    return f"{Value.cast(port.payload).name} ({port.payload.shape()!r})"


def connect(m: Module, src, dst) -> None:
    """Connect stream ``src`` to stream ``dst`` in module ``m``; both must carry exactly the same payload shape.

    Amaranth 0.5 compares widths only, so that ``signed(8)`` would drive ``unsigned(8)`` and one layout another of the
    same size. Ports of memories are connected with :func:`vitric.hdl.accelerator.ports.join`, which checks likewise;
    nothing else of the project calls :func:`amaranth.lib.wiring.connect`.

    Parameters
    ----------
    m : Module
        Module that receives the three assignments.
    src : stream interface
        Producer: ``o`` of a submodule, or ``wiring.flipped(self.i)``.
    dst : stream interface
        Consumer: ``i`` of a submodule, or ``wiring.flipped(self.o)``.

    Raises
    ------
    TypeError
        One of the two is not a stream, or not on its side of the connection.
    ValueError
        The payload shapes differ in width, signedness or layout; the message names both.
    amaranth.lib.wiring.ConnectionError
        One side relies on ``always_valid`` or ``always_ready`` and the other does not provide it.
    """
    # isinstance() is true for a flipped signature too, and would not tell the two sides apart.
    if type(getattr(src, "signature", None)) is not stream.Signature:
        raise TypeError(f"src must be a stream that produces, not {src!r}")
    if not hasattr(dst, "signature") or type(dst.signature.flip()) is not stream.Signature:
        raise TypeError(f"dst must be a stream that consumes, not {dst!r}")
    if src.payload.shape() != dst.payload.shape():
        raise ValueError(f"payload of {_describe(src)} and payload of {_describe(dst)} must have the same shape")
    wiring.connect(m, src=src, dst=dst)


class PipelineRegister(wiring.Component):
    """One register stage on ``payload`` and ``valid``; ``ready`` stays combinational.

    *Handshake*: rules 1 to 4; ``i.ready = o.ready | ~o.valid``, so a stall passes through in the same cycle. Use it
    to cut the forward path; use :class:`StreamBuffer` where the path of ``ready`` must be cut as well.

    *Latency* 1 cycle, *interval* 1 cycle. Costs one flip-flop per payload bit.

    Parameters
    ----------
    shape : shape-like
        Shape of the payload.

    Members
    -------
    i : stream of ``shape``, in
    o : stream of ``shape``, out
    """

    latency = 1
    interval = 1

    def __init__(self, shape):
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        payload = Signal(self.shape, reset_less=True)
        m.d.comb += [
            self.o.payload.eq(payload),
            self.i.ready.eq(self.o.ready | ~self.o.valid),
        ]
        with m.If(self.i.ready):
            m.d.sync += [payload.eq(self.i.payload), self.o.valid.eq(self.i.valid)]
        return m


class StreamBuffer(wiring.Component):
    """Two-entry buffer that registers ``payload``, ``valid`` and ``ready``: it cuts both paths at full throughput.

    *Handshake*: rules 1 to 4; ``i.ready`` is a register. When the output stalls, the beat that arrives in that cycle
    goes to a second ("skid") register and ``i.ready`` falls one cycle later.

    *Latency* 1 cycle, *interval* 1 cycle. Costs two flip-flops and a multiplexer per payload bit.

    Parameters
    ----------
    shape : shape-like
        Shape of the payload.

    Members
    -------
    i : stream of ``shape``, in
    o : stream of ``shape``, out
    """

    latency = 1
    interval = 1

    def __init__(self, shape):
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        payload = Signal(self.shape, reset_less=True)
        skid = Signal(self.shape, reset_less=True)
        ready = Signal(init=1)
        m.d.comb += [self.o.payload.eq(payload), self.i.ready.eq(ready)]
        # While `ready` is 1 the skid register is free and takes whatever the output cannot.
        with m.If(ready):
            m.d.sync += skid.eq(self.i.payload)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [
                payload.eq(Mux(ready, Value.cast(self.i.payload), Value.cast(skid))),
                self.o.valid.eq(self.i.valid | ~ready),
                ready.eq(1),
            ]
        with m.Else():
            m.d.sync += ready.eq(ready & ~self.i.valid)
        return m


class Queue(wiring.Component):
    """First-in first-out queue over :mod:`amaranth.lib.fifo`.

    *Handshake*: rules 1 to 4; ``i.ready`` is 0 while the queue is full, ``o.valid`` is 0 while it is empty; neither
    depends on the other side in the same cycle.

    *Latency* 2 cycles if ``buffered``, else 1. *Interval* 1 cycle for ``depth`` of at least 2 (3 if ``buffered``);
    below that the queue is full after its one memory entry and alternates.

    A read never meets a write to the same address in one cycle, so the memory needs no collision logic.

    Parameters
    ----------
    shape : shape-like
        Shape of the payload.
    depth : int
        Number of entries, 1 to 65536 (2 to 65536 if ``buffered``).
    buffered : bool
        ``True``: synchronous read port, fits block RAM. ``False``: asynchronous read port, fits distributed RAM.

    Members
    -------
    i : stream of ``shape``, in
    o : stream of ``shape``, out
    level : unsigned, out
        Number of entries held, 0 to ``depth``.
    """

    def __init__(self, shape, *, depth: int, buffered: bool = True):
        check_int("depth", depth, 2 if buffered else 1, 65536)
        self.shape = shape
        self.depth = depth
        self.buffered = bool(buffered)
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
        })

    @property
    def latency(self) -> int:
        """Cycles from a transfer into the empty queue to ``o.valid``."""
        return 2 if self.buffered else 1

    @property
    def interval(self) -> int:
        """Cycles between accepted beats while the output does not stall."""
        return 1 if self.depth >= 2 + self.buffered else 2

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        kind = fifo.SyncFIFOBuffered if self.buffered else fifo.SyncFIFO
        m.submodules.fifo = inner = kind(width=Shape.cast(self.shape).width, depth=self.depth)
        m.d.comb += [
            inner.w_data.eq(self.i.payload),
            inner.w_en.eq(self.i.valid),
            self.i.ready.eq(inner.w_rdy),
            Value.cast(self.o.payload).eq(inner.r_data),
            self.o.valid.eq(inner.r_rdy),
            inner.r_en.eq(self.o.ready),
            self.level.eq(inner.level),
        ]
        return m


class DeepQueue(wiring.Component):
    """First-in first-out queue in block RAM with hardly any logic, in the place of :class:`Queue`.

    The order of the addresses does not matter as long as both sides take the same one. So they are shift registers
    with feedback, of maximal length ``depth - 1``, instead of counters; and whether equal addresses mean full or empty
    is a flag, so that nothing counts the entries.

    *Handshake*: rules 1 to 4; ``i.ready`` is 0 while the queue is full, ``o.valid`` is 0 while it is empty; neither
    depends on the other side in the same cycle.

    *Latency* 2 cycles, *interval* 1 cycle. A read never meets a write to the same address in one cycle.

    Parameters
    ----------
    shape : shape-like
        Shape of the payload.
    depth : int
        Number of entries, a power of two from 4 to 65536: ``depth - 1`` in the memory and one at the output.

    Members
    -------
    i : stream of ``shape``, in
    o : stream of ``shape``, out
    """

    latency = 2
    interval = 1

    def __init__(self, shape, *, depth: int):
        check_int("depth", depth, 4, 65536)
        if depth & depth - 1:
            raise ValueError(f"depth must be a power of two from 4 to 65536, not {depth}")
        self.shape = shape
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        bits = self.depth.bit_length() - 1
        m.submodules.memory = entries = memory.Memory(
            shape=Shape.cast(self.shape).width, depth=self.depth, init=[], attrs={"ram_style": "block"})
        write, read = entries.write_port(), entries.read_port()
        meet, full = Signal(), Signal()
        filled = Signal()   # the write address moved last: where both meet, the memory is full
        m.d.comb += [
            meet.eq(write.addr == read.addr), full.eq(meet & filled), self.i.ready.eq(~full),
            write.data.eq(self.i.payload), write.en.eq(self.i.valid & ~full),
            read.en.eq(~(meet & ~filled) & (~self.o.valid | self.o.ready)),
            Value.cast(self.o.payload).eq(read.data),
        ]
        for port in (write, read):
            with m.If(port.en):
                parity = reduce(xor, (port.addr[stage - 1] for stage in TAPS[bits]))
                m.d.sync += port.addr.eq(Cat(~parity, port.addr[:-1]))
        with m.If(write.en != read.en):
            m.d.sync += filled.eq(write.en)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += self.o.valid.eq(read.en)
        return m
