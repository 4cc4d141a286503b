
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vitric.golden.arith import requantize
from vitric.golden.quantization.codes.scales import FactorTooLarge, fit_multiplier, fit_scaling
from vitric.golden.spec.requantize import RequantizeSpec

from tests.golden.quantization.quantize_kit import tensor

SPEC = RequantizeSpec(lanes=1, acc_bits=24)


@given(st.floats(2.0**-23, 255.0))
def test_multiplier_is_as_close_as_it_can_be(factor):
    multiplier, shift = (int(x) for x in fit_multiplier("x", tensor(factor), SPEC))
    assert 1 <= multiplier <= 0xFFFF and shift in SPEC.shifts
    options = [(abs(round(factor * 2**s) * 2.0**-s - factor), s) for s in SPEC.shifts if factor * 2**s <= 0xFFFF]
    assert abs(multiplier * 2.0**-shift - factor) <= min(options)[0] + 1e-15
    assert shift == max(s for _, s in options) or factor * 2 ** max(s for _, s in options) > 0xFFFE
    if factor > 2.0**-12:
        assert multiplier * 2.0**-shift == pytest.approx(factor, rel=2.0**-11)


def test_multiplier_out_of_range():
    multiplier, shift = fit_multiplier("x", tensor(255.99, 2.0**-23, 0.5), SPEC)
    assert multiplier.tolist() == [65533, 1, 4096] and shift.tolist() == [8, 23, 13]
    with pytest.raises(FactorTooLarge, match="fc1: the scale of channel 1 is too large: .* 255.996, not 256"):
        fit_multiplier("fc1", tensor(1.0, 256.0), SPEC)
    with pytest.raises(ValueError, match=r"fc1: the scale of channel 0 underflows: .* 2\*\*-24"):
        fit_multiplier("fc1", tensor(2.0**-25), SPEC)
    with pytest.raises(ValueError, match="fc1"):
        fit_multiplier("fc1", tensor(float("nan")), SPEC)


def scaled(factor, constant, zero_sum, low, high, *, below=0, above=15):
    zero = torch.zeros(len(factor), dtype=torch.int64)
    return fit_scaling("fc", factor, constant, zero + zero_sum, (zero + low, zero + high), below, above, SPEC)


@given(st.floats(2.0**-12, 64.0), st.floats(-2000.0, 2000.0), st.integers(-4000, 4000), st.integers(0, 1 << 23),
       st.integers(0, 1 << 23), st.sampled_from([(0, 15), (128, 127), (1 << 15, (1 << 15) - 1)]), st.integers(0, 999))
def test_scaling_is_exact_or_narrow(factor, constant, zero_sum, below_zero, above_zero, codes, seed):
    """With all bits of the accumulator the result is that of exact arithmetic; otherwise it is close to it."""
    below, above = codes
    s = scaled(tensor(factor), tensor(constant), zero_sum, -below_zero, above_zero, below=below, above=above)
    generator = torch.Generator().manual_seed(seed)
    acc = torch.cat([torch.randint(-below_zero, above_zero + 1, (50,), generator=generator),
                     torch.tensor([-below_zero, above_zero])])
    y = requantize(acc, s.bias, s.multiplier, s.shift, pre_shift=s.pre_shift, operand_bits=18, zero_point=0,
                   low=-below, high=above)
    pre = int(s.pre_shift)
    exact = requantize(acc, s.bias, s.multiplier, s.shift, pre_shift=pre, zero_point=0, low=-below, high=above)
    assert pre in (0, 6) and torch.equal(y, exact)  # no sum is infinite unless it would be clamped
    realised = float(s.multiplier * 2.0 ** -(s.shift + pre))
    real = ((acc - zero_sum) * realised + constant).clamp(-below, above)
    assert (y - real).abs().max() <= 0.5 + realised * (2**pre if pre else 0.5) + 1e-6


def test_scaling_narrows_only_where_it_must():
    wide, most = 1 << 18, (1 << 17) - 1
    zero, factor = tensor(0.0, 0.0), tensor(2.0**-6, 2.0**-13)
    assert scaled(factor, zero, 0, -wide, wide).pre_shift.tolist() == [0, 0]  # 2**17 * 2**-13 is above 15 codes
    assert scaled(factor, zero, 0, -wide, wide, above=255).pre_shift.tolist() == [0, 6]
    assert scaled(factor, zero, 0, -most, most, above=255).pre_shift.tolist() == [0, 0]
    assert scaled(factor, zero, -10, -most, most, above=255).pre_shift.tolist() == [0, 6]
    assert scaled(factor, zero, 0, -most - 1, 0, above=255).pre_shift.tolist() == [0, 0]
    assert scaled(factor, zero, 0, -most - 2, 0, above=255).pre_shift.tolist() == [0, 6]
    plain = scaled(factor, tensor(3.0, 3.0), 20, -most, most)
    assert plain.bias.tolist() == [192 - 20, 3 * 8192 - 20]
    narrow = scaled(tensor(2.0**-13), tensor(3.0), 640, -wide, wide, above=255)
    assert narrow.bias.tolist() == [round(3 * 128 - 10 + 31.5 / 64)]
    with pytest.raises(ValueError, match="fc: a bias must fit signed 32 bits in accumulator steps, not"):
        scaled(tensor(2.0**-20), tensor(1e6), 0, -1, 1)
