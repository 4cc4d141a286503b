# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from vitric.boards.uart import BREAK_BITS, UartReceiver, UartTransmitter
from vitric.hdl.streams import connect

from tests.hdl.stream_kit import interval, receive, run, send


def simulate(dut, *testbenches):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for testbench in testbenches:
        sim.add_testbench(testbench)
    sim.run()


def levels(byte, *, stop=1):
    return [0, *(byte >> k & 1 for k in range(8)), stop]


async def drive(ctx, dut, line, period):
    """Drive ``rx`` with levels that last ``period`` cycles each, which need not be a whole number."""
    time = 0.0
    for level in line:
        ctx.set(dut.rx, level)
        start, time = round(time), time + period
        await ctx.tick().repeat(round(time) - start)
    ctx.set(dut.rx, 1)


def receiver_bytes(divisor, line, *, period=None, cycles=0):
    dut = UartReceiver(divisor=divisor)
    received = []

    async def driver(ctx):
        await drive(ctx, dut, line, period or divisor)
        await ctx.tick().repeat(2 * divisor + 4 + cycles)

    async def monitor(ctx):
        ctx.set(dut.o.ready, 1)
        async for _, _, valid, payload in ctx.tick().sample(dut.o.valid, dut.o.payload):
            if valid:
                received.append(payload)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(driver)
    sim.add_testbench(monitor, background=True)
    sim.run()
    return received


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_receiver_takes_every_byte(divisor):
    sent = random.Random(divisor).sample(range(256), 256)
    assert receiver_bytes(divisor, [bit for byte in sent for bit in levels(byte)]) == sent


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_receiver_tolerates_a_clock_that_is_off(factor):
    sent = [0x00, 0xFF, 0x55, 0xAA, 0x80, 0x01] * 4
    line = [bit for byte in sent for bit in levels(byte)]
    assert receiver_bytes(32, line, period=32 * factor) == sent


def test_receiver_passes_over_a_glitch():
    divisor = 8
    line = [0] * 3 + [1] * 40  # single cycles: shorter than half a bit
    line += [bit for bit in levels(0x5A) for _ in range(divisor)]
    assert receiver_bytes(divisor, line, period=1, cycles=20) == [0x5A]


def test_receiver_drops_a_byte_without_stop_bit():
    line = levels(0x12, stop=0) + [0] * 30 + [1, 1] + levels(0x34)
    assert receiver_bytes(8, line) == [0x34]


@pytest.mark.parametrize("divisor", [4, 9])
def test_a_break_is_longer_than_two_bytes(divisor):
    dut = UartReceiver(divisor=divisor)
    shortest = BREAK_BITS * divisor

    async def testbench(ctx):
        for low in (9 * divisor, shortest - 1, shortest, shortest + 50, shortest - 1):
            held = 0
            for cycle in range(low + 100):
                ctx.set(dut.rx, cycle >= low)
                held += (await ctx.tick().sample(dut.held))[2]
            assert held == max(0, low - shortest + 1)

    simulate(dut, testbench)


def test_receiver_latency_and_overrun():
    divisor = 10
    dut = UartReceiver(divisor=divisor)

    async def driver(ctx):
        cycle = 0
        ctx.set(dut.rx, 0)
        while not ctx.get(dut.o.valid):
            await ctx.tick()
            cycle += 1
            if cycle % divisor == 0:
                ctx.set(dut.rx, [*levels(0xC3), 1][cycle // divisor])
        assert cycle == 95 + 3
        await ctx.tick().repeat(divisor)
        await drive(ctx, dut, levels(0x3C), divisor)
        assert (ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == (1, 0x3C)  # the byte that was not taken is replaced
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        assert not ctx.get(dut.o.valid)

    simulate(dut, driver)


@pytest.mark.parametrize("divisor", [4, 7])
def test_transmitter_levels_and_interval(divisor):
    dut = UartTransmitter(divisor=divisor)
    sent = [0xA5, 0x00, 0xFF, 0x01]
    line = []

    async def sender(ctx):
        await send(ctx, dut.i, sent)
        await ctx.tick().repeat(10 * divisor)

    async def sampler(ctx):
        assert ctx.get(dut.tx) == 1
        _, _, ready, valid = await ctx.tick().sample(dut.i.ready, dut.i.valid)
        assert ready and valid
        for _ in range(len(sent) * 10 * divisor):  # from the cycle after the first transfer on
            line.append(ctx.get(dut.tx))
            await ctx.tick()

    checkers = run(dut, sender, sampler)
    assert interval(checkers["i"]) == dut.interval == 10 * divisor
    assert line == [bit for byte in sent for bit in levels(byte) for _ in range(divisor)]


class Loop(wiring.Component):
    """A transmitter into a receiver."""

    def __init__(self, divisor):
        self.transmitter, self.receiver = UartTransmitter(divisor=divisor), UartReceiver(divisor=divisor)
        super().__init__({"i": Out(stream.Signature(8)).flip(), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.transmitter, m.submodules.receiver = self.transmitter, self.receiver
        connect(m, wiring.flipped(self.i), self.transmitter.i)
        connect(m, self.receiver.o, wiring.flipped(self.o))
        m.d.comb += self.receiver.rx.eq(self.transmitter.tx)
        return m


def test_loop_with_pauses():
    dut = Loop(5)
    sent = random.Random(1).choices(range(256), k=60)
    received = []

    async def sender(ctx):
        await send(ctx, dut.i, sent, stall="bursts", seed=3)

    async def receiver(ctx):
        received.extend(await receive(ctx, dut.o, len(sent), stall="random", seed=4))

    run(dut, sender, receiver)
    assert received == sent


@pytest.mark.parametrize("component", [UartReceiver, UartTransmitter])
@pytest.mark.parametrize("divisor", [3, 1 << 21])
def test_rejected_divisor(component, divisor):
    with pytest.raises(ValueError, match="divisor must be"):
        component(divisor=divisor)
