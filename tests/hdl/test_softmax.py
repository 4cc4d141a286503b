# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.integer.softmax import softmax
from vitric.golden.spec.softmax import KINDS, SoftmaxSpec
from vitric.hdl.softmax import Softmax
from vitric.hdl.softmax.row_code import RowCode
from vitric.hdl.softmax.row_norm import RowNorm
from vitric.hdl.softmax.row_sum import RowSum

from tests.hdl.stream_kit import STALLS, interval, latency, receive, run, send, transform

SMALL = {"score_bits": 4, "frac_bits": 2}


def of_kind(kind):
    return {"kind": kind, "twin_shift": 3} if kind == "twin_uniform" else {"kind": kind}


def beats(spec, rows, seed=0):
    """Input and expected output beats of ``rows``, pairs of scores ``[lanes][n]`` and offset.

    The offset is junk except in the last beat of a row.
    """
    rng = random.Random(f"offsets/{seed}")
    half = 1 << spec.offset_bits - 1
    sent, expected = [], []
    for x, offset in rows:
        x = torch.as_tensor(x)
        codes = softmax(x, spec, offset=offset)
        for column in range(x.shape[1]):
            last = int(column == x.shape[1] - 1)
            sent.append({
                "x": x[:, column].tolist(), "last": last, "offset": offset if last else rng.randrange(-half, half)})
            expected.append({"code": codes[:, column].tolist(), "last": last})
    return sent, expected


def random_rows(spec, lengths, seed):
    """Rows of every temper: narrow, wide, over the whole range, at its ends; offsets that use the code range."""
    rng = random.Random(f"rows/{seed}")
    half = 1 << spec.score_bits - 1
    unit = 1 << spec.frac_bits
    for length in lengths:
        lanes = []
        for _ in range(spec.lanes):
            temper = rng.choice(("narrow", "wide", "any", "ends"))
            centre = rng.randrange(-half, half)
            sigma = {"narrow": 2 * unit, "wide": 10 * unit}.get(temper, 0)
            lanes.append([
                rng.randrange(-half, half) if temper == "any"
                else rng.choice((-half, half - 1)) if temper == "ends"
                else max(-half, min(half - 1, round(rng.gauss(centre, sigma)))) for _ in range(length)
            ])
        low, high = (-unit, 2 * unit) if spec.logarithmic else (0, 10 * unit)
        yield lanes, rng.choice((rng.randint(low, high), rng.randint(low, high), -32 * unit, 32 * unit - 1))


def check(spec, rows, **stalls):
    sent, expected = beats(spec, rows, stalls.get("seed", 0))
    got, checkers = transform(Softmax(spec), sent, **stalls)
    assert got == expected, f"seed {stalls.get('seed', 0)}"
    return checkers


@pytest.mark.parametrize("kind", KINDS)
def test_exhaustive_rows_of_one_and_two(kind):
    spec = SoftmaxSpec(lanes=16, max_length=2, out_bits=3, **of_kind(kind), **SMALL)
    scores = list(range(-8, 8))
    rows = []
    for offset in (-5, 0, 3, 10, 11, 12):
        rows.append(([[x] for x in scores], offset))
        rows += [([[x, y] for y in scores], offset) for x in scores]
    check(spec, rows)


@pytest.mark.parametrize("send_stall", STALLS)
@pytest.mark.parametrize("receive_stall", STALLS)
def test_random_rows_with_stalls(send_stall, receive_stall):
    spec = SoftmaxSpec(lanes=3, max_length=24)
    seed = STALLS.index(send_stall) * 3 + STALLS.index(receive_stall)
    rng = random.Random(seed)
    lengths = [1, 1, 1, 24, 24, 24, *(rng.randint(1, 24) for _ in range(14))]
    check(spec, random_rows(spec, lengths, seed), seed=seed, send_stall=send_stall, receive_stall=receive_stall)


