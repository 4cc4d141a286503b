"""Bench of the accelerator behind AXI: a host that only knows cocotbext-axi's masters, and golden's logits.

The accelerator has the spec ``tiny``; the model is a random one of a small network.
"""

from functools import cache
from random import Random

import cocotb
import torch
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp, AxiStreamBus, AxiStreamSink, AxiStreamSource
from vitric.boards.crc import crc32c
from vitric.compiler.compile import Compiled, compile_model
from vitric.golden.data.sets import digits
from vitric.golden.integer import IntegerViT
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode
from vitric.golden.spec.vit import VitConfig
from vitric.integration.registers import ID, MAP_VERSION, REGISTERS, register

from ..axi import check_axis, pauses
from ..clock import PERIOD_NS
from ..stream_kit import PATTERNS

__all__ = ["SPEC"]

SPEC = SPECS["tiny"]
NETWORK = VitConfig(image_size=8, patch_size=4, in_chans=1, num_classes=10, embed_dim=8, depth=1, num_heads=2,
                    mlp_ratio=1.0)


@cache
def network() -> tuple[IntegerViT, Compiled]:
    """Return the integer model and its stream."""
    integer = random_integer_vit(NETWORK, seed=3)
    return integer, compile_model(integer, SPEC)


class Host:
    """Everything that is connected to the design."""

    def __init__(self, dut, pattern: str = "always"):
        def of(name):
            return AxiStreamBus.from_prefix(dut, name), dut.aclk, dut.aresetn, False

        self.dut = dut
        self.model, self.image = AxiStreamSource(*of("s_axis_model")), AxiStreamSource(*of("s_axis_image"))
        self.logits, self.status = AxiStreamSink(*of("m_axis_logits")), AxiStreamSink(*of("m_axis_status"))
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, dut.aresetn, False)
        for number, end in enumerate((self.model, self.image, self.logits, self.status)):
            end.set_pause_generator(pauses(pattern, number))
        for port in ("m_axis_logits", "m_axis_status"):
            check_axis(dut, port)

    async def start(self) -> None:
        """Start the clock and end the reset."""
        Clock(self.dut.aclk, PERIOD_NS, unit="ns").start()
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 4)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    def send(self, image: torch.Tensor, stream: bytes | None = None) -> None:
        """Queue a model and an image."""
        compiled = network()[1]
        self.model.send_nowait(compiled.stream.data if stream is None else stream)
        self.image.send_nowait(compiled.input_words(image[None])[0].tobytes())

    async def outcome(self) -> tuple[ErrorCode, int]:
        """Return error and command of the next status."""
        frame = await self.status.recv()
        assert len(frame.tdata) == 3
        return ErrorCode(frame.tdata[0]), int.from_bytes(frame.tdata[1:], "little")

    async def check_logits(self, image: torch.Tensor) -> list[int]:
        """Compare the next packet of logits with golden's and return it."""
        frame = await self.logits.recv()
        data = bytes(frame.tdata)
        size = -(-SPEC.residual_bits // 8)
        found = [int.from_bytes(data[at:at + size], "little", signed=True) for at in range(0, len(data), size)]
        assert found == network()[0](image[None])[0].tolist()
        return found

    async def read(self, name: str) -> dict[str, int]:
        """Return the fields of a register."""
        one = register(name)
        answer = await self.bus.read(one.address, 4)
        assert answer.resp == AxiResp.OKAY
        word = int.from_bytes(answer.data, "little")
        assert word & ~sum(field.mask for field in one.fields) == 0
        return {field.name: (word & field.mask) >> field.low for field in one.fields}

    async def write(self, name: str, **fields: int) -> None:
        """Write a register, 0 to all other fields."""
        one = register(name)
        word = sum(fields.pop(field.name, 0) << field.low for field in one.fields)
        assert not fields
        assert (await self.bus.write(one.address, word.to_bytes(4, "little"))).resp == AxiResp.OKAY


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(pattern=PATTERNS)
async def logits_are_goldens(dut, pattern):
    host, images = Host(dut, pattern), digits("test").images[:3].long()
    await host.start()
    for image in images:
        host.send(image)
    for number, image in enumerate(images, 1):
        logits = await host.check_logits(image)
        assert await host.outcome() == (ErrorCode.OK, len(network()[1].stream.commands()))
        await ClockCycles(dut.aclk, 2)
        assert (await host.read("inferences"))["inferences"] == number
        assert await host.read("class") == {"label": logits.index(max(logits)), "count": 10}
    assert host.logits.empty() and host.status.empty()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def registers_tell_what_it_is_and_did(dut):
    host, (image,) = Host(dut), digits("test").images[:1].long()
    await host.start()
    assert await host.read("id") == {"id": ID} and await host.read("map_version") == {"map_version": MAP_VERSION}
    assert await host.read("spec_hash") == {"spec_hash": SPEC.hash}
    assert await host.read("ports") == {"model_bytes": 4, "image_bytes": SPEC.rows, "logit_bits": SPEC.residual_bits}
    assert await host.read("control") == {"start": 0, "auto": 1, "irq_enable": 0, "abort": 0, "restart": 0}
    assert await host.read("state") == {"busy": 0, "armed": 1, "done": 0}
    assert await host.read("model_crc") == {"model_crc": 0}
    host.send(image)
    measured = cocotb.start_soon(_cycles(dut))
    await host.check_logits(image)
    assert (await host.outcome())[0] == ErrorCode.OK
    assert await host.read("state") == {"busy": 0, "armed": 1, "done": 1}
    assert await host.read("model_crc") == {"model_crc": crc32c(network()[1].stream.data)}
    assert await host.read("cycles") == {"cycles": await measured}
    assert await host.read("result") == {"error": 0, "command": len(network()[1].stream.commands())}
    await host.write("state", done=0)
    assert (await host.read("state"))["done"] == 1
    await host.write("state", done=1)
    assert (await host.read("state"))["done"] == 0


async def _cycles(dut) -> int:
    """Return the cycles from the first word of a model to the status, both included."""
    while not (dut.s_axis_model_tvalid.value and dut.s_axis_model_tready.value):
        await RisingEdge(dut.aclk)
    count = 0
    while not dut.m_axis_status_tvalid.value:
        await RisingEdge(dut.aclk)
        count += 1
    return count


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def nothing_is_taken_before_start(dut):
    host, images = Host(dut), digits("test").images[:2].long()
    await host.start()
    await host.write("control", irq_enable=1)
    assert await host.read("state") == {"busy": 0, "armed": 0, "done": 0}
    for image in images:
        host.send(image)
    await ClockCycles(dut.aclk, 50)
    assert not dut.s_axis_model_tready.value and not dut.s_axis_image_tready.value and not dut.irq.value
    for image in images:
        await host.write("control", start=1, irq_enable=1)
        await host.check_logits(image)
        assert (await host.outcome())[0] == ErrorCode.OK
        await ClockCycles(dut.aclk, 50)
        assert dut.irq.value and not dut.s_axis_model_tready.value
        assert await host.read("state") == {"busy": 0, "armed": 0, "done": 1}
        await host.write("control", irq_enable=0)
        assert not dut.irq.value
        await host.write("control", irq_enable=1)
        assert dut.irq.value
        await host.write("state", done=1)
        assert not dut.irq.value
    assert (await host.read("inferences"))["inferences"] == 2


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def errors_have_a_status_and_no_logits(dut):
    host, (image, other) = Host(dut, "random"), digits("test").images[:2].long()
    stream = network()[1].stream.data
    await host.start()
    host.send(image)
    await host.check_logits(image)
    assert (await host.outcome())[0] == ErrorCode.OK
    damaged = bytearray(stream)
    damaged[len(stream) // 2] ^= 1
    host.send(image, bytes(damaged))
    error, command = await host.outcome()
    assert error == ErrorCode.BAD_CRC and host.logits.empty()
    await ClockCycles(dut.aclk, 2)
    assert await host.read("result") == {"error": ErrorCode.BAD_CRC, "command": command}
    assert (await host.read("class"))["count"] == 10  # of the one before
    assert await host.read("model_crc") == {"model_crc": crc32c(bytes(damaged))}
    host.send(other)
    await host.check_logits(other)
    assert (await host.outcome())[0] == ErrorCode.OK and host.logits.empty()
    before = {name: await host.read(name) for name in ("inferences", "result", "class", "model_crc", "cycles")}
    await host.write("control", auto=1, restart=1)
    assert before == {name: await host.read(name) for name in before} and before["inferences"] == {"inferences": 3}


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(begun=[False, True])
async def abort_ends_an_inference(dut, begun):
    """With an image that has been begun, whose rest is dropped, or before it, when it belongs to the next inference."""
    host, (image, other) = Host(dut), digits("test").images[:2].long()
    await host.start()
    await host.write("control", auto=1, abort=1)  # nothing has begun, so nothing happens
    host.image.pause = not begun
    host.send(image)
    columns = 0
    while columns < 3 if begun else not (await host.read("state"))["busy"]:
        await RisingEdge(dut.aclk)
        columns += int(dut.s_axis_image_tvalid.value & dut.s_axis_image_tready.value)
    await host.write("control", auto=1, abort=1)
    assert (await host.outcome())[0] == ErrorCode.ABORTED and host.logits.empty()
    host.image.pause = False
    if begun:
        host.send(other)
    else:
        host.model.send_nowait(network()[1].stream.data)
    await host.check_logits(other if begun else image)
    assert (await host.outcome())[0] == ErrorCode.OK


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def restart_forgets_what_has_begun(dut):
    host, (image,) = Host(dut), digits("test").images[:1].long()
    stream = network()[1].stream.data
    await host.start()
    await ClockCycles(dut.aclk, 10)  # the source is idle: a sender that stops within a packet is driven by hand
    for word in range(12):
        dut.s_axis_model_tdata.value = int.from_bytes(stream[4 * word:4 * word + 4], "little")
        dut.s_axis_model_tvalid.value = 1
        await RisingEdge(dut.aclk)
        while not dut.s_axis_model_tready.value:
            await RisingEdge(dut.aclk)
    dut.s_axis_model_tvalid.value = 0
    await ClockCycles(dut.aclk, 30)
    await host.write("control", start=1, restart=0)  # no longer automatic, but begun
    assert await host.read("state") == {"busy": 1, "armed": 1, "done": 0}
    await host.write("control", restart=1)
    await ClockCycles(dut.aclk, 8)
    assert await host.read("state") == {"busy": 0, "armed": 0, "done": 0}
    assert host.status.empty() and (await host.read("inferences"))["inferences"] == 0
    await host.write("control", auto=1)
    host.send(image)
    await host.check_logits(image)
    assert (await host.outcome())[0] == ErrorCode.OK


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def addresses_without_a_register_are_errors(dut):
    host, draw = Host(dut), Random(cocotb.RANDOM_SEED)
    await host.start()
    known = {one.address: one for one in REGISTERS}
    for address in [*range(0, 64, 4), 0x40, 0x800, 0xFFC, *(draw.randrange(0, 4096, 4) for _ in range(20))]:
        read, write = await host.bus.read(address, 4), await host.bus.write(address, bytes(4))
        assert read.resp == (AxiResp.OKAY if address in known else AxiResp.SLVERR)
        assert write.resp == (AxiResp.OKAY if address in known and known[address].writable else AxiResp.SLVERR)
        if address not in known:
            assert bytes(read.data) == bytes(4)
    assert await host.read("control") == {"start": 0, "auto": 0, "irq_enable": 0, "abort": 0, "restart": 0}


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(pattern=PATTERNS)
async def registers_under_back_pressure(dut, pattern):
    """Address, data and answers pause as they like; bytes of a word are written alone."""
    host, draw = Host(dut), Random(cocotb.RANDOM_SEED)
    channels = host.bus.write_if, host.bus.read_if
    ends = [getattr(one, name) for one, names in zip(channels, (("aw", "w", "b"), ("ar", "r")), strict=True)
            for name in (f"{kind}_channel" for kind in names)]
    for number, end in enumerate(ends):
        end.set_pause_generator(pauses(pattern, number))
    await host.start()
    control, enabled = register("control").address, 0b010  # auto
    for _ in range(40):
        lane, value = draw.randrange(4), draw.randrange(256) & ~0b11001
        beside = cocotb.start_soon(host.read("id"))
        assert (await host.bus.write(control + lane, bytes([value]))).resp == AxiResp.OKAY
        assert await beside == {"id": ID}
        if lane == 0:
            enabled = value & 0b110
        word = await host.bus.read(control, 4)
        assert int.from_bytes(word.data, "little") == enabled
