# amaranth: UnusedElaboratable=no
"""LayerNorm against the golden function: rows of every kind and length, stalls on all three streams, timing."""

import random

import pytest
import torch
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from vitric.golden.integer.layernorm import layernorm
from vitric.golden.spec.layernorm import ROW_PRODUCTS, LayerNormSpec
from vitric.hdl.layernorm.unit import LayerNorm

from tests.hdl.stream_kit import plain, receive, run, send, stall_pattern

KINDS = ("normal", "offset", "constant", "outlier", "extreme")


def make_row(rng, kind, n, bits):
    high = (1 << bits - 1) - 1
    if kind == "constant":
        return [rng.randint(-high - 1, high)] * n
    if kind == "extreme":
        return [rng.choice([-high - 1, high]) for _ in range(n)]
    if kind == "outlier":
        row = [rng.randint(-high - 1, 0)] * n
        row[rng.randrange(n)] += rng.choice([1, 2, high])
        return row
    deviation = 2 ** rng.uniform(-2, bits - 3)
    center = rng.randint(-high - 1, high) if kind == "offset" else 0
    return [max(-high - 1, min(high, round(rng.gauss(center, deviation)))) for _ in range(n)]


class Group:
    """One group of rows: what goes into the streams and what has to come out."""

    def __init__(self, spec, n, rng, kind=None):
        x = [make_row(rng, kind or rng.choice(KINDS), n, spec.in_bits) for _ in range(spec.lanes)]
        gamma = [rng.randint(-6000, 6000) for _ in range(n)]
        beta = [rng.randint(-64 << 8, 320 << 8) for _ in range(n)]
        codes = layernorm(torch.tensor(x), torch.tensor(gamma), torch.tensor(beta), spec).T.tolist()
        ends = [int(k == n - 1) for k in range(n)]
        columns = [list(column) for column in zip(*x, strict=True)]
        self.beats = [{"x": column, "last": last} for column, last in zip(columns, ends, strict=True)]
        self.affine = [{"gamma": g, "beta": b} for g, b in zip(gamma, beta, strict=True)]
        self.expected = [{"code": code, "last": last} for code, last in zip(codes, ends, strict=True)]
        row = spec.row_constants(n)
        self.row = {"inverse": row.inverse, "norm": row.norm, "exponent": row.exponent}


