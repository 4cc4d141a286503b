"""Bench of the softmax unit: rows of every length and temper, every pair of stall patterns, then back-to-back rows.

The variable ``VITRIC_SPEC`` holds the fields of the :class:`~vitric.golden.spec.softmax.SoftmaxSpec` as JSON. Expected
values are those of :func:`vitric.golden.integer.softmax.softmax`. The offset of a beat that is not the last of its row
is junk.
"""

import json
import os
from random import Random

import cocotb
import torch
from cocotb.triggers import RisingEdge

from ..golden.integer.softmax import softmax
from ..golden.packing import pack
from ..golden.spec.softmax import SoftmaxSpec
from .clock import start_clock
from .stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules

__all__ = ["flows", "rows"]

SPEC = SoftmaxSpec(**json.loads(os.environ["VITRIC_SPEC"]))
UNIT = 1 << SPEC.frac_bits
HALF = 1 << SPEC.score_bits - 1


def _input_word(scores: list[int], last: bool, offset: int) -> int:
    lanes = SPEC.lanes * SPEC.score_bits
    return pack(scores, SPEC.score_bits, True) | last << lanes | pack([offset], SPEC.offset_bits, True) << lanes + 1


def _output_word(codes: list[int], last: bool) -> int:
    return pack(codes, SPEC.out_bits, False) | last << SPEC.lanes * SPEC.out_bits


def _scores(random: Random, length: int) -> list[int]:
    """One lane of a row: around a centre with a narrow or wide spread, or anything."""
    centre, spread = random.randrange(-HALF, HALF), random.choice((0, UNIT, 4 * UNIT, 12 * UNIT, 2 * HALF))
    return [max(-HALF, min(HALF - 1, centre + random.randint(-spread, spread))) for _ in range(length)]


def _stimulus(random: Random, lengths: list[int]) -> tuple[list[int], list[int]]:
    """Input and output words of random rows."""
    offsets = 1 << SPEC.offset_bits - 1
    usual = (-UNIT, 2 * UNIT) if SPEC.logarithmic else (0, 10 * UNIT)
    sent, expected = [], []
    for length in lengths:
        x = torch.tensor([_scores(random, length) for _ in range(SPEC.lanes)])
        offset = random.choice((random.randint(*usual), random.randint(*usual), -offsets, offsets - 1))
        codes = softmax(x, SPEC, offset=offset)
        for column in range(length):
            last = column == length - 1
            junk = random.randrange(-offsets, offsets)
            sent.append(_input_word(x[:, column].tolist(), last, offset if last else junk))
            expected.append(_output_word(codes[:, column].tolist(), last))
    return sent, expected


@cocotb.test(timeout_time=400, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def rows(dut, source, sink):
    """Rows of length 1, of the greatest length, and of random ones in between; more of them without stalls."""
    random = Random(cocotb.RANDOM_SEED)
    longest = SPEC.max_length
    more = 100 if source == sink == "always" else 4
    lengths = [1, 1, *[longest] * 5, 2, *(random.randint(1, longest) for _ in range(more)), longest, 1]
    sent, expected = _stimulus(random, lengths)
    driver = Driver(dut, "i", pattern=source)
    scoreboard = Scoreboard(expected)
    monitor = Monitor(dut, "o", pattern=sink, scoreboard=scoreboard)
    check_stream_rules(dut, "o")
    await start_clock(dut, noise=["i"])
    await driver.send(sent)
    await monitor.receive(len(expected))
    for _ in range(SPEC.latency + SPEC.max_length):
        await RisingEdge(dut.clk)
    assert scoreboard.seen == len(monitor.beats) == len(expected)


@cocotb.test(timeout_time=400, timeout_unit="us")
async def flows(dut):
    """Without stalls, rows of the greatest length take one cycle per beat, the first latency apart."""
    random = Random(cocotb.RANDOM_SEED)
    count = 6
    sent, expected = _stimulus(random, [SPEC.max_length] * count)
    driver = Driver(dut, "i")
    scoreboard = Scoreboard(expected)
    Monitor(dut, "o", scoreboard=scoreboard)
    await start_clock(dut, noise=["i"])
    cocotb.start_soon(driver.send(sent))
    edge = RisingEdge(dut.clk)
    taken, given = [], []
    cycle = 0
    while len(given) < len(expected):
        await edge
        if dut.i__valid.value and dut.i__ready.value:
            taken.append(cycle)
        if dut.o__valid.value and dut.o__ready.value:
            given.append(cycle)
        cycle += 1
    await scoreboard.complete()
    assert given[0] - taken[SPEC.max_length - 1] == SPEC.latency
    assert given[-1] - given[0] == (count - 1) * SPEC.row_interval(SPEC.max_length) + SPEC.max_length - 1
