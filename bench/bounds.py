"""Lower bounds of area: what the arithmetic of a unit takes if every cell of it does useful work.

One position of a carry chain takes a look-up table, adds two bits and a carry, and so removes one bit from what is left
to add; a multiplexer of n values takes ``ceil((n + log2(n) - 1) / 3)`` look-up tables of four inputs, because each of
them joins at most four signals to one. A bound counts these for the operations that every design of the unit must do
with the widths of its spec. It leaves out control, the logic that all lanes share, and chains' beginnings; so it cannot
be reached, but says how far a design is from the best of its kind.
"""

from collections.abc import Callable

from vitric.golden.spec.layernorm import LayerNormSpec
from vitric.golden.spec.mac import MacArraySpec
from vitric.golden.spec.requantize import RequantizeSpec, TableSpec
from vitric.golden.spec.softmax import SoftmaxSpec

__all__ = ["BOUNDS", "PRODUCTS_PER_MULTIPLIER", "bound", "mac_bound", "multiplexer"]

PRODUCTS_PER_MULTIPLIER = {2: 10, 3: 6, 4: 4, 5: 2, 6: 2, 7: 1, 8: 1}
"""Exact products, by width of the wider operand, that an 18 x 18 multiplier can hold (unsigned by narrow signed).

Those of Gowin and iCE40 can also be two of half the width, so they hold at least two products.
"""

_PRODUCT_LUTS = {"ecp5": 0.0, "gowin": 0.5, "ice40": 1.0}
"""Look-up tables per bit of a partial product before it is added: a carry cell absorbs both, one or none of the two."""


def multiplexer(choices: int) -> int:
    """Return the look-up tables of four inputs for one bit that is chosen from ``choices``."""
    if choices < 2:
        return 0
    inputs = choices + (choices - 1).bit_length()
    return -(-(inputs - 1) // 3)


def mac_bound(spec: MacArraySpec, fabric: str = "ecp5", dsp: float = 0) -> float:
    """Return look-up tables per product, given how many multipliers the array uses.

    A dot product begins with ``a_bits * w_bits`` bits per product, or with ``a_bits + w_bits`` and one for the
    correction where a multiplier makes the product; adding them up leaves ``dot_bits``. The accumulator takes
    ``acc_bits``.
    """
    dots = spec.rows * spec.cols
    total = dots * spec.depth
    each = max(PRODUCTS_PER_MULTIPLIER[max(spec.a_bits, spec.w_bits)], 1 if fabric == "ecp5" else 2)
    packed = min(total, dsp * each)
    product_bits = spec.a_bits * spec.w_bits
    bits = packed * (spec.a_bits + spec.w_bits + 1) + (total - packed) * product_bits * (1 + _PRODUCT_LUTS[fabric])
    return (bits + dots * (spec.acc_bits - spec.dot_bits)) / total


def _softmax(spec: SoftmaxSpec, fabric: str, dsp: float) -> float:
    """Sums of digits; per column comparison of blocks, term shifted or not, subtraction of the norm, saturated code."""
    column = spec.block_index_bits + 1 + spec.term_bits + spec.norm_bits + 1 + spec.out_bits
    return sum(spec.digit_sum_bits) + spec.columns * column


def _layernorm(spec: LayerNormSpec, fabric: str, dsp: float) -> float:
    """Both accumulators, offset, shift, addition of beta, saturated code."""
    affine_bits = spec.y_bits + spec.gamma_bits - spec.beta_shift
    return (spec.sum_bits + spec.square_sum_bits + spec.y_bits * (1 + multiplexer(spec.shift_positions))
            + affine_bits + spec.out_bits)


def _requantize(spec: RequantizeSpec, fabric: str, dsp: float) -> float:
    """Bias, shift, zero point, comparison with the limit, choice of code or limit."""
    return spec.sum_bits + spec.floor_bits * (multiplexer(len(spec.shifts)) + 2) + spec.code_bits


def _gelu(spec: TableSpec, fabric: str, dsp: float) -> float:
    """Nothing: the table is a block RAM, its input and output are registers."""
    return 0.0


BOUNDS: dict[str, Callable] = {
    "mac": mac_bound, "softmax": _softmax, "layernorm": _layernorm, "requantize": _requantize, "gelu": _gelu,
}
"""By unit: the bound per product of an array, per lane of any other unit, from spec, fabric and multipliers used."""


def bound(unit: str, spec: object, fabric: str, dsp: float) -> float:
    """Return the bound of ``lut_eq_per_mac`` or ``lut_eq_per_lane``, to one decimal."""
    return round(BOUNDS[unit](spec, fabric, dsp), 1)
