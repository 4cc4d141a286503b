"""The cocotb side of the whole-model simulation: starts the harness and reports how far it is."""

import os
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles

from ..clock import start_clock

__all__ = ["runs_images"]

REPORT_CYCLES = 5000


@cocotb.test()
async def runs_images(dut):
    """Run until the harness has a status for every image; write ``<images> <cycles>`` to ``progress.txt``.

    The variable ``VITRIC_CYCLE_LIMIT`` ends it after that many cycles with an error.
    """
    await start_clock(dut)
    progress = Path("progress.txt")
    limit = int(os.environ["VITRIC_CYCLE_LIMIT"]) if "VITRIC_CYCLE_LIMIT" in os.environ else None
    while not int(dut.done.value):
        await ClockCycles(dut.clk, REPORT_CYCLES)
        images, cycles = int(dut.image.value), int(dut.cycle.value)
        progress.write_text(f"{images} {cycles}\n")
        assert limit is None or cycles <= limit or dut.done.value, f"only {images} images after {cycles} cycles"
