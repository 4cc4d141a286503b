"""Bench of the LayerNorm unit: rows of every length and kind under stall patterns on all streams, full rate, no rate.

It is told the :class:`~vitric.golden.spec.layernorm.LayerNormSpec`, see :mod:`vitric.sim.parameters`. Expected
values are those of :func:`vitric.golden.integer.layernorm.layernorm`.
"""

from dataclasses import dataclass
from random import Random

import cocotb
import torch
from cocotb.triggers import RisingEdge
from vitric.golden.integer.layernorm import layernorm
from vitric.golden.packing import pack
from vitric.golden.spec.layernorm import LayerNormSpec

from ..clock import start_clock
from ..parameters import read_spec
from ..stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules

__all__ = ["blocked", "flows", "groups"]

SPEC = read_spec(LayerNormSpec)
_GROUPS = 5  # that are inside while nothing is taken
HALF = 1 << SPEC.in_bits - 1


@dataclass(frozen=True)
class _Group:
    row: int
    beats: list[int]
    affine: list[int]
    expected: list[int]


def _row(random: Random, length: int) -> list[int]:
    """Around any centre with a narrow or wide spread, or all equal, or all but one, or the two extremes."""
    kind = random.choice(("spread", "spread", "equal", "step", "extreme"))
    if kind == "extreme":
        return [random.choice((-HALF, HALF - 1)) for _ in range(length)]
    centre, spread = random.randrange(-HALF, HALF), int(2 ** random.uniform(0, SPEC.in_bits))
    spread *= kind == "spread"
    if kind == "step":   # a standard deviation far below 1
        odd = random.randrange(length)
        return [min(centre + (column == odd), HALF - 1) for column in range(length)]
    return [max(-HALF, min(HALF - 1, centre + random.randint(-spread, spread))) for _ in range(length)]


def _group(random: Random, length: int) -> _Group:
    x = torch.tensor([_row(random, length) for _ in range(SPEC.lanes)])
    quarter = 1 << SPEC.out_bits - 2   # of the code range: most codes do not saturate, or, when steep, show low bits
    gamma_max = min(random.choice((quarter, 4 * quarter)) << SPEC.gamma_fraction, 32767)
    gamma = torch.tensor([random.randint(-gamma_max, gamma_max) for _ in range(length)])
    beta = torch.tensor([random.randint(-quarter << SPEC.beta_fraction, 5 * quarter << SPEC.beta_fraction)
                         for _ in range(length)])
    codes = layernorm(x, gamma, beta, SPEC)
    constants = SPEC.row_constants(length)
    last = [int(column == length - 1) for column in range(length)]
    return _Group(
        row=constants.inverse | constants.norm << SPEC.inverse_bits
        | constants.exponent << SPEC.inverse_bits + SPEC.length_bits,
        beats=[pack(x[:, column].tolist(), SPEC.in_bits, True) | last[column] << SPEC.lanes * SPEC.in_bits
               for column in range(length)],
        affine=[pack([g], SPEC.gamma_bits, True) | pack([b], SPEC.beta_bits, True) << SPEC.gamma_bits
                for g, b in zip(gamma.tolist(), beta.tolist(), strict=True)],
        expected=[pack(codes[:, column].tolist(), SPEC.out_bits, False) | last[column] << SPEC.lanes * SPEC.out_bits
                  for column in range(length)],
    )


async def _send(dut, driver: Driver, sent: list[_Group]) -> None:
    for group in sent:
        dut.row.value = group.row
        await driver.send(group.beats)


@cocotb.test(timeout_time=400, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def groups(dut, source, sink):
    """Groups of one channel, of the greatest length, and of random ones in between; affine stalls as the source.

    Without stalls there are more of them.
    """
    random = Random(cocotb.RANDOM_SEED)
    longest = SPEC.max_length
    more = 100 if source == sink == "always" else 3
    lengths = [1, 1, *[longest] * 5, 2, longest, *(random.randint(1, longest) for _ in range(more)), 1, longest]
    sent = [_group(random, length) for length in lengths]
    expected = [word for group in sent for word in group.expected]
    driver = Driver(dut, "i", pattern=source)
    affine = Driver(dut, "affine", pattern=source, seed=cocotb.RANDOM_SEED + 1)
    scoreboard = Scoreboard(expected)
    monitor = Monitor(dut, "o", pattern=sink, scoreboard=scoreboard)
    check_stream_rules(dut, "o")
    await start_clock(dut, noise=["i", "affine"])
    cocotb.start_soon(affine.send([word for group in sent for word in group.affine]))
    await _send(dut, driver, sent)
    await monitor.receive(len(expected))
    for _ in range(SPEC.latency + SPEC.max_length):
        await RisingEdge(dut.clk)
    assert scoreboard.seen == len(monitor.beats) == len(expected)


@cocotb.test(timeout_time=400, timeout_unit="us")
async def blocked(dut):
    """While nothing is taken, the buffer fills to the last place, and the few registers behind it.

    Or the places for groups, if they are so short that there are fewer of those.
    """
    random = Random(cocotb.RANDOM_SEED)
    sent = [_group(random, SPEC.max_length) for _ in range(2 + SPEC.buffer_depth // SPEC.max_length)]
    driver, affine = Driver(dut, "i"), Driver(dut, "affine")
    await start_clock(dut, noise=["i", "affine"])
    dut.o__ready.value = 0
    cocotb.start_soon(affine.send([word for group in sent for word in group.affine]))
    cocotb.start_soon(_send(dut, driver, sent))
    taken = 0
    for _ in range(2 * sum(len(group.beats) for group in sent) + SPEC.latency):
        await RisingEdge(dut.clk)
        taken += int(dut.i__valid.value and dut.i__ready.value)
    assert min(SPEC.buffer_depth, _GROUPS * SPEC.max_length) <= taken <= SPEC.buffer_depth + 12


@cocotb.test(timeout_time=400, timeout_unit="us")
async def flows(dut):
    """Without stalls, groups of at least ``min_length_full_rate`` channels rest for nothing but the pause."""
    random = Random(cocotb.RANDOM_SEED)
    length = SPEC.max_length
    assert length >= SPEC.min_length_full_rate
    sent = [_group(random, length) for _ in range(5)]
    expected = [word for group in sent for word in group.expected]
    driver, affine = Driver(dut, "i"), Driver(dut, "affine")
    scoreboard = Scoreboard(expected)
    Monitor(dut, "o", scoreboard=scoreboard)
    await start_clock(dut, noise=["i", "affine"])
    cocotb.start_soon(affine.send([word for group in sent for word in group.affine]))
    cocotb.start_soon(_send(dut, driver, sent))
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
    assert taken[-1] - taken[0] == len(taken) - 1 + (len(sent) - 1) * SPEC.pause
    assert given[0] - taken[length - 1] == SPEC.latency
