"""Bench of the whole system through its pins: the host driver asks, golden knows the answers.

The system has the spec ``tiny``, or that of the environment, and a random model of a small network; another random
model is loaded over the link.
"""

from dataclasses import dataclass
from functools import cache

import cocotb
import torch
from cocotb.triggers import ClockCycles
from vitric.boards.crc import crc32c
from vitric.boards.host import Device, DeviceError
from vitric.boards.link import BEGIN_LAYOUT, FrameReader, Kind, LinkError, encode, pack_layout
from vitric.boards.system import System
from vitric.compiler.compile import Compiled, compile_model
from vitric.golden.data.sets import digits
from vitric.golden.integer import IntegerViT
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.vit import VitConfig

from ..clock import start_clock
from ..parameters import read_spec
from ..pins import PinTransport, call

__all__ = ["CAPACITY", "CLOCK_HZ", "DIVISOR", "GAP", "SECOND", "SPEC", "after_a_break", "after_a_damaged_frame",
           "another_model", "broken_load", "check", "device_on", "images", "load_wrongly", "make_system", "model",
           "start"]

SPEC = read_spec(AcceleratorSpec, SPECS["tiny"])
DIVISOR = 4
GAP = 2000  # cycles: 50 byte times
SECOND = 100 * GAP  # cycles that stand for a second of the driver's timeouts
CAPACITY = 832
NETWORK = VitConfig(image_size=8, patch_size=4, in_chans=1, num_classes=10, embed_dim=8, depth=1, num_heads=2,
                    mlp_ratio=1.0)
CLOCK_HZ = 48_000_000


@dataclass(frozen=True)
class Model:
    """A random model, compiled, and what it must answer."""

    integer: IntegerViT
    compiled: Compiled

    @property
    def data(self) -> bytes:
        """The model stream."""
        return self.compiled.stream.data

    def columns(self, image: torch.Tensor) -> bytes:
        """Return the payload of INFER."""
        return self.compiled.input_words(image[None])[0].tobytes()

    def logits(self, image: torch.Tensor) -> tuple[int, ...]:
        """Return golden's logits."""
        return tuple(self.integer(image[None])[0].tolist())


@cache
def model(seed: int) -> Model:
    """Return the random model of this seed."""
    integer = random_integer_vit(NETWORK, seed=seed, spec=SPEC)
    return Model(integer, compile_model(integer, SPEC))


def make_system() -> System:
    """Return the system under test, with model 1 in block RAM."""
    return System(SPEC, init=model(1).compiled.stream.words, capacity=CAPACITY, divisor=DIVISOR, clock_hz=CLOCK_HZ,
                  gap=GAP)


async def start(dut, *, reset_cycles: int = 1) -> PinTransport:
    """Start the clock, and return the line to the board."""
    transport = PinTransport(dut, DIVISOR, cycles_per_second=SECOND)
    await start_clock(dut, reset_cycles=reset_cycles)
    return transport


def device_on(transport) -> Device:
    """Return the host's driver on a line."""
    return Device(transport, gap=GAP / SECOND)


async def check(dut, device: Device, expected: Model, image: torch.Tensor) -> None:
    """Infer one image and compare logits, class and LEDs with golden."""
    result = await call(device.infer, expected.columns(image))
    logits = expected.logits(image)
    label = logits.index(max(logits))
    assert result.logits == logits, f"logits are {result.logits}, expected {logits}"
    assert result.label == label
    assert 0 < result.cycles < 10_000
    await ClockCycles(dut.clk, 4 * DIVISOR)
    assert dut.leds.value.to_unsigned() == label


class Damaged:
    """A transport that flips a bit in the middle of the first frame that is written."""

    def __init__(self, transport: PinTransport):
        self._transport = transport
        self.read, self.clock = transport.read, transport.clock
        self.frames = 0

    def write(self, data: bytes, timeout: float) -> None:
        """Send ``data``, the first time with an error."""
        self.frames += 1
        damage = 0x08 if self.frames == 1 else 0
        middle = len(data) // 2
        self._transport.write(data[:middle] + bytes([data[middle] ^ damage]) + data[middle + 1:], timeout)