@pytest.mark.parametrize("parameters", [
    {"lanes": 1, "max_length": 2}, {"lanes": 2, "max_length": 300}, {"lanes": 8, "max_length": 17, "frac_bits": 10},
    {"lanes": 2, "max_length": 40, "score_bits": 24}, {"lanes": 2, "max_length": 40, "score_bits": 13, "frac_bits": 10},
    {"lanes": 3, "max_length": 33, "out_bits": 2}, {"lanes": 3, "max_length": 33, "out_bits": 5},
    {"lanes": 2, "max_length": 4096, "frac_bits": 2, "score_bits": 5},
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


def test_longest_row_of_largest_terms_and_rising_maximum():
    spec = SoftmaxSpec(lanes=2, max_length=64)
    rising = [min(-32768 + 1040 * k, 32767) for k in range(64)]
    check(spec, [
        ([[2047] * 64, [-32768] * 64], 2048), ([rising, rising[::-1]], 2048),
        ([[32767] + [-32768] * 63, [-32768] * 63 + [32767]], 2048),
    ])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lanes", [1, 4, 7])
@pytest.mark.parametrize("length", [1, 16, 29])
def test_latency_and_interval(kind, lanes, length):
    spec = SoftmaxSpec(lanes=lanes, max_length=32, **of_kind(kind))
    count = 12
    checkers = check(spec, random_rows(spec, [length] * count, 3))
    i, o = checkers["i"].transfers, checkers["o"].transfers
    assert checkers["o"].first_valid - i[length - 1] == spec.latency
    per_row = [o[(row + 1) * length] - o[row * length] for row in range(count - 1)]
    assert set(per_row) == {spec.row_interval(length)}
    if length >= spec.row_interval(1):
        assert interval(checkers["i"]) == interval(checkers["o"]) == spec.interval == 1


def test_longest_rows_flow_without_a_stall():
    spec = SoftmaxSpec(lanes=2, max_length=16)
    checkers = check(spec, random_rows(spec, [16] * 10, 4))
    assert interval(checkers["i"]) == interval(checkers["o"]) == 1


def test_input_stalls_when_the_buffer_is_full():
    spec = SoftmaxSpec(lanes=1, max_length=16)
    sent, _ = beats(spec, random_rows(spec, [16] * 20, 5))
    taken = []

    async def source(ctx):
        dut_port = dut.i
        for beat in sent:
            ctx.set(dut_port.payload, beat)
            ctx.set(dut_port.valid, 1)
            _, _, ready = await ctx.tick().sample(dut_port.ready)
            if not ready:
                return
            taken.append(beat)

    dut = Softmax(spec)
    run(dut, source)
    assert spec.buffer_depth <= len(taken) <= spec.buffer_depth + 4


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
    assert got == expected


@pytest.mark.parametrize("lanes", [1, 5])
def test_latency_and_interval_of_the_parts(lanes):
    spec = SoftmaxSpec(lanes=lanes, max_length=16)
    sent, _ = beats(spec, random_rows(spec, [1] * 6, 1))
    _, checkers = transform(RowSum(spec), sent)
    assert latency(checkers["i"], checkers["o"]) == RowSum.latency
    assert interval(checkers["i"]) == RowSum.interval

    norm = RowNorm(spec)
    rows = [{"total": [1 << spec.sum_frac] * lanes, "block": [3] * lanes, "offset": 5}] * 6
    out, checkers = transform(norm, rows)
    assert out == [[3 * 8 * 256 + spec.log2_table[0] - 5] * lanes] * 6
    assert latency(checkers["i"], checkers["o"]) == norm.latency
    assert interval(checkers["o"]) == norm.interval


@pytest.mark.parametrize("kind", KINDS)
def test_latency_of_the_codes(kind):
    spec = SoftmaxSpec(lanes=2, max_length=16, **of_kind(kind))
    dut = RowCode(spec)
    got = []

    async def norms(ctx):
        await send(ctx, dut.i_norm, [[0, 0]])

    async def scores(ctx):
        await ctx.tick()
        await send(ctx, dut.i, [{"x": [0, 0], "last": 0}, {"x": [0, 0], "last": 1}])

    async def codes(ctx):
        got.extend(await receive(ctx, dut.o, 2))

    checkers = run(dut, norms, scores, codes)
    assert [beat["last"] for beat in got] == [0, 1]
    assert latency(checkers["i"], checkers["o"]) == dut.latency
    assert interval(checkers["i"]) == interval(checkers["o"]) == dut.interval
