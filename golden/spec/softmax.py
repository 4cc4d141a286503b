"""Parameters, widths, tables and timing of the base-2 softmax unit.

The unit holds the sum of a row as a number with a fixed-point mantissa and an exponent in *blocks* of
eight octaves. A score of ``f`` fraction bits splits into block, position in the block and fraction,
``x = (block * 8 + position) * 2**f + fraction``, and one table gives the term of the sum relative to its block,
``2**(position + fraction / 2**f)``, already aligned. Only whole blocks are left to shift: by digits to base
``2**8``, of which a term has three. ``docs/units/softmax.md`` derives the formulas and the error.
"""

import bisect
import math
from dataclasses import dataclass, replace
from functools import cached_property

from .check import check_choice, check_int

__all__ = ["BLOCK_BITS", "BLOCK_OCTAVES", "KINDS", "SoftmaxSpec"]

KINDS = ("uniform", "log2", "log_sqrt2", "twin_uniform")
BLOCK_BITS = 3  # an exponent block is 2**3 octaves
BLOCK_OCTAVES = 1 << BLOCK_BITS

_TERM_FRACTION_BITS = 7  # fraction bits that address the term table: 2**(3 + 7) words of 18 bits fill one DP16KD
_TERM_FRAC = 10  # fraction bits of a term table entry: 10 + 8 = 18 bits
_LOG_INDEX_BITS = 6  # mantissa bits that address the correction of the logarithm
_SUM_FRAC = 14  # fraction bits of the sum: truncation loses less than n * 2**-14 of the sum of a row of n
_MAX_LENGTH = 4096
_OFFSET_OCTAVES_BITS = 6  # the offset spans -32 .. just below 32 octaves


