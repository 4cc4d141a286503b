"""Dot product and accumulator from carry chains, with the products inside the carry cells."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from vitric.golden.spec.mac import MacArraySpec

from ..fabric.carry import CarryChain, Cell
from .generic import accumulator_members, dot_members
from .rows import HeapAdder, Product

__all__ = ["LutAccumulator", "LutDot"]


class LutDot(wiring.Component):
    """Dot product as one heap of bits, summed by carry chains level by level with registers in between.

    The bits are the products ``a[d][i] & w[d][j]`` of weight ``2**(i+j)``; those of the weights' sign bit count
    negative. The first level forms the products inside the carry cells, see
    :meth:`vitric.hdl.mac.rows.HeapAdder.products`.

    Members are those of :func:`~vitric.hdl.mac.generic.dot_members`.

    Parameters
    ----------
    spec : MacArraySpec
        Shape and widths.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
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
        spec = self.spec
        positive, negative = ([[] for _ in range(spec.dot_bits)] for _ in range(2))
        for d in range(spec.depth):
            for j in range(spec.w_bits):
                for i in range(spec.a_bits):
                    products = negative if j == spec.w_bits - 1 else positive
                    products[i + j].append(Product(self.a[d][i], self.w[d][j]))
        columns = adder.products(positive, negative)
        m.d.comb += self.dot.eq(adder.total("level", columns, spec.tree_levels - 1))
        return m


class LutAccumulator(wiring.Component):
    """Accumulator in one carry chain, with the Horner shift inside the carry cells.

    A cell has room to add one bit of the dot product to one of two bits of the accumulator, so two shifts cost
    nothing; each further one costs a multiplexer. Clearing uses the registers' synchronous reset.

    Members are those of :func:`~vitric.hdl.mac.generic.accumulator_members`.

    Parameters
    ----------
    spec : MacArraySpec
        Shape and widths.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
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
