import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.formal.equivalent import is_equivalent
from vitric.hdl.units import UNITS
from vitric.sim.mutants import hunt, plant
from vitric.sim.runner import BenchFailure


class AddsOne(wiring.Component):
    """One more in each lane, and a register that nothing needs to be right."""

    def __init__(self):
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        twice = Signal()
        m.d.comb += [twice.eq(self.i.valid & self.i.valid), self.i.ready.eq(self.o.ready | ~self.o.valid)]
        with m.If(self.i.ready):
            m.d.sync += [self.o.payload.eq(self.i.payload + 1), self.o.valid.eq(twice | self.i.valid)]
        return m


def test_faults_are_planted_and_named(tmp_path):
    netlist, faults = plant(AddsOne(), tmp_path, count=12, seed=3)
    assert [fault.number for fault in faults] == list(range(1, 13))
    assert {fault.mode for fault in faults} <= {"inv", "const0", "const1", "cnot0", "cnot1"}
    assert all(fault.kind and fault.port for fault in faults)
    assert "tests/sim/test_mutants.py" in {source.rpartition(":")[0] for fault in faults for source in fault.sources}
    assert "input [3:0] fault;" in netlist.read_text()
    assert plant(AddsOne(), tmp_path / "again", count=12, seed=3)[1] == faults
    assert plant(AddsOne(), tmp_path / "other", count=12, seed=4)[1] != faults


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


def test_bench_catches_and_says_by_which_test(tmp_path):
    unit = UNITS["requantize"]
    netlist, faults = plant(unit.make(unit.fine), tmp_path, count=6, seed=1)
    told = []
    caught = hunt(unit, unit.fine, netlist, len(faults), tmp_path / "sim", tests="source=random/sink=random",
                  tell=told.append)
    assert len(caught) >= 5 and set(caught) <= {fault.number for fault in faults}
    assert set(caught.values()) == {"random_beats/source=random/sink=random"}
    assert told == sorted(told) and set(told) <= set(range(7))
    with pytest.raises(BenchFailure, match="fails without a fault, in corners"):
        broken = netlist.with_name("broken.v")
        broken.write_text(netlist.read_text().replace("fault == 3'h1", "1'b1"))
        hunt(unit, unit.fine, broken, 1, tmp_path / "sim", tests="corners")
