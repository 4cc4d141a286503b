# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Value
from vitric.golden.spec.command import Flag
from vitric.hdl.accelerator.act_loader import ActLoader

from tests.hdl.accelerator.kit import SPECS, command, matrix, name
from tests.hdl.stream_kit import receive, run


def digit(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits if value >> bits - 1 else 0)


def expected_of(fields, base, spec, contents):
    """Weight words and channel words of one set, by the formulas of the format."""
    weights, channels = [], []
    planes = fields["tile_words"] // fields["k_words"]
    for tile in range(fields["set_tiles"]):
        sums = [0] * spec.cols
        for plane in range(planes):
            for step in range(fields["k_words"]):
                word = contents[base + tile * fields["w_tile_stride"] + plane * fields["w_plane_stride"] + step]
                digits = [[digit(value, spec.w_bits) for value in row] for row in word]
                weights.append(digits)
                sums = [total + (sum(row) << plane * spec.w_bits) for total, row in zip(sums, digits, strict=True)]
        if fields["flags"] & Flag.KEY_BIAS:
            pre = spec.requantize.scalings[fields["key_shift"]][0]
            channels += [{"bias": -fields["key_zero"] * total >> pre, "multiplier": fields["key_multiplier"],
                          "shift": fields["key_shift"], "zero": 0} for total in sums]
    return weights, channels


def random_set(rng, key_bias):
    k_words, planes = rng.randint(1, 3), rng.randint(1, 2)
    tiles = rng.randint(1, 3)
    return command(
        flags=Flag.WEIGHTS_ACT | (Flag.KEY_BIAS if key_bias else 0), k_words=k_words, set_tiles=tiles,
        tile_words=planes * k_words, set_words=tiles * planes * k_words, w_tile_stride=rng.randrange(8),
        w_plane_stride=rng.randrange(8), key_zero=rng.choice([0, 1, 128, 255, rng.randrange(256)]),
        key_multiplier=rng.randrange(1 << 16), key_shift=rng.randrange(8))


def load(dut, fields, base, contents, received, *, stall="always", seed=0):
    """Run one request; return the cycles from ``start`` to ``done``."""
    spec = dut.spec
    weights, channels = expected_of(fields, base, spec, contents)
    raw, rng = Value.cast(dut.read.data), random.Random(seed)
    cycles = 0

    async def control(ctx):
        nonlocal cycles
        ctx.set(dut.command, fields)
        ctx.set(dut.set_base, base)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        done, wanted = False, [0, 0]
        while not done:
            _, _, done, want, en, address = await ctx.tick().sample(dut.done, dut.want, dut.read.en, dut.read.address)
            assert en == wanted.pop(0)
            wanted.append(want)
            # What was read is there for one cycle only: others read, too.
            if en:
                ctx.set(dut.read.data, contents[address])
            else:
                ctx.set(raw, rng.getrandbits(len(raw)))
            cycles += 1

    def taker(port, expected, key):
        async def run(ctx):
            received[key] = await receive(ctx, port, len(expected), stall=stall, seed=seed + len(key))
            assert received[key] == expected, key
        return run

    run(dut, control, taker(dut.weights, weights, "weights"), taker(dut.channels, channels, "channels"))
    return cycles


@pytest.mark.parametrize("key_bias", [False, True], ids=["values", "keys"])
@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS[:3], ids=name)
def test_sets(spec, stall, key_bias):
    rng = random.Random(f"{spec.name}/{stall}/{key_bias}")
    contents = [matrix(rng, spec.rows, spec.depth, spec.element_bits) for _ in range(spec.act_words)]
    for number in range(4):
        load(ActLoader(spec), random_set(rng, key_bias), rng.randrange(16), contents, {}, stall=stall, seed=number)


@pytest.mark.parametrize("spec", SPECS[:3], ids=name)
def test_largest_bias(spec):
    """Every digit at its limit, the longest set that the ring holds."""
    low = 1 << spec.w_bits - 1
    contents = [[[low] * spec.depth for _ in range(spec.rows)] for _ in range(spec.act_words)]
    planes, k_words = 2, spec.weight_words // 2
    fields = command(flags=Flag.WEIGHTS_ACT | Flag.KEY_BIAS, k_words=k_words, set_tiles=1, tile_words=planes * k_words,
                     set_words=planes * k_words, w_plane_stride=1, key_zero=255)
    received = {}
    load(ActLoader(spec), fields, 0, contents, received)
    total = -low * spec.depth * k_words * (1 + (1 << spec.w_bits))
    assert [channel["bias"] for channel in received["channels"]] == [-255 * total] * spec.cols


@pytest.mark.parametrize("spec", SPECS[:3], ids=name)
def test_interval(spec):
    """5 cycles a word and 2 a tile; with biases the sums come on top of a word, and the channels of a tile."""
    rng = random.Random(11)
    contents = [matrix(rng, spec.rows, spec.depth, spec.element_bits) for _ in range(spec.act_words)]
    for key_bias, word, tile in ((False, 5, 2), (True, spec.depth // spec.key_terms + 5, 3 * spec.cols + 2)):
        fields = {**random_set(rng, key_bias), "k_words": 3, "tile_words": 6, "set_tiles": 3, "set_words": 18}
        assert load(ActLoader(spec), fields, 0, contents, {}) == 18 * word + 3 * tile
