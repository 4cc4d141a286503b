"""What benches with the flash model share."""

from cocotb.triggers import RisingEdge

from ..chips import FLASH_RULES

__all__ = ["poke", "watch_flash"]


async def watch_flash(dut) -> None:
    """Fail the test as soon as the flash shows a fault."""
    while True:
        await RisingEdge(dut.clk)
        fault = int(dut.flash_fault.value)
        assert fault == 0, f"the flash's rule {FLASH_RULES[fault]} is broken"


async def poke(dut, address: int, data: bytes) -> None:
    """Put bytes into the flash."""
    dut.poke.value = 1
    for place, byte in enumerate(data, address):
        dut.poke_address.value, dut.poke_data.value = place, byte
        await RisingEdge(dut.clk)
    dut.poke.value = 0
