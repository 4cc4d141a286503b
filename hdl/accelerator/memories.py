"""The memories of the accelerator: activations in tiles, residual values in columns, operands in rings."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_power_of_two

from .layouts import act_tile, exceeds
from .ports import activation_read, activation_write, residual_read, residual_write, ring_port

__all__ = ["ActivationMemory", "ResidualMemory", "Ring"]


class ActivationMemory(wiring.Component):
    """Activation words of ``rows * depth`` elements, read by the word and written by the tile.

    A word consists of ``word_tiles`` tiles of ``rows * cols`` elements, each in a memory of its own. Element
    ``[row][s * cols + col]`` of a word is element ``[row][col]`` of its tile ``s``.

    Reading and writing the same word in one cycle is not allowed: what is read then is undefined.

    Members
    -------
    beyond : 1, out
        What is read or written in this cycle lies beyond the memory; it is another word then, or none.
    read : :func:`~vitric.hdl.accelerator.ports.activation_read`, flipped
    write : :func:`~vitric.hdl.accelerator.ports.activation_write`, flipped
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "beyond": Out(1), "read": In(activation_read(spec)), "write": In(activation_write(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        tile_index_bits = exact_log2(spec.word_tiles)
        m.d.comb += self.beyond.eq(
            self.read.en & exceeds(self.read.address, spec.act_words - 1)
            | self.write.en & exceeds(self.write.address[tile_index_bits:], spec.act_words - 1))
        for index in range(spec.word_tiles):
            memory = Memory(shape=unsigned(spec.tile_bits), depth=spec.act_words, init=[])
            m.submodules[f"tile{index}"] = memory
            read, write = memory.read_port(), memory.write_port()
            m.d.comb += [
                read.en.eq(self.read.en),
                read.addr.eq(self.read.address),
                write.en.eq(self.write.en & (self.write.address[:tile_index_bits] == index)),
                write.addr.eq(self.write.address[tile_index_bits:]),
                write.data.eq(self.write.data.as_value()),
            ]
            tile = data.View(act_tile(spec), read.data)
            for row in range(spec.rows):
                for col in range(spec.cols):
                    m.d.comb += self.read.data[row][index * spec.cols + col].eq(tile[row][col])
        return m


class ResidualMemory(wiring.Component):
    """Residual stream: ``drain_cols`` channels of ``rows`` tokens in each word.

    Reading and writing the same word in one cycle is not allowed: what is read then is undefined.

    Members
    -------
    beyond : 1, out
        What is read or written in this cycle lies beyond the memory; it is another word then, or none.
    read : :func:`~vitric.hdl.accelerator.ports.residual_read`, flipped
    write : :func:`~vitric.hdl.accelerator.ports.residual_write`, flipped
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "beyond": Out(1), "read": In(residual_read(spec)), "write": In(residual_write(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        part = exact_log2(self.spec.drain_cols)
        depth = self.spec.residual_words >> part
        m.submodules.memory = memory = Memory(
            shape=unsigned(self.spec.residual_word_bits << part), depth=depth, init=[])
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += [
            read.en.eq(self.read.en), read.addr.eq(self.read.address[part:]), self.read.data.eq(read.data),
            write.en.eq(self.write.en), write.addr.eq(self.write.address[part:]),
            write.data.eq(self.write.data.as_value()),
            self.beyond.eq(self.read.en & exceeds(self.read.address[part:], depth - 1)
                           | self.write.en & exceeds(self.write.address[part:], depth - 1)),
        ]
        return m


class Ring(wiring.Component):
    """Circular buffer: words are appended by a stream, read at random, and freed in bulk.

    *Handshake*: ``i`` is a stream; ``i.ready``, a register, is 0 while the ring is full. A word freed in one cycle is
    overwritten in the next but one at the earliest, so the read of the last word may be a cycle later than its release.

    Parameters
    ----------
    shape : shape-like
    depth : int
        Words, a power of two.

    Members
    -------
    i : stream of ``shape``, in
    read : :func:`~vitric.hdl.accelerator.ports.ring_port`, flipped
    """

    def __init__(self, *, shape, depth: int):
        check_power_of_two("depth", depth, 2, 1 << 16)
        self.shape = shape
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "read": In(ring_port(shape, depth))})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.shape, depth=self.depth, init=[])
        read, write, user = memory.read_port(), memory.write_port(), self.read
        freed = Signal.like(user.freed)
        push = self.i.valid & self.i.ready
        room = Signal(init=1)
        m.d.comb += [
            self.i.ready.eq(room),
            write.en.eq(push), write.addr.eq(user.filled[:len(write.addr)]), write.data.eq(self.i.payload),
            read.en.eq(user.en), read.addr.eq(user.address), user.data.eq(read.data),
        ]
        m.d.sync += [
            user.filled.eq(user.filled + push), freed.eq(user.freed),
            room.eq((user.filled + push)[:len(freed)] != user.freed ^ self.depth),
        ]
        return m
