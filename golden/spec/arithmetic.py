"""The widths on which the integers of a model depend: what quantizer, integer model and accelerator agree on."""

from dataclasses import dataclass

from .check import check_int
from .command import MAX_PASSES
from .layernorm import LayerNormSpec
from .requantize import RequantizeSpec, TableSpec
from .softmax import SoftmaxSpec

__all__ = ["Arithmetic"]


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """The part of an :class:`~vitric.golden.spec.accelerator.AcceleratorSpec` that decides what integers come out.

    Two accelerators of one arithmetic give the same logits for every model that fits both. A quantizer needs no more
    of an accelerator than this.

    Parameters
    ----------
    a_bits, w_bits : int
        Width of the array's activation (unsigned) and weight (signed) ports, 2 to 8. Wider codes take planes.
    acc_bits : int
        Width of the accumulators, 12 to 32. It decides which shifts the requantize unit has before its multiplier.
    residual_bits : int
        Width of the residual stream and of the logits, 10 to 16.

    Raises
    ------
    TypeError, ValueError
        A parameter is outside what is listed above.
    """

    a_bits: int = 4
    w_bits: int = 4
    acc_bits: int = 24
    residual_bits: int = 16

    code_bits = 8
    """Width of the widest activation code."""

    index_bits = 8
    """Width of an index into the code table."""

    def __post_init__(self):
        check_int("a_bits", self.a_bits, 2, 8)
        check_int("w_bits", self.w_bits, 2, 8)
        check_int("acc_bits", self.acc_bits, 12, 32)
        check_int("residual_bits", self.residual_bits, 10, 16)

    # Units -----------------------------------------------------------------------------------------------------

    def requantize(self, lanes: int = 1) -> RequantizeSpec:
        """Return the spec of the requantize unit."""
        return RequantizeSpec(lanes=lanes, acc_bits=self.acc_bits)

    def table(self, lanes: int = 1) -> TableSpec:
        """Return the spec of the code table."""
        return TableSpec(lanes=lanes, index_bits=self.index_bits, out_bits=self.code_bits)

    def softmax(self, max_length: int, lanes: int = 1) -> SoftmaxSpec:
        """Return the spec of the softmax unit for rows of up to ``max_length`` scores."""
        return SoftmaxSpec(lanes=lanes, max_length=max(2, max_length), out_bits=self.code_bits)

    def layernorm(self, max_length: int, lanes: int = 1) -> LayerNormSpec:
        """Return the spec of the LayerNorm unit for rows of up to ``max_length`` channels."""
        return LayerNormSpec(lanes=lanes, max_length=max(2, max_length), in_bits=self.residual_bits,
                             out_bits=self.code_bits)

    # Planes ----------------------------------------------------------------------------------------------------

    @property
    def shifts(self) -> tuple[int, ...]:
        """Left shifts of the accumulator between two passes over code planes (Horner's rule), ascending from 0."""
        return tuple(sorted({0, self.a_bits, self.w_bits, abs(self.a_bits - self.w_bits)}))

    def a_planes(self, bits: int) -> int:
        """Return the planes of an unsigned code of ``bits`` bits."""
        return -(-bits // self.a_bits)

    def w_planes(self, bits: int) -> int:
        """Return the planes of a signed narrow code of ``bits`` bits: 1 or 2."""
        return 1 if bits <= self.w_bits else 2

    @property
    def signed_bits_max(self) -> int:
        """Width of the widest signed code: it has at most two digits."""
        return min(2 * self.w_bits, self.code_bits)

    def check_product(self, name: str, a_bits: int, w_bits: int) -> None:
        """Raise :exc:`ValueError` unless the array can multiply codes of these widths.

        Parameters
        ----------
        name : str
            Of the product, for the message.
        a_bits, w_bits : int
            Widths of the unsigned codes and of the signed ones.
        """
        if w_bits > self.signed_bits_max:
            raise ValueError(f"{name}: w_bits must be at most {self.signed_bits_max}, because a signed code has at "
                             f"most two digits of the {self.w_bits} bits of the weight port, not {w_bits}")
        passes = self.a_planes(a_bits) * self.w_planes(w_bits)
        if passes > MAX_PASSES:
            legal = [bits for bits in range(1, a_bits) if self.a_planes(bits) * self.w_planes(w_bits) <= MAX_PASSES]
            narrow = f"w_bits at most {self.w_bits}" if self.a_planes(a_bits) <= MAX_PASSES else None
            ways = " or ".join(filter(None, (f"a_bits at most {legal[-1]}" if legal else None, narrow)))
            raise ValueError(f"{name}: codes of a_bits {a_bits} and w_bits {w_bits} take {passes} passes on ports of "
                             f"{self.a_bits} and {self.w_bits} bits, more than the {MAX_PASSES} there are; use {ways}")
