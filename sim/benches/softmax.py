"""Bench of the softmax unit: values under every pair of stall patterns, sums and norms to the last bit, throughput.

It is told the :class:`~vitric.golden.spec.softmax.SoftmaxSpec`, see :mod:`vitric.sim.parameters`. Expected
values are those of :func:`vitric.golden.integer.softmax.softmax`. The offset of a beat that is not the last of its row
is junk, and so are the scores of columns that do not count; their codes are not compared.
"""

from random import Random

import cocotb
import torch
from cocotb.triggers import RisingEdge
from vitric.golden.integer.softmax import softmax
from vitric.golden.packing import pack
from vitric.golden.spec.softmax import BLOCK_OCTAVES, SoftmaxSpec

from ..clock import start_clock
from ..parameters import read_spec
from ..stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules

__all__ = ["blocked", "flows", "rows", "sums"]

SPEC = read_spec(SoftmaxSpec)
UNIT = 1 << SPEC.frac_bits
HALF = 1 << SPEC.score_bits - 1
BLOCK = UNIT * BLOCK_OCTAVES
USUAL = (-UNIT, 2 * UNIT) if SPEC.logarithmic else (0, 10 * UNIT)  # offsets that do not saturate all codes


class CodeScoreboard(Scoreboard):
    """Compares the codes of columns that count; ``expected`` are pairs of word and mask of its bits."""

    def __init__(self, expected: list[tuple[int, int]]):
        super().__init__(word for word, _ in expected)
        self.masks = [mask for _, mask in expected]

    def check(self, beat: int) -> None:
        super().check(beat & self.masks[self.seen] if self.seen < len(self.masks) else beat)


def _input_word(scores: list[int], mask: int, last: bool, offset: int) -> int:
    low = SPEC.columns * SPEC.lanes * SPEC.score_bits
    high = low + SPEC.columns + 1
    word = pack(scores, SPEC.score_bits, True) | mask << low | last << high - 1
    return word | pack([offset], SPEC.offset_bits, True) << high


def _output_word(codes: list[int], last: bool) -> tuple[int, int]:
    """Word of a beat, and the mask of the bits that are not of columns that do not count."""
    end = 1 << SPEC.columns * SPEC.lanes * SPEC.out_bits
    return pack(codes, SPEC.out_bits, False) | last * end, (1 << len(codes) * SPEC.out_bits) - 1 | end


def _scores(random: Random, length: int) -> list[int]:
    """One lane of a row: around a centre with a narrow or wide spread, or anything."""
    centre, spread = random.randrange(-HALF, HALF), random.choice((0, UNIT, 4 * UNIT, 12 * UNIT, 2 * HALF))
    return [max(-HALF, min(HALF - 1, centre + random.randint(-spread, spread))) for _ in range(length)]


