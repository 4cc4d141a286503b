"""Dot product and accumulator from carry chains, with the products inside the carry cells."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from vitric.golden.spec.mac import MacArraySpec

from ..fabric.carry import CarryChain, Cell
from .generic import accumulator_members, dot_members
from .heap import plan_level
from .rows import Bit, HeapAdder, Product

__all__ = ["LutAccumulator", "LutDot"]


class LutDot(wiring.Component):
    """Dot product as one heap of bits, summed by carry chains level by level with registers in between.

    The bits are the products ``a[d][i] & w[d][j]`` of weight ``2**(i+j)``. Those of the weights' sign bit count
    negative: ``-x = (1 - x) - 1``, so they enter complemented, and the constant that makes up for the -1 of all of
    them joins the heap as its one bits. The first level forms the products inside the carry cells. Full adders are
    self-dual (complemented inputs give complemented outputs), so the first level adds negative bits as they are,
    apart from the others, and the second reads the results complemented.

    Members are those of :func:`~vitric.hdl.mac.generic.dot_members`.

    Parameters
    ----------
    spec : MacArraySpec
        Shape and widths.
    fabric : {"generic", "ecp5"}
        See :class:`~vitric.hdl.fabric.carry.CarryChain`.
    """

    def __init__(self, spec: MacArraySpec, *, fabric: str = "generic"):
        self.spec = spec
        self.fabric = fabric
        super().__init__(dot_members(spec))

    def elaborate(self, platform):
        """Build the levels; the heap is down to one row before the last of them or with it."""
        m = Module()
        adder = HeapAdder(m, en=self.en, width=self.spec.dot_bits, fabric=self.fabric)
        columns = self._first_level(adder)
        m.d.comb += self.dot.eq(adder.total("level", columns, self.spec.tree_levels - 1))
        return m

    def _first_level(self, adder):
        """Add the partial products: the negative ones apart, because they come out complemented."""
        spec = self.spec
        sign = spec.w_bits - 1
        columns = [[] for _ in range(spec.dot_bits)]
        for name, planes in ("positive", range(sign)), ("negative", [sign]):
            products = [[] for _ in range(spec.dot_bits)]
            for d in range(spec.depth):
                for j in planes:
                    for i in range(spec.a_bits):
                        products[i + j].append(Product(self.a[d][i], self.w[d][j]))
            chains, left = plan_level(products, 2)
            negative = name == "negative"
            for column, bits in zip(columns, adder.sums(name, chains, inverted=negative), strict=True):
                column += bits
            for column, bits in zip(columns, left, strict=True):
                column += [adder.delay(Bit(bit.x & bit.y, negative), f"{name}_left") for bit in bits]
        constant = -(spec.depth * spec.a_max << sign)
        for k, column in enumerate(columns):
            if constant >> k & 1:
                column.append(Bit(Const(1), False))
        return columns


class LutAccumulator(wiring.Component):
    """Accumulator in one carry chain, with the Horner shift inside the carry cells.

    A cell has room to add one bit of the dot product to one of two bits of the accumulator, so two shifts cost
    nothing; each further one costs a multiplexer. Clearing uses the registers' synchronous reset.

    Members are those of :func:`~vitric.hdl.mac.generic.accumulator_members`.

    Parameters
    ----------
    spec : MacArraySpec
        Shape and widths.
    fabric : {"generic", "ecp5"}
        See :class:`~vitric.hdl.fabric.carry.CarryChain`.
    """

    def __init__(self, spec: MacArraySpec, *, fabric: str = "generic"):
        self.spec = spec
        self.fabric = fabric
        super().__init__(accumulator_members(spec))

    def elaborate(self, platform):
        """Build the register and its chain."""
        m = Module()
        bits, shifts = self.spec.acc_bits, self.spec.shifts
        acc = Signal(bits, reset_less=True)
        cells, inputs = [Cell.LINK_ZERO], [{}]
        moved = self.shift.any()
        for k in range(bits):
            sources = [acc[k - amount] if amount <= k else Const(0) for amount in shifts[1:]]
            used = {"a": self.dot[min(k, len(self.dot) - 1)]}
            if not sources:
                cells.append(Cell.ADD)
                used |= {"c": acc[k]}
            elif shifts[1] > k:
                cells.append(Cell.UNLESS)
                used |= {"b": moved, "d": acc[k]}
            else:
                cells.append(Cell.SELECT)
                shifted = sources[0]
                for index, source in enumerate(sources[1:], start=2):
                    shifted = Mux(self.shift == index, source, shifted)
                used |= {"b": moved, "c": shifted, "d": acc[k]}
            inputs.append(used)
        m.submodules.chain = chain = CarryChain(cells, fabric=self.fabric)
        for port in "abcd":
            m.d.comb += getattr(chain, port).eq(Cat(used.get(port, Const(1)) for used in inputs))
        m.d.comb += self.sum.eq(chain.s[1:])
        with m.If(self.clear):
            m.d.sync += acc.eq(0)
        with m.Elif(self.en):
            m.d.sync += acc.eq(chain.s[1:])
        return m
