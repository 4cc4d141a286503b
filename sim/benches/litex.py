"""Bench of a SoC of LiteX: what its processor writes to the UART about digits is what golden says of them.

The ROM holds ``integration/litex/driver/demo.c`` with the committed model ``tiny`` and the first :data:`IMAGES` test
images; the model is a beat short with image :data:`DAMAGED`.
"""

import re

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from vitric.boards.crc import crc32c
from vitric.compiler.compile import compile_model
from vitric.golden.checkpoint import MODELS
from vitric.golden.data.sets import digits
from vitric.golden.integer.storage import load_integer
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode

from ..clock import PERIOD_NS

__all__ = ["DAMAGED", "IMAGES", "PORTS", "data_header"]

IMAGES, DAMAGED = 3, 1
PORTS = ("sys_clk", "sys_rst", *(f"serial_{end}_{name}" for end in ("source", "sink")
                                 for name in ("valid", "ready", "data")))
SPEC = SPECS["tiny"]


def network():
    """Return the integer model, its stream, and the images."""
    model = load_integer(MODELS / "integer" / "tiny.safetensors")
    return model, compile_model(model, SPEC), digits("test").images[:IMAGES].long()


def data_header(array) -> str:
    """Return ``data.h`` of the program; ``array`` makes C of bytes (``integration/litex/firmware.py``)."""
    model, compiled, images = network()
    counts = {"IMAGES": IMAGES, "DAMAGED": DAMAGED, "CLASSES": model.config.num_classes, "BEAT": SPEC.model_bits // 8}
    return "\n".join([
        "#include <stdint.h>", *(f"#define {name} {value}" for name, value in counts.items()),
        array("model", compiled.stream.data), array("images", compiled.input_words(images).tobytes())])


async def _line(dut) -> str:
    """Return the next line from the UART."""
    text = bytearray()
    while not text.endswith(b"\n"):
        await RisingEdge(dut.sys_clk)
        if dut.serial_source_valid.value and dut.serial_source_ready.value:
            text.append(int(dut.serial_source_data.value))
    return text.decode("ascii").strip()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def the_processor_reads_goldens_logits(dut):
    """It boots, starts the memory, finds the accelerator, and runs every image."""
    model, compiled, images = network()
    Clock(dut.sys_clk, PERIOD_NS, unit="ns").start()
    dut.serial_source_ready.value, dut.serial_sink_valid.value, dut.sys_rst.value = 1, 0, 1
    await ClockCycles(dut.sys_clk, 4)
    dut.sys_rst.value = 0
    assert await _line(dut) == "vitric 0"
    for number, logits in enumerate(model(images).tolist()):
        line = await _line(dut)
        dut._log.info("UART: %s", line)
        if number == DAMAGED:
            assert line == f"error {int(ErrorCode.BAD_LENGTH)}"
            continue
        found = re.fullmatch(r"error 0 label (\d+) cycles (\d+) crc (-?\d+) logits((?: -?\d+)+)", line)
        assert found, line
        label, cycles, crc = (int(found[place]) for place in (1, 2, 3))
        assert list(map(int, found[4].split())) == logits
        assert label == logits.index(max(logits)) and crc % (1 << 32) == crc32c(compiled.stream.data)
        assert len(compiled.stream.words) < cycles < 100_000
    assert await _line(dut) == "end"
