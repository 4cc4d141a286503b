"""A unit between shift registers, so that a part with few pins can hold it."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Harness"]


class Harness(wiring.Component):
    """A component with any number of port bits, behind one pin for its inputs and one for its outputs.

    Inputs come from a shift register. Outputs are added, modulo 2, to a shift register of their own, which costs one
    look-up table and one flip-flop per bit and needs no control signal that reaches all of them. So each input is
    driven by a flip-flop, each output ends in one, and nothing can be left out because nobody looks at it.

    *Latency* and *interval* have no meaning here: the harness is for area and timing, not for use.

    Parameters
    ----------
    unit : amaranth.lib.wiring.Component
        Any component with ports in one clock domain, ``sync``.

    Members
    -------
    i : 1, in
    o : 1, out

    Raises
    ------
    ValueError
        The unit has no output, so that all of it would be left out.
    """

    def __init__(self, unit: wiring.Component):
        self.unit = unit
        self.inputs, self.outputs = [], []
        for _, member, value in unit.signature.flatten(unit):
            (self.inputs if member.flow == In else self.outputs).append(Value.cast(value))
        if not sum(map(len, self.outputs)):
            raise ValueError("a unit without outputs cannot be measured")
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.unit = self.unit
        drive = Signal(sum(map(len, self.inputs)), reset_less=True)
        seen = Signal(sum(map(len, self.outputs)), reset_less=True)
        m.d.sync += [
            drive.eq(Cat(self.i, drive)),
            seen.eq(Cat(self.i, seen) ^ Cat(self.outputs)),
        ]
        m.d.comb += [Cat(self.inputs).eq(drive), self.o.eq(seen[-1])]
        return m
