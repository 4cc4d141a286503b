"""Fixed-point arithmetic on Amaranth values: rounding, saturation, leading one, and assignment that never truncates.

Amaranth's ``eq`` drops high bits without a word. The units of this project therefore assign results through
:func:`assign`, and bring wide values to narrow ones only with :func:`saturate`. All functions here are combinational
and build logic only; none adds a register.
"""

from amaranth.hdl import Cat, Const, Mux, Shape, Value, signed, unsigned
from vitric.golden.spec.check import check_int

__all__ = ["assign", "leading_one", "overflows", "round_shift", "saturate"]


def _holds(outer: Shape, inner: Shape) -> bool:
    if inner.signed and not outer.signed:
        return False
    return outer.width >= inner.width + (outer.signed and not inner.signed)


def assign(target, value):
    """Return ``target.eq(value)`` after checking that ``target`` can hold every value of the shape of ``value``.

    Parameters
    ----------
    target : value
        Signal, slice or field that is assigned.
    value : value
        Plain (not aggregate) right-hand side of any width.

    Raises
    ------
    ValueError
        ``target`` is too narrow, or unsigned where ``value`` is signed; the message names both shapes.
    """
    outer, inner = Value.cast(target).shape(), Value.cast(value).shape()
    if not _holds(outer, inner):
        raise ValueError(f"a target of shape {outer!r} cannot hold a value of shape {inner!r}")
    return target.eq(value)


def round_shift(value, shift: int) -> Value:
    """Divide by ``2**shift`` and round half up: ``(value + 2**(shift-1)) >> shift``; ``value`` itself for shift 0.

    Built as ``(value >> shift) + value[shift-1]``, which is the same number with a shorter carry chain.

    Parameters
    ----------
    value : value of ``w`` bits
        Signed or unsigned dividend.
    shift : int
        Constant shift, not negative.

    Returns
    -------
    Value
        Same signedness; ``w`` bits for shift 0, else ``max(w - shift, 1 if signed else 0) + 1`` bits: every result
        fits.
    """
    check_int("shift", shift, 0, 1 << 16)
    value = Value.cast(value)
    if shift == 0:
        return value
    is_signed = value.shape().signed
    width = max(len(value) - shift, is_signed) + 1
    if shift > len(value):
        return Const(0, signed(width) if is_signed else unsigned(width))
    rounded = (value.shift_right(shift) + value[shift - 1])[:width]
    return rounded.as_signed() if is_signed else rounded


def overflows(value, bits: int) -> Value:
    """Return one bit: 1 if signed ``value`` does not fit ``signed(bits)``.

    True when the bits from ``bits - 1`` up are not all copies of the sign.

    Raises
    ------
    TypeError
        ``value`` is unsigned.
    """
    value = Value.cast(value)
    check_int("bits", bits, 1, 1 << 16)
    if not value.shape().signed:
        raise TypeError(f"value must be signed, not {value.shape()!r}")
    top = value[bits - 1:]
    return top.any() & ~top.all() if len(top) > 1 else Const(0, 1)


def saturate(value, low: int, high: int) -> Value:
    """Clamp ``value`` to the constants ``low..high``, both included.

    Returns
    -------
    Value
        Shape ``Shape.cast(range(low, high + 1))``: no wider than the range needs, and exact.

    Raises
    ------
    ValueError
        ``low`` is above ``high``.
    """
    if low > high:
        raise ValueError(f"low must not be above high, not {low} and {high}")
    value = Value.cast(value)
    shape = Shape.cast(range(low, high + 1))
    inside = value[:shape.width] if len(value) >= shape.width else value
    inside = inside.as_signed() if shape.signed and value.shape().signed else inside
    clamped = Mux(value < low, Const(low, shape), Mux(value > high, Const(high, shape), inside))
    clamped = clamped[:shape.width]
    return clamped.as_signed() if shape.signed else clamped


def leading_one(value) -> Value:
    """Return the index of the most significant 1 of the bits of ``value``; 0 if there is none.

    A tree of halves: depth grows with the logarithm of the width. Test ``value.any()`` where zero must be told apart.

    Parameters
    ----------
    value : value of ``w`` bits
        Taken as unsigned bits.

    Returns
    -------
    Value
        Unsigned, ``ceil(log2(w))`` bits (at least 1).
    """
    bits = Value.cast(value)
    if len(bits) <= 1:
        return Const(0, 1)
    if len(bits) == 2:
        return bits[1]
    half = 1 << (len(bits) - 1).bit_length() - 1
    upper, lower = bits[half:], bits[:half]
    low_index = leading_one(lower)
    found = upper.any()
    return Cat(Mux(found, leading_one(upper), low_index), found)
