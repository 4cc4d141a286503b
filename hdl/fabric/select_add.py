"""Sum of one number and one of two others, where the carry cells of the fabric make the choice."""

from amaranth.hdl import Cat, Const, Module, Mux, Value

from .carry import CarryChain, Cell

__all__ = ["select_add"]


def select_add(m: Module, addend, which, one, other, width: int, *, name: str, fabric: str = "generic") -> Value:
    """Return the low ``width`` bits of ``addend + (one if which else other)``; combinational.

    In carry cells of four inputs the choice costs nothing: half a cell per bit, and half a cell to start the carry.

    Parameters
    ----------
    m : Module
        Module that receives the chain as a submodule.
    addend, one, other : value
        Signed or unsigned, extended to ``width`` bits or cut to them.
    which : value of 1 bit
    width : int
        Of the result, which is unsigned.
    name : str
        Name of the submodule.
    fabric : str
        ``"ecp5"`` is :class:`~vitric.hdl.fabric.carry.CarryChain` of CCU2C, everything else a plain adder behind a
        multiplexer.
    """
    addend, one, other = (_bits(value, width) for value in (addend, one, other))
    if fabric != "ecp5":
        return (addend + Mux(which, one, other))[:width]
    m.submodules[name] = chain = CarryChain([Cell.LINK_ZERO, *[Cell.SELECT] * width], fabric=fabric)
    m.d.comb += [
        chain.a.eq(Cat(Const(1), addend)), chain.b.eq(Cat(Const(1), which.replicate(width))),
        chain.c.eq(Cat(Const(1), one)), chain.d.eq(Cat(Const(1), other)),
    ]
    return chain.s[1:]


def _bits(value, width: int) -> Value:
    value = Value.cast(value)
    missing = width - len(value)
    if missing <= 0:
        return value[:width]
    return Cat(value, value[-1].replicate(missing) if value.shape().signed else Const(0, missing))
