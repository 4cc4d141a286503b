# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.softmax import KINDS, SoftmaxSpec
from vitric.hdl.softmax import Softmax
from vitric.hdl.softmax.row_code import RowCode
from vitric.hdl.softmax.row_norm import RowNorm
from vitric.hdl.softmax.row_sum import RowSum

from tests.hdl.softmax.rows import beats, check, counting, random_rows
from tests.hdl.stream_kit import STALLS, interval, latency, receive, run, send, transform

SMALL = {"score_bits": 4, "frac_bits": 2}


def of_kind(kind):
    return {"kind": kind, "twin_shift": 3} if kind == "twin_uniform" else {"kind": kind}


@pytest.mark.parametrize("columns", [1, 2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_exhaustive_rows_of_one_and_two(kind, columns):
    spec = SoftmaxSpec(lanes=16, max_length=2, out_bits=3, columns=columns, **of_kind(kind), **SMALL)
    scores = list(range(-8, 8))
    rows = []
    for offset in (-5, 0, 3, 10, 11, 12):
        rows.append(([[x] for x in scores], offset))
        rows += [([[x, y] for y in scores], offset) for x in scores]
    check(spec, rows)


@pytest.mark.parametrize("send_stall", STALLS)
@pytest.mark.parametrize("receive_stall", STALLS)
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_random_rows_with_stalls(send_stall, receive_stall, columns):
    spec = SoftmaxSpec(lanes=3, max_length=24, columns=columns)
    seed = STALLS.index(send_stall) * 3 + STALLS.index(receive_stall)
    rng = random.Random(seed)
    lengths = [1, 1, 1, 24, 24, 24, *(rng.randint(1, 24) for _ in range(14))]
    check(spec, random_rows(spec, lengths, seed), seed=seed, send_stall=send_stall, receive_stall=receive_stall)


@pytest.mark.parametrize("parameters", [
    {"lanes": 1, "max_length": 2}, {"lanes": 2, "max_length": 300}, {"lanes": 8, "max_length": 17, "frac_bits": 10},
    {"lanes": 2, "max_length": 40, "score_bits": 24}, {"lanes": 2, "max_length": 40, "score_bits": 13, "frac_bits": 10},
    {"lanes": 3, "max_length": 33, "out_bits": 2}, {"lanes": 3, "max_length": 33, "out_bits": 5},
    {"lanes": 2, "max_length": 4096, "frac_bits": 2, "score_bits": 5}, {"lanes": 1, "max_length": 2, "columns": 4},
    {"lanes": 2, "max_length": 40, "score_bits": 24, "columns": 2},
    {"lanes": 1, "max_length": 41, "score_bits": 13, "frac_bits": 10, "columns": 4},
    {"lanes": 3, "max_length": 43, "kind": "log2", "out_bits": 4, "columns": 4},
    {"lanes": 3, "max_length": 40, "kind": "log2", "out_bits": 4},
    {"lanes": 3, "max_length": 40, "kind": "log_sqrt2", "out_bits": 5},
    {"lanes": 2, "max_length": 40, "kind": "log_sqrt2", "frac_bits": 2, "out_bits": 8},
    {"lanes": 3, "max_length": 40, "kind": "twin_uniform", "out_bits": 4, "twin_shift": 4},
    {"lanes": 2, "max_length": 40, "kind": "twin_uniform", "out_bits": 8, "twin_shift": 12, "frac_bits": 4},
    {"lanes": 1, "max_length": 40, "kind": "twin_uniform", "out_bits": 2, "twin_shift": 1},
], ids=str)
def test_other_parameters(parameters):
    spec = SoftmaxSpec(**parameters)
    longest = min(spec.max_length, 300)
    lengths = [longest, 1, 2, longest, *(random.Random(7).randint(1, min(longest, 40)) for _ in range(12))]
    check(spec, random_rows(spec, lengths, 7), seed=7, receive_stall="bursts")


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_longest_row_of_largest_terms_and_rising_maximum(columns):
    spec = SoftmaxSpec(lanes=2, max_length=64, columns=columns)
    rising = [min(-32768 + 1040 * k, 32767) for k in range(64)]
    check(spec, [
        ([[2047] * 64, [-32768] * 64], 2048), ([rising, rising[::-1]], 2048),
        ([[32767] + [-32768] * 63, [-32768] * 63 + [32767]], 2048),
        *(([[high - 2048 * (k // 8 % 4 == steps) for k in range(64)],
            [high - 2048 * steps * (k % 3) for k in range(64)]], offset)
          for steps in range(4) for high in (2047, -1) for offset in (2048, 1024)),
        # many large terms, then the smallest of a block some higher, before or after them
        *(([[2047] * 63 + [2048 * rise], [2048 * rise] + [2047] * 63], 1024) for rise in range(1, 5)),
    ])


@pytest.mark.parametrize("columns", [1, 2, 4])
@pytest.mark.parametrize("kind", ["uniform", "log2"])
@pytest.mark.parametrize("lanes", [1, 7])
@pytest.mark.parametrize("length", [1, 16, 29, 61])
def test_latency_and_interval(kind, lanes, length, columns):
    spec = SoftmaxSpec(lanes=lanes, max_length=64, columns=columns, kind=kind)
    count, beats_n = 9, spec.beats(length)
    checkers = check(spec, random_rows(spec, [length] * count, 3))
    i, o = checkers["i"].transfers, checkers["o"].transfers
    assert checkers["o"].first_valid - i[beats_n - 1] == spec.latency
    begins = [o[row * beats_n] for row in range(count)]
    group = max(spec.max_rows * spec.row_interval(length), spec.row_time(length))
    assert {later - begin for begin, later in zip(begins, begins[spec.max_rows:], strict=False)} == {group}
    assert {later - begin for begin, later in zip(begins[:3], begins[1:3], strict=False)} == {spec.row_interval(length)}
    if spec.max_rows * beats_n >= group:
        assert interval(checkers["i"]) == interval(checkers["o"]) == spec.interval == 1


class Resettable(wiring.Component):
    """The unit with a reset input."""

    def __init__(self, spec):
        self.unit = Softmax(spec)
        super().__init__({
            "clear": In(1),
            "i": In(stream.Signature(self.unit.i.payload.shape())),
            "o": Out(stream.Signature(self.unit.o.payload.shape())),
        })

    def elaborate(self, platform):
        m = Module()
        clear = Signal()
        m.submodules.unit = ResetInserter({"sync": clear})(self.unit)
        m.d.comb += [
            clear.eq(self.clear), self.unit.i.payload.eq(self.i.payload), self.unit.i.valid.eq(self.i.valid),
            self.i.ready.eq(self.unit.i.ready), self.o.payload.eq(self.unit.o.payload),
            self.o.valid.eq(self.unit.o.valid), self.unit.o.ready.eq(self.o.ready),
        ]
        return m


@pytest.mark.parametrize("cycles", [1, 4, 9, 14])
def test_reset_forgets_a_row_that_has_begun(cycles):
    spec = SoftmaxSpec(lanes=2, max_length=16)
    dut = Resettable(spec)
    lost, _ = beats(spec, random_rows(spec, [5, 12], 1))
    sent, expected = beats(spec, random_rows(spec, [7, 3], 2))
    got = []

    async def bench(ctx):
        await send(ctx, dut.i, lost[:cycles])
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        await send(ctx, dut.i, sent)
        got.extend(await receive(ctx, dut.o, len(expected)))

    run(dut, bench)
    assert counting(got, sent) == expected


@pytest.mark.parametrize("columns", [1, 2, 4])
@pytest.mark.parametrize("lanes", [1, 5])
def test_latency_and_interval_of_the_parts(lanes, columns):
    spec = SoftmaxSpec(lanes=lanes, max_length=16, columns=columns)
    sent, _ = beats(spec, random_rows(spec, [1] * 6, 1))
    row_sum = RowSum(spec)
    _, checkers = transform(row_sum, sent)
    assert latency(checkers["i"], checkers["o"]) == row_sum.latency
    assert interval(checkers["i"]) == interval(checkers["o"]) == row_sum.interval

    norm = RowNorm(spec)
    one = {"digit_0": 15 << 8, "digit_1": (1 << 8) - 15, "digit_2": 63, "block": 3}  # in all 2**22: 2**8
    out, checkers = transform(norm, [{"lane": [one] * lanes, "offset": 5}] * 6)
    assert out == [[(3 * 8 + 8) * 256 + spec.log2_table[0] - 5] * lanes] * 6
    assert latency(checkers["i"], checkers["o"]) == norm.latency
    assert interval(checkers["o"]) == norm.interval


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_latency_of_the_codes(kind, columns):
    spec = SoftmaxSpec(lanes=2, max_length=16, columns=columns, **of_kind(kind))
    dut = RowCode(spec)
    got = []

    async def norms(ctx):
        await send(ctx, dut.i_norm, [[0, 0]])

    async def scores(ctx):
        await ctx.tick()
        await send(ctx, dut.i, [{"x": [[0, 0]] * columns, "last": 0}, {"x": [[0, 0]] * columns, "last": 1}])

    async def codes(ctx):
        got.extend(await receive(ctx, dut.o, 2))

    checkers = run(dut, norms, scores, codes)
    assert [beat["last"] for beat in got] == [0, 1]
    assert latency(checkers["i"], checkers["o"]) == dut.latency
    assert interval(checkers["i"]) == interval(checkers["o"]) == dut.interval
