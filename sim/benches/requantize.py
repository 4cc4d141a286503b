"""Bench of the requantize unit: random beats with every pair of stall patterns, and the corners of every field.

It is told the :class:`~vitric.golden.spec.requantize.RequantizeSpec` and the component's ``tag_bits``, see
:mod:`vitric.sim.parameters`. Expected values are those of :func:`vitric.golden.arith.requantize`.
"""

import itertools
from random import Random

import cocotb
import torch
from vitric.golden import arith
from vitric.golden.packing import pack
from vitric.golden.spec.requantize import RequantizeSpec

from ..clock import start_clock
from ..parameters import component_parameters, read_spec
from ..stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules

__all__ = ["corners", "edges", "random_beats", "single_bits"]

BEATS = 100
SPEC = read_spec(RequantizeSpec)
TAG_BITS = component_parameters()["tag_bits"]


def _word(fields) -> int:
    """Join ``(values, bits, signed)`` fields of a struct, first one in the least significant bits."""
    word = position = 0
    for values, bits, signed in fields:
        if bits:
            word |= pack(values, bits, signed) << position
            position += bits * len(values)
    return word


def _input(beat: dict) -> int:
    codes = [([beat[name]], SPEC.code_bits, True) for name in ("zero_point", "low", "high")]
    return _word([
        (beat["acc"], SPEC.acc_bits, True), ([beat["bias"]], SPEC.bias_bits, True),
        ([beat["multiplier"]], SPEC.multiplier_bits, False), ([beat["shift"]], SPEC.shift_bits, False),
        *codes, ([beat["tag"]], TAG_BITS, False),
    ])


def _output(beat: dict) -> int:
    multiplier = beat["multiplier"] if SPEC.multiplier_bits else 1
    pre, post = SPEC.scalings[beat["shift"]]
    y = arith.requantize(
        torch.tensor(beat["acc"]), torch.tensor(beat["bias"]), torch.tensor(multiplier), torch.tensor(post),
        pre_shift=pre, operand_bits=SPEC.operand_bits if SPEC.multiplier_bits else None,
        zero_point=beat["zero_point"], low=beat["low"], high=beat["high"])
    return _word([(y.tolist(), SPEC.code_bits, True), ([beat["tag"]], TAG_BITS, False)])


def _number(random: Random, bits: int) -> int:
    magnitude = random.randrange(bits)
    return random.randint(-(1 << magnitude), (1 << magnitude) - 1)


def _random_beat(random: Random) -> dict:
    low, high = sorted(_number(random, SPEC.code_bits) for _ in range(2))
    return {
        "acc": [_number(random, SPEC.acc_bits) for _ in range(SPEC.lanes)],
        "bias": _number(random, SPEC.bias_bits),
        "multiplier": random.getrandbits(SPEC.multiplier_bits) if SPEC.multiplier_bits else 0,
        "shift": random.randrange(len(SPEC.scalings)),
        "zero_point": _number(random, SPEC.code_bits), "low": low, "high": high,
        "tag": random.getrandbits(TAG_BITS) if TAG_BITS else 0,
    }


def _ends(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


def _corner_beats() -> list[dict]:
    low, high = _ends(SPEC.code_bits)
    multipliers = {0, 1, (1 << SPEC.multiplier_bits) - 1} if SPEC.multiplier_bits else {0}
    choices = itertools.product(
        _ends(SPEC.acc_bits), _ends(SPEC.bias_bits), multipliers, range(len(SPEC.scalings)),
        [(low, low, high), (low, high, high), (low, 0, high), (0, low, high), (0, 0, 0), (low, low, low),
         (high, high, high)])
    return [
        {"acc": [acc - (acc > 0) * lane + (acc < 0) * lane for lane in range(SPEC.lanes)], "bias": bias,
         "multiplier": multiplier, "shift": shift, "low": codes[0], "zero_point": codes[1], "high": codes[2], "tag": 0}
        for acc, bias, multiplier, shift, codes in choices
    ]


def _single_bit_beats() -> list[dict]:
    """Sums and products of whose bits one differs from the sign: that one alone must count as too large."""
    low, high = _ends(SPEC.code_bits)
    multipliers = {1, 1 << SPEC.multiplier_bits - 1} if SPEC.multiplier_bits else {0}
    return [
        {"acc": [(1 << (bit + lane) % (SPEC.acc_bits - 1)) ^ sign for lane in range(SPEC.lanes)], "bias": 0,
         "multiplier": multiplier, "shift": shift, "low": low, "zero_point": 0, "high": high, "tag": 0}
        for bit in range(SPEC.acc_bits - 1) for sign in (0, -1)
        for multiplier in multipliers for shift in range(len(SPEC.scalings))
    ]


def _edge_beats(random: Random) -> list[dict]:
    """Accumulators whose code before the clamp is a limit, or next to one: what the comparisons must tell apart."""
    beats = []
    least, largest = _ends(SPEC.acc_bits)
    for _ in range(4 * BEATS):
        beat = _random_beat(random)
        beat["low"], beat["high"] = sorted(random.randint(*_ends(SPEC.code_bits)) for _ in range(2))
        multiplier = beat["multiplier"] = max(1, beat["multiplier"] >> random.randrange(max(1, SPEC.multiplier_bits)))
        pre, post = SPEC.scalings[beat["shift"]]
        for lane in range(SPEC.lanes):
            code = random.choice((beat["low"], beat["high"])) + random.randint(-2, 2)
            total = ((code - beat["zero_point"]) << post) // multiplier - beat["bias"]
            beat["acc"][lane] = min(max(total << pre, least), largest)
        beats.append(beat)
    return beats


async def _check(dut, beats: list[dict], source: str, sink: str) -> None:
    scoreboard = Scoreboard([_output(beat) for beat in beats])
    driver = Driver(dut, "i", pattern=source)
    Monitor(dut, "o", pattern=sink, scoreboard=scoreboard)
    check_stream_rules(dut, "o")
    await start_clock(dut, noise=["i"])
    await driver.send([_input(beat) for beat in beats])
    await scoreboard.complete()


@cocotb.test(timeout_time=200, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def random_beats(dut, source, sink):
    """Seeded random beats, magnitudes spread over all widths."""
    random = Random(cocotb.RANDOM_SEED)
    await _check(dut, [_random_beat(random) for _ in range(BEATS)], source, sink)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def corners(dut):
    """Both ends of every field, in all combinations."""
    await _check(dut, _corner_beats(), "always", "always")


@cocotb.test(timeout_time=200, timeout_unit="us")
async def edges(dut):
    """Codes at and next to the limits, wherever those are."""
    await _check(dut, _edge_beats(Random(cocotb.RANDOM_SEED)), "always", "always")


@cocotb.test(timeout_time=200, timeout_unit="us")
async def single_bits(dut):
    """Every bit of a sum or product alone, of either sign."""
    await _check(dut, _single_bit_beats(), "always", "always")
