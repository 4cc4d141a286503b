"""The cocotb side of the whole-model simulation: starts the harness and reports how far it is."""

from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles

from .clock import start_clock

__all__ = ["runs_images"]

REPORT_CYCLES = 5000


@cocotb.test()
async def runs_images(dut):
    """Run until the harness has a status for every image; write ``<images> <cycles>`` to ``progress.txt``."""
    await start_clock(dut)
    progress = Path("progress.txt")
    while not int(dut.done.value):
        await ClockCycles(dut.clk, REPORT_CYCLES)
        progress.write_text(f"{int(dut.image.value)} {int(dut.cycle.value)}\n")