def _largest(random: Random, length: int) -> list[int]:
    """One lane of terms near the largest of a block, so that the sum is; the last few may lie in the next blocks."""
    top = random.randrange(-HALF // BLOCK, HALF // BLOCK) * BLOCK + BLOCK - 1
    row = [top - random.randrange(UNIT // 4) * random.getrandbits(1) for _ in range(length)]
    for column in range(max(0, length - random.randrange(4)), length):
        row[column] = min(HALF - 1, top + random.randrange(4) * BLOCK)
    return row


def _several_blocks(random: Random, length: int) -> list[int]:
    """One lane of scores in up to four blocks, whose terms are cut off in the sum."""
    centre, spread = random.randrange(-HALF, HALF), random.choice((1, 2)) * BLOCK
    return [max(-HALF, min(HALF - 1, centre + random.randint(-spread, spread))) for _ in range(length)]


def _alone(random: Random, length: int) -> list[int]:
    """One lane of a smallest term of a block before others of lower blocks: a last bit of the sum moves the norm."""
    lowest = random.randrange(-HALF // BLOCK, HALF // BLOCK) * BLOCK
    row = [max(-HALF, lowest - random.randint(BLOCK // 2, 4 * BLOCK)) for _ in range(length)]
    row[0] = lowest + random.randrange(max(1, UNIT // 8))
    return row


def _beats(random: Random, x: torch.Tensor, offset: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Input words of a row, and output words with their masks."""
    offsets = 1 << SPEC.offset_bits - 1
    codes = softmax(x, SPEC, offset=offset)
    sent, expected = [], []
    for begin in range(0, x.shape[1], SPEC.columns):
        end = begin + SPEC.columns
        last = end >= x.shape[1]
        junk = random.randrange(-offsets, offsets)
        scores = x[:, begin:end].T.flatten().tolist()
        mask = (1 << len(scores) // SPEC.lanes) - 1
        scores += [random.randrange(-HALF, HALF) for _ in range(SPEC.columns * SPEC.lanes - len(scores))]
        sent.append(_input_word(scores, mask, last, offset if last else junk))
        expected.append(_output_word(codes[:, begin:end].T.flatten().tolist(), last))
    return sent, expected


def _stimulus(random: Random, lengths: list[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """As :func:`_beats`, of random rows."""
    offsets = 1 << SPEC.offset_bits - 1
    sent, expected = [], []
    for length in lengths:
        x = torch.tensor([_scores(random, length) for _ in range(SPEC.lanes)])
        offset = random.choice((random.randint(*USUAL), random.randint(*USUAL), -offsets, offsets - 1))
        row = _beats(random, x, offset)
        sent += row[0]
        expected += row[1]
    return sent, expected


def _telling_offsets(random: Random, x: torch.Tensor) -> tuple[int, int]:
    """Two offsets, one apart, between which codes differ if there are such: the last bit of a norm counts there."""
    low = random.randint(*USUAL)
    high = low + max(1, UNIT // 8)
    first = softmax(x, SPEC, offset=low)
    while high - low > 1:  # codes differ between the two, if at all
        middle = (low + high) // 2
        if torch.equal(first, softmax(x, SPEC, offset=middle)):
            low = middle
        else:
            high = middle
    return low, high


@cocotb.test(timeout_time=400, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def rows(dut, source, sink):
    """Rows of length 1, of the greatest length, of random ones and short ones behind them; more without stalls."""
    random = Random(cocotb.RANDOM_SEED)
    longest = SPEC.max_length
    more = 100 if source == sink == "always" else 4
    lengths = [longest, 1, 1, 1, *[longest] * 5, 2, longest, 1]
    lengths[-2:-2] = (random.randint(1, random.choice((3, longest))) for _ in range(more))
    await _run(dut, *_stimulus(random, lengths), source, sink)


async def _run(dut, sent: list[int], expected: list[tuple[int, int]], source: str, sink: str) -> None:
    """Send all, and receive what is expected and nothing more."""
    driver = Driver(dut, "i", pattern=source)
    scoreboard = CodeScoreboard(expected)
    monitor = Monitor(dut, "o", pattern=sink, scoreboard=scoreboard)
    check_stream_rules(dut, "o")
    await start_clock(dut, noise=["i"])
    await driver.send(sent)
    await monitor.receive(len(expected))
    for _ in range(SPEC.latency + SPEC.max_length):
        await RisingEdge(dut.clk)
    assert scoreboard.seen == len(monitor.beats) == len(expected)


@cocotb.test(timeout_time=400, timeout_unit="us")
async def sums(dut):
    """Rows, equal in all lanes, with the largest sums, with terms cut off, and with sums whose last bits count."""
    random = Random(cocotb.RANDOM_SEED)
    longest = SPEC.max_length
    sent, expected = [], []
    for length in (*[longest] * 90, *(random.randint(2, longest) for _ in range(30))):
        x = torch.tensor([random.choice((_largest, _several_blocks, _alone))(random, length)] * SPEC.lanes)
        for offset in _telling_offsets(random, x):
            row = _beats(random, x, offset)
            sent += row[0]
            expected += row[1]
    await _run(dut, sent, expected, "always", "always")


@cocotb.test(timeout_time=400, timeout_unit="us")
async def blocked(dut):
    """While nothing is taken, as many of the longest rows enter as may be inside, without a stall; none is lost."""
    random = Random(cocotb.RANDOM_SEED)
    sent, expected = _stimulus(random, [SPEC.max_length] * (SPEC.max_rows + 1))
    room = SPEC.max_rows * SPEC.beats(SPEC.max_length)
    driver = Driver(dut, "i")
    await start_clock(dut, noise=["i"])
    dut.o__ready.value = 0
    sending = cocotb.start_soon(driver.send(sent))
    taken = []
    for _ in range(2 * room + SPEC.latency):
        await RisingEdge(dut.clk)
        if dut.i__valid.value:
            taken.append(int(dut.i__ready.value))
    assert taken[:room] == [1] * room and not any(taken[room:])
    scoreboard = CodeScoreboard(expected)
    dut.o__ready.value = 1
    while scoreboard.seen < len(expected):
        await RisingEdge(dut.clk)
        if dut.o__valid.value:
            scoreboard.check(dut.o__payload.value.to_unsigned())
    await sending


@cocotb.test(timeout_time=400, timeout_unit="us")
async def flows(dut):
    """Without stalls, rows of the greatest length take one cycle per beat, the first latency apart."""
    random = Random(cocotb.RANDOM_SEED)
    beats = SPEC.beats(SPEC.max_length)
    sent, expected = _stimulus(random, [SPEC.max_length] * 2 * SPEC.max_rows)
    driver = Driver(dut, "i")
    scoreboard = CodeScoreboard(expected)
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
    assert given[0] - taken[beats - 1] == SPEC.latency
    interval = SPEC.row_interval(SPEC.max_length)
    group = max(SPEC.max_rows * interval, SPEC.row_time(SPEC.max_length))
    assert given[-1] - given[0] == group + (SPEC.max_rows - 1) * interval + beats - 1
