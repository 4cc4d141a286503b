# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.lib import io
from amaranth.sim import Simulator
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory.layouts import Command
from vitric.hdl.memory.pins import SdramPins
from vitric.sim.sdram import simulated_ports

SPEC = SdramSpec(clock_hz=100_000_000)


TIED = ("clk_en", "cs", "dqm")


@pytest.mark.parametrize("tied", [(), TIED], ids=["all pins", "some tied"])
def test_every_pin_has_a_register_and_its_polarity(tied):
    ports, m = simulated_ports(SPEC), Module()
    for name in tied:
        delattr(ports, name)
    m.domains.sdram = ClockDomain(reset_less=True)
    m.submodules.dut = dut = SdramPins(SPEC, ports)
    seen = {}

    async def bench(ctx):
        ctx.set(dut.pins, {"command": Command.WRITE, "bank": 2, "address": 0x1555, "mask": 1, "dq": 0xBEEF, "drive": 1})
        ctx.set(ports.dq.i, 0x1234)
        before = ctx.get(ports.ba.o), ctx.get(dut.dq)
        await ctx.tick("sdram")
        seen.update({name: ctx.get(getattr(ports, name).o) for name in vars(ports)}, oe=ctx.get(ports.dq.oe),
                    read=ctx.get(dut.dq), before=before)

    sim = Simulator(m)
    sim.add_clock(1e-8, domain="sdram")
    sim.add_testbench(bench)
    sim.run()
    expected = {"clk_en": 1, "cs": 0, "ras": 1, "cas": 0, "we": 0, "ba": 2, "a": 0x1555, "dqm": 3, "dq": 0xBEEF,
                "oe": 0xFFFF, "read": 0x1234, "before": (0, 0)}
    assert seen == {name: value for name, value in expected.items() if name not in tied}


def test_a_pin_that_is_never_tied():
    ports = simulated_ports(SPEC)
    del ports.we
    with pytest.raises(AttributeError, match="we"):
        SdramPins(SPEC, ports).elaborate(None)


@pytest.mark.parametrize(("name", "width", "message"), [("dq", 8, "ports.dq must have 16"), ("a", 12, "at least 13")])
def test_ports_of_another_width(name, width, message):
    ports = simulated_ports(SPEC)
    setattr(ports, name, io.SimulationPort("io", width))
    with pytest.raises(ValueError, match=message):
        SdramPins(SPEC, ports)
