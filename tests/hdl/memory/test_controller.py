# amaranth: UnusedElaboratable=no
import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory.controller import SdramController
from vitric.hdl.memory.layouts import Command

from tests.hdl.stream_kit import run, send

SMALL = {"row_bits": 2, "column_bits": 5, "t_power_up": 1000, "init_refreshes": 2}
SPECS = [SdramSpec(clock_hz=hz, burst=burst, **SMALL)
         for hz, burst in ((133_333_333, 4), (100_000_000, 8), (142_857_142, 2), (50_000_000, 4))]


async def until_ready(ctx, dut):
    """Wait until the chip has been brought up and a refresh has just been done."""
    await ctx.tick().until(dut.ready)
    await ctx.tick().until(dut.pins.command == Command.REFRESH)
    for _ in range(dut.spec.rfc):
        await ctx.tick()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.clock_hz // 10**6} MHz, {spec.burst}")
def test_latency_and_interval(spec):
    dut = SdramController(spec)
    arrivals = []

    async def client(ctx):
        ctx.set(dut.room, 1)
        await until_ready(ctx, dut)
        await send(ctx, dut.request, [{"write": 0, "address": 3, "data": 3 * spec.row_lines}])
        while len(arrivals) < 3 * spec.row_lines:
            await ctx.tick()

    async def watch(ctx):
        cycle, began = 0, None
        while True:
            _, _, arrives, valid, ready = await ctx.tick().sample(
                dut.arrives, dut.request.valid, dut.request.ready)
            began = cycle if valid and ready else began
            if arrives:
                arrivals.append(cycle - began)
            cycle += 1

    run(dut, client, background=[watch])
    assert arrivals[0] == dut.latency
    assert {later - earlier for earlier, later in zip(arrivals, arrivals[1:], strict=False)} == {dut.interval}


def commands(dut, requests, cycles):
    """Return (cycle, command, bank) of everything that comes to the pins after the first refresh, without NOPs."""
    seen = []

    async def client(ctx):
        ctx.set(dut.room, 1)
        await until_ready(ctx, dut)
        await send(ctx, dut.request, requests)

    async def watch(ctx):
        await until_ready(ctx, dut)
        for cycle in range(cycles):
            _, _, command, bank = await ctx.tick().sample(dut.pins.command, dut.pins.bank)
            if command != Command.NOP:
                seen.append((cycle, Command(command), bank))

    run(dut, client, watch)
    return seen


def test_page_that_follows_is_opened_behind_the_bursts():
    spec = SPECS[0]
    seen = commands(SdramController(spec), [{"write": 0, "address": 0, "data": 6 * spec.row_lines}], 500)
    reads = [cycle for cycle, command, _ in seen if command == Command.READ]
    assert len(reads) == 6 * spec.row_lines
    assert {later - earlier for earlier, later in zip(reads, reads[1:], strict=False)} == {spec.burst}
    assert [bank for _, command, bank in seen if command == Command.ACTIVATE] == [0, 1, 2, 3, 0, 1]


def test_reads_that_follow_each_other_have_no_gap():
    spec = SPECS[0]
    pieces = [(0, 5), (5, 3), (8, spec.row_lines), (8 + spec.row_lines, 7), (5 * spec.row_lines, 8)]
    seen = commands(SdramController(spec), [{"write": 0, "address": a, "data": n} for a, n in pieces], 400)
    reads = [cycle for cycle, command, _ in seen if command == Command.READ]
    assert len(reads) == sum(lines for _, lines in pieces)
    assert {later - earlier for earlier, later in zip(reads, reads[1:], strict=False)} == {spec.burst}


def test_writes_to_a_page_are_without_gaps():
    spec = SPECS[0]
    seen = commands(SdramController(spec), [{"write": 1, "address": k, "data": k} for k in range(8)], 100)
    assert [command for _, command, _ in seen] == [Command.ACTIVATE, *[Command.WRITE] * 8]
    writes = [cycle for cycle, command, _ in seen if command == Command.WRITE]
    assert {later - earlier for earlier, later in zip(writes, writes[1:], strict=False)} == {spec.burst}


def test_writes_come_in_batches_after_refreshes_while_a_read_is_under_way():
    spec = SdramSpec(clock_hz=133_333_333, write_batch=3, t_refi=1500, **SMALL)
    lines = spec.lines
    requests = [{"write": 0, "address": 0, "data": lines}, *({"write": 1, "address": k, "data": k} for k in range(7))]
    seen = [command for _, command, _ in commands(SdramController(spec), requests, 900)]
    batches, read = [0], 0
    for command in seen:
        if command == Command.REFRESH:
            batches.append(0)
        elif command == Command.WRITE:
            assert read < lines
            batches[-1] += 1
        elif command == Command.READ:
            read += 1
    assert [count for count in batches if count] == [3, 3, 1] and read == lines
