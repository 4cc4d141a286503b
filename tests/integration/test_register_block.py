"""Registers in hardware: every kind of field, single bytes, and a clear that meets a set."""

from amaranth.sim import Simulator
from vitric.integration.register_block import RegisterBlock
from vitric.integration.registers import Field, Register

MAP = (
    Register(name="a", address=0x00, summary="", fields=(
        Field(name="seen", low=0, bits=5, access="ro", summary=""),
        Field(name="kept", low=6, bits=12, access="rw", reset=0x123, summary=""),
        Field(name="go", low=20, bits=1, access="w1", summary=""))),
    Register(name="b", address=0x08, summary="", fields=(
        Field(name="event", low=3, bits=2, access="w1c", summary=""),)),
    Register(name="c", address=0x0C, summary="", fields=(Field(name="c", low=0, bits=32, access="ro", summary=""),)),
)


def run(process):
    block = RegisterBlock(MAP)
    simulator = Simulator(block)
    simulator.add_clock(1e-6)

    async def write(ctx, address, data, strobe=0b1111):
        ctx.set(block.write_address, address)
        ctx.set(block.write_data, data)
        ctx.set(block.write_strobe, strobe)
        ctx.set(block.write, 1)
        known = ctx.get(block.write_known)
        await ctx.tick()
        ctx.set(block.write, 0)
        return known

    def read(ctx, address):
        ctx.set(block.read_address, address)
        return ctx.get(block.read_data), ctx.get(block.read_known)

    async def testbench(ctx):
        await process(ctx, block, write, read)

    simulator.add_testbench(testbench)
    simulator.run()


def test_every_kind_of_field():
    ran = []

    async def process(ctx, block, write, read):
        ctx.set(block.a_seen, 0b10101)
        ctx.set(block.c_c, 0xDEADBEEF)
        assert read(ctx, 0) == (0b10101 | 0x123 << 6, 1) and read(ctx, 0x0C) == (0xDEADBEEF, 1)
        assert read(ctx, 0x04) == (0, 0) == read(ctx, 0x800) and read(ctx, 0x08) == (0, 1)
        assert await write(ctx, 0, 0xFFFFFFFF) == 1
        assert ctx.get(block.a_kept) == 0xFFF and ctx.get(block.a_go) == 1
        assert read(ctx, 0) == (0b10101 | 0xFFF << 6, 1)  # go reads as 0
        await ctx.tick()
        assert ctx.get(block.a_go) == 0
        assert await write(ctx, 0x0C, 0) == 0 == await write(ctx, 0x10, 0)
        assert read(ctx, 0x0C) == (0xDEADBEEF, 1)
        ran.append(1)

    run(process)
    assert ran


def test_bytes_are_written_alone():
    ran = []

    async def process(ctx, block, write, read):
        await write(ctx, 0, 0, 0b0001)
        assert ctx.get(block.a_kept) == 0x123 & ~0b11  # bits 6 and 7 of the word
        await write(ctx, 0, 0xFFFFFFFF, 0b0010)
        assert ctx.get(block.a_kept) == 0x3FC | 0x123 & 0xC00 and ctx.get(block.a_go) == 0
        await write(ctx, 0, 0xFFFFFFFF, 0b0100)
        assert ctx.get(block.a_kept) == 0xFFC and ctx.get(block.a_go) == 1
        await write(ctx, 0, 0, 0b1000)
        assert ctx.get(block.a_kept) == 0xFFC and ctx.get(block.a_go) == 0
        ran.append(1)

    run(process)
    assert ran


def test_events_stay_until_they_are_cleared():
    ran = []

    async def process(ctx, block, write, read):
        ctx.set(block.b_event, 0b11)
        await ctx.tick()
        ctx.set(block.b_event, 0)
        await ctx.tick()
        assert read(ctx, 8) == (0b11 << 3, 1) and ctx.get(block.b_event_now) == 0b11
        await write(ctx, 8, 0b01 << 3)
        assert ctx.get(block.b_event_now) == 0b10
        ctx.set(block.b_event, 0b10)
        await write(ctx, 8, 0b11 << 3)  # set and cleared at once
        assert ctx.get(block.b_event_now) == 0b10
        ctx.set(block.b_event, 0)
        await write(ctx, 8, 0b11 << 3)
        assert ctx.get(block.b_event_now) == 0
        ran.append(1)

    run(process)
    assert ran
