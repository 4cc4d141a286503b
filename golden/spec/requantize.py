"""Parameters of the units behind the array's accumulators: requantization and table look-up (GELU)."""

from dataclasses import dataclass

from .check import check_int

__all__ = ["OPERAND_BITS", "RequantizeSpec", "TableSpec"]

OPERAND_BITS = 18
"""Width of the signed operand of the multipliers of the parts that we build for (ECP5 MULT18X18D)."""


@dataclass(frozen=True, kw_only=True)
class RequantizeSpec:
    """Widths of ``y = clamp(round_shift(((acc >> pre) + bias) * multiplier, post) + zero_point, low, high)``.

    Rounding is half up. ``pre`` is 0 or ``narrow_shift``, ``post`` one of ``shifts``; a beat names both by one index
    into ``scalings``. With a multiplier, the sum ``(acc >> pre) + bias`` has to fit the ``operand_bits`` signed bits
    of one hardware multiplier; a sum that does not counts as infinite: the result is ``high`` or ``low`` by its sign.
    Everything else is exact. :func:`vitric.golden.arith.requantize` is the function.

    Parameters
    ----------
    lanes : int
        Accumulators per beat, 1 to 64. They share bias, multiplier, scaling, zero point and limits.
    acc_bits : int
        Width of the signed accumulators, 8 to 40.
    bias_bits : int
        Width of the signed bias, which counts steps of ``2**pre`` of the accumulator, 2 to 40.
    multiplier_bits : int
        Width of the unsigned multiplier, 1 to 16; 0 for power-of-two scales, where there is no multiplier and the
        factor is 1.
    shifts : tuple of int
        The right shifts after the product: 1, 2, 4 or 8 of them, ascending, each below ``product_bits``.
    out_bits : int
        Width of the output codes, 2 to 16. Codes may be signed or unsigned: zero point, limits and results are
        numbers of ``code_bits`` = ``out_bits + 1`` signed bits, which holds both.

    Raises
    ------
    TypeError, ValueError
        A parameter is outside what is listed above.
    """

    lanes: int
    acc_bits: int
    bias_bits: int = 32
    multiplier_bits: int = 16
    shifts: tuple[int, ...] = (8, 13, 18, 23)
    out_bits: int = 16

    def __post_init__(self):
        check_int("lanes", self.lanes, 1, 64)
        check_int("acc_bits", self.acc_bits, 8, 40)
        check_int("bias_bits", self.bias_bits, 2, 40)
        check_int("multiplier_bits", self.multiplier_bits, 0, 16)
        check_int("out_bits", self.out_bits, 2, 16)
        if not isinstance(self.shifts, tuple) or len(self.shifts) not in (1, 2, 4, 8):
            raise TypeError(f"shifts must be a tuple of 1, 2, 4 or 8 integers, not {self.shifts!r}")
        for shift in self.shifts:
            check_int("shifts", shift, 0, self.product_bits - 1)
        if list(self.shifts) != sorted(set(self.shifts)):
            raise ValueError(f"shifts must ascend without repetition, not {self.shifts!r}")

    def check_codes(self, *, zero_point: int, low: int, high: int) -> None:
        """Raise :exc:`ValueError` unless each fits ``code_bits`` and ``low <= high``."""
        limit = 1 << self.out_bits
        check_int("zero_point", zero_point, -limit, limit - 1)
        check_int("high", high, -limit, limit - 1)
        check_int("low", low, -limit, high)

    @property
    def narrow_shift(self) -> int:
        """Right shift that brings any accumulator to ``operand_bits``; 0 if it has no more, or without multiplier."""
        return max(self.acc_bits - OPERAND_BITS, 0) if self.multiplier_bits else 0

    @property
    def scalings(self) -> tuple[tuple[int, int], ...]:
        """Pairs (pre, post) that a beat can choose from by index: all without the shift before, then all with it."""
        pre_shifts = (0, self.narrow_shift) if self.narrow_shift else (0,)
        return tuple((pre, post) for pre in pre_shifts for post in self.shifts)

    @property
    def post_bits(self) -> int:
        """Width of the index of a shift after the product; 0 if there is only one."""
        return (len(self.shifts) - 1).bit_length()

    @property
    def shift_bits(self) -> int:
        """Width of the index into ``scalings``; 0 if there is only one."""
        return (len(self.scalings) - 1).bit_length()

    @property
    def sum_bits(self) -> int:
        """Width of the signed ``(acc >> pre) + bias`` before it is known to fit."""
        return max(self.acc_bits, self.bias_bits) + 1

    @property
    def operand_bits(self) -> int:
        """Width that the signed sum has to fit; ``sum_bits`` if ``multiplier_bits`` is 0."""
        return min(self.sum_bits, OPERAND_BITS) if self.multiplier_bits else self.sum_bits

    @property
    def product_bits(self) -> int:
        """Width of the signed product (of the sum itself if ``multiplier_bits`` is 0)."""
        return self.operand_bits + self.multiplier_bits

    @property
    def code_bits(self) -> int:
        """Width of the signed zero point, limits and results."""
        return self.out_bits + 1

    @property
    def floor_bits(self) -> int:
        """Width of the signed ``product >> post`` that the clamp needs to see.

        A number outside it is at least ``2**(out_bits + 1)`` in magnitude, hence still beyond the limit on its side
        after a zero point of ``code_bits`` was added: it only has to be known that it is outside, and its sign.
        """
        return self.out_bits + 2

    @property
    def product_latency(self) -> int:
        """Cycles until the product is registered: 1 for power-of-two scales, else the multiplier's registers."""
        return 2 if self.multiplier_bits else 1

    @property
    def latency(self) -> int:
        """Cycles from the transfer of a beat to ``o.valid``, without stalls: product, then four stages."""
        return self.product_latency + 4

    @property
    def interval(self) -> int:
        """Cycles between accepted beats, without stalls."""
        return 1


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """Widths of a table look-up in several lanes at once: ``y = table[index]``.

    Parameters
    ----------
    lanes : int
        Indices per beat, 1 to 128.
    index_bits : int
        Width of the unsigned index, 2 to 8: the table has ``2**index_bits`` entries.
    out_bits : int
        Width of the unsigned entries, 2 to 8.

    Raises
    ------
    TypeError, ValueError
        A parameter is outside what is listed above.
    """

    lanes: int
    index_bits: int = 8
    out_bits: int = 8

    def __post_init__(self):
        check_int("lanes", self.lanes, 1, 128)
        check_int("index_bits", self.index_bits, 2, 8)
        check_int("out_bits", self.out_bits, 2, 8)

    @property
    def entries(self) -> int:
        """Entries of the table."""
        return 1 << self.index_bits

    @property
    def latency(self) -> int:
        """Cycles from the transfer of a beat to ``o.valid``, without stalls: the memory's read, and a register."""
        return 2

    @property
    def interval(self) -> int:
        """Cycles between accepted beats, without stalls."""
        return 1
