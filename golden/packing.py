"""Lanes in one word: the only place that knows how several numbers lie in a payload.

Lane 0 is in the least significant bits, as in Amaranth's ``data.ArrayLayout``; signed lanes are two's complement.
Testbenches use these functions, because signedness is lost at the border to Verilog.
"""

import operator
from collections.abc import Iterable

from .spec.check import check_int

__all__ = ["pack", "unpack"]


def pack(values: Iterable[int], bits: int, signed: bool) -> int:
    """Put integers side by side into one non-negative word.

    Parameters
    ----------
    values : iterable of int
        The lanes, lane 0 first; Python, numpy or torch integers.
    bits : int
        Width of a lane, at least 1.
    signed : bool
        Whether lanes are two's complement.

    Returns
    -------
    int
        ``sum((values[k] mod 2**bits) << (k * bits))``.

    Raises
    ------
    OverflowError
        A value does not fit its lane; nothing is ever cut off.
    TypeError
        A value is not an integer.
    """
    check_int("bits", bits, 1, 1 << 20)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    mask = (1 << bits) - 1
    word = position = 0
    for lane, value in enumerate(values):
        number = operator.index(value)
        if not low <= number <= high:
            raise OverflowError(f"lane {lane} is {number}, outside the {low}..{high} of {bits} bits")
        word |= (number & mask) << position
        position += bits
    return word


def unpack(word: int, count: int, bits: int, signed: bool) -> list[int]:
    """Take a word apart: the inverse of :func:`pack`.

    Parameters
    ----------
    word : int
        Non-negative word of at most ``count * bits`` bits.
    count : int
        Number of lanes, at least 0.
    bits, signed
        As for :func:`pack`.

    Returns
    -------
    list of int
        ``count`` integers, lane 0 first.

    Raises
    ------
    OverflowError
        ``word`` is negative or has more than ``count * bits`` bits.
    """
    check_int("bits", bits, 1, 1 << 20)
    check_int("count", count, 0, 1 << 20)
    word = operator.index(word)
    if word < 0 or word.bit_length() > count * bits:
        raise OverflowError(f"{word:#x} does not fit {count} lanes of {bits} bits")
    mask, half = (1 << bits) - 1, 1 << bits - 1
    lanes = [(word >> (lane * bits)) & mask for lane in range(count)]
    return [lane - (1 << bits) if lane >= half else lane for lane in lanes] if signed else lanes
