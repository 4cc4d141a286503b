"""Clock and reset of a bench: the one place in the testbenches that makes them."""

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

__all__ = ["PERIOD_NS", "start_clock"]

PERIOD_NS = 10
"""Clock period of every bench in nanoseconds of simulated time."""


async def start_clock(dut, *, reset_cycles: int = 2) -> None:
    """Start ``dut.clk`` and hold ``dut.rst``, if the design has one, high for ``reset_cycles`` cycles.

    Make drivers and monitors first, so that their streams are idle during reset.
    """
    reset = getattr(dut, "rst", None)
    if reset is not None:
        reset.value = 1
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    await ClockCycles(dut.clk, reset_cycles)
    if reset is not None:
        reset.value = 0
