"""Bench of a softmax unit behind AXI4-Stream: packets of scores in, packets of codes out, golden's codes.

It is told the :class:`~vitric.golden.spec.softmax.SoftmaxSpec`, see :mod:`vitric.sim.parameters`.
"""

from random import Random

import cocotb
import torch
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource
from vitric.golden.integer.softmax import softmax
from vitric.golden.packing import pack, unpack
from vitric.golden.spec.softmax import SoftmaxSpec

from ..axi import check_axis, pauses
from ..clock import PERIOD_NS
from ..parameters import read_spec
from ..stream_kit import PATTERNS

__all__ = ["rows_are_goldens"]

SPEC = read_spec(SoftmaxSpec)
OFFSET = 3 << SPEC.frac_bits


def _beat(scores: list[int]) -> bytes:
    """Return ``tdata`` of one column of scores: scores, mask, offset, in whole bytes."""
    fields = [(scores, SPEC.score_bits, True), ([1], SPEC.columns, False), ([OFFSET], SPEC.offset_bits, True)]
    word = position = 0
    for values, bits, signed in fields:
        word |= pack(values, bits, signed) << position
        position += bits * len(values)
    return word.to_bytes(-(-position // 8), "little")


@cocotb.test(timeout_time=400, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def rows_are_goldens(dut, source, sink):
    """Rows of all lengths, one packet each."""
    draw = Random(cocotb.RANDOM_SEED)
    lengths = [draw.randint(1, SPEC.max_length) for _ in range(6)]
    rows = [torch.tensor([[draw.randrange(-1 << SPEC.score_bits - 1, 1 << SPEC.score_bits - 1) for _ in range(length)]
                          for _ in range(SPEC.lanes)]) for length in lengths]  # each [lanes, length]
    sender = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_i"), dut.aclk, dut.aresetn, False)
    receiver = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_o"), dut.aclk, dut.aresetn, False)
    sender.set_pause_generator(pauses(source))
    receiver.set_pause_generator(pauses(sink, 1))
    check_axis(dut, "m_axis_o")
    Clock(dut.aclk, PERIOD_NS, unit="ns").start()
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    for row in rows:
        sender.send_nowait(b"".join(_beat(column) for column in row.T.tolist()))
    size = -(-SPEC.lanes * SPEC.out_bits // 8)
    for row in rows:
        data = bytes((await receiver.recv()).tdata)
        codes = [unpack(int.from_bytes(data[at:at + size], "little"), SPEC.lanes, SPEC.out_bits, False)
                 for at in range(0, len(data), size)]
        assert codes == softmax(row, SPEC, offset=OFFSET).T.tolist()
    assert receiver.empty()
