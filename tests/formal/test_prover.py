import pytest
from amaranth.hdl import Assert, Assume, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from vitric.formal.prover import Pdr, Unrolled, prove


class Counter(wiring.Component):
    """Counts to 9 and stays; asserts that it is not ``never``."""

    step: In(2)

    def __init__(self, never):
        self.never = never
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        count = Signal(4)
        with m.If(self.step.any() & (count < 9)):
            m.d.sync += count.eq(count + 1)
        m.d.comb += [Assume(self.step != 3), Assert(count != self.never), Assert(count + self.step < 12)]
        return m


def test_proved_for_ever(tmp_path):
    outcome = prove(Counter(10), Pdr(), tmp_path)
    assert (outcome.status, outcome.counterexample, outcome.registers) == ("proved", (), 4)


def test_counterexample_is_the_inputs(tmp_path):
    outcome = prove(Counter(3), Pdr(), tmp_path)
    assert outcome.status == "failed"
    count = 0
    for cycle in outcome.counterexample[:-1]:
        assert cycle.keys() == {"step", "rst"} and cycle["step"] < 3
        count = 0 if cycle["rst"] else count + bool(cycle["step"])
    assert count == 3


def test_depth_of_unrolling(tmp_path):
    assert prove(Counter(7), Unrolled(7), tmp_path).status == "proved"  # 7 needs 7 steps, seen in the eighth cycle
    assert prove(Counter(7), Unrolled(8), tmp_path).status == "failed"


def test_reset_is_free(tmp_path):
    class Forgets(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            kept, counted = Signal(2, reset_less=True), Signal(2)
            m.d.sync += [kept.eq(kept + 1), counted.eq(counted + 1)]
            m.d.comb += Assert(kept == counted)
            return m

    assert prove(Forgets({}), Pdr(), tmp_path).status == "failed"


def test_time_limit_is_no_proof(tmp_path):
    class Product(wiring.Component):
        a: In(24)
        b: In(24)

        def elaborate(self, platform):
            m = Module()
            m.d.comb += Assert((self.a * self.b)[20:40] == (self.b * (self.a + 1) - self.b)[20:40])
            return m

    assert prove(Product(), Pdr(), tmp_path, seconds=1).status == "undecided"


def test_models_of_instances(tmp_path):
    class Gate(wiring.Component):
        x: In(1)

        def elaborate(self, platform):
            m = Module()
            y = Signal()
            m.submodules.gate = Instance("inverter", i_x=self.x, o_y=y)
            m.d.comb += Assert(y != self.x)
            return m

    model = tmp_path / "gate.v"
    for function, status in (("~x", "proved"), ("1'b0", "failed")):
        model.write_text(f"module inverter(input x, output y); assign y = {function}; endmodule\n")
        assert prove(Gate(), Pdr(), tmp_path / "proof", sources=(str(model),)).status == status
    with pytest.raises(RuntimeError, match="yosys design.ys ended with status 1"):
        prove(Gate(), Pdr(), tmp_path / "proof")


def test_nothing_to_prove(tmp_path):
    class Silent(wiring.Component):
        def elaborate(self, platform):
            return Module()

    with pytest.raises(RuntimeError, match="nothing is asserted"):
        prove(Silent({}), Pdr(), tmp_path)
