"""Bench of the SDRAM as a core sees it: two clocks, pins, chip, memory test, faults and resets."""

from random import Random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from vitric.golden.spec.sdram import SdramSpec

from ..clock import start_clock
from ..parameters import read_spec
from ..stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules
from .faults import watch_sdram

__all__ = ["after_reset", "damaged_word", "random_mix", "stream", "stuck_line"]

SPEC = read_spec(SdramSpec)
CORE_PS = (5200, 11_300, 31_000)
"""Periods of the core's clock, faster and slower than the memory's."""


class Core:
    """The two request streams and what comes back.

    Parameters
    ----------
    dut : cocotb handle
    source, sink : str
        Patterns of stalls.
    """

    def __init__(self, dut, source: str = "always", sink: str = "always", core_ps: int = CORE_PS[1]):
        self.dut, self.core_ps = dut, core_ps
        self.memory: dict[int, int] = {}
        self.random = Random(f"core {cocotb.RANDOM_SEED}")
        self._read, self._write = Driver(dut, "read", pattern=source), Driver(dut, "write", pattern=source)
        self.scoreboard = Scoreboard([None], "o")
        self.scoreboard.expected.clear()
        self.monitor = Monitor(dut, "o", pattern=sink, scoreboard=self.scoreboard)
        check_stream_rules(dut, "o")
        for name in ("flip", "spot", "stuck"):
            getattr(dut, name).value = 0

    async def start(self, *, checked: bool = True) -> None:
        """Start both clocks and wait for the memory test; the chip breaks no rule from then on."""
        dut = self.dut
        dut.sdram_rst.value = 1
        Clock(dut.sdram_clk, round(10**12 / SPEC.clock_hz), unit="ps").start()
        await start_clock(dut, reset_cycles=8, period_ps=self.core_ps)
        dut.sdram_rst.value = 0
        cocotb.start_soon(watch_sdram(dut))
        while not dut.ready.value:
            await RisingEdge(dut.clk)
        assert dut.failed.value == (not checked), "the memory test is wrong"

    async def write(self, address: int, lines) -> None:
        """Write lines from an address on."""
        for k, line in enumerate(lines):
            place = (address + k) % SPEC.lines
            self.memory[place] = line
            await self._write.send([place | line << SPEC.address_bits])

    async def read(self, address: int, lines: int) -> None:
        """Ask for lines that were written; they are checked as they arrive."""
        self.scoreboard.expected += [self.memory[(address + k) % SPEC.lines] | (k == lines - 1) << SPEC.line_bits
                                     for k in range(lines)]
        await self._read.send([address | lines << SPEC.address_bits])

    async def complete(self) -> None:
        """Wait until everything that was asked for has come."""
        await self.monitor.receive(len(self.scoreboard.expected))

    def some(self, count: int) -> list[int]:
        """Return random lines."""
        return [self.random.getrandbits(SPEC.line_bits) for _ in range(count)]


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(core_ps=CORE_PS, sink=PATTERNS)
async def random_mix(dut, core_ps, sink):
    """Pieces written and read at random; a read sees what was written before it."""
    core = Core(dut, sink, sink, core_ps)
    await core.start()
    for _ in range(25):
        address, lines = core.random.randrange(SPEC.lines), core.random.randint(1, 60)
        await core.write(address, core.some(lines))
        await core.read(address, lines)
        if core.random.random() < 0.5:
            first = core.random.randrange(lines)
            await core.read((address + first) % SPEC.lines, lines - first)
        await core.complete()


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(core_ps=CORE_PS, sink=("always", "bursts", "rare"))
async def stream(dut, core_ps, sink):
    """All of the memory, while other words are written."""
    core = Core(dut, "always", sink, core_ps)
    await core.start()
    half = SPEC.lines // 2
    await core.write(0, core.some(half))
    await core.read(0, half)
    await core.write(half, core.some(half))
    await core.read(half, half)
    await core.complete()


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def stuck_line(dut):
    """A data line that is stuck makes the test fail, and nothing hangs; runs alone, for there is one test."""
    core = Core(dut)
    dut.stuck.value = 1 << 9
    await core.start(checked=False)
    mask = sum(1 << 9 + 16 * k for k in range(SPEC.burst))
    await core.write(5, [word | mask for word in core.some(9)])
    await core.read(5, 9)
    await core.complete()


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def damaged_word(dut):
    """A bit that changes in the chip comes out changed, and no other one."""
    core = Core(dut)
    await core.start()
    await core.write(0, core.some(8))
    await core.read(0, 8)
    await core.complete()
    column = 3 * SPEC.burst + 1
    dut.spot.value = column
    await FallingEdge(dut.sdram_clk)
    dut.flip.value = 0x0400
    await FallingEdge(dut.sdram_clk)
    dut.flip.value = 0
    core.memory[3] ^= 0x0400 << 16
    await core.read(0, 8)
    await core.complete()


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def after_reset(dut):
    """A reset in the middle of a read ends it; what was written is still there, and is not tested away."""
    core = Core(dut)
    await core.start()
    lines = SPEC.lines // 2
    await core.write(0, core.some(lines))
    await core.read(0, lines)
    core.monitor.beats.clear()
    await ClockCycles(dut.clk, 100)
    dut.rst.value = dut.sdram_rst.value = 1
    await ClockCycles(dut.clk, 20)
    dut.rst.value = dut.sdram_rst.value = 0
    core.scoreboard.expected = core.scoreboard.expected[:core.scoreboard.seen]
    core.monitor.beats = list(core.scoreboard.expected)
    await ClockCycles(dut.clk, 10)
    assert dut.ready.value and not dut.failed.value
    await core.read(0, lines)
    await core.complete()
