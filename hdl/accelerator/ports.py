"""Ports of memories and rings: what a reader or a writer has, and its flipped form at the memory."""

from amaranth.hdl import Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from .layouts import act_tile, act_word, affine_group, residual_beat, tile_address

__all__ = ["activation_read", "activation_write", "affine_write", "join", "read_port", "residual_read",
           "residual_write", "ring_port", "share_read", "share_write", "write_port"]


def read_port(shape, address) -> wiring.Signature:
    """Return the port of a reader of words of ``shape``: ``en``, ``address``, ``data``.

    *Latency*: data of a read issued in one cycle (``en``) are at ``data`` in the next and hold until the next read.
    """
    return wiring.Signature({"en": Out(1), "address": Out(address), "data": In(shape)})


def write_port(shape, address) -> wiring.Signature:
    """Return the port of a writer of words of ``shape``: ``en``, ``address``, ``data``, all in the same cycle."""
    return wiring.Signature({"en": Out(1), "address": Out(address), "data": Out(shape)})


def ring_port(shape, depth: int) -> wiring.Signature:
    """Return the port of the reader of a :class:`~vitric.hdl.accelerator.memories.Ring`.

    Places in the ring are numbers modulo ``2 * depth``, of which the memory takes the low bits as its address.
    ``filled`` is the place of the next word to come, ``freed`` that of the oldest word still needed. A read issued
    with ``en`` in one cycle is at ``data`` in the next and holds until the next read.
    """
    return wiring.Signature({
        "filled": In(range(2 * depth)), "freed": Out(range(2 * depth)),
        "en": Out(1), "address": Out(range(depth)), "data": In(shape),
    })


def activation_read(spec: AcceleratorSpec) -> wiring.Signature:
    """Return the port of a reader of activation memory: a word at a word address of a command."""
    return read_port(act_word(spec), FIELD_BITS)


def activation_write(spec: AcceleratorSpec) -> wiring.Signature:
    """Return the port of a writer of activation memory: a tile at ``word * word_tiles + tile``."""
    return write_port(act_tile(spec), tile_address(spec))


def residual_read(spec: AcceleratorSpec) -> wiring.Signature:
    """Return the port of a reader of residual memory: ``drain_cols`` channels of ``rows`` tokens.

    The address is that of the first channel; its bits below a multiple of ``drain_cols`` do not count.
    """
    return read_port(residual_beat(spec), FIELD_BITS)


def residual_write(spec: AcceleratorSpec) -> wiring.Signature:
    """Return the port of a writer of residual memory; addresses as in :func:`residual_read`."""
    return write_port(residual_beat(spec), FIELD_BITS)


def affine_write(spec: AcceleratorSpec) -> wiring.Signature:
    """Return the port of the writer of the memory of affine constants."""
    groups = -(-spec.max_embed // affine_group(spec).length)
    return write_port(affine_group(spec), range(max(2, groups)))


def join(m: Module, user, memory) -> None:
    """Connect the port of a reader or writer to that of the memory; a port that is handed on is given flipped.

    Raises
    ------
    ValueError
        The two are not the two sides of one port, or differ in a shape.
    """
    if user.signature.flip() != memory.signature:
        raise ValueError(f"{user!r} must be the other side of {memory!r}")
    wiring.connect(m, user, memory)


def share_read(m: Module, memory, first, second) -> None:
    """Connect two readers to one port: ``first`` wins, and both see the data. They must not read in the same cycle."""
    m.d.comb += [
        memory.en.eq(first.en | second.en), memory.address.eq(Mux(first.en, first.address, second.address)),
        first.data.eq(memory.data), second.data.eq(memory.data),
    ]


def share_write(m: Module, memory, first, second) -> None:
    """Connect two writers to one port: ``first`` wins. They must not write in the same cycle."""
    m.d.comb += [
        memory.en.eq(first.en | second.en), memory.address.eq(Mux(first.en, first.address, second.address)),
        memory.data.eq(Mux(first.en, Value.cast(first.data), Value.cast(second.data))),
    ]