@dataclass(frozen=True, kw_only=True)
class SoftmaxSpec:
    """Base-2 softmax over rows of signed scores, ``lanes`` rows side by side, ``columns`` scores of each per beat.

    Parameters
    ----------
    lanes : int
        Rows processed side by side; 1..64.
    max_length : int
        Longest row in scores; 2..4096. The shortest is 1.
    score_bits : int
        Width of a signed score; ``frac_bits`` + 1..24.
    frac_bits : int
        Fraction bits of a score: its unit is ``2**-frac_bits`` octaves; 2..10.
    out_bits : int
        Width of an unsigned output code; 2..8.
    kind : str
        ``"uniform"``: probability = code * step. ``"log2"``: step * 2**-code. ``"log_sqrt2"``: step * 2**(-code / 2).
        In both logarithmic kinds the top code ``2**out_bits - 1`` means zero. ``"twin_uniform"`` (PTQ4ViT, Yuan et al.
        2022): with ``q = 2**(out_bits - 1)``, a code below q stands for code * step and any other one for
        (code - q) * 2**twin_shift * step, so the upper bit chooses between a fine and a coarse range.
        The step is ``2**(-offset / 2**frac_bits)``; the offset comes with the row.
    twin_shift : int, optional
        For ``"twin_uniform"`` only, and needed there: octaves between its two steps; 1..12.
    columns : int
        Scores of each row per beat; 1, 2 or 4. No code depends on it.
    """

    lanes: int
    max_length: int
    score_bits: int = 16
    frac_bits: int = 8
    out_bits: int = 8
    kind: str = "uniform"
    twin_shift: int | None = None
    columns: int = 1

    def __post_init__(self) -> None:
        check_int("lanes", self.lanes, 1, 64)
        check_int("max_length", self.max_length, 2, _MAX_LENGTH)
        check_int("frac_bits", self.frac_bits, 2, 10)
        check_int("score_bits", self.score_bits, self.frac_bits + 1, 24)
        check_int("out_bits", self.out_bits, 2, 8)
        check_choice("kind", self.kind, KINDS)
        check_choice("columns", self.columns, (1, 2, 4))
        if self.kind == "twin_uniform":
            check_int("twin_shift", self.twin_shift, 1, 12)
        elif self.twin_shift is not None:
            raise ValueError(f"twin_shift must be None unless kind is 'twin_uniform', not {self.twin_shift!r}")

    @property
    def logarithmic(self) -> bool:
        """Whether a code is a logarithm; otherwise it comes from :attr:`code_table`."""
        return self.kind in ("log2", "log_sqrt2")

    # Widths

    @property
    def offset_bits(self) -> int:
        """Width of the signed offset: -32 octaves to just below 32, in score units."""
        return self.frac_bits + _OFFSET_OCTAVES_BITS

    @property
    def canonical(self) -> "SoftmaxSpec":
        """The same function in the hardware of one lane and column, and of the row length that widths are made for.

        It is equal for equal functions.
        """
        return replace(self, lanes=1, columns=1, max_length=self.arithmetic_length)

    @property
    def arithmetic_length(self) -> int:
        """A ``max_length`` with which the spec describes the same function: no code depends on ``max_length``.

        It sets the widths in which the sum and the norm are held, and the row buffer; an integer model does not depend
        on the size of the hardware that runs it.
        """
        return _MAX_LENGTH

    def beats(self, length: int) -> int:
        """Return the beats of a row of ``length`` scores; all but the last are full."""
        check_int("length", length, 1, self.max_length)
        return -(-length // self.columns)

    @property
    def length_bits(self) -> int:
        """``ceil(log2(max_length))``: how far the sum of a row can grow beyond one term."""
        return (self.max_length - 1).bit_length()

    @property
    def block_index_bits(self) -> int:
        """Width of a signed block index; at least 1."""
        return max(self.score_bits - self.frac_bits - BLOCK_BITS, 1)

    @property
    def term_fraction_bits(self) -> int:
        """Upper fraction bits of a score that address the term table."""
        return min(self.frac_bits, _TERM_FRACTION_BITS)

    @property
    def term_bits(self) -> int:
        """Width of an unsigned term table entry, ``2**position * 2**fraction`` with 10 fraction bits."""
        return BLOCK_OCTAVES + _TERM_FRAC

    @property
    def sum_frac(self) -> int:
        """Fraction bits of the sum, relative to ``2**(8 * block)``."""
        return _SUM_FRAC

    @property
    def guard_bits(self) -> int:
        """Bits of the sum below the last bit of a term of the same block."""
        return self.sum_frac - _TERM_FRAC

    @property
    def sum_bits(self) -> int:
        """Width of the unsigned sum; its leading one is at bit ``sum_frac`` or above once a row has begun."""
        return self.sum_frac + BLOCK_OCTAVES + self.length_bits

    @property
    def term_digits(self) -> tuple[int, ...]:
        """Widths of the digits to base ``2**8`` of a term with its guard bits, lowest first."""
        bits = self.term_bits + self.guard_bits
        return tuple(min(BLOCK_OCTAVES, bits - low) for low in range(0, bits, BLOCK_OCTAVES))

    @property
    def digit_sum_bits(self) -> tuple[int, ...]:
        """Widths of the unsigned sums of the digits of a row's terms, lowest first."""
        return tuple(bits + self.length_bits for bits in self.term_digits)

    @property
    def log_index_bits(self) -> int:
        """Mantissa bits that address :attr:`log2_correction`."""
        return min(self.frac_bits, _LOG_INDEX_BITS)

    @property
    def code_shift(self) -> int:
        """Score bits below one code step of a logarithmic kind: an octave, or half of one."""
        return self.frac_bits - (self.kind == "log_sqrt2")

    @property
    def norm_bits(self) -> int:
        """Width of the signed row norm ``block * 8 + log2(sum) - offset (+ half a code)``, in score units."""
        blocks = 1 << self.block_index_bits - 1
        high = (BLOCK_OCTAVES * blocks + self.length_bits << self.frac_bits) + (1 << self.offset_bits - 1)
        low = -(BLOCK_OCTAVES * blocks << self.frac_bits) - (1 << self.offset_bits - 1)
        return max((high + (1 << self.frac_bits)).bit_length(), (-low - 1).bit_length()) + 1

    @property
    def code_max(self) -> int:
        """Largest output code."""
        return (1 << self.out_bits) - 1

    # Tables

    @cached_property
    def exp2_table(self) -> tuple[int, ...]:
        """Terms of the sum by position and upper fraction bits: entry ``p * 2**t + k``, ``t = term_fraction_bits``.

        ``round(2**(p + (k + c) / 2**t) * 2**10)`` with ``c`` the middle of the scores that share ``k``.
        """
        dropped = 1 << self.frac_bits - self.term_fraction_bits
        centre = (dropped - 1) / (2 * dropped)
        per_octave = 1 << self.term_fraction_bits
        return tuple(
            math.floor(2.0 ** ((index + centre) / per_octave + _TERM_FRAC) + 0.5)
            for index in range(BLOCK_OCTAVES * per_octave)
        )

    @cached_property
    def log2_correction(self) -> tuple[int, ...]:
        """What to add to a mantissa ``m`` (``frac_bits`` bits below the leading one) to get ``log2(1 + m)``.

        Entry ``k`` serves the mantissas whose upper ``log_index_bits`` bits are ``k``; it is
        ``round((log2(1 + c) - c) * 2**frac_bits + 1/2)`` at their centre ``c``, where the half makes up for the
        truncation of the mantissa.
        """
        entries = 1 << self.log_index_bits
        unit = 1 << self.frac_bits
        centres = [(index + 0.5) / entries for index in range(entries)]
        return tuple(math.floor((math.log2(1 + c) - c) * unit + 1) for c in centres)

    @cached_property
    def log2_table(self) -> tuple[int, ...]:
        """``log2(1 + m)`` in score units for each mantissa ``m``: ``m + log2_correction[m >> ...]``."""
        drop = self.frac_bits - self.log_index_bits
        return tuple(m + self.log2_correction[m >> drop] for m in range(1 << self.frac_bits))

    @cached_property
    def code_values(self) -> tuple[int, ...]:
        """What each code of a kind with a table stands for, in steps."""
        codes = range(1 << self.out_bits)
        if self.kind != "twin_uniform":
            return tuple(codes)
        fine = 1 << self.out_bits - 1
        return tuple(code if code < fine else code - fine << self.twin_shift for code in codes)

    @cached_property
    def code_table(self) -> tuple[int, ...]:
        """Codes of u from 0 to below as many octaves as the largest value has bits.

        The code is the one whose value is nearest to ``2**(u / 2**frac_bits)``; a tie goes to the larger value, and
        equal values to the smaller code (the fine range).
        """
        lowest = {value: code for code, value in reversed(list(enumerate(self.code_values)))}
        values = sorted(lowest)
        middles = [(low + high) / 2 for low, high in zip(values, values[1:], strict=False)]
        unit = 1 << self.frac_bits
        return tuple(
            lowest[values[bisect.bisect_right(middles, 2.0 ** (u / unit))]]
            for u in range(values[-1].bit_length() * unit)
        )

    # Timing

    max_rows = 3
    """Rows that can be inside, each from its first beat until its last code has been taken.

    While there are no more, the one being sent among them, the input is ready in every cycle, whatever the output does.
    """

    @property
    def tree_levels(self) -> int:
        """Levels of a tree over the columns, each of one cycle."""
        return self.columns.bit_length() - 1

    @property
    def latency(self) -> int:
        """Cycles from the transfer of the last beat of a row to valid output of its first, without stalls.

        Five for the sum and two for each level of the trees over the columns, one to wait for the logarithm, one per
        lane and six for the norms (the lanes share one logarithm), then the switch to the new row, subtraction, two
        for the table (not for the logarithmic kinds) and output register.
        """
        return self.lanes + 2 * self.tree_levels + (15 if self.logarithmic else 17)

    @property
    def interval(self) -> int:
        """Cycles per beat in steady state, for rows of at least ``row_interval(1)`` beats."""
        return 1

    def row_interval(self, length: int) -> int:
        """Return the cycles per row of ``length`` scores in steady state: its beats, or the shared logarithm's time.

        That is as long as no row would be one more than ``max_rows``: so many take ``row_time(length)`` at least.
        """
        return max(self.beats(length), self.lanes + 6)

    def row_time(self, length: int) -> int:
        """Return the cycles that a row of ``length`` scores is inside, without stalls and without one before it."""
        return 2 * self.beats(length) + self.latency - 1

    @property
    def buffer_depth(self) -> int:
        """Beats of the row buffer, a power of two beyond those of ``max_rows`` longest rows."""
        return 1 << (self.max_rows * self.beats(self.max_length)).bit_length()
