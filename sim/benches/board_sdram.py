"""Bench of the system whose models lie in an SDRAM: pins, two clocks and the chip; the host asks, golden answers."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge
from vitric.boards.host import Device, DeviceError
from vitric.boards.image_queue import ImageQueue
from vitric.boards.link import BEGIN_LAYOUT, Frame, FrameReader, Kind, LinkError, encode, pack_layout
from vitric.boards.system import System
from vitric.compiler.cycles import predict
from vitric.golden.data.sets import digits
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import ErrorCode
from vitric.golden.spec.flash import FlashSpec
from vitric.golden.spec.sdram import SdramSpec

from ..board import SystemOnChip
from ..clock import PERIOD_NS
from ..pins import PinTransport, call
from .board import CAPACITY, CLOCK_HZ, DIVISOR, GAP, SECOND, SPEC, check, device_on, load_wrongly, model, start
from .faults import watch_sdram

__all__ = ["damaged_word", "images_during_a_run", "impossible_runs", "make_system", "models_and_images", "no_memory",
           "power_cycle", "queue_of_images", "refusal", "reset_in_the_middle", "start_chips"]

SDRAM = SdramSpec(clock_hz=133_333_333, burst=SPEC.model_bits // 16, row_bits=4, column_bits=7, t_power_up=2000,
                  init_refreshes=2)
"""A small chip, powered up in less time than a real one."""


CORE_HZ = 10**9 // PERIOD_NS


def make_system(flash: FlashSpec | None = None, spec: AcceleratorSpec = SPEC) -> SystemOnChip:
    """Return the system under test, without a model, and its chips."""
    return SystemOnChip(System(spec, init=(), capacity=CAPACITY, divisor=DIVISOR, clock_hz=CLOCK_HZ, gap=GAP,
                               sdram=SDRAM, flash=flash, core_domain="core"))


async def start_chips(dut, stuck: int = 0, reset_cycles: int = 8) -> PinTransport:
    """Start both clocks; from then on the SDRAM breaks no rule, unless a line is stuck."""
    for name, value in (("flip", 0), ("spot", 0), ("stuck", stuck), ("sdram_rst", 1)):
        getattr(dut, name).value = value
    Clock(dut.sdram_clk, round(10**12 / SDRAM.clock_hz), unit="ps").start()
    transport = await start(dut, reset_cycles=reset_cycles)
    dut.sdram_rst.value = 0
    cocotb.start_soon(watch_sdram(dut))
    return transport


async def refusal(function, *arguments) -> DeviceError:
    """Return why the board refuses what this function asks of it."""
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
    transport = await start_chips(dut)
    device, image = device_on(transport), digits("test")[5]
    assert (await call(device.info)).model_words == 0
    assert (await refusal(device.infer, model(1).columns(image))).reason == LinkError.NO_MODEL
    refused = await refusal((await _queue(device)).start, 0, 1)
    assert refused.reason == LinkError.NO_MODEL
    await call(device.load, model(1).data)
    await check(dut, device, model(1), image)
    assert await load_wrongly(transport) == LinkError.BAD_MODEL
    await check(dut, device, model(1), digits("test")[6])
    assert model(1).logits(image) != model(2).logits(image)
    await call(device.load, model(2).data)
    await check(dut, device, model(2), image)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """Images that are given up while the model streams: what the memory still gives is no part of the next stream."""
    transport = await start_chips(dut)
    device = device_on(transport)
    await call(device.load, model(1).data)
    for index, cycles in enumerate((0, 10, 400, 1500)):
        await call(transport.write, encode(Kind.INFER, model(1).columns(digits("test")[9])), 1.0)
        await ClockCycles(dut.clk, cycles + 1)
        await call(device.abort)
        await check(dut, device, model(1), digits("test")[index])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def power_cycle(dut):
    """A reset at any time: the accelerator, which has none, begins afresh, too."""
    transport = await start_chips(dut)
    device = device_on(transport)
    for index, cycles in enumerate((400, 1500, 2500)):
        await call(device.load, model(1).data)
        await call(transport.write, encode(Kind.INFER, model(1).columns(digits("test")[9])), 1.0)
        await ClockCycles(dut.clk, cycles + 1)
        dut.rst.value = dut.sdram_rst.value = 1
        await ClockCycles(dut.clk, 8)
        dut.rst.value = dut.sdram_rst.value = 0
        await call(transport.read, 2 * GAP / SECOND)  # what was being answered
        await call(device.load, model(2).data)
        await check(dut, device, model(2), digits("test")[index])


async def _raw(transport: PinTransport, kind: Kind, payload: bytes = b"") -> Frame:
    """Send a request as it is; return the answer."""
    await call(transport.write, encode(kind, payload), 1.0)
    reader = FrameReader()
    while True:
        data = await call(transport.read, 2 * GAP / SECOND)
        assert data, "no answer"
        for frame in reader.feed(data):
            return frame


async def _queue(device: Device) -> ImageQueue:
    """Return the queue of a board for images of the network."""
    return await call(lambda: ImageQueue(device, len(model(1).columns(digits("test")[0])), poll=0.001))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def queue_of_images(dut):
    """Images in the memory, one after the other without the serial line; then one over the line again."""
    device = device_on(await start_chips(dut))
    await call(device.load, model(1).data)
    queue, some = await _queue(device), digits("test")[10:15]
    run = await call(queue.infer, [model(1).columns(image) for image in some])
    assert [result.logits for result in run.results] == [model(1).logits(image) for image in some]
    cycles = [result.cycles for result in run.results]
    dut._log.info(f"{cycles} cycles an image, {run.cycles} in all")
    predicted = predict(model(1).compiled.stream.commands(), SPEC, SDRAM.word_rate(CORE_HZ)).cycles
    assert abs(sum(cycles) / len(cycles) / predicted - 1) < 0.05
    assert 0 < run.cycles - sum(cycles) < 60 * len(cycles)  # beside the images: records and starts
    await check(dut, device, model(1), digits("test")[15])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def images_during_a_run(dut):
    """While one image is computed the next one arrives, and what would disturb the run is refused."""
    transport = await start_chips(dut)
    device = device_on(transport)
    await call(device.load, model(1).data)
    queue, some = await _queue(device), digits("test")[20:26]
    await call(queue.put, 0, model(1).columns(some[0]))
    for index, image in enumerate(some[1:]):
        await call(queue.start, index % 2, 1)
        await call(queue.put, (index + 1) % 2, model(1).columns(image))
        assert (await call(queue.wait)).done == 1
        assert (await call(queue.result, index % 2)).logits == model(1).logits(some[index])
    stated = {"words": 1, "crc": 0}
    await _raw(transport, Kind.BEGIN, pack_layout(BEGIN_LAYOUT, stated))
    await call(queue.start, 0, 20)  # long enough for what follows
    for attempt in (lambda: device.infer(model(1).columns(some[0])), lambda: queue.start(0, 1)):
        assert (await refusal(attempt)).reason == LinkError.BUSY
    answer = await _raw(transport, Kind.COMMIT)
    assert (answer.kind, answer.payload[0]) == (Kind.ERROR, LinkError.BUSY)
    assert (await call(device.run_status)).running
    await call(device.abort)
    assert not (await call(device.run_status)).running
    await check(dut, device, model(1), digits("test")[27])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def impossible_runs(dut):
    """Slots beyond the memory, slots too small, words beyond the memory: each is refused, and nothing is written."""
    device = device_on(await start_chips(dut))
    queue, words = await _queue(device), SDRAM.lines // 2
    await call(device.load, model(1).data)
    image, slots = model(1).columns(digits("test")[30]), queue.slots
    run = {"first": 0, "stride": slots.stride, "columns": slots.columns, "count": 1}
    assert slots.count >= 2
    await call(queue.put, slots.count - 1, image)
    for changes, done in (({"first": words - slots.stride + 1}, 0), ({"stride": slots.stride - 1}, 0),
                          ({"columns": 0}, 0), ({"first": slots.image(slots.count - 1), "count": 2}, 1),
                          ({"first": 0xFFFF_FFFF}, 0), ({"stride": 0xFFFF_FFFF}, 0)):
        await call(lambda: device.start_run(**run | changes))  # noqa: B023
        while (status := await call(device.run_status)).running:
            pass
        assert (status.reason, status.done) == (LinkError.BAD_SLOT, done), changes
    assert (await call(queue.result, slots.count - 1)).logits == model(1).logits(digits("test")[30])
    for refused in (lambda: device.write_words(words - 1, bytes(8)), lambda: device.read_words(words, 1)):
        assert (await refusal(refused)).reason == LinkError.TOO_LARGE
    await check(dut, device, model(1), digits("test")[31])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def damaged_word(dut):
    """A bit of the model that changes in the chip: an error and no logits; then a model that is loaded again."""
    device, image = device_on(await start_chips(dut)), digits("test")[7]
    await call(device.load, model(1).data)
    for line in (100, CAPACITY + 100):  # of either bank; the model may lie in both
        dut.spot.value = line * SDRAM.burst  # row, bank, column in the chip
        await FallingEdge(dut.sdram_clk)
        dut.flip.value = 0x0400
        await FallingEdge(dut.sdram_clk)
        dut.flip.value = 0
    refused = await refusal(device.infer, model(1).columns(image))
    assert (refused.reason, refused.code) == (LinkError.ACCELERATOR, ErrorCode.BAD_CRC)
    queue = await _queue(device)
    refused = await refusal(queue.infer, [model(1).columns(image)] * 3)
    assert (refused.reason, refused.code) == (LinkError.ACCELERATOR, ErrorCode.BAD_CRC)
    assert (await call(device.run_status)).done == 1
    await call(device.load, model(1).data)
    await check(dut, device, model(1), image)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def no_memory(dut):
    """A chip with a data line that is stuck: no model is taken, and the board still answers."""
    device = device_on(await start_chips(dut, stuck=0x0010))
    assert (await refusal(device.load, model(1).data)).reason == LinkError.BAD_MEMORY
    assert (await refusal(device.infer, model(1).columns(digits("test")[0]))).reason == LinkError.NO_MODEL
    info = await call(device.info)
    assert (info.model_words, info.memory_failed) == (0, 1)
