"""AXI in cocotb, beside cocotbext-axi: pauses, and the rules of a stream that leaves."""

from collections.abc import Iterator

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from .stream_kit import ReadyRandomizer

__all__ = ["check_axis", "pauses"]


def pauses(pattern: str, number: int = 0) -> Iterator[bool]:
    """Yield whether an end of a stream pauses, cycle by cycle, for cocotbext-axi's ``set_pause_generator``.

    Parameters
    ----------
    pattern : str
        One of :data:`~vitric.sim.stream_kit.PATTERNS`.
    number : int
        Of the end, so that no two pause together.
    """
    for willing in ReadyRandomizer(pattern, (cocotb.RANDOM_SEED or 0) + number):
        yield not willing


def check_axis(dut, prefix: str) -> None:
    """Fail the test when a beat that is offered at ``prefix`` changes or is withdrawn before it was taken."""
    signals = [getattr(dut, f"{prefix}_{name}") for name in ("tvalid", "tready", "tdata", "tlast")
               if hasattr(dut, f"{prefix}_{name}")]

    async def watch() -> None:
        before = None
        while True:
            await RisingEdge(dut.aclk)
            await ReadOnly()
            valid, ready, *beat = (signal.value for signal in signals)
            if not dut.aresetn.value:
                before = None
                continue
            if before is not None:
                assert valid and [str(part) for part in beat] == before, f"{prefix} changed a beat before it was taken"
            before = [str(part) for part in beat] if valid and not ready else None

    cocotb.start_soon(watch())
