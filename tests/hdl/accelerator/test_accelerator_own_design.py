"""The example of docs/integration.md: the accelerator in somebody's design, in a clock domain of its own."""

import re
from pathlib import Path

import pytest
from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from vitric.sim.runner import BenchFailure, run_bench

PAGE = Path(__file__).resolve().parents[3] / "docs" / "integration.md"


def example():
    text, = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names = {"__name__": "example"}
    exec(text, names)
    return names["Eye"]()


class WithClocks(wiring.Component):
    """The example with the clock and the reset of its second domain as ports, as a board would drive them."""

    def __init__(self, inner):
        self.inner = inner
        super().__init__({**inner.signature.members, "vit_clk": In(1), "vit_rst": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.domains.vit = ClockDomain()
        m.submodules.inner = self.inner
        m.d.comb += [ClockSignal("vit").eq(self.vit_clk), ResetSignal("vit").eq(self.vit_rst)]
        for name, member in self.inner.signature.members.items():
            ours, theirs = (getattr(self, name), getattr(self.inner, name))
            ours, theirs = (ours, theirs) if member.flow is In else (theirs, ours)
            m.d.comb += [theirs.payload.eq(ours.payload), theirs.valid.eq(ours.valid), ours.ready.eq(theirs.ready)]
        return m


def test_two_clocks(tmp_path):
    result = run_bench(WithClocks(example()), test_module="tests.hdl.accelerator.bench_own_design", build_dir=tmp_path)
    assert len(result.tests) == 1


def test_the_bench_sees_a_wrong_class(tmp_path):
    wrong = PAGE.read_text(encoding="utf-8").replace("accelerator.o.payload > best", "accelerator.o.payload < best")
    text, = re.findall(r"^```python\n(.*?)^```", wrong, re.DOTALL | re.MULTILINE)
    names = {"__name__": "example"}
    exec(text, names)
    with pytest.raises(BenchFailure):
        run_bench(WithClocks(names["Eye"]()), test_module="tests.hdl.accelerator.bench_own_design", build_dir=tmp_path)