def simulate(dut, groups, *, stalls=("always",) * 3, seed=0, reset_at=None):
    """Run ``groups`` through ``dut``; stalls are those of i, affine and o. Returns outputs and checkers."""
    outputs = []

    async def send_rows(ctx):
        active = stall_pattern(stalls[0], seed)
        junk = random.Random(seed)
        for group in groups:
            for beat in group.beats:
                while not next(active):
                    ctx.set(dut.i.valid, 0)
                    await ctx.tick()
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.i.payload, beat)
                # The constants count only with the last beat, unless they hold.
                counts = beat["last"] or dut.static_row
                ctx.set(dut.row, group.row if counts else {key: junk.getrandbits(4) for key in group.row})
                ready = False
                while not ready:
                    _, _, ready = await ctx.tick().sample(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def send_affine(ctx):
        await send(ctx, dut.affine, [beat for group in groups for beat in group.affine], stall=stalls[1], seed=seed + 1)

    async def receive_codes(ctx):
        count = sum(len(group.expected) for group in groups)
        outputs.extend(await receive(ctx, dut.o, count, stall=stalls[2], seed=seed + 2))
        ctx.set(dut.o.ready, 1)
        for _ in range(40):
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            assert not valid, "a beat more than expected"

    checkers = run(dut, send_rows, send_affine, receive_codes, limit=30_000)
    return outputs, checkers


def expected(groups):
    return [beat for group in groups for beat in group.expected]


@pytest.mark.parametrize(("lanes", "in_bits", "out_bits", "gamma_fraction", "row_products"), [
    (1, 16, 8, 7, "multiplier"), (2, 10, 2, 4, "multiplier"), (3, 13, 4, 12, "multiplier"), (8, 16, 8, 7, "multiplier"),
    (1, 16, 8, 7, "fabric"), (3, 16, 8, 7, "fabric"), (8, 12, 4, 7, "fabric"),
])
@pytest.mark.parametrize("stalls", [
    ("always", "always", "always"), ("random", "bursts", "random"), ("bursts", "random", "always"),
    ("always", "always", "bursts"),
])
def test_codes(lanes, in_bits, out_bits, gamma_fraction, row_products, stalls):
    spec = LayerNormSpec(
        lanes=lanes, max_length=48, in_bits=in_bits, out_bits=out_bits, gamma_fraction=gamma_fraction,
        row_products=row_products)
    seed = lanes * 100 + len(stalls[0] + stalls[2])
    rng = random.Random(seed)
    lengths = [1, 1, 2, 1, 48, 3, 48, 48, *(rng.randint(1, 48) for _ in range(4))]
    groups = [Group(spec, n, rng) for n in lengths]
    outputs, _ = simulate(LayerNorm(spec), groups, stalls=stalls, seed=seed)
    assert outputs == expected(groups)


@pytest.mark.parametrize("row_products", ROW_PRODUCTS)
@pytest.mark.parametrize(("lanes", "n"), [(1, 1), (1, 17), (3, 48), (8, 5)])
def test_rows_of_one_length_whose_constants_hold(lanes, n, row_products):
    spec = LayerNormSpec(lanes=lanes, max_length=48, row_products=row_products)
    groups = [Group(spec, n, random.Random(100 * lanes + k)) for k in range(8)]
    outputs, _ = simulate(LayerNorm(spec, static_row=True), groups, stalls=("random", "bursts", "random"), seed=n)
    assert outputs == expected(groups)


@pytest.mark.parametrize("in_bits", range(10, 17))
def test_kinds_of_rows(in_bits):
    spec = LayerNormSpec(lanes=4, max_length=64, in_bits=in_bits)
    rng = random.Random(in_bits)
    groups = [Group(spec, n, rng, kind) for kind in KINDS for n in (1, 2, 33, 64)]
    assert simulate(LayerNorm(spec), groups)[0] == expected(groups)


def test_largest_lengths():
    spec = LayerNormSpec(lanes=1, max_length=4096, in_bits=16)
    rng = random.Random(4096)
    groups = [Group(spec, n, rng, kind) for n, kind in ((4096, "outlier"), (1, "normal"))]
    assert simulate(LayerNorm(spec), groups)[0] == expected(groups)


@pytest.mark.parametrize("row_products", ROW_PRODUCTS)
@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
def test_latency(lanes, row_products):
    spec = LayerNormSpec(lanes=lanes, max_length=32, row_products=row_products)
    dut = LayerNorm(spec)
    for n in (1, 20):
        outputs, checkers = simulate(dut, [Group(spec, n, random.Random(n))])
        assert checkers["o"].first_valid - checkers["i"].transfers[n - 1] == spec.latency == dut.latency


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
@pytest.mark.parametrize(("extra", "row_products"), [
    (0, "multiplier"), (1, "multiplier"), (5, "multiplier"), (0, "fabric"), (3, "fabric"),
])
def test_interval_at_the_shortest_full_rate_length(lanes, extra, row_products):
    n = LayerNormSpec(lanes=lanes, max_length=128, row_products=row_products).min_length_full_rate + extra
    spec = LayerNormSpec(lanes=lanes, max_length=n, row_products=row_products)
    rng = random.Random(lanes)
    groups = [Group(spec, n, rng) for _ in range(6)]
    outputs, checkers = simulate(LayerNorm(spec), groups)
    assert outputs == expected(groups)
    accepted, sent = checkers["i"].transfers, checkers["o"].transfers
    steps = [later - earlier for earlier, later in zip(accepted, accepted[1:], strict=False)]
    ends = range(n - 1, len(steps), n)
    assert all(step == (1 + spec.pause if at in ends else 1) for at, step in enumerate(steps)), "the input paused"
    assert all(later - earlier == LayerNorm.interval == spec.interval for earlier, later in
               zip(sent[:n], sent[1:n], strict=False))


@pytest.mark.parametrize("row_products", ROW_PRODUCTS)
@pytest.mark.parametrize("lanes", [1, 4, 8])
def test_short_groups_follow_within_the_full_rate_length(lanes, row_products):
    spec = LayerNormSpec(lanes=lanes, max_length=16, row_products=row_products)
    rng = random.Random(lanes)
    groups = [Group(spec, 5, rng) for _ in range(12)]
    _, checkers = simulate(LayerNorm(spec), groups)
    starts = checkers["o"].transfers[::5]
    gaps = [later - earlier for earlier, later in zip(starts[4:], starts[5:], strict=False)]
    assert sum(gaps) / len(gaps) <= spec.min_length_full_rate + spec.pause


def test_output_stall_fills_the_buffer_and_loses_nothing():
    spec = LayerNormSpec(lanes=1, max_length=16)
    rng = random.Random(5)
    groups = [Group(spec, 16, rng) for _ in range(40)]
    dut = LayerNorm(spec)
    outputs = []

    async def send_rows(ctx):
        await send(ctx, dut.i, [beat for group in groups for beat in group.beats])

    async def send_affine(ctx):
        await send(ctx, dut.affine, [beat for group in groups for beat in group.affine])

    async def receive_late(ctx):
        ctx.set(dut.row, groups[0].row)
        await ctx.tick().repeat(500)
        assert not ctx.get(dut.i.ready)
        outputs.extend(await receive(ctx, dut.o, 640))

    run(dut, send_rows, send_affine, receive_late)
    assert outputs == expected(groups)


def test_reset_forgets_the_sums():
    """A reset in the middle of a row must not leave its values in the accumulators' earlier reading."""
    spec = LayerNormSpec(lanes=2, max_length=16)
    rng = random.Random(9)
    groups = [Group(spec, n, rng, "offset") for n in (16, 9)]
    dut, reset = LayerNorm(spec), Signal()
    sim = Simulator(ResetInserter(reset)(dut))
    sim.add_clock(1e-6)
    got = []

    async def feed(ctx, beat):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload, beat)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(dut.i.ready)

    async def testbench(ctx):
        ctx.set(dut.affine.valid, 1)
        for cut in (0, 5):
            for group in groups:
                ctx.set(dut.row, group.row)
                for beat in group.beats:
                    await feed(ctx, beat)
            for beat in groups[0].beats[:cut]:
                await feed(ctx, beat)
            ctx.set(reset, 1)  # with a beat at the input
            await ctx.tick()
            ctx.set(reset, 0)
        for group in groups:
            ctx.set(dut.row, group.row)
            for beat in group.beats:
                await feed(ctx, beat)
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.o.ready, 1)
            for affine in group.affine:
                ctx.set(dut.affine.payload, affine)
                taken = False
                while not taken:
                    _, _, taken, valid, payload = await ctx.tick().sample(
                        dut.affine.ready, dut.o.valid, dut.o.payload)
                    if valid:
                        got.append(plain(payload))
            for _ in range(8):
                _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
                if valid:
                    got.append(plain(payload))

    sim.add_testbench(testbench)
    sim.run()
    assert got == expected(groups)


def test_rejects_what_is_not_a_spec():
    with pytest.raises(TypeError, match="spec must be a LayerNormSpec, not 8"):
        LayerNorm(8)
    with pytest.raises(ValueError, match="fabric must be one of"):
        LayerNorm(LayerNormSpec(lanes=1, max_length=8), fabric="asic")
