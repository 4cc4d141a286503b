"""What a multiplier leaves out of a product whose operands have a few bits more than its own."""

from amaranth.hdl import Const, Module, Mux, Value

from ..pipeline import delay

__all__ = ["excess_product", "low_part"]


def low_part(operand: Value, bits: int) -> Value:
    """Return the lowest ``bits`` bits of an operand: unsigned if there are more, else the operand itself."""
    return operand if len(operand) <= bits else operand[:bits]


def excess_product(m: Module, a: Value, b: Value, en: Value, bits: int) -> Value:
    """Return ``(a * b - low_part(a) * low_part(b)) >> bits``, two enabled cycles late, made of logic.

    With ``a = a1 * 2**bits + a0`` and b likewise it is ``a1 * b + b1 * a0``: for each bit above the multiplier's, the
    other operand or 0, added up before the second register. It pays for one or two bits; Yosys alone would take
    another multiplier for them, and one more for a signed with an unsigned operand.

    Parameters
    ----------
    m : Module
        Module that receives the registers (domain ``sync``, not reset).
    a, b : value
        Operands, signed or unsigned.
    en : value of 1 bit
        Clock enable of every register.
    bits : int
        Width of the multiplier's operands.
    """
    total = Const(0, 0)
    for high, other in ((_high_part(a, bits), b), (_high_part(b, bits), low_part(a, bits))):
        if len(high):
            total = total + _selected(delay(m, high, en, 1, name="high"), delay(m, other, en, 1, name="other"))
    return delay(m, total, en, 1, name="excess")


def _high_part(operand: Value, bits: int) -> Value:
    high = operand[bits:]
    return high.as_signed() if operand.shape().signed and len(high) else high


def _selected(bits: Value, other: Value) -> Value:
    """Return ``bits * other`` without ``*``, which Yosys would put into a multiplier."""
    total = Const(0, 0)
    for k, bit in enumerate(bits):
        part = Mux(bit, other, 0) << k
        total = total - part if bits.shape().signed and k == len(bits) - 1 else total + part
    return total
