"""A registered one-hot selection that costs one OR instead of a multiplexer tree."""

from contextlib import nullcontext
from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Shape, Signal

__all__ = ["select"]


def select(m: Module, choices, shape, *, name: str, en=1, fabric: str = "generic"):
    """Return, one enabled cycle later, the value whose condition held, or 0 if none did.

    Every choice has a register of its own that is 0 unless selected, and the result is the OR of the registers. In
    most FPGA fabrics the zeroing is the register's synchronous reset, so that four choices cost one 4-input table per
    bit; a multiplexer in front of one register costs two to four. Where a register takes the place of a table, the
    choice stands in front of one register.

    Parameters
    ----------
    m : Module
        Module that receives the registers (domain ``sync``, not reset).
    choices : iterable of (condition, value)
        At most one condition may be 1 in any enabled cycle.
    shape : shape-like
        Shape of the result; values are extended to it, or lose their high bits.
    name : str
        Name of the registers, with a number appended.
    en : value of 1 bit
        Clock enable.
    fabric : str
        In ``"gowin"`` and ``"ice40"`` a register has no input but from the look-up table beside it.
    """
    shape = Shape.cast(shape)
    parts = []
    domain = "comb" if fabric in ("gowin", "ice40") else "sync"
    for index, (condition, value) in enumerate(choices):
        part = Signal(shape, name=f"{name}_{index}", reset_less=True)
        with m.If(en) if domain == "sync" else nullcontext():
            m.d[domain] += part.eq(Mux(condition, value, 0))
        parts.append(part)
    result = reduce(or_, parts)[:shape.width]
    if domain == "comb":
        chosen = Signal(shape.width, name=name, reset_less=True)
        with m.If(en):
            m.d.sync += chosen.eq(result)
        result = chosen[:]
    return result.as_signed() if shape.signed else result
