"""Bench of the system that takes its model from a flash: one start of the board a test."""

import cocotb
from cocotb.triggers import ClockCycles
from vitric.boards.flash_image import DATA_OFFSET, FlashState, flash_image
from vitric.boards.host import Device
from vitric.boards.link import LinkError
from vitric.golden.data.sets import digits
from vitric.golden.spec.flash import FlashSpec

from ..board import SystemOnChip
from ..pins import call
from . import board_sdram
from .board import CLOCK_HZ, SPEC, check, device_on, model
from .board_sdram import refusal, start_chips
from .faults import watch_flash
from .flash_commands import poke

__all__ = ["damaged_model", "empty_flash", "foreign_model", "make_system", "newest_model", "no_memory", "older_model",
           "one_lane", "reset_in_the_middle"]

FLASH = FlashSpec(clock_hz=CLOCK_HZ, size=1 << 17, slots=(0, 1 << 16))


def make_system() -> SystemOnChip:
    """Return the system under test, without a model, and its chips."""
    return board_sdram.make_system(FLASH)


def _slot(seed: int, written: int, spec_hash: int = SPEC.hash) -> bytes:
    return flash_image(model(seed).data, model_bits=SPEC.model_bits, spec_hash=spec_hash, written=written)


def _spoiled(image: bytes) -> bytes:
    """Return a slot whose writing was cut off: what was not written is erased."""
    return image[:DATA_OFFSET + 1000] + b"\xff" * (len(image) - DATA_OFFSET - 1000)


async def _start(dut, *slots: bytes, quad_enable: int = 1, stuck: int = 0) -> Device:
    """Start the board with these slots in its flash."""
    for name, value in (("quad_enable", quad_enable), ("poke", 0), ("poke_address", 0), ("poke_data", 0), ("rst", 1)):
        getattr(dut, name).value = value

    async def fill():
        for place, slot in zip(FLASH.slots, slots, strict=True):
            await poke(dut, place, slot)

    cocotb.start_soon(fill())
    transport = await start_chips(dut, stuck, reset_cycles=sum(map(len, slots)) + 8)
    cocotb.start_soon(watch_flash(dut))
    return device_on(transport)


async def _found(device: Device) -> tuple[FlashState, int, int]:
    """Wait until the board has looked at its flash; return what it says of it."""
    while (info := await call(device.info)).flash_state == FlashState.LOOKING:
        assert (info.model_words, info.flash_written) == (0, 0)
    return FlashState(info.flash_state), info.flash_slot, info.flash_written


async def _load(dut, device: Device) -> None:
    """Give the board a model over the line, and use it."""
    await call(device.load, model(3).data)
    await check(dut, device, model(3), digits("test")[3])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def newest_model(dut):
    """It is in use; while the board looks, nothing of models is taken. Another one over the line replaces it."""
    device = await _start(dut, _slot(1, 5), _slot(2, 6))
    assert (await refusal(device.load, model(3).data)).reason == LinkError.BUSY
    assert (await refusal(device.infer, model(2).columns(digits("test")[0]))).reason == LinkError.BUSY
    assert await _found(device) == (FlashState.LOADED, 1, 6)
    await check(dut, device, model(2), digits("test")[1])
    await _load(dut, device)
    assert await _found(device) == (FlashState.LOADED, 1, 6)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def older_model(dut):
    """The power went while the newer one was written."""
    device = await _start(dut, _spoiled(_slot(1, 7)), _slot(2, 6))
    assert await _found(device) == (FlashState.LOADED, 1, 6)
    await check(dut, device, model(2), digits("test")[1])
    await _load(dut, device)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def one_lane(dut):
    """A flash that was not told to use four."""
    device = await _start(dut, _slot(1, 7), _slot(2, 6), quad_enable=0)
    assert await _found(device) == (FlashState.LOADED, 0, 7)
    await check(dut, device, model(1), digits("test")[1])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A break begins the search anew."""
    device = await _start(dut, _slot(1, 7), _slot(2, 6))
    for cycles in (100, 3000, 4000):
        await ClockCycles(dut.clk, cycles)
        await call(device.abort)
    assert await _found(device) == (FlashState.LOADED, 0, 7)
    await check(dut, device, model(1), digits("test")[1])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def empty_flash(dut):
    """Nothing is there: the board says so, and waits for a host."""
    device = await _start(dut, b"\xff" * 300, b"\xff" * 300)
    assert await _found(device) == (FlashState.EMPTY, 0, 0)
    assert (await refusal(device.infer, model(1).columns(digits("test")[0]))).reason == LinkError.NO_MODEL
    await _load(dut, device)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def foreign_model(dut):
    """A model for another accelerator."""
    device = await _start(dut, _slot(1, 7, spec_hash=SPEC.hash ^ 1), b"\xff" * 300)
    assert await _found(device) == (FlashState.FOREIGN, 0, 0)
    await _load(dut, device)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def damaged_model(dut):
    """Neither is whole."""
    device = await _start(dut, _spoiled(_slot(1, 7)), _spoiled(_slot(2, 8)))
    assert await _found(device) == (FlashState.DAMAGED, 0, 0)
    await _load(dut, device)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def no_memory(dut):
    """An SDRAM with a data line that is stuck: nothing is copied there."""
    device = await _start(dut, _slot(1, 7), _slot(2, 8), stuck=0x0010)
    info = await call(device.info)
    assert (info.model_words, info.memory_failed, info.flash_state) == (0, 1, FlashState.NONE)
    assert (await refusal(device.load, model(3).data)).reason == LinkError.BAD_MEMORY
