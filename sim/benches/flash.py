"""Bench of the reader of a serial flash: every byte is right, no rule of the chip is broken, and time is as stated."""

from random import Random

import cocotb
from cocotb.triggers import RisingEdge
from vitric.golden.spec.flash import FlashSpec

from ..clock import start_clock
from ..parameters import read_spec
from ..stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules
from .faults import watch_flash
from .flash_commands import poke

__all__ = ["fast", "no_quad", "random_reads"]

SPEC = read_spec(FlashSpec)


class _Reader:
    """Asks for bytes that were put there, and checks them."""

    def __init__(self, dut, source: str = "always", sink: str = "always", *, quad_enable: bool = True):
        self.dut, self.random = dut, Random(f"flash {cocotb.RANDOM_SEED}")
        self.content = self.random.randbytes(SPEC.size)
        self._driver = Driver(dut, "i", pattern=source)
        self.scoreboard = Scoreboard([None], "o")
        self.scoreboard.expected.clear()
        Monitor(dut, "o", pattern=sink, scoreboard=self.scoreboard)
        check_stream_rules(dut, "o")
        for name, value in (("poke", 0), ("poke_address", 0), ("poke_data", 0), ("quad_enable", int(quad_enable))):
            getattr(dut, name).value = value

    async def start(self) -> None:
        cocotb.start_soon(poke(self.dut, 0, self.content[:4096]))
        await start_clock(self.dut, reset_cycles=4100)  # so that it is asked at once
        cocotb.start_soon(watch_flash(self.dut))

    async def read(self, address: int, count: int, single: bool, *, right: bool = True) -> None:
        """Ask for bytes; where the flash does not know the command all of them are 255: lanes that nobody drives."""
        part = self.content[address:address + count] if right else b"\xff" * count
        self.scoreboard.expected += [byte | (k == count - 1) << 8 for k, byte in enumerate(part)]
        await self._driver.send([address | count << 24 | single << 48])

    async def complete(self) -> None:
        while self.scoreboard.seen < len(self.scoreboard.expected):
            await RisingEdge(self.dut.clk)


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def random_reads(dut, source, sink):
    """Reads of any length, on one lane and on all, at any place, and after a reset in the middle of one."""
    reader = _Reader(dut, source, sink)
    await reader.start()
    for _ in range(30):
        address, count = reader.random.randrange(4000), reader.random.choice([1, 2, 3, reader.random.randrange(1, 60)])
        await reader.read(address, count, reader.random.random() < 0.5)
    await reader.complete()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def fast(dut):
    """The time from a read to its first byte, and of each byte, is what the unit says."""
    reader = _Reader(dut)
    await reader.start()
    await reader.read(0, 1, True)
    await reader.complete()
    for single in (True, False):
        lanes = 1 if single else SPEC.lanes
        times = []
        for count in (100, 400):
            begun = cocotb.simtime.get_sim_time("ns")
            await reader.read(0, count, single)
            await reader.complete()
            times.append((cocotb.simtime.get_sim_time("ns") - begun) / 10)
        assert (times[1] - times[0]) / 300 == 2 * SPEC.half * 8 / lanes
        assert 0 < times[0] - 2 * SPEC.half * (40 + 100 * 8 / lanes) < 12 * SPEC.half + 12


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def no_quad(dut):
    """A flash that was not told to use four lanes gives nothing on them, and everything on one."""
    reader = _Reader(dut, quad_enable=False)
    await reader.start()
    await reader.read(16, 32, False, right=SPEC.lanes == 1)
    await reader.read(16, 32, True)
    await reader.complete()
