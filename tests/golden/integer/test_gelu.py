import math
import random
from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction

import pytest
import torch
from vitric.golden.activation import gelu
from vitric.golden.integer.gelu import gelu_table


def test_gelu_function():
    for x in (-6.0, -3.0, -1.0, -0.1, 0.0, 0.5, 1.0, 4.0):
        assert gelu(x) == pytest.approx(torch.nn.functional.gelu(torch.tensor(x, dtype=torch.float64)).item(), rel=1e-6)
    assert gelu(1.0) == pytest.approx(0.8413447460685429, rel=1e-15)
    assert gelu(-30.0) == pytest.approx(-30 * 4.906713927148187e-198, rel=1e-12)
    assert gelu(50.0) == 50.0


def test_gelu_table_is_nearest():
    for scale_in, zero_in, bits, scale_out, zero_out, out_bits in [
        (0.04, 128, 8, 0.03, 6, 8), (0.5, 8, 4, 0.4, 1, 4), (0.11, 100, 8, 0.9, 0, 3), (1e-3, 0, 8, 1e-3, 5, 8),
    ]:
        table = gelu_table(scale_in, zero_in, bits, scale_out, zero_out, out_bits)
        assert table.dtype == torch.int64 and table.shape == (1 << bits,)
        top = (1 << out_bits) - 1
        for index, code in enumerate(table.tolist()):
            value = Fraction(gelu((index - zero_in) * scale_in) / scale_out) + zero_out
            if code == 0:
                assert value < Fraction(1, 2)
            elif code == top:
                assert value >= top - Fraction(1, 2)
            else:
                assert -Fraction(1, 2) <= value - code < Fraction(1, 2)


def precise_gelu(x):
    """``x * Phi(x)`` of a decimal number to 40 digits: the series of the error function, summed to 80."""
    with localcontext() as context:
        context.prec = 80
        z = x / Decimal(2).sqrt()
        term = total = z
        for n in range(1, 700):
            term = -term * z * z / n
            total += term / (2 * n + 1)
            if abs(term) < Decimal(10) ** -60:
                break
        pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")
        return x / 2 * (1 + total * 2 / pi.sqrt())


@pytest.mark.parametrize("index_bits", range(2, 9))
def test_gelu_codes_are_the_correctly_rounded_ones(index_bits):
    """Every index of every width, every output width: no float takes part in the expected codes."""
    rng = random.Random(index_bits)
    for out_bits in range(2, 9):
        scale_in, scale_out = 8 / 2**index_bits * rng.uniform(0.6, 1.4), 4.2 / 2**out_bits * rng.uniform(0.8, 1.2)
        zero_in, zero_out = rng.randrange(1 << index_bits), rng.randrange(3)
        table = gelu_table(scale_in, zero_in, index_bits, scale_out, zero_out, out_bits)
        with localcontext() as context:
            context.prec = 60
            for index, code in enumerate(table.tolist()):
                value = precise_gelu((index - zero_in) * Decimal(scale_in)) / Decimal(scale_out)
                wanted = int((value + Decimal("0.5")).to_integral_value(rounding=ROUND_FLOOR)) + zero_out
                assert code == min(max(wanted, 0), (1 << out_bits) - 1)


def test_gelu_table_hand_vector():
    # x = index - 4; gelu = -0.000127, -0.00405, -0.0455, -0.1587, 0, 0.8413, 1.9545, 2.9960; in steps of 0.1, plus 2
    assert gelu_table(1.0, 4, 3, 0.1, 2, 8).tolist() == [2, 2, 2, 0, 2, 10, 22, 32]
    assert gelu_table(1.0, 4, 3, 0.1, 2, 4).tolist() == [2, 2, 2, 0, 2, 10, 15, 15]


def test_rounding_is_half_up():
    # Far from zero gelu(x) is x, so that steps of 2 put every odd index exactly half way.
    table = gelu_table(1.0, -100, 3, 2.0, -49, 8)
    assert table.tolist() == [1, 2, 2, 3, 3, 4, 4, 5]
    # One unit in the last place below the half goes down, although adding 0.5 in floats would round it up.
    below = math.nextafter(0.5, 0)
    assert gelu_table(below * 40, -1, 2, 40.0 * 1.0, 0, 4)[0] == 0


@pytest.mark.parametrize("arguments,error", [
    ((0.0, 0, 8, 1.0, 0, 8), "scale_in"), ((1.0, 0, 8, float("nan"), 0, 8), "scale_out"),
    ((1.0, 0, 9, 1.0, 0, 8), "index_bits"), ((1.0, 0, 8, 1.0, 0, 1), "out_bits"),
    ((1.0, 1 << 17, 8, 1.0, 0, 8), "zero_point_in"), ((1.0, 0, 8, 1.0, -(1 << 17), 8), "zero_point_out"),
])
def test_gelu_table_rejects(arguments, error):
    with pytest.raises(ValueError, match=error):
        gelu_table(*arguments)
