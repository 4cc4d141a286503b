"""How several exact products share one hardware multiplier."""

from dataclasses import dataclass

from vitric.golden.spec.mac import MacArraySpec

from ..fabric import FABRICS

__all__ = ["OPERAND_BITS", "Packing", "best_packing", "product_bits"]

OPERAND_BITS = {fabric: 16 if fabric == "ice40" else 18 for fabric in FABRICS}
"""Width of an operand of one multiplier, by fabric."""


def product_bits(spec: MacArraySpec) -> int:
    """Return the width of a signed number that holds any product, and any product less one."""
    return (spec.a_max * spec.w_max).bit_length() + 1


@dataclass(frozen=True)
class Packing:
    """Positions of ``rows`` activations in one operand of a multiplier and of ``cols`` weights in the other.

    The multiplier computes ``P = (sum_r a[r] << a_position(r)) * (sum_c w[c] << w_position(c))``, in which the product
    of slot r and slot c is ``p_k << k * step`` with ``k = field(r, c)``. The products are signed, so a negative sum of
    the fields below k borrows one from field k. With ``b`` the width of a product (:func:`product_bits`)

    ``p_k = P[k*step .. k*step + b - 2] - (n_k << b - 1) + n_(k-1)``,

    where ``n_k`` says whether the fields up to k are negative together. If ``step = b`` that is bit ``b - 1`` of the
    field. If ``step = b - 1`` that bit is not in the field, but the lowest bit of the next field is the lowest bit of
    its own product, less ``n_k``: ``n_k = P[(k + 1) * step] ^ a & w``, with the lowest bits of the next product's
    operands. The last field has all its bits.

    Parameters
    ----------
    rows, cols : int
        Activations and weights in one multiplier.
    step : int
        Bits between neighbouring products, ``b`` or ``b - 1``.
    rows_inside : bool
        Whether neighbouring fields belong to neighbouring rows (else columns).
    """

    rows: int
    cols: int
    step: int
    rows_inside: bool

    @property
    def products(self) -> int:
        """Products in one multiplier."""
        return self.rows * self.cols

    def field(self, row: int, col: int) -> int:
        """Return the number of the field of slot ``row`` and slot ``col``."""
        return col * self.rows + row if self.rows_inside else row * self.cols + col

    def slots(self, field: int) -> tuple[int, int]:
        """Return row slot and column slot of a field."""
        if self.rows_inside:
            return field % self.rows, field // self.rows
        return field // self.cols, field % self.cols

    def a_position(self, row: int) -> int:
        """Return the lowest bit of the activation in slot ``row``."""
        return self.field(row, 0) * self.step

    def w_position(self, col: int) -> int:
        """Return the lowest bit of the weight in slot ``col``."""
        return self.field(0, col) * self.step


def best_packing(spec: MacArraySpec, *, rows: int, cols: int, operand_bits: int) -> Packing:
    """Return the packing with which ``rows`` by ``cols`` dot products take the fewest multipliers.

    Among equals the one with fields as wide as a product, then the one with the fewest weights side by side (they are
    signed, so a weight must be lowered by one where the one below it is negative), then the smallest.

    Parameters
    ----------
    spec : MacArraySpec
        Widths of the operands.
    rows, cols : int
        Rows and columns of products of the same term.
    operand_bits : int
        Width of the multiplier's operands, one used unsigned, the other signed.
    """
    def fits(packing):
        return (packing.a_position(packing.rows - 1) + spec.a_bits <= operand_bits
                and packing.w_position(packing.cols - 1) + spec.w_bits <= operand_bits)

    def cost(packing):
        multipliers = -(-rows // packing.rows) * -(-cols // packing.cols)
        narrow = packing.step < product_bits(spec)
        return multipliers, narrow, packing.cols, packing.rows, not packing.rows_inside

    candidates = [
        Packing(r, c, product_bits(spec) - narrow, inside)
        for r in range(1, min(rows, operand_bits) + 1)
        for c in range(1, min(cols, operand_bits) + 1)
        for narrow in (0, 1)
        for inside in (False, True)
    ]
    return min(filter(fits, candidates), key=cost)
