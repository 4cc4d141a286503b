# amaranth: UnusedElaboratable=no
import pytest
from amaranth.sim import Simulator
from vitric.boards import system
from vitric.boards.link import FrameReader

from tests.boards.machine import CAPACITY, DIVISOR, GAP, MAX_PAYLOAD, SPEC, Host, Machine


@pytest.fixture
def simulate(monkeypatch):
    """Return a function that runs a testbench ``async def f(host)`` on a System with this model."""
    monkeypatch.setattr(system, "Accelerator", Machine)

    def run(testbench, *, init, divisor=DIVISOR):
        dut = system.System(SPEC, init=init, capacity=CAPACITY, divisor=divisor, clock_hz=12_345_678,
                            max_payload=MAX_PAYLOAD, gap=GAP)
        received, hosts = [], []

        async def main(ctx):
            hosts.append(Host(ctx, dut, received))
            await testbench(hosts[0])
            await ctx.tick().repeat(3 * GAP)
            assert received == [] and ctx.get(dut.tx) == 1  # nothing was sent unasked

        async def listen(ctx):
            reader = FrameReader(MAX_PAYLOAD)
            while True:
                _, _, level = await ctx.tick().sample(dut.tx)
                if level:
                    continue
                bit = hosts[0].divisor
                await ctx.tick().repeat(bit // 2)
                byte = 0
                for k in range(8):
                    await ctx.tick().repeat(bit)
                    byte |= ctx.get(dut.tx) << k
                await ctx.tick().repeat(bit)
                assert ctx.get(dut.tx) == 1
                received.extend(reader.feed(bytes([byte])))

        sim = Simulator(dut)
        sim.add_clock(1e-6)
        sim.add_testbench(main)
        sim.add_testbench(listen, background=True)
        sim.run()

    return run
