"""A component below another one that has the same ports."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In

__all__ = ["join_ports"]


def join_ports(m: Module, unit, outer) -> None:
    """Connect every port of ``unit``, a submodule of ``m``, to the port of ``outer`` that has its name."""
    for path, member, port in unit.signature.flatten(outer):
        inner = unit
        for step in path:
            inner = inner[step] if isinstance(step, int) else getattr(inner, step)
        port, inner = Value.cast(port), Value.cast(inner)
        m.d.comb += inner.eq(port) if member.flow is In else port.eq(inner)
