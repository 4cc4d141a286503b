# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.hdl.accelerator.drain import Drain
from vitric.hdl.accelerator.layouts import AFFINE, CHANNEL

from tests.hdl.accelerator.kit import SPECS, Ring, command, matrix, name
from tests.hdl.stream_kit import receive, run, send


def channel_word(rng):
    """A word with a legal shift index; bits that no consumer looks at are random."""
    return rng.getrandbits(64) & ~(0xFF << 48) | rng.randrange(4) << 48


def as_layout(word, layout):
    return {key: (value & (1 << field.width) - 1) - (2 * value & 1 << field.width if field.shape.signed else 0)
            for key, field in layout for value in [word >> field.offset & (1 << field.width) - 1]}


def channel_fields(word):
    return as_layout(word, CHANNEL)


def affine_fields(word):
    return as_layout(word, AFFINE)


def random_command(rng, spec):
    if rng.random() < 0.3:
        return command(opcode=Opcode.NORM, groups=rng.randint(1, 3), columns=rng.randint(1, 7))
    tiles = rng.randint(1, 2)
    target = rng.choice(list(Target))
    columns = rng.randint(1, tiles * spec.cols) if target is Target.SOFTMAX else tiles * spec.cols
    return command(
        opcode=Opcode.MATMUL | target << 8, flags=int(Flag.TABLE) if rng.random() < 0.3 else 0, sets=rng.randint(1, 3),
        groups=rng.randint(1, 3), set_tiles=tiles, columns=columns, zero_point=rng.randrange(-99, 99),
        low=rng.randrange(-99, 0), high=rng.randrange(99), offset=rng.randrange(-999, 999))


def expected_of(fields, spec, words, tiles):
    """Columns for the requantize unit, or affine beats; ``words`` and ``tiles`` are iterators."""
    if fields["opcode"] & 0xFF == Opcode.NORM:
        row = [affine_fields(next(words)) for _ in range(fields["columns"])]
        return [], row * fields["groups"]
    columns = []
    for _ in range(fields["sets"]):
        constants = [channel_fields(next(words)) for _ in range(fields["set_tiles"] * spec.cols)]
        for _ in range(fields["groups"]):
            for tile in range(fields["set_tiles"]):
                acc = next(tiles)
                for col in range(spec.cols):
                    channel = tile * spec.cols + col
                    if channel < fields["columns"]:
                        columns.append({
                            "acc": [row[col] for row in acc],
                            **{key: constants[channel][key] for key in ("bias", "multiplier", "shift")},
                            **{key: fields[key] for key in ("zero_point", "low", "high")},
                            "tag": {"target": fields["opcode"] >> 8, "table": int(bool(fields["flags"] & Flag.TABLE)),
                                    "last": int(channel == fields["columns"] - 1), "offset": fields["offset"]}})
    return columns, []


def tag_of(beat):
    tag = beat["tag"]
    offset = tag >> 4 & 0xFFFF
    return {**beat, "tag": {"target": tag & 3, "table": tag >> 2 & 1, "last": tag >> 3 & 1,
                            "offset": offset - (1 << 16 if offset >> 15 else 0)}}


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_columns(spec, stall):
    rng = random.Random(f"{spec.name}/{stall}")
    commands = [random_command(rng, spec) for _ in range(14)]
    words, tiles, columns, affine = [], [], [], []
    for fields in commands:
        norm = fields["opcode"] & 0xFF == Opcode.NORM
        count = fields["columns"] if norm else fields["sets"] * fields["set_tiles"] * spec.cols
        mine = [channel_word(rng) for _ in range(count)]
        results = 0 if norm else fields["sets"] * fields["groups"] * fields["set_tiles"]
        own = [matrix(rng, spec.rows, spec.cols, spec.acc_bits, signed=True) for _ in range(results)]
        more, beats = expected_of(fields, spec, iter(mine), iter(own))
        words, tiles, columns, affine = words + mine, tiles + own, columns + more, affine + beats
    dut = Drain(spec)
    ring = Ring(dut.channels, [channel_fields(word) for word in words], spec.channel_words, stall=stall)
    received = {}

    def taker(port, count, key):
        async def run(ctx):
            received[key] = await receive(ctx, getattr(dut, port), count, stall=stall, seed=len(key))
        return run

    async def senders(ctx):
        await send(ctx, dut.i, commands, stall=stall)

    async def tile_sender(ctx):
        await send(ctx, dut.i_tile, [{"acc": tile} for tile in tiles], stall=stall, seed=5)

    checkers = run(dut, senders, tile_sender, taker("o", len(columns), "o"), taker("o_affine", len(affine), "affine"),
                   taker("o_command", len(commands), "commands"), background=[ring.run])
    assert [tag_of(beat) for beat in received["o"]] == columns
    assert received["affine"] == affine
    assert received["commands"] == commands
    assert ring.base == len(words)
    assert len(checkers["i_tile"].transfers) == len(tiles)


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_latency_and_interval(spec):
    """A tile's first column one cycle after the tile is there; then one column per cycle, across tiles."""
    rng = random.Random(1)
    fields = command(sets=2, groups=2, set_tiles=2, columns=2 * spec.cols)
    dut = Drain(spec)
    words = [channel_fields(channel_word(rng)) for _ in range(4 * spec.cols)]
    ring = Ring(dut.channels, words, spec.channel_words)
    tiles = [{"acc": matrix(rng, spec.rows, spec.cols, spec.acc_bits, signed=True)} for _ in range(8)]

    async def sender(ctx):
        ctx.set(dut.o_command.ready, 1)
        await ctx.tick().repeat(6 * spec.cols)
        await send(ctx, dut.i, [fields])
        await ctx.tick().repeat(2)  # the array takes longer than that
        await send(ctx, dut.i_tile, tiles)

    async def receiver(ctx):
        await receive(ctx, dut.o, 8 * spec.cols)

    checkers = run(dut, sender, receiver, background=[ring.run])
    offered, columns = checkers["i_tile"].first_valid, checkers["o"].transfers
    assert columns == list(range(offered + 1, offered + 1 + 8 * spec.cols))
    assert checkers["i_tile"].transfers == [offered + spec.cols * (n + 1) - 1 for n in range(8)]


def test_affine_interval():
    spec, rng = SPECS[1], random.Random(2)
    fields = command(opcode=Opcode.NORM, groups=3, columns=7)
    dut = Drain(spec)
    words = [channel_word(rng) for _ in range(7)]
    ring = Ring(dut.channels, [channel_fields(word) for word in words], spec.channel_words)

    async def sender(ctx):
        ctx.set(dut.o_command.ready, 1)
        await ctx.tick().repeat(10)
        await send(ctx, dut.i, [fields])

    async def receiver(ctx):
        assert await receive(ctx, dut.o_affine, 21) == [affine_fields(word) for word in words] * 3

    beats = run(dut, sender, receiver, background=[ring.run])["o_affine"].transfers
    assert beats == list(range(beats[0], beats[0] + 21))
