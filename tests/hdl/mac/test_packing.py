import itertools
import math
import random

import pytest
from vitric.golden.spec.mac import MacArraySpec
from vitric.hdl.mac.packing import best_packing, product_bits

WIDTHS = list(itertools.product(range(2, 9), range(2, 9)))


def spec(a_bits, w_bits):
    return MacArraySpec(rows=1, cols=1, depth=1, a_bits=a_bits, w_bits=w_bits)


def decoded(packing, widths, a, w):
    """Return the products by the identity of the docstring of Packing, from the packed product alone."""
    packed = sum(x << packing.a_position(r) for r, x in enumerate(a)) * sum(
        y << packing.w_position(c) for c, y in enumerate(w))
    width = product_bits(widths)
    products, borrow = {}, 0
    for k in range(packing.products):
        field = packed >> k * packing.step
        negative = field >> width - 1 & 1
        if packing.step < width and k < packing.products - 1:
            r, c = packing.slots(k + 1)
            negative = (packed >> (k + 1) * packing.step ^ a[r] & w[c]) & 1
        products[packing.slots(k)] = (field & (1 << width - 1) - 1) - (negative << width - 1) + borrow
        borrow = negative
    return products


@pytest.mark.parametrize(("a_bits", "w_bits"), WIDTHS)
@pytest.mark.parametrize("operand_bits", [16, 18])
def test_every_product_is_exact(a_bits, w_bits, operand_bits):
    widths = spec(a_bits, w_bits)
    rng = random.Random(a_bits * 8 + w_bits)
    activations, weights = range(widths.a_max + 1), range(-widths.w_max, widths.w_max + 1)
    for rows, cols in (1, 1), (8, 8), (4, 4), (3, 2), (1, 5), (5, 1):
        packing = best_packing(widths, rows=rows, cols=cols, operand_bits=operand_bits)
        assert sum(widths.a_max << packing.a_position(r) for r in range(packing.rows)) < 1 << operand_bits
        assert sum(widths.w_max << packing.w_position(c) for c in range(packing.cols)) < 1 << operand_bits - 1
        pools = [activations] * packing.rows + [weights] * packing.cols
        if math.prod(map(len, pools)) <= 2500:
            operands = itertools.product(*pools)
        else:
            corners = [(pool[0], pool[-1], pool[len(pool) // 2 - 1], pool[len(pool) // 2]) for pool in pools]
            operands = [[rng.choice(rng.choice((corner, pool))) for corner, pool in zip(corners, pools, strict=True)]
                        for _ in range(300)]
        for values in operands:
            a, w = values[:packing.rows], values[packing.rows:]
            expected = {(r, c): a[r] * w[c] for r in range(packing.rows) for c in range(packing.cols)}
            assert decoded(packing, widths, a, w) == expected, (packing, a, w)


@pytest.mark.parametrize(("bits", "products"), [(2, 16), (3, 6), (4, 4), (5, 2), (6, 2), (7, 1), (8, 1)])
def test_products_of_one_multiplier(bits, products):
    assert best_packing(spec(bits, bits), rows=8, cols=8, operand_bits=18).products == products


def test_packing_follows_the_shape():
    four = spec(4, 4)
    assert best_packing(four, rows=4, cols=1, operand_bits=18).products == 2
    # equal fields need no lowest bits; only rows or columns side by side allow them here
    assert best_packing(four, rows=2, cols=1, operand_bits=18).step == product_bits(four)
    assert best_packing(spec(2, 2), rows=2, cols=5, operand_bits=18).products == 10
