"""The product of carry cells: every operand at small widths, random and extreme ones at those of the row arithmetic."""

import random
from itertools import product

import pytest
from amaranth.hdl import signed, unsigned
from amaranth.sim import Simulator
from vitric.hdl.layernorm.product import FabricProduct


def shapes(a_bits, b_bits):
    return list(product((unsigned(a_bits), signed(a_bits)), (unsigned(b_bits), signed(b_bits))))


def values(shape):
    low = -(1 << shape.width - 1) if shape.signed else 0
    return range(low, low + (1 << shape.width))


def simulate(dut, pairs, *, seed):
    """Give a pair in every enabled cycle; return the product of each, ``latency`` enabled cycles later."""
    results = []

    async def testbench(ctx):
        rng, enabled = random.Random(seed), 0
        while len(results) < len(pairs):
            a, b = pairs[enabled] if enabled < len(pairs) else pairs[0]
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            ctx.set(dut.en, rng.random() < 0.8)
            en, p = ctx.get(dut.en), ctx.get(dut.p)
            if en:
                if enabled >= dut.latency:
                    results.append(p)
                enabled += 1
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return results


@pytest.mark.parametrize(("a_shape", "b_shape"), [*shapes(4, 3), *shapes(1, 4), (signed(2), signed(2))])
def test_every_product(a_shape, b_shape):
    pairs = list(product(values(a_shape), values(b_shape)))
    random.Random(1).shuffle(pairs)
    dut = FabricProduct(a_shape, b_shape, latency=8)
    assert simulate(dut, pairs, seed=2) == [a * b for a, b in pairs]


@pytest.mark.parametrize(("a_shape", "b_shape"), shapes(18, 18))
def test_wide_products(a_shape, b_shape):
    rng = random.Random(18)
    ends = [[values(shape)[0], -1 if shape.signed else 1, 0, values(shape)[-1]] for shape in (a_shape, b_shape)]
    pairs = [*product(*ends), *((rng.choice(values(a_shape)), rng.choice(values(b_shape))) for _ in range(300))]
    dut = FabricProduct(a_shape, b_shape, latency=10)
    assert simulate(dut, pairs, seed=3) == [a * b for a, b in pairs]


def test_bad_arguments():
    with pytest.raises(ValueError, match="fabric must be one of 'generic', 'ecp5', 'ice40', 'gowin', not 'tpu'"):
        FabricProduct(signed(4), signed(4), latency=8, fabric="tpu")
    with pytest.raises(ValueError, match="latency must be enough for the levels of the sum, not 4"):
        FabricProduct(signed(18), signed(18), latency=4).elaborate(None)
