import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
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


def test_bench_catches_and_says_by_which_test(tmp_path):
    unit = UNITS["requantize"]
    netlist, faults = plant(unit.make(unit.fine), tmp_path, count=6, seed=1)
    told = []
    caught = hunt(unit, unit.fine, netlist, range(1, 7), tmp_path / "sim", tests="source=random/sink=random",
                  tell=told.append)
    assert len(caught) >= 5 and set(caught) <= {fault.number for fault in faults}
    assert set(caught.values()) == {"random_beats/source=random/sink=random"}
    assert told == sorted(told) and set(told) <= set(range(7))
    part = hunt(unit, unit.fine, netlist, range(3, 5), tmp_path / "sim", tests="source=random/sink=random")
    assert part == {number: test for number, test in caught.items() if number in (3, 4)}
    with pytest.raises(BenchFailure, match="fails without a fault, in corners"):
        broken = netlist.with_name("broken.v")
        broken.write_text(netlist.read_text().replace("fault == 3'h1", "1'b1"))
        hunt(unit, unit.fine, broken, range(1, 2), tmp_path / "sim", tests="corners")
