"""Clock and reset of a bench: the one place in the testbenches that makes them."""

from collections.abc import Iterable
from random import Random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

__all__ = ["PERIOD_NS", "start_clock"]

PERIOD_NS = 10
"""Clock period of every bench in nanoseconds of simulated time."""

_NOISE_CYCLES = 40


async def start_clock(
    dut, *, reset_cycles: int = 1, noise: Iterable[str] = (), period_ps: int = 1000 * PERIOD_NS,
) -> None:
    """Start ``dut.clk`` and hold ``dut.rst``, if the design has one, high for ``reset_cycles`` cycles.

    Make drivers and monitors first, so that their streams are idle during reset.

    ``period_ps`` is the clock's period in picoseconds, where it matters to a model of a chip.

    The input streams named by ``noise`` get 40 cycles of random beats before the reset, so that it finds the design in
    the middle of something. They need not obey any rule; a :class:`~vitric.sim.stream_kit.Monitor` ignores what comes
    of them.
    """
    reset = getattr(dut, "rst", None)
    Clock(dut.clk, period_ps, unit="ps").start()
    await _make_noise(dut, list(noise))
    if reset is not None:
        reset.value = 1
    await ClockCycles(dut.clk, reset_cycles)
    if reset is not None:
        reset.value = 0


async def _make_noise(dut, names: list[str]) -> None:
    if not names:
        return
    random = Random(f"noise {cocotb.RANDOM_SEED}")
    dut.rst.value = 0
    for _ in range(_NOISE_CYCLES):
        for name in names:
            payload = getattr(dut, f"{name}__payload")
            payload.value = random.getrandbits(len(payload))
            getattr(dut, f"{name}__valid").value = int(random.random() < 0.75)
        await RisingEdge(dut.clk)
    for name in names:
        getattr(dut, f"{name}__valid").value = 0
