"""The products of the row arithmetic: in a multiplier of the device, or in its carry cells."""

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice
from vitric.golden.spec.layernorm import LayerNormSpec

from ..fabric import FABRICS
from ..fabric.multiply import RegisteredProduct
from ..mac.heap import levels_suffice
from ..mac.rows import HeapAdder, Product
from ..pipeline import delay

__all__ = ["FabricProduct", "row_product"]


def row_product(spec: LayerNormSpec, a_shape, b_shape, *, fabric: str) -> wiring.Component:
    """Return ``p = a * b`` as ``spec.row_products`` says, with ``spec.product_rounds`` rounds of 8 cycles on top.

    Parameters are those of :class:`vitric.hdl.fabric.multiply.RegisteredProduct`.
    """
    if spec.row_products == "multiplier":
        return RegisteredProduct(a_shape, b_shape, fabric=fabric)
    latency = RegisteredProduct.latency + spec.product_rounds * spec.row_interval
    return FabricProduct(a_shape, b_shape, latency=latency, fabric=fabric)


class FabricProduct(wiring.Component):
    """One product as a heap of bits, summed by carry chains level by level with registers in between.

    A bit product that has one sign bit counts negative and joins the first level apart from the others, as in
    :class:`~vitric.hdl.mac.lut.LutDot`.

    *Latency* as given, *interval* 1. There is no handshake: every register advances when ``en`` is 1.

    Parameters
    ----------
    a_shape, b_shape : shape-like
        Operands, signed or unsigned.
    latency : int
        Enabled cycles from operands to product: one for the operands, one for each level, the rest wait.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
        See :class:`~vitric.hdl.fabric.carry.CarryChain`.

    Members
    -------
    a, b : ``a_shape``, ``b_shape``, in
    en : 1, in
    p : width is the sum of the operand widths, signed if either operand is, out

    Raises
    ------
    ValueError
        The levels take more than ``latency`` cycles.
    """

    interval = 1

    def __init__(self, a_shape, b_shape, *, latency: int, fabric: str = "generic"):
        self.a_shape, self.b_shape = Shape.cast(a_shape), Shape.cast(b_shape)
        check_choice("fabric", fabric, FABRICS)
        self.latency = latency
        self.fabric = fabric
        width = self.a_shape.width + self.b_shape.width
        super().__init__({
            "a": In(self.a_shape), "b": In(self.b_shape), "en": In(1),
            "p": Out(Shape(width, signed=self.a_shape.signed or self.b_shape.signed)),
        })

    def elaborate(self, platform):
        """Build operand registers, the levels and what remains of the latency."""
        m = Module()
        a, b = (delay(m, operand, self.en, 1, name=name) for operand, name in ((self.a, "a"), (self.b, "b")))
        positive, negative = ([[] for _ in self.p] for _ in range(2))
        for i in range(len(a)):
            for j in range(len(b)):
                signs = (self.a_shape.signed and i == len(a) - 1) + (self.b_shape.signed and j == len(b) - 1)
                (negative if signs == 1 else positive)[i + j].append(Product(a[i], b[j]))
        adder = HeapAdder(m, en=self.en, width=len(self.p), fabric=self.fabric)
        columns = adder.products(positive, negative)
        heights = tuple(map(len, columns))
        longest = self.latency - 2
        levels = next((n for n in range(longest + 1) if levels_suffice(heights, n)), None)
        if levels is None:
            raise ValueError(f"latency must be enough for the levels of the sum, not {self.latency}")
        total = Signal(self.p.shape())
        m.d.comb += [
            total.eq(adder.total("level", columns, levels)),
            self.p.eq(delay(m, total, self.en, longest - levels, name="wait")),
        ]
        return m
