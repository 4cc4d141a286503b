# amaranth: UnusedElaboratable=no
import itertools
import random

import pytest
import torch
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.sim import Simulator
from vitric.golden import arith
from vitric.golden.spec.requantize import RequantizeSpec
from vitric.hdl.activation.requantize import Requantize
from vitric.hdl.fabric.multiply import RegisteredProduct
from vitric.hdl.pipeline import delay

from tests.hdl.stream_kit import STALLS, interval, latency, transform

SPECS = {
    "default": RequantizeSpec(lanes=2, acc_bits=24),
    "widest": RequantizeSpec(lanes=1, acc_bits=40, bias_bits=40, shifts=(0, 1, 8, 12, 17, 20, 28, 33)),
    "one part": RequantizeSpec(lanes=3, acc_bits=17, bias_bits=12, multiplier_bits=8, shifts=(4, 20), out_bits=8),
    "power of two": RequantizeSpec(lanes=2, acc_bits=20, bias_bits=16, multiplier_bits=0, shifts=(0, 3, 9, 20),
                                   out_bits=4),
    "one shift": RequantizeSpec(lanes=2, acc_bits=8, bias_bits=20, multiplier_bits=1, shifts=(7,), out_bits=2),
    "narrow product": RequantizeSpec(lanes=2, acc_bits=8, bias_bits=2, multiplier_bits=1, shifts=(0, 9), out_bits=16),
}


def expected(spec, beats):
    column = lambda key: torch.tensor([beat[key] for beat in beats])[:, None]  # noqa: E731
    pre, post = torch.tensor(spec.scalings)[column("shift")].unbind(-1)
    multiplier = column("multiplier") if spec.multiplier_bits else torch.tensor(1)
    y = arith.requantize(
        torch.tensor([beat["acc"] for beat in beats]), column("bias"), multiplier, post, pre_shift=pre,
        operand_bits=spec.operand_bits if spec.multiplier_bits else None,
        zero_point=column("zero_point"), low=column("low"), high=column("high"))
    return [{"y": row, "tag": beat["tag"]} for row, beat in zip(y.tolist(), beats, strict=True)]


