"""What benches with the flash model share."""

from cocotb.triggers import RisingEdge

__all__ = ["poke"]


async def poke(dut, address: int, data: bytes) -> None:
    """Put bytes into the flash."""
    dut.poke.value = 1
    for place, byte in enumerate(data, address):
        dut.poke_address.value, dut.poke_data.value = place, byte
        await RisingEdge(dut.clk)
    dut.poke.value = 0
