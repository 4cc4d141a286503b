"""Testbench of the MAC array: random beats, every stall pattern on both sides, results as golden computes them.

It is told the :class:`~vitric.golden.spec.mac.MacArraySpec`, see :mod:`vitric.sim.parameters`.
"""

from random import Random

import cocotb
import torch
from cocotb.triggers import ClockCycles, RisingEdge
from vitric.golden.integer.mac import mac_array
from vitric.golden.packing import pack
from vitric.golden.spec.mac import MacArraySpec

from ..clock import start_clock
from ..parameters import read_spec
from ..stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules

_BEATS = 200


def _operands(spec: MacArraySpec, random: Random) -> tuple[torch.Tensor, ...]:
    """Return random beats, a quarter of them extreme, in accumulations of one to four or of twelve.

    The long ones shift whenever the largest sum allows it, and so use every bit of the accumulator.
    """
    a, w, first, last, shift = [], [], [], [], []
    dot_max, limit = spec.depth * spec.a_max * spec.w_max, 1 << spec.acc_bits - 1
    while len(first) < _BEATS:
        length = random.choice((1, 2, 3, 4, 12))
        largest = 0
        for n in range(length):
            fitting = [index for index, by in enumerate(spec.shifts) if (largest << by) + dot_max < limit]
            shift.append(random.choice(fitting or (0,)))
            largest = (largest << spec.shifts[shift[-1]]) + dot_max
            extreme = random.random() < 0.25
            draw_a = (0, spec.a_max) if extreme else range(spec.a_max + 1)
            draw_w = (-spec.w_max, spec.w_max) if extreme else range(-spec.w_max, spec.w_max + 1)
            a.append([random.choices(draw_a, k=spec.depth) for _ in range(spec.rows)])
            w.append([random.choices(draw_w, k=spec.depth) for _ in range(spec.cols)])
            first.append(int(n == 0))
            last.append(int(n == length - 1))
    return tuple(torch.tensor(column) for column in (a, w, first, last, shift))


def _word(spec: MacArraySpec, a, w, first: int, last: int, shift: int) -> int:
    """Pack one beat as the payload of port ``i``."""
    activations, weights = pack(sum(a, []), spec.a_bits, False), pack(sum(w, []), spec.w_bits, True)
    a_width, w_width = spec.a_bits * spec.depth * spec.rows, spec.w_bits * spec.depth * spec.cols
    return activations | weights << a_width | (first | last << 1 | shift << 2) << a_width + w_width


@cocotb.test(timeout_time=200, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def accumulates(dut, source, sink):
    """Every result of every accumulation, whatever the stalls."""
    spec = read_spec(MacArraySpec)
    operands = _operands(spec, Random(cocotb.RANDOM_SEED))
    expected = mac_array(spec, *operands).flatten(start_dim=1).tolist()
    driver = Driver(dut, "i", pattern=source)
    scoreboard = Scoreboard(expected, "accumulators")
    Monitor(
        dut, "o", bits=spec.acc_bits, signed=True, count=spec.rows * spec.cols, pattern=sink, scoreboard=scoreboard)
    check_stream_rules(dut, "o")
    await start_clock(dut, noise=["i"])
    await driver.send(_word(spec, *beat) for beat in zip(*(column.tolist() for column in operands), strict=True))
    await scoreboard.complete()
    await ClockCycles(dut.clk, 2 * spec.latency)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def blocked(dut):
    """While nothing is taken, the array goes on until the second result would overwrite the first."""
    spec = read_spec(MacArraySpec)
    length = 3
    zeros = [[0] * spec.depth]
    beats = [
        _word(spec, zeros * spec.rows, zeros * spec.cols, int(n % length == 0), int(n % length == length - 1), 0)
        for n in range(2 * length + 2 * spec.latency)]
    driver = Driver(dut, "i")
    await start_clock(dut, noise=["i"])
    dut.o__ready.value = 0
    sending = cocotb.start_soon(driver.send(beats))
    taken = 0
    for _ in range(len(beats)):
        await RisingEdge(dut.clk)
        taken += int(dut.i__valid.value and dut.i__ready.value)
    sending.cancel()
    assert taken == 2 * length + spec.latency - 2
