"""Two components that shall be the same, and functions that shall be their definition."""

from amaranth.hdl import Assert, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from vitric.hdl.fixed import leading_one, overflows, round_shift, saturate

__all__ = ["Arithmetic", "Twins"]


class Twins(wiring.Component):
    """Two components with the same ports, fed with the same free inputs: each output equals its twin in every cycle.

    Parameters
    ----------
    first, second : amaranth.lib.wiring.Component
        A component and the one that shall equal it. Components with streams are compared in every cycle too: ``ready``,
        ``valid`` and payload.

    Members
    -------
    The inputs of ``first``.
    """

    def __init__(self, first, second):
        self.pair = first, second
        leaves = ["__".join(map(str, path)) for path, _, _ in first.signature.flatten(first)]
        self._leaves = [
            (name, member.flow, [Value.cast(value) for value in values])
            for name, (_, member, _), values in zip(
                leaves, first.signature.flatten(first), zip(*map(_values, self.pair), strict=True), strict=True)
        ]
        super().__init__({name: In(values[0].shape()) for name, flow, values in self._leaves if flow is In})

    def elaborate(self, platform):
        """Return both components and the comparison."""
        m = Module()
        m.submodules.first, m.submodules.second = self.pair
        for name, flow, (first, second) in self._leaves:
            if flow is In:
                m.d.comb += [first.eq(getattr(self, name)), second.eq(getattr(self, name))]
            else:
                m.d.comb += Assert(first == second, f"{name} differs")
        return m


def _values(component):
    return [value for _, _, value in component.signature.flatten(component)]


class Arithmetic(wiring.Component):
    """Every function of :mod:`vitric.hdl.fixed` against its definition, for every number of ``width`` bits.

    Parameters
    ----------
    width : int
        Width of the numbers. Every shift from 0 to ``width + 1`` and every kind of limit is tried.

    Members
    -------
    bits : unsigned(width), in
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"bits": In(unsigned(width))})

    def elaborate(self, platform):
        """Return the comparisons."""
        m = Module()
        width = self.width
        for value in (self.bits, self.bits.as_signed()):
            for shift in range(width + 2):
                definition = value if shift == 0 else (value + (1 << shift - 1)) >> shift
                m.d.comb += Assert(round_shift(value, shift) == definition, f"round_shift({value.shape()}, {shift})")
            for low, high in ((0, 0), (0, 2), (-1, 1), (-2, 5), (-(1 << width), 1 << width), (3, 9)):
                definition = Mux(value < low, low, Mux(value > high, high, value))
                m.d.comb += Assert(saturate(value, low, high) == definition, f"saturate({value!r}, {low}, {high})")
        for bits in range(1, width + 2):
            number, limit = self.bits.as_signed(), 1 << bits - 1
            outside = (number < -limit) | (number >= limit)
            m.d.comb += Assert(overflows(number, bits) == outside, f"overflows({bits})")
        one = Signal(signed(width + 1))
        m.d.comb += one.eq(leading_one(self.bits))
        for index in range(width):
            with m.If(self.bits[index:] == 1):
                m.d.comb += Assert(one == index, f"leading_one: {index}")
        with m.If(self.bits == 0):
            m.d.comb += Assert(one == 0, "leading_one of 0")
        return m
