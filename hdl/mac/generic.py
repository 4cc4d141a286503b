"""Dot product and accumulator in plain Amaranth: for simulation, and for any part."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.mac import MacArraySpec

__all__ = ["GenericAccumulator", "GenericDot", "accumulator_members", "dot_members"]


def dot_members(spec: MacArraySpec) -> dict:
    """Return the ports of a dot product unit: what every mapping implements.

    * ``a`` (in, ``depth`` x unsigned ``a_bits``) and ``w`` (in, ``depth`` x signed ``w_bits``): registered operands;
    * ``en`` (in): every register of the unit advances;
    * ``dot`` (out, signed ``dot_bits``): the dot product of the operands ``spec.tree_levels`` enabled cycles ago.
    """
    return {
        "a": In(data.ArrayLayout(spec.a_bits, spec.depth)),
        "w": In(data.ArrayLayout(signed(spec.w_bits), spec.depth)),
        "en": In(1),
        "dot": Out(signed(spec.dot_bits)),
    }


def accumulator_members(spec: MacArraySpec) -> dict:
    """Return the ports of an accumulator: what every mapping implements.

    * ``dot`` (in, signed ``dot_bits``): what to add;
    * ``shift`` (in, index into ``spec.shifts``): how far to shift the old value left first;
    * ``en`` (in): take the sum;
    * ``clear`` (in): become 0; wins over ``en``;
    * ``sum`` (out, signed ``acc_bits``): ``(acc << shifts[shift]) + dot``, combinational.
    """
    return {
        "dot": In(signed(spec.dot_bits)),
        "shift": In(range(len(spec.shifts))),
        "en": In(1),
        "clear": In(1),
        "sum": Out(signed(spec.acc_bits)),
    }


class GenericDot(wiring.Component):
    """Dot product: registered products, a binary tree of registered sums, then plain delay to the spec's latency.

    Members are those of :func:`dot_members`.
    """

    def __init__(self, spec: MacArraySpec):
        self.spec = spec
        super().__init__(dot_members(spec))

    def elaborate(self, platform):
        """Build the registered products and the tree."""
        m = Module()

        def register(value, name):
            q = Signal(value.shape(), name=name, reset_less=True)
            with m.If(self.en):
                m.d.sync += q.eq(value)
            return q

        terms = [register(self.w[d] * self.a[d], f"product_{d}") for d in range(self.spec.depth)]
        for level in range(1, self.spec.tree_levels):
            pairs = [terms[n] + terms[n + 1] for n in range(0, len(terms) - 1, 2)]
            terms = [register(value, f"level_{level}_{n}") for n, value in enumerate(pairs + terms[2 * len(pairs):])]
        m.d.comb += self.dot.eq(terms[0])
        return m


class GenericAccumulator(wiring.Component):
    """Accumulator with clear and Horner shift. Members are those of :func:`accumulator_members`."""

    def __init__(self, spec: MacArraySpec):
        self.spec = spec
        super().__init__(accumulator_members(spec))

    def elaborate(self, platform):
        """Build the register, its shift and its adder."""
        m = Module()
        acc = Signal(signed(self.spec.acc_bits), reset_less=True)
        shifted = acc
        for index, amount in enumerate(self.spec.shifts[1:], start=1):
            shifted = Mux(self.shift == index, acc.shift_left(amount), shifted)
        m.d.comb += self.sum.eq(shifted + self.dot)
        with m.If(self.clear):
            m.d.sync += acc.eq(0)
        with m.Elif(self.en):
            m.d.sync += acc.eq(self.sum)
        return m