def number(rng, bits):
    """Return a signed number: often an extreme, and otherwise of random magnitude."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    if rng.random() < 0.3:
        return rng.choice([low, low + 1, high, high - 1, -1, 0, 1])
    magnitude = 1 << rng.randrange(bits)
    return max(low, min(high, rng.randint(-magnitude, magnitude)))


def random_beat(rng, spec, tag_bits):
    low, high = sorted(number(rng, spec.code_bits) for _ in range(2))
    top = (1 << spec.multiplier_bits) - 1
    return {
        "acc": [number(rng, spec.acc_bits) for _ in range(spec.lanes)],
        "bias": number(rng, spec.bias_bits),
        "multiplier": rng.choice([0, 1, top, rng.randint(0, top), rng.randint(0, top)]) if top else 0,
        "shift": rng.randrange(len(spec.scalings)),
        "zero_point": number(rng, spec.code_bits), "low": low, "high": high,
        "tag": rng.getrandbits(tag_bits) if tag_bits else 0,
    }


def test_exhaustive():
    spec = RequantizeSpec(lanes=64, acc_bits=8, bias_bits=2, multiplier_bits=2, shifts=(0, 1, 4, 7), out_bits=2)
    codes = [(-4, -4, -4), (-4, -4, 3), (-4, 0, 3), (-4, 3, 3), (0, 0, 3), (-1, 1, 2), (3, 3, 3), (-2, -2, 1),
             (0, 3, 3)]
    beats = []
    accs = list(range(-128, 128))
    for bias, multiplier, shift, (low, zero_point, high) in itertools.product(range(-2, 2), range(4), range(4), codes):
        for k in range(0, 256, 64):
            beats.append({"acc": accs[k:k + 64], "bias": bias, "multiplier": multiplier, "shift": shift,
                          "zero_point": zero_point, "low": low, "high": high, "tag": 0})
    outputs, _ = transform(Requantize(spec), beats)
    assert outputs == expected(spec, beats)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("send_stall,receive_stall", [("always", "always"), ("random", "bursts"), ("bursts", "random")])
def test_random(name, send_stall, receive_stall):
    spec = SPECS[name]
    rng = random.Random(f"{name} {send_stall}")
    beats = [random_beat(rng, spec, 5) for _ in range(300)]
    outputs, _ = transform(
        Requantize(spec, tag_bits=5), beats, send_stall=send_stall, receive_stall=receive_stall, seed=7)
    for index, (got, wanted) in enumerate(zip(outputs, expected(spec, beats), strict=True)):
        assert got == wanted, f"beat {index}: {beats[index]}"


@pytest.mark.parametrize("name", SPECS)
def test_limits_that_hold(name):
    """The same limits in all beats: they need not travel with a beat."""
    spec, rng = SPECS[name], random.Random(name)
    for _ in range(5):
        beats = [random_beat(rng, spec, 5) for _ in range(60)]
        held = {key: beats[0][key] for key in ("zero_point", "low", "high")}
        beats = [beat | held for beat in beats]
        under_way = beats[:spec.latency]  # behind the last of those that count, so that their limits hold
        outputs, _ = transform(
            Requantize(spec, tag_bits=5, held=True), [*beats, *under_way], receive_stall="bursts", seed=7)
        assert outputs[:len(beats)] == expected(spec, beats)


@pytest.mark.parametrize("send_stall", STALLS)
@pytest.mark.parametrize("receive_stall", STALLS)
def test_back_pressure(send_stall, receive_stall):
    spec = RequantizeSpec(lanes=1, acc_bits=8, bias_bits=8, multiplier_bits=4, shifts=(2,), out_bits=4)
    rng = random.Random(0)
    beats = [random_beat(rng, spec, 8) for _ in range(100)]
    outputs, _ = transform(
        Requantize(spec, tag_bits=8), beats, send_stall=send_stall, receive_stall=receive_stall, seed=3)
    assert outputs == expected(spec, beats)


@pytest.mark.parametrize("name", SPECS)
def test_latency_and_interval(name):
    spec = SPECS[name]
    rng = random.Random(0)
    dut = Requantize(spec)
    _, checkers = transform(dut, [random_beat(rng, spec, 0) for _ in range(20)])
    assert latency(checkers["i"], checkers["o"]) == dut.latency == spec.latency
    assert interval(checkers["i"]) == interval(checkers["o"]) == dut.interval == 1


def test_spec_widths():
    spec = RequantizeSpec(lanes=4, acc_bits=24)
    assert (spec.sum_bits, spec.operand_bits, spec.product_bits, spec.code_bits) == (33, 18, 34, 17)
    assert (spec.narrow_shift, spec.shift_bits, spec.post_bits, spec.latency) == (6, 3, 2, 6)
    assert spec.scalings == ((0, 8), (0, 13), (0, 18), (0, 23), (6, 8), (6, 13), (6, 18), (6, 23))
    small = RequantizeSpec(lanes=4, acc_bits=18, bias_bits=18)
    assert (small.sum_bits, small.operand_bits, small.narrow_shift, small.shift_bits) == (19, 18, 0, 2)
    plain = RequantizeSpec(lanes=4, acc_bits=24, multiplier_bits=0)
    assert (plain.operand_bits, plain.product_bits, plain.narrow_shift, plain.latency) == (33, 33, 0, 5)
    spec.check_codes(zero_point=0, low=-(1 << 16), high=(1 << 16) - 1)
    for codes in ({"zero_point": 0, "low": 6, "high": 5}, {"zero_point": 1 << 16, "low": 0, "high": 4},
                  {"zero_point": 0, "low": -(1 << 16) - 1, "high": 0}, {"zero_point": 0, "low": 0, "high": 1 << 16}):
        with pytest.raises(ValueError, match="must be between"):
            spec.check_codes(**codes)


@pytest.mark.parametrize("change,error", [
    ({"lanes": 0}, ValueError), ({"lanes": 65}, ValueError), ({"acc_bits": 7}, ValueError),
    ({"acc_bits": 41}, ValueError), ({"bias_bits": 1}, ValueError), ({"multiplier_bits": 17}, ValueError),
    ({"out_bits": 1}, ValueError), ({"out_bits": 17}, ValueError), ({"lanes": 1.5}, TypeError),
    ({"shifts": (1, 2, 3)}, TypeError), ({"shifts": [8, 13]}, TypeError), ({"shifts": (8, 8)}, ValueError),
    ({"shifts": (9, 8)}, ValueError), ({"shifts": (-1,)}, ValueError), ({"shifts": (34,)}, ValueError),
])
def test_rejected_spec(change, error):
    with pytest.raises(error, match=next(iter(change))):
        RequantizeSpec(**{"lanes": 4, "acc_bits": 24} | change)


def test_rejected_parameters():
    spec = RequantizeSpec(lanes=1, acc_bits=8)
    with pytest.raises(ValueError, match="tag_bits"):
        Requantize(spec, tag_bits=65)
    with pytest.raises(ValueError, match="fabric must be one of 'generic', 'ecp5', 'ice40'"):
        Requantize(spec, fabric="other")
    with pytest.raises(ValueError, match="width of b_shape"):
        RegisteredProduct(9, 19)
    with pytest.raises(ValueError, match="width of a_shape"):
        RegisteredProduct(19, 4)
    with pytest.raises(ValueError, match="fabric"):
        RegisteredProduct(9, 4, fabric="lut")


def check_multiplier(dut, pairs, seed):
    """Run ``pairs`` through a multiplier while ``en`` toggles at random; the product is ``latency`` steps behind."""
    rng = random.Random(seed)

    async def bench(ctx):
        for step in range(len(pairs) + dut.latency):
            a, b = pairs[min(step, len(pairs) - 1)]
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            ctx.set(dut.en, 0)
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.en, 1)
            if step >= dut.latency:
                a, b = pairs[step - dut.latency]
                assert ctx.get(dut.p) == a * b, (a, b)
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


def values(shape):
    low = -(1 << shape.width - 1) if shape.signed else 0
    return range(low, low + (1 << shape.width))


@pytest.mark.parametrize("a_sign", [signed, unsigned])
@pytest.mark.parametrize("b_sign", [signed, unsigned])
def test_multiplier(a_sign, b_sign):
    small = a_sign(4), b_sign(3)
    check_multiplier(RegisteredProduct(*small), list(itertools.product(*map(values, small))), 1)
    rng = random.Random(2)
    for a_bits, b_bits in ((18, 18), (18, 16), (7, 18)):
        a, b = values(a_sign(a_bits)), values(b_sign(b_bits))
        corners = [[r[0], r[0] + 1, r[-1], r[-1] - 1, 0, len(r) // 2 + r[0]] for r in (a, b)]
        pairs = list(itertools.product(*corners)) + [(rng.choice(a), rng.choice(b)) for _ in range(200)]
        dut = RegisteredProduct(a_sign(a_bits), b_sign(b_bits))
        check_multiplier(dut, pairs, 3)


def test_delay():
    m = Module()
    x, en = Signal(4), Signal()
    y = delay(m, x, en, 3, name="y")
    assert delay(m, x, en, 0, name="z") is x

    async def bench(ctx):
        ctx.set(en, 1)
        for k in range(10):
            ctx.set(x, k)
            assert k < 3 or ctx.get(y) == k - 3
            await ctx.tick()
        ctx.set(en, 0)
        await ctx.tick()
        assert ctx.get(y) == 7

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
