import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.formal.equivalent import is_equivalent
from vitric.sim.mutants import plant

from tests.sim.test_mutants import AddsOne


def test_equivalence_is_proved_and_refuted(tmp_path):
    _, faults = plant(AddsOne(), tmp_path, count=60, seed=1)
    netlist = tmp_path / "before.il"
    assert is_equivalent(netlist, "", tmp_path / "same")
    inverted = next(fault for fault in faults if fault.mode == "inv" and fault.port == "Y")
    assert not is_equivalent(netlist, inverted.change, tmp_path / "other")


class NeverBoth(wiring.Component):
    """Two registers that are not 1 together: bit 0 of ``high`` stays 0, bit 0 of ``low`` stays 1, the others move."""

    i: In(1)
    high: Out(2)
    low: Out(2, init=1)

    def elaborate(self, platform):
        m = Module()
        left, right = Signal(), Signal()
        m.d.sync += [
            left.eq(self.i), right.eq(~self.i), self.high.eq(Cat(left & right, left)),
            self.low.eq(Cat(~(left & right), left)),
        ]
        return m


@pytest.mark.parametrize("wire,mode,proved", [
    ("high[0]", "const0", True), ("high[0]", "const1", False), ("high[1]", "const0", False),
    ("low[0]", "const1", False),  # does not start at 0: not tried
])
def test_registers_that_become_constants(tmp_path, wire, mode, proved):
    _, faults = plant(NeverBoth(), tmp_path, count=200, seed=1)
    fault = next(one for one in faults if (one.wire, one.mode, one.port) == (wire, mode, "Q"))
    assert is_equivalent(tmp_path / "before.il", fault.change, tmp_path / "equal") == proved
