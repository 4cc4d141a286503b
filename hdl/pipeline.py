"""Registers of a pipeline that stalls as a whole."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["delay"]


def delay(m: Module, value, en: Value, cycles: int, *, name: str):
    """Return ``value`` as it was ``cycles`` enabled cycles ago.

    Parameters
    ----------
    m : Module
        Module that receives the registers (domain ``sync``, not reset).
    value : value or view
        What to delay; the result has the same shape.
    en : value of 1 bit
        Clock enable of every register.
    cycles : int
        Number of registers; 0 returns ``value`` itself.
    name : str
        Name of the registers, with a number appended.
    """
    for stage in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{stage}", reset_less=True)
        with m.If(en):
            m.d.sync += register.eq(value)
        value = register
    return value
