"""The cocotb side of test_accelerator_own_design: digits go in with the camera's clock, and their classes come back."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from vitric.compiler.compile import compile_model
from vitric.golden.checkpoint import MODELS
from vitric.golden.data.sets import digits
from vitric.golden.integer.storage import load_integer
from vitric.golden.spec.accelerator import SPECS
from vitric.sim.stream_kit import Driver, Monitor

SPEC = SPECS["tiny"]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def classes_are_goldens(dut):
    model = load_integer(MODELS / "integer" / "tiny.safetensors")
    compiled, images = compile_model(model, SPEC), digits("test").images[:4].long()
    words = compiled.stream.words
    stream = [word | (number == len(words) - 1) << SPEC.model_bits for number, word in enumerate(words)]
    columns = [int.from_bytes(column.tobytes(), "little") | (number == len(image) - 1) << 8 * SPEC.rows
               for image in compiled.input_words(images) for number, column in enumerate(image)]
    drivers = Driver(dut, "model", pattern="always"), Driver(dut, "columns", pattern="rare")
    monitor = Monitor(dut, "label", pattern="random")
    Clock(dut.vit_clk, 7, unit="ns").start(start_high=False)
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = dut.vit_rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = dut.vit_rst.value = 0
    for driver, beats in zip(drivers, (stream * len(images), columns), strict=True):
        cocotb.start_soon(driver.send(beats))
    found = await monitor.receive(len(images))
    assert found == model(images).argmax(1).tolist() and len(set(found)) > 1
