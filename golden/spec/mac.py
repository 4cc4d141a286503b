"""Parameters of the multiply-accumulate array."""

from dataclasses import dataclass

from .check import check_choice, check_int

__all__ = ["MAPPINGS", "MacArraySpec"]

MAPPINGS = ("auto", "generic", "lut", "dsp", "mixed")
"""Legal values of ``mapping``."""


def _signed_bits(magnitude: int) -> int:
    """Return the width of a signed number that holds ``-magnitude .. magnitude``."""
    return magnitude.bit_length() + 1


@dataclass(frozen=True, kw_only=True)
class MacArraySpec:
    """Shape and widths of an array of ``rows * cols`` dot products of ``depth`` terms each.

    Activations are unsigned, ``0 .. 2**a_bits - 1``. Weights are signed with narrow range,
    ``-(2**(w_bits-1) - 1) .. 2**(w_bits-1) - 1``: the code ``-2**(w_bits-1)`` is illegal input.

    Parameters
    ----------
    rows : int
        Tokens side by side, R, 1 to 64.
    cols : int
        Output channels side by side, C, 1 to 64.
    depth : int
        Terms of one dot product per beat, D, 1 to 256.
    a_bits, w_bits : int
        Operand widths, each 2 to 8.
    max_terms : int
        Products that one accumulation may sum, 1 to 2**24. A product whose plane ends up shifted left by ``s``
        counts ``2**s`` times. Derives ``acc_bits`` where that is not given.
    acc_bits : int, optional
        Width of the signed accumulators, ``dot_bits`` to 48. Default: what ``max_terms`` products need.
    shifts : tuple of int
        The left shifts a beat can apply to the accumulator before it adds (Horner's rule over code planes):
        ascending, first one 0, each below ``acc_bits``. Normally ``(0, a_bits)``.
    mapping : {"auto", "generic", "lut", "dsp", "mixed"}
        How the hardware is built; function, latency and interval do not depend on it. ``"generic"``: products and
        sums are left to the synthesizer; ``"lut"``: carry chains; ``"dsp"``: several products in each hardware
        multiplier; ``"mixed"``: some columns as with ``"dsp"``, the others as with ``"lut"``; ``"auto"``: of the last
        three, the one that takes the least logic.
    multipliers : int
        With ``mapping="auto"``, and only then: how many hardware multipliers the array may take, 0 to 4096.
    dsp_cols : int, optional
        With ``mapping="mixed"``, and only then: how many columns (the first ones) are built as with ``"dsp"``, 1 to
        ``cols - 1``.

    Raises
    ------
    TypeError, ValueError
        A parameter is outside what is listed above.
    """

    rows: int
    cols: int
    depth: int
    a_bits: int
    w_bits: int
    max_terms: int = 4096
    acc_bits: int | None = None
    shifts: tuple[int, ...] = (0, 4)
    mapping: str = "auto"
    multipliers: int = 0
    dsp_cols: int | None = None

    def __post_init__(self):
        check_int("rows", self.rows, 1, 64)
        check_int("cols", self.cols, 1, 64)
        check_int("depth", self.depth, 1, 256)
        check_int("a_bits", self.a_bits, 2, 8)
        check_int("w_bits", self.w_bits, 2, 8)
        check_int("max_terms", self.max_terms, 1, 1 << 24)
        check_choice("mapping", self.mapping, MAPPINGS)
        check_int("multipliers", self.multipliers, 0, 4096)
        if self.multipliers and self.mapping != "auto":
            raise ValueError(f"multipliers must be 0 unless mapping is 'auto', not {self.multipliers!r}")
        if self.mapping == "mixed":
            check_int("dsp_cols", self.dsp_cols, 1, self.cols - 1)
        elif self.dsp_cols is not None:
            raise ValueError(f"dsp_cols must be None unless mapping is 'mixed', not {self.dsp_cols!r}")
        if self.acc_bits is None:
            terms = max(self.max_terms, self.depth)
            object.__setattr__(self, "acc_bits", _signed_bits(terms * self.a_max * self.w_max))
        check_int("acc_bits", self.acc_bits, self.dot_bits, 48)
        if not isinstance(self.shifts, tuple) or not self.shifts:
            raise TypeError(f"shifts must be a tuple of integers that starts with 0, not {self.shifts!r}")
        for shift in self.shifts:
            check_int("shifts", shift, 0, self.acc_bits - 1)
        if self.shifts[0] != 0 or list(self.shifts) != sorted(set(self.shifts)):
            raise ValueError(f"shifts must ascend from 0 without repetition, not {self.shifts!r}")

    @property
    def a_max(self) -> int:
        """Largest activation."""
        return (1 << self.a_bits) - 1

    @property
    def w_max(self) -> int:
        """Largest magnitude of a weight."""
        return (1 << self.w_bits - 1) - 1

    @property
    def dot_bits(self) -> int:
        """Width of the signed dot product of one beat."""
        return _signed_bits(self.depth * self.a_max * self.w_max)

    @property
    def tree_levels(self) -> int:
        """Register levels between the operand registers and the accumulator.

        One for each halving of the ``depth * w_bits`` rows of partial products, and one more. Narrow weights count as
        4 bits, because a multiplier takes two levels however narrow they are.
        """
        return (self.depth * max(self.w_bits, 4) - 1).bit_length() + 1

    @property
    def latency(self) -> int:
        """Cycles from the transfer of a beat with ``last`` to ``o.valid``, without stalls.

        The operand registers, the levels of the tree, and the accumulator.
        """
        return self.tree_levels + 2

    @property
    def interval(self) -> int:
        """Cycles between accepted beats, without stalls."""
        return 1

    @property
    def macs_per_cycle(self) -> int:
        """Products per cycle."""
        return self.rows * self.cols * self.depth
