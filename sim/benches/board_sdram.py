"""Bench of the system whose models lie in an SDRAM: pins, two clocks and the chip; the host asks, golden answers."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from vitric.boards.host import DeviceError
from vitric.boards.link import Kind, LinkError, encode
from vitric.boards.system import System
from vitric.compiler.cycles import predict
from vitric.golden.data.sets import digits
from vitric.golden.spec.command import ErrorCode
from vitric.golden.spec.sdram import SdramSpec

from ..board import SystemOnChip
from ..chips import RULES
from ..clock import PERIOD_NS
from ..pins import PinTransport, call
from .board import CAPACITY, CLOCK_HZ, DIVISOR, GAP, SPEC, check, device_on, load_wrongly, model, start

__all__ = ["damaged_word", "make_system", "models_and_images", "no_memory", "reset_in_the_middle"]

SDRAM = SdramSpec(clock_hz=133_333_333, burst=SPEC.model_bits // 16, row_bits=4, column_bits=7, t_power_up=2000,
                  init_refreshes=2)
"""A small chip, powered up in less time than a real one."""


CORE_HZ = 10**9 // PERIOD_NS


def make_system() -> SystemOnChip:
    """Return the system under test, without a model, and its chip."""
    return SystemOnChip(System(SPEC, init=(), capacity=CAPACITY, divisor=DIVISOR, clock_hz=CLOCK_HZ, gap=GAP,
                               sdram=SDRAM))


async def _start(dut, stuck: int = 0) -> PinTransport:
    """Start both clocks; from then on the chip breaks no rule, unless a line is stuck."""
    for name, value in (("flip", 0), ("spot", 0), ("stuck", stuck), ("sdram_rst", 1)):
        getattr(dut, name).value = value
    Clock(dut.sdram_clk, round(10**12 / SDRAM.clock_hz), unit="ps").start()
    transport = await start(dut, reset_cycles=8)
    dut.sdram_rst.value = 0

    async def watch():
        while True:
            await RisingEdge(dut.sdram_clk)
            assert int(dut.fault.value) == 0, f"the chip's rule {RULES[int(dut.fault.value)]} is broken"

    cocotb.start_soon(watch())
    return transport


async def _refusal(function, *arguments) -> DeviceError:
    def attempt():
        try:
            function(*arguments)
        except DeviceError as error:
            return error
        return None

    error = await call(attempt)
    assert error is not None, "the board did not refuse"
    return error


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def models_and_images(dut):
    """No model at first; then one after the other, each in use until the next one is whole."""
    transport = await _start(dut)
    device, image = device_on(transport), digits("test")[5]
    assert (await call(device.info)).model_words == 0
    assert (await _refusal(device.infer, model(1).columns(image))).reason == LinkError.NO_MODEL
    await call(device.load, model(1).data)
    await check(dut, device, model(1), image)
    cycles = (await call(device.infer, model(1).columns(image))).cycles
    predicted = predict(model(1).compiled.stream.commands(), SPEC, SDRAM.word_rate(CORE_HZ)).cycles
    dut._log.info(f"{cycles} cycles an image, {predicted} predicted")
    assert abs(cycles / predicted - 1) < 0.05
    assert await load_wrongly(transport) == LinkError.BAD_MODEL
    await check(dut, device, model(1), digits("test")[6])
    assert model(1).logits(image) != model(2).logits(image)
    await call(device.load, model(2).data)
    await check(dut, device, model(2), image)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """Images that are given up while the model streams: what the memory still gives is no part of the next stream."""
    transport = await _start(dut)
    device = device_on(transport)
    await call(device.load, model(1).data)
    for index, cycles in enumerate((0, 10, 400, 1500)):
        await call(transport.write, encode(Kind.INFER, model(1).columns(digits("test")[9])), 1.0)
        await ClockCycles(dut.clk, cycles + 1)
        await call(device.abort)
        await check(dut, device, model(1), digits("test")[index])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def damaged_word(dut):
    """A bit of the model that changes in the chip: an error and no logits; then a model that is loaded again."""
    device, image = device_on(await _start(dut)), digits("test")[7]
    await call(device.load, model(1).data)
    for line in (100, CAPACITY + 100):  # of either bank; the model may lie in both
        dut.spot.value = line * SDRAM.burst  # row, bank, column in the chip
        await FallingEdge(dut.sdram_clk)
        dut.flip.value = 0x0400
        await FallingEdge(dut.sdram_clk)
        dut.flip.value = 0
    refused = await _refusal(device.infer, model(1).columns(image))
    assert (refused.reason, refused.code) == (LinkError.ACCELERATOR, ErrorCode.BAD_CRC)
    await call(device.load, model(1).data)
    await check(dut, device, model(1), image)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def no_memory(dut):
    """A chip with a data line that is stuck: no model is taken, and the board still answers."""
    device = device_on(await _start(dut, stuck=0x0010))
    assert (await _refusal(device.load, model(1).data)).reason == LinkError.BAD_MEMORY
    assert (await _refusal(device.infer, model(1).columns(digits("test")[0]))).reason == LinkError.NO_MODEL
    assert (await call(device.info)).model_words == 0
