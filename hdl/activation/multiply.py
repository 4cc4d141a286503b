"""Wide products made of several hardware multipliers."""

from amaranth.hdl import Cat, Const, Module, Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice, check_int
from vitric.golden.spec.requantize import OPERAND_BITS

from ..fabric.multiplier import RegisteredProduct
from .pipeline import delay

__all__ = ["MAPPINGS", "RegisteredProduct"]

MAPPINGS = ("generic", "ecp5", "ice40")
"""``generic`` is plain ``*`` between registers; ``ecp5`` is a MULT18X18D with its own registers switched on, ``ice40``
an SB_MAC16 likewise, with logic for the operand bits beyond 16."""

_MAC16_BITS = 16
"""Operand width of an SB_MAC16."""


class PipelinedMultiplier(wiring.Component):
    """Exact product of a wide operand and one of at most 18 bits: ``p = a * b``.

    ``a`` is cut into parts of 18 bits, least significant first, of which only the last may be signed. Each part has
    its own :class:`RegisteredProduct`; then one registered addition per further part. The low 18 bits of a partial
    sum are final and are not added again.

    *Latency* 1 + number of parts enabled cycles (2 for one part), *interval* 1. There is no handshake: every
    register advances when ``en`` is 1.

    Parameters
    ----------
    a_shape : shape-like
        Wide operand, 1 to 72 bits, signed or unsigned.
    b_shape : shape-like
        Narrow operand, 1 to 18 bits, signed or unsigned.
    mapping : {"generic", "ecp5"}
        See :data:`MAPPINGS`.

    Members
    -------
    a, b : ``a_shape``, ``b_shape``, in
    en : 1, in
    p : width is the sum of the operand widths, signed if either operand is, out
    """

    interval = 1

    def __init__(self, a_shape, b_shape, *, mapping: str = "generic"):
        self.a_shape, self.b_shape = Shape.cast(a_shape), Shape.cast(b_shape)
        check_int("width of a_shape", self.a_shape.width, 1, 4 * PART_BITS)
        check_int("width of b_shape", self.b_shape.width, 1, PART_BITS)
        check_choice("mapping", mapping, MAPPINGS)
        self.mapping = mapping
        super().__init__({
            "a": In(self.a_shape), "b": In(self.b_shape), "en": In(1),
            "p": Out(Shape(self.a_shape.width + self.b_shape.width, self.a_shape.signed or self.b_shape.signed)),
        })

    @property
    def parts(self) -> int:
        """Number of hardware multipliers."""
        return -(-self.a_shape.width // PART_BITS)

    @property
    def latency(self) -> int:
        """Enabled cycles from the operands to the product."""
        return 1 + self.parts

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        total, done = self._partial(m, 0), Const(0, 0)
        for k in range(1, self.parts):
            # `done` are final bits, `total` is what stands above them.
            partial = delay(m, self._partial(m, k), self.en, k - 1, name=f"partial_{k}")
            above = (total.shift_right(PART_BITS) + partial)[:len(partial)]
            above = above.as_signed() if partial.shape().signed else above
            done = delay(m, Cat(done, total[:PART_BITS]), self.en, 1, name=f"done_{k}")
            total = delay(m, above, self.en, 1, name=f"total_{k}")
        m.d.comb += self.p.eq(Cat(done, total))
        return m

    def _partial(self, m: Module, k: int) -> Value:
        part = self.a[k * PART_BITS:(k + 1) * PART_BITS]
        if k == self.parts - 1 and self.a_shape.signed:
            part = part.as_signed()
        m.submodules[f"part_{k}"] = product = RegisteredProduct(part.shape(), self.b_shape, mapping=self.mapping)
        m.d.comb += [product.a.eq(part), product.b.eq(self.b), product.en.eq(self.en)]
        return product.p
