"""Pins by hand; the benches in ``sim/benches/flash.py`` read a chip."""

import pytest
from amaranth.sim import Simulator
from vitric.golden.spec.flash import FlashSpec
from vitric.hdl.memory.flash import FlashReader


def watch(spec, *, single, dq, cycles=400):
    """Read 2 bytes at 0x123456; return the transactions, each a list of (o, oe) at rising edges, and the bytes."""
    dut, transactions, received = FlashReader(spec), [], []

    async def main(ctx):
        ctx.set(dut.dq, dq)
        ctx.set(dut.i.p.address, 0x123456)
        ctx.set(dut.i.p.bytes, 2)
        ctx.set(dut.i.p.single, single)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        selected = clock = 0
        for _ in range(spec.wake_cycles + cycles):
            _, _, ready, valid, data, last, pins = await ctx.tick().sample(
                dut.i.ready, dut.o.valid, dut.o.p.data, dut.o.p.last, dut.pins)
            if ready:
                ctx.set(dut.i.valid, 0)
            if valid:
                received.append((data, last))
            if pins.select and not selected:
                transactions.append([])
            if pins.clock and not clock:
                transactions[-1].append((pins.o, pins.oe))
            assert pins.select or not pins.clock
            selected, clock = pins.select, pins.clock

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(main)
    sim.run()
    return transactions, received


def sent(transaction):
    return int("".join(str(o & 1) for o, _ in transaction), 2)


@pytest.mark.parametrize("clock_hz", [1_000_000, 30_000_000])
@pytest.mark.parametrize(("single", "lanes"), [(0, 4), (1, 4), (0, 1)])
def test_a_read(clock_hz, single, lanes):
    spec = FlashSpec(clock_hz=clock_hz, lanes=lanes)
    (leave, wake, read), received = watch(spec, single=single, dq=0b1010)
    wide = lanes == 4 and not single
    assert [o for o, _ in leave] == [0b1111] * 16 and sent(wake) == 0xAB and len(wake) == 8
    assert sent(read[:32]) == (0x6B if wide else 0x0B) << 24 | 0x123456
    assert len(read) == 32 + 8 + (4 if wide else 16)
    assert {oe for _, oe in read[:32]} == {0b1101} and {o >> 1 for o, _ in read} == {0b111}
    assert {oe for _, oe in read[32:]} == ({0} if wide else {0b1101})
    byte = 0xAA if wide else 0xFF
    assert received == [(byte, 0), (byte, 1)]


def test_it_stops_while_nobody_takes():
    dut = FlashReader(FlashSpec(clock_hz=1_000_000))

    async def main(ctx):
        ctx.set(dut.i.p.bytes, 100)
        ctx.set(dut.i.valid, 1)
        edges = []
        for _ in range(1000):
            before = ctx.get(dut.pins.clock)
            await ctx.tick()
            edges.append(before != ctx.get(dut.pins.clock))
        assert sum(edges) == 2 * (16 + 8 + 40 + 2 * 2 + 2) - 1  # two bytes wait, the third is not complete
        assert not any(edges[-500:]) and ctx.get(dut.pins.select)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(main)
    sim.run()