class Spoiled:
    """A transport that changes one byte of the model in the second piece of it that is written; the frame is whole."""

    def __init__(self, transport: PinTransport):
        self._transport = transport
        self.read, self.clock = transport.read, transport.clock
        self._pieces = 0

    def write(self, data: bytes, timeout: float) -> None:
        """Send the frame in ``data``, maybe changed."""
        (frame,) = FrameReader().feed(data)
        payload = bytearray(frame.payload)
        if frame.kind == Kind.DATA:
            self._pieces += 1
            payload[-1] ^= 0x80 if self._pieces == 2 else 0
        self._transport.write(encode(frame.kind, bytes(payload), frame.sequence), timeout)


async def load_wrongly(transport: PinTransport) -> LinkError | None:
    """Load model 2 with a wrong word; return why the board refused it."""
    def load():
        try:
            device_on(Spoiled(transport)).load(model(2).data)
        except DeviceError as error:
            return error.reason
        return None

    return await call(load)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def images(dut):
    """Two test images, one after the other; then what the board tells about itself."""
    device = device_on(await start(dut))
    assert dut.leds.value.to_unsigned() == 0
    for image in digits("test")[:2]:
        await check(dut, device, model(1), image)
    info = await call(device.info)
    assert (info.spec_hash, info.capacity, info.model_words) == (SPEC.hash, CAPACITY, len(model(1).compiled.stream))
    assert (info.rows, info.model_bits, info.clock_hz) == (SPEC.rows, SPEC.model_bits, CLOCK_HZ)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def after_a_damaged_frame(dut):
    """An image whose frame is damaged: the board says so, the driver repeats it. Then one after garbage."""
    transport = await start(dut)
    damaged = Damaged(transport)
    image = digits("test")[2]
    await check(dut, device_on(damaged), model(1), image)
    assert damaged.frames == 3  # INFO twice, then the image
    await call(transport.write, b"\x56\x00\x56\x56garbage\xa9", 1.0)
    await check(dut, device_on(transport), model(1), digits("test")[3])


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def after_a_break(dut):
    """Images that are given up, early and late in the inference; the next ones are right."""
    transport = await start(dut)
    device = device_on(transport)
    for index, cycles in enumerate((10, 400, 1500, 2500)):
        await call(transport.write, encode(Kind.INFER, model(1).columns(digits("test")[9])), 1.0)
        await ClockCycles(dut.clk, cycles)
        await call(device.abort)
        await check(dut, device, model(1), digits("test")[index])


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def broken_load(dut):
    """A load with a wrong word, and one that does not end, leave the model as it was."""
    transport = await start(dut)
    device = device_on(transport)
    assert await load_wrongly(transport) == LinkError.BAD_MODEL
    await check(dut, device, model(1), digits("test")[4])
    words = model(2).data[:400]
    begin = pack_layout(BEGIN_LAYOUT, {"words": 100, "crc": crc32c(words)})
    for request in (encode(Kind.BEGIN, begin), encode(Kind.DATA, bytes(4) + words)):
        await call(transport.write, request, 1.0)
        while await call(transport.read, 2 * GAP / SECOND):
            pass
    await check(dut, device, model(1), digits("test")[5])


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def another_model(dut):
    """A load that succeeds: from then on the other model answers."""
    device = device_on(await start(dut))
    image = digits("test")[5]
    assert model(1).logits(image) != model(2).logits(image)
    await check(dut, device, model(1), image)
    await call(device.load, model(2).data)
    for index in (5, 6):
        await check(dut, device, model(2), digits("test")[index])
    info = await call(device.info)
    assert info.model_words == len(model(2).compiled.stream)
