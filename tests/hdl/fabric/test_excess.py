import itertools
import random

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.sim import Simulator
from vitric.hdl.fabric.excess import excess_product, low_part

BITS = 3


def value_of(code, shape):
    return code - (1 << shape.width) if shape.signed and code >> shape.width - 1 else code


@pytest.mark.parametrize("a_sign", [signed, unsigned])
@pytest.mark.parametrize("b_sign", [signed, unsigned])
@pytest.mark.parametrize(("a_bits", "b_bits"), [(5, 5), (4, 2), (2, 5), (3, 3)])
def test_low_and_excess_are_the_product(a_sign, b_sign, a_bits, b_bits):
    """Every pair of operands, with the clock enable off at random."""
    m, rng = Module(), random.Random(1)
    a, b, en = Signal(a_sign(a_bits)), Signal(b_sign(b_bits)), Signal()
    low = Signal(signed(2 * BITS + 2))
    excess = excess_product(m, a, b, en, BITS)
    assert (len(excess) == 0) == (a_bits <= BITS and b_bits <= BITS)
    m.d.comb += low.eq(low_part(a, BITS) * low_part(b, BITS))
    seen = Signal(signed(12))
    m.d.comb += seen.eq(excess)
    pairs = list(itertools.product(range(1 << a_bits), range(1 << b_bits)))

    async def bench(ctx):
        expected = []
        for a_code, b_code in [*pairs, (0, 0), (0, 0)]:
            x, y = value_of(a_code, a.shape()), value_of(b_code, b.shape())
            ctx.set(a, x)
            ctx.set(b, y)
            ctx.set(en, 0)
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(en, 1)
            if len(expected) >= 2:
                assert ctx.get(seen) << BITS == expected[-2]
            expected.append(x * y - ctx.get(low))
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
