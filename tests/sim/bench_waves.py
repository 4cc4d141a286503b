"""The cocotb side of test_waves: a harness that makes its own clock counts, Python waits for the end."""

import cocotb
from cocotb.triggers import RisingEdge, Timer


@cocotb.test(timeout_time=100, timeout_unit="us")
async def harness_counts(dut):
    dut.limit.value = 300
    await RisingEdge(dut.done)
    assert dut.count.value.to_unsigned() == 300
    await Timer(10, "ns")
