"""Bench of ``test_generate_own_design.py``: send ``VITRIC_ROWS``, compare sums of codes with ``VITRIC_TOTALS``."""

import json
import os

import cocotb
from cocotb.triggers import RisingEdge
from vitric.sim.clock import start_clock


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def sums(dut):
    rows, got, total = json.loads(os.environ["VITRIC_ROWS"]), [], 0
    left = [(score, n == len(row) - 1) for row in rows for n, score in enumerate(row)]
    dut.valid.value = 0
    await start_clock(dut)
    while len(got) < len(rows):
        dut.valid.value = bool(left)
        if left:
            dut.score.value, dut.last.value = left[0][0] & 0xFFFF, left[0][1]
        await RisingEdge(dut.clk)
        if left and dut.ready.value:
            left.pop(0)
        if dut.code_valid.value:
            total += dut.code.value.to_unsigned()
            if dut.ends.value:
                got.append(total)
                total = 0
    assert got == json.loads(os.environ["VITRIC_TOTALS"])
