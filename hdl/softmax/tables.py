"""Constant tables in block RAM."""

from collections.abc import Sequence

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory

__all__ = ["read_ports"]


def read_ports(m: Module, entries: Sequence[int], *, bits: int, count: int) -> list[memory.ReadPort]:
    """Return ``count`` synchronous read ports of a table, with one block RAM per two of them.

    Parameters
    ----------
    m : Module
        Module that receives the memories.
    entries : sequence of int
        The table, a power of two of entries.
    bits : int
        Width of an unsigned entry.
    count : int
        Number of ports.
    """
    ports = []
    for index in range(count):
        if index % 2 == 0:
            m.submodules[f"table_{index}"] = table = memory.Memory(
                shape=unsigned(bits), depth=len(entries), init=entries, attrs={"ram_style": "block"})
        ports.append(table.read_port())
    return ports
