"""The memories of the accelerator: activations in tiles, residual values in columns, operands in rings."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_power_of_two

from .layouts import act_tile, act_word, residual_column

__all__ = ["ActivationMemory", "ResidualMemory", "Ring"]


class ActivationMemory(wiring.Component):
    """Activation words of ``rows * depth`` elements, read by the word and written by the tile.

    A word consists of ``word_tiles`` tiles of ``rows * cols`` elements, each in a memory of its own. Element
    ``[row][s * cols + col]`` of a word is element ``[row][col]`` of its tile ``s``.

    *Latency*: data of a read issued in one cycle (``read_en``) are at ``read_data`` in the next and hold until the
    next read. Reading and writing the same word in one cycle is not allowed: what is read then is undefined.

    Members
    -------
    read_en : 1, in
    read_address : unsigned(ceil_log2(act_words)), in
    read_data : [row][depth] of unsigned(element_bits), out
    write_en : 1, in
    write_address : unsigned, in
        Tile address: ``word * word_tiles + tile``.
    write_data : [row][col] of unsigned(element_bits), in
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        address_bits = ceil_log2(spec.act_words)
        super().__init__({
            "read_en": In(1),
            "read_address": In(address_bits),
            "read_data": Out(act_word(spec)),
            "write_en": In(1),
            "write_address": In(address_bits + exact_log2(spec.word_tiles)),
            "write_data": In(act_tile(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        tile_index_bits = exact_log2(spec.word_tiles)
        for index in range(spec.word_tiles):
            memory = Memory(shape=unsigned(spec.tile_bits), depth=spec.act_words, init=[])
            m.submodules[f"tile{index}"] = memory
            read, write = memory.read_port(), memory.write_port()
            m.d.comb += [
                read.en.eq(self.read_en),
                read.addr.eq(self.read_address),
                write.en.eq(self.write_en & (self.write_address[:tile_index_bits] == index)),
                write.addr.eq(self.write_address[tile_index_bits:]),
                write.data.eq(self.write_data.as_value()),
            ]
            tile = data.View(act_tile(spec), read.data)
            for row in range(spec.rows):
                for col in range(spec.cols):
                    m.d.comb += self.read_data[row][index * spec.cols + col].eq(tile[row][col])
        return m


class ResidualMemory(wiring.Component):
    """Residual stream, one channel of ``rows`` tokens per address; read with a latency of one cycle.

    Reading and writing the same address in one cycle is not allowed: what is read then is undefined.

    Members
    -------
    read_en, write_en : 1, in
    read_address, write_address : unsigned(ceil_log2(residual_words)), in
    read_data : [row] of signed(residual_bits), out
    write_data : [row] of signed(residual_bits), in
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        address_bits = ceil_log2(spec.residual_words)
        super().__init__({
            "read_en": In(1), "read_address": In(address_bits), "read_data": Out(residual_column(spec)),
            "write_en": In(1), "write_address": In(address_bits), "write_data": In(residual_column(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=unsigned(self.spec.residual_word_bits), depth=self.spec.residual_words, init=[])
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += [
            read.en.eq(self.read_en), read.addr.eq(self.read_address), self.read_data.eq(read.data),
            write.en.eq(self.write_en), write.addr.eq(self.write_address),
            write.data.eq(self.write_data.as_value()),
        ]
        return m


class Ring(wiring.Component):
    """Circular buffer: words are appended by a stream, read at random from the oldest on, and freed in bulk.

    *Handshake*: ``i`` is a stream; ``i.ready`` is 0 while the ring is full. ``level`` words can be read: word
    ``offset`` counts from the oldest. A read issued with ``en`` in one cycle is at ``data`` in the next and holds
    until the next read. ``release`` frees that many of the oldest words at the end of the cycle, after which
    ``offset`` 0 is the word that follows them; it must not exceed ``level``.

    Parameters
    ----------
    shape : shape-like
    depth : int
        Words, a power of two.

    Members
    -------
    i : stream of ``shape``, in
    level : unsigned, out
    offset : unsigned(log2(depth)), in
    en : 1, in
    data : ``shape``, out
    release : unsigned, in
    """

    def __init__(self, *, shape, depth: int):
        check_power_of_two("depth", depth, 2, 1 << 16)
        self.shape = shape
        self.depth = depth
        super().__init__({
            "i": In(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
            "offset": In(exact_log2(depth)),
            "en": In(1),
            "data": Out(shape),
            "release": In(range(depth + 1)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.shape, depth=self.depth, init=[])
        read, write = memory.read_port(), memory.write_port()
        base = Signal.like(read.addr)
        push = self.i.valid & self.i.ready
        m.d.comb += [
            self.i.ready.eq(self.level != self.depth),
            write.en.eq(push),
            write.data.eq(self.i.payload),
            read.en.eq(self.en),
            read.addr.eq((base + self.offset)[:len(base)]),
            self.data.eq(read.data),
        ]
        m.d.sync += [
            write.addr.eq(write.addr + push),
            base.eq(base + self.release),
            self.level.eq(self.level + push - self.release),
        ]
        return m
