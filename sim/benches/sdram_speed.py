"""Bench that measures how much of the bus a long stream uses, for ``python -m bench.sdram``."""

import json
from pathlib import Path

import cocotb
from cocotb.triggers import Event, RisingEdge
from vitric.golden.spec.sdram import SdramSpec

from ..clock import start_clock
from ..parameters import component_parameters, read_spec
from .faults import watch_sdram
from .sdram import period_ps

__all__ = ["measure"]

SPEC = read_spec(SdramSpec)


class _Speed:
    """A client that never stalls and counts cycles."""

    def __init__(self, dut):
        self.dut = dut
        self.edge = RisingEdge(dut.clk)

    async def request(self, word: int) -> None:
        """Offer a request until it is taken."""
        dut = self.dut
        dut.request__payload.value, dut.request__valid.value = word, 1
        await self.edge
        while not dut.request__ready.value:
            await self.edge
        dut.request__valid.value = 0

    async def write(self, lines: int, *, gap: int = 0) -> int:
        """Write so many lines, one every ``gap`` cycles or without a pause; return the cycles that it took."""
        cycles, dut = 0, self.dut
        dut.request__valid.value = 1
        for k in range(lines):
            dut.request__payload.value = 1 | k << 1
            await self.edge
            cycles += 1
            while not dut.request__ready.value:
                await self.edge
                cycles += 1
            if gap:
                dut.request__valid.value = 0
                for _ in range(gap):
                    await self.edge
                dut.request__valid.value = 1
        dut.request__valid.value = 0
        return cycles

    async def read(self, lines: int, arrived: Event) -> int:
        """Read so many lines, set ``arrived`` with the first; return the cycles from the first one to the last."""
        await self.request(lines << 1 + SPEC.address_bits)
        while not self.dut.arrives.value:
            await self.edge
        arrived.set()
        count, cycles = 1, 0
        while count < lines:
            await self.edge
            cycles += 1
            count += int(self.dut.arrives.value)
        return cycles


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def measure(dut):
    """Write and read a stretch of memory, read it while lines are written; leave the shares of the bus in a file."""
    parameters = component_parameters()
    lines = parameters["lines"]
    speed = _Speed(dut)
    for name in ("flip", "spot", "request__valid"):
        getattr(dut, name).value = 0
    dut.room.value = 1
    cocotb.start_soon(watch_sdram(dut))
    await start_clock(dut, reset_cycles=2, period_ps=period_ps(SPEC))
    while not dut.ready.value:
        await RisingEdge(dut.clk)
    found = {"write": lines * SPEC.burst / await speed.write(lines)}
    found["read"] = (lines - 1) * SPEC.burst / await speed.read(lines, Event())
    for name, gap in (("read_and_host", parameters["host_gap"]), ("read_and_writes", 0)):
        arrived = Event()
        reading = cocotb.start_soon(speed.read(lines, arrived))
        await arrived.wait()
        writing = cocotb.start_soon(speed.write(1 << 30, gap=gap))
        found[name] = (lines - 1) * SPEC.burst / await reading
        writing.cancel()
        dut.request__valid.value = 0
        await RisingEdge(dut.clk)
    Path(parameters["file"]).write_text(json.dumps(found))
