"""The row arithmetic alone: multiplier, offset and position of row after row, against the golden steps."""

import random

import pytest
import torch
from amaranth.sim import Simulator
from vitric.golden.arith import round_shift
from vitric.golden.integer.layernorm import row_scale
from vitric.golden.spec.layernorm import ROW_PRODUCTS, LayerNormSpec
from vitric.hdl.layernorm.moments import LIMB_AT_PHASE
from vitric.hdl.layernorm.row_scale import RowScale, result_cycle

LIMB_DELAY = 1


def golden(total, squares, n, spec):
    """Multiplier, offset and position of one row."""
    variance = torch.tensor(n * squares - total * total)
    multiplier, shift = row_scale(variance, n, spec)
    mean = round_shift(torch.tensor(total * spec.row_constants(n).inverse), spec.inverse_fraction - spec.mean_fraction)
    offset, half = int(round_shift(mean * multiplier, spec.mean_fraction)), 1 << spec.y_bits - 1
    return {"multiplier": int(multiplier), "position": int(shift) // spec.shift_step,
            "offset": ((offset >> int(shift)) + half & 2 * half - 1) - half}


def simulate(rows, spec):
    """Start one row (S1, S2, n) every 8 cycles; return the results."""
    dut = RowScale(spec)
    first, results = result_cycle(spec), []

    async def testbench(ctx):
        for cycle in range(8 * len(rows) + first):
            index, phase = divmod(cycle, 8)
            ctx.set(dut.phase, phase)
            if index < len(rows):
                constants = spec.row_constants(rows[index][2])
                ctx.set(dut.constants, {"minus_length": -constants.length, "row": {
                    "inverse": constants.inverse, "norm": constants.norm, "exponent": constants.exponent}})
            index, phase = divmod(cycle - LIMB_DELAY, 8)
            if 0 <= index < len(rows) and phase in LIMB_AT_PHASE:
                limb = LIMB_AT_PHASE[phase]
                value = rows[index][0] if limb < 2 else rows[index][1]
                value >>= 16 * (limb if limb < 2 else limb - 2)
                ctx.set(dut.limb, value if limb in (1, 4) else value & 0xFFFF)
            if cycle >= first and (cycle - first) % 8 == 0:
                results.append({name: int(ctx.get(dut.result[name])) for name in ("multiplier", "position", "offset")})
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return results


def check(rows, spec):
    """Compare every row; the position of a constant row does not matter, only that y comes out as 0."""
    got = simulate(rows, spec)
    assert len(got) == len(rows)
    for row, result in zip(rows, got, strict=True):
        total, squares, n = row
        if n * squares == total * total:
            assert result["multiplier"] == 0
            assert result["offset"] == 0
        else:
            assert result == golden(total, squares, n, spec), row


@pytest.mark.parametrize("row_products", ROW_PRODUCTS)
@pytest.mark.parametrize(("max_length", "in_bits"), [(1024, 16), (1024, 10), (1024, 12), (4096, 16), (2000, 15)])
def test_random_rows(max_length, in_bits, row_products):
    spec = LayerNormSpec(lanes=1, max_length=max_length, in_bits=in_bits, row_products=row_products)
    rng = random.Random(max_length + in_bits)
    high = 1 << in_bits - 1
    rows = []
    for _ in range(150):
        n = rng.choice([1, 2, 3, rng.randint(1, max_length), max_length])
        center, spread = rng.randint(-high, high - 1), int(2 ** rng.uniform(0, in_bits)) - 1
        x = [max(-high, min(high - 1, center + rng.randint(-spread, spread))) for _ in range(min(n, 40))]
        x += [center] * (n - len(x))
        rows.append((sum(x), sum(value * value for value in x), n))
    extreme = high * high * max_length
    rows += [(-high * max_length, extreme, max_length), (0, extreme - high * high, max_length)]
    check(rows, spec)


def test_saturated_multiplier():
    """Rows for which norm * r lies so close below a power of two that rounding it would need a 19th bit."""
    spec = LayerNormSpec(lanes=1, max_length=1024)
    rows = []
    for n in range(520, 1024):
        norm = spec.row_constants(n).norm
        r = (1 << spec.rsqrt_bits + 10) // norm
        if norm * r < (1 << spec.rsqrt_bits + 10) - 256:
            continue
        for k in range(16, 22):
            squares = round(4**k * (2**spec.rsqrt_bits / r) ** 2 / n)
            multiplier, _ = row_scale(torch.tensor(n * squares), n, spec)
            if int(multiplier) == (1 << spec.multiplier_bits) - 1:
                rows.append((0, squares, n))
    assert len(rows) >= 10
    check(rows, spec)
