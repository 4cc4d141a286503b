"""Parameters, widths and tables of the integer LayerNorm: what the golden function and the hardware share."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt

from .check import check_choice, check_int

__all__ = ["LIMB_BITS", "ROW_PRODUCTS", "LayerNormSpec", "RowConstants"]

LIMB_BITS = 16
"""Wide integers of the row arithmetic are multiplied in limbs of this size, least significant first."""

ROW_PRODUCTS = ("multiplier", "fabric")
"""What makes the two products per cycle of the row arithmetic: multipliers of the device, or carry cells."""


@dataclass(frozen=True, kw_only=True)
class RowConstants:
    """What the unit has to know about a row length; from :meth:`LayerNormSpec.row_constants`.

    Parameters
    ----------
    length : int
        Row length n.
    inverse : int
        ``round(2**inverse_fraction / n)``.
    norm : int
        ``n << (length_exponent - exponent)``: n with its leading one moved to bit ``length_exponent``.
    exponent : int
        ``floor(log2(n))``.
    """

    length: int
    inverse: int
    norm: int
    exponent: int


@dataclass(frozen=True, kw_only=True)
class LayerNormSpec:
    """LayerNorm of ``lanes`` rows side by side, from signed residual values to unsigned codes.

    Per row of n integers x, with S1 = sum of x, S2 = sum of x*x, V = n*S2 - S1*S1 (which is n*n times the variance,
    exact): ``y = (x - S1/n) * n/sqrt(V)`` in fixed point with ``y_fraction`` fraction bits, then
    ``clamp(round_shift(y*gamma + (beta << beta_shift), out_shift), 0, 2**out_bits - 1)``.

    The steps between, with the names of the properties below:

    1. ``mean = round_shift(S1 * inverse, inverse_fraction - mean_fraction)``.
    2. ``V = v * 4**k`` with v in [1, 4); the ``mantissa_bits`` leading bits of v address ``rsqrt_table``; linear
       interpolation gives ``r = 2**rsqrt_bits / sqrt(v)``.
    3. ``q = norm * r``, which is n/sqrt(V) up to a power of two, doubled if its leading bit is 0. Its exponent
       e = floor(log2(n/sqrt(V))), at most ``y_integer``, splits as ``y_integer - e = shift_step*j + w``.
    4. ``multiplier = round_shift(q, length_exponent + w)``, saturated to ``multiplier_bits``.
    5. ``y = (x*multiplier >> shift_step*j) - (round_shift(mean*multiplier, mean_fraction) >> shift_step*j)``: each
       part is rounded down, so that the mean error is 0.

    V = 0 (a constant row, a row of one element) takes the multiplier 0, so that y = 0 and the code follows from beta.

    Parameters
    ----------
    lanes : int
        Rows processed side by side, 1 to 32.
    max_length : int
        Longest row, 2 to 4096.
    in_bits : int
        Width of x, signed, 10 to 16.
    out_bits : int
        Width of a code, unsigned, 2 to 8.
    gamma_fraction : int
        Fraction bits of gamma, 4 to 12. gamma counts output codes per unit of y, so 7 represents ratios
        gamma / scale_out below 256 in steps of 1/128.
    row_products : {"multiplier", "fabric"}
        How the lanes' shared products are made. ``fabric`` saves two multipliers for logic and latency; the codes are
        the same.
    """

    lanes: int
    max_length: int
    in_bits: int = 16
    out_bits: int = 8
    gamma_fraction: int = 7
    row_products: str = "multiplier"

    def __post_init__(self):
        check_int("lanes", self.lanes, 1, 32)
        check_int("max_length", self.max_length, 2, 4096)
        check_int("in_bits", self.in_bits, 10, 16)
        check_int("out_bits", self.out_bits, 2, 8)
        check_int("gamma_fraction", self.gamma_fraction, 4, 12)
        check_choice("row_products", self.row_products, ROW_PRODUCTS)

    gamma_bits = 16
    """Width of gamma, signed."""
    beta_bits = 21
    """Width of beta, signed."""
    beta_fraction = 8
    """Fraction bits of beta, which counts output codes."""
    mean_fraction = 15
    """Fraction bits of the mean."""
    mantissa_bits = 16
    """Width of the leading bits of V: 2 integer and 14 fraction bits of v in [1, 4)."""
    index_bits = 8
    """Leading bits of the mantissa that address the table; the first has 2 integer bits, so it runs from 64 to 255."""
    rsqrt_bits = 17
    """Width of r = 1/sqrt(v), unsigned, all of them fraction bits; 1 saturates to 2**17 - 1."""
    slope_bits = 10
    """Width of a table entry's slope, unsigned, in steps of r per table segment."""
    multiplier_bits = 18
    """Width of the multiplier of x, unsigned."""
    y_bits = 18
    """Width of y, signed."""
    shift_positions = 4
    """Number of shifts that the product of x and the multiplier can take."""

    # Row length ------------------------------------------------------------------------------------------------

    @property
    def canonical(self) -> "LayerNormSpec":
        """The same function with one lane and the row length that widths are made for: equal for equal functions."""
        return replace(self, lanes=1, max_length=self.arithmetic_length, row_products="multiplier")

    @property
    def arithmetic_length(self) -> int:
        """Row length that the widths are made for: ``max_length``, at least 1024.

        Units of different ``max_length`` up to 1024 therefore compute the same codes, and an integer model does not
        depend on the size of the hardware's row buffer.
        """
        return max(self.max_length, 1024)

    @property
    def length_exponent(self) -> int:
        """Number of bits L with ``arithmetic_length <= 2**L``."""
        return (self.arithmetic_length - 1).bit_length()

    @property
    def length_bits(self) -> int:
        """Width of a row length (1 to 2**L), unsigned, also of ``norm``."""
        return self.length_exponent + 1

    @property
    def exponent_bits(self) -> int:
        """Width of ``RowConstants.exponent``, unsigned."""
        return self.length_exponent.bit_length()

    @property
    def inverse_fraction(self) -> int:
        """Fraction bits of 1/n: enough that it moves the mean by less than a quarter of its last bit."""
        return self.in_bits + self.length_exponent + self.mean_fraction

    @property
    def inverse_bits(self) -> int:
        """Width of 1/n, unsigned."""
        return self.inverse_fraction + 1

    def row_constants(self, length: int) -> RowConstants:
        """Return the constants of rows of ``length`` elements.

        Raises
        ------
        TypeError, ValueError
            ``length`` is not an integer between 1 and ``max_length``.
        """
        check_int("length", length, 1, self.max_length)
        exponent = length.bit_length() - 1
        return RowConstants(
            length=length, inverse=((2 << self.inverse_fraction) // length + 1) // 2,
            norm=length << self.length_exponent - exponent, exponent=exponent,
        )

    # Moments ---------------------------------------------------------------------------------------------------

    @property
    def sum_bits(self) -> int:
        """Width of S1, signed."""
        return self.in_bits + self.length_exponent

    @property
    def square_sum_bits(self) -> int:
        """Width of S2, unsigned."""
        return 2 * self.in_bits - 1 + self.length_exponent

    @property
    def variance_bits(self) -> int:
        """Width of V, unsigned and even: the variance is below 4**(in_bits - 1)."""
        return 2 * (self.in_bits - 1 + self.length_exponent)

    @property
    def mean_bits(self) -> int:
        """Width of the mean, signed."""
        return self.in_bits + self.mean_fraction

    # Scale and result ------------------------------------------------------------------------------------------

    @property
    def y_integer(self) -> int:
        """Bits E with |y| < 2**E, so that y never saturates: |y| <= sqrt(n - 1), plus 2**-12 for approximations."""
        bits = 0
        while (1 << 2 * bits) * (2048 - 1) < (self.arithmetic_length - 1) * 2048:
            bits += 1
        return bits

    @property
    def y_fraction(self) -> int:
        """Fraction bits of y."""
        return self.y_bits - 1 - self.y_integer

    @property
    def shift_step(self) -> int:
        """Bits between two shift positions; together they cover every exponent of n/sqrt(V)."""
        return -(-(self.y_integer + self.in_bits + 1) // self.shift_positions)

    @property
    def out_shift(self) -> int:
        """Shift from ``y*gamma`` to codes."""
        return self.y_fraction + self.gamma_fraction

    @property
    def beta_shift(self) -> int:
        """Shift that brings beta to the scale of ``y*gamma``."""
        return self.out_shift - self.beta_fraction

    # Timing ----------------------------------------------------------------------------------------------------

    row_interval = 8
    """Cycles between two rows in the arithmetic that the lanes share."""

    interval = 1
    """Cycles between the beats of a group."""

    @property
    def product_rounds(self) -> int:
        """Rounds of ``row_interval`` cycles that a shared product takes beyond that of a multiplier.

        The constants of a row need four such products one after the other.
        """
        return int(self.row_products == "fabric")

    @property
    def pause(self) -> int:
        """Cycles after the last beat of a group in which no beat is taken: the sums leave the accumulators."""
        return self.lanes

    @property
    def latency(self) -> int:
        """Cycles from the last beat of a group of rows to its first output beat, if nothing else is under way."""
        return self.row_interval * (self.lanes + 4 * self.product_rounds) + 46

    @property
    def min_length_full_rate(self) -> int:
        """Channels from which groups of rows follow each other with no more than the pause between them."""
        half = self.row_interval // 2
        return max(2 * half * self.lanes + 4, half * (self.lanes + 4 * self.product_rounds) + 20) - self.pause

    @property
    def buffer_depth(self) -> int:
        """Beats that the unit can hold: one group that leaves while the next one enters."""
        return 1 << (self.max_length + self.latency + 2 * self.row_interval - 1).bit_length()

    @cached_property
    def rsqrt_table(self) -> tuple[tuple[int, int], ...]:
        """Pairs (base, slope), one per segment i = 64 to 255 of v in [i/64, (i+1)/64).

        ``r = round_shift((base << f) - slope * fraction, f)`` with the f = ``mantissa_bits - index_bits`` low mantissa
        bits as ``fraction``. Each line is the chord of 1/sqrt(v) lowered by half of the chord's largest error, taken at
        points half a mantissa step up, because the mantissa is V cut off, not rounded. Computed in integers.
        """
        unit = 1 << self.mantissa_bits - 2                    # mantissa of v = 1
        segment = 1 << self.mantissa_bits - self.index_bits   # mantissa steps per segment
        guard = 12

        def root(half_steps: int) -> int:
            return isqrt((2 * unit << 2 * (self.rsqrt_bits + guard)) // half_steps)

        table = []
        for index in range(1 << self.index_bits - 2, 1 << self.index_bits):
            low = 2 * index * segment + 1
            left, middle, right = (root(low + part * segment) for part in (0, 1, 2))
            sag = ((left + right) // 2 - middle) // 2
            base = left - sag + (1 << guard - 1) >> guard
            slope = left - right + (1 << guard - 1) >> guard
            table.append((min(base, (1 << self.rsqrt_bits) - 1), slope))
        return tuple(table)
