"""Watching the chip models: a bench fails where one of them shows a fault."""

from ..chips import FLASH_RULES, RULES

__all__ = ["watch_flash", "watch_sdram"]


async def watch_sdram(dut) -> None:
    """Fail the test as soon as the SDRAM shows a fault."""
    await _watch(dut.fault, "chip", RULES)


async def watch_flash(dut) -> None:
    """Fail the test as soon as the flash shows a fault."""
    await _watch(dut.flash_fault, "flash", FLASH_RULES)


async def _watch(signal, owner: str, rules: tuple[str, ...]) -> None:
    """Look when the signal changes: every cycle would be most of a simulation's time."""
    while True:
        fault = int(signal.value)
        assert fault == 0, f"the {owner}'s rule {rules[fault]} is broken"
        await signal.value_change
