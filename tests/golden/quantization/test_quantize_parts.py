
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vitric.golden.arith import requantize, split_signed
from vitric.golden.quantization.codes.channels import free
from vitric.golden.quantization.codes.maps import (
    BinaryCodes,
    CentredCodes,
    FittedCodes,
    NarrowCodes,
    UnsignedCodes,
)
from vitric.golden.quantization.codes.observers import minmax, mse, percentile
from vitric.golden.quantization.codes.quantity import ENOUGH_FOR_CHANNELS, check_scale, observe
from vitric.golden.quantization.codes.scales import FactorTooLarge, fit_multiplier, fit_scaling
from vitric.golden.quantization.lowering.weights import weight_scales
from vitric.golden.spec.requantize import RequantizeSpec

from tests.golden.quantization.quantize_kit import normal, tensor


def test_unsigned_codes_cover_the_range_and_zero():
    scale, zero = UnsignedCodes(4).fit(tensor(-1.0, 0.5, -3.0, 0.0), tensor(2.0, 3.0, -1.0, 0.0))
    assert scale.tolist() == pytest.approx([0.2, 0.2, 0.2, 1.0]) and zero.tolist() == [5, 0, 15, 0]
    codes = UnsignedCodes(4).encode(tensor(-9.0, -0.125, 0.124, 0.375, 9.0), tensor(0.25), torch.tensor(5))
    assert codes.tolist() == [0, 5, 5, 7, 15]  # halves up
    assert UnsignedCodes(4).decode(codes, tensor(0.25), torch.tensor(5)).tolist() == [-1.25, 0, 0, 0.5, 2.5]


def test_centred_codes():
    scale, zero = CentredCodes(3).fit(tensor(-7.0, -1.0), tensor(1.0, 3.5))
    assert scale.tolist() == [2.0, 1.0] and zero.tolist() == [4, 4]


def test_binary_codes_are_signs():
    codes = BinaryCodes(2, 4)
    assert codes.encode(tensor(-3.0, -1e-9, 0.0, 0.2, 9.0), tensor(0.5), torch.tensor(0)).tolist() == [-1, -1, 1, 1, 1]
    assert (codes.low, codes.high, codes.reach, NarrowCodes(2, 4).reach) == (-1, 1, 1.0, 0.5)


@pytest.mark.parametrize("bits,plane_bits", [(2, 4), (4, 4), (5, 4), (6, 4), (8, 4), (6, 3), (8, 8)])
def test_narrow_codes_are_the_nearest_legal_ones(bits, plane_bits):
    codes = NarrowCodes(bits, plane_bits)
    planes = codes.planes
    legal = []
    for value in range(codes.low, codes.high + 1):
        try:
            split_signed(torch.tensor([value]), plane_bits, planes)
        except OverflowError:
            continue
        legal.append(value)
    x = torch.linspace(codes.low - 2, codes.high + 2, 4001, dtype=torch.float64) + 1e-4
    distance = (x[:, None] - torch.tensor(legal)).abs()
    chosen = codes.encode(x, tensor(1.0), torch.tensor(0))
    assert set(chosen.tolist()) == set(legal)
    assert torch.allclose((x - chosen).abs(), distance.min(1).values)
    scale, zero = codes.fit(tensor(-2.0, 0.0), tensor(1.0, 0.0))
    assert scale.tolist() == pytest.approx([2.0 / codes.high, 1.0]) and zero.tolist() == [0, 0]


def test_rejected_codes():
    with pytest.raises(ValueError, match="bits must be between 2 and 16, not 1"):
        UnsignedCodes(1)
    with pytest.raises(TypeError, match="abstract method fit"):
        FittedCodes(4)


# Observers


def test_minmax_and_percentile():
    x = torch.cat([torch.linspace(-1, 2, 2001, dtype=torch.float64), tensor(50.0, -80.0)])[None]
    assert minmax(x, UnsignedCodes(4))[0].item() == pytest.approx(130 / 15)
    assert percentile(x, UnsignedCodes(4))[0].item() == pytest.approx(3 / 15, rel=0.01)


@pytest.mark.parametrize("codes", [UnsignedCodes(4), UnsignedCodes(3), CentredCodes(4), NarrowCodes(4, 4)], ids=str)
def test_mse_is_near_the_best_range(codes):
    x = normal(2, 1000) * tensor(1.0, 3.0)[:, None] + tensor(0.0, 1.0)[:, None]

    def error(scale, zero):
        real = codes.decode(codes.encode(x, scale[:, None], zero[:, None]), scale[:, None], zero[:, None])
        return (real - x).square().mean(1)

    grid = torch.linspace(0.3, 1.0, 15, dtype=torch.float64)
    best = torch.stack([error(*codes.fit(x.amin(1) * low, x.amax(1) * high)) for low in grid for high in grid])
    found = error(*mse(x, codes))
    assert (found < 1.02 * best.min(0).values).all() and (found < 0.9 * error(*minmax(x, codes))).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_mse_shrinks_each_end_on_its_own(sign):
    body, tail = torch.linspace(0, 1, 990), torch.linspace(-2, 0, 10)
    x = sign * torch.cat([body, tail]).to(torch.float64)
    codes = UnsignedCodes(3)

    def error(scale, zero):
        return (codes.decode(codes.encode(x, scale, zero), scale, zero) - x).square().mean()

    grid = torch.linspace(0.0, 1.0, 41, dtype=torch.float64)
    best = min(error(*codes.fit(x.amin() * low, x.amax() * high)) for low in grid for high in grid)
    assert error(*(p[0] for p in mse(x[None], codes))) < 1.02 * best


def test_mse_follows_importance():
    x = torch.cat([torch.linspace(-1, 1, 500, dtype=torch.float64), tensor(20.0)])[None]
    weights = torch.ones_like(x)
    plain = mse(x, UnsignedCodes(3), weights)[0]
    weights[0, -1] = 0
    assert mse(x, UnsignedCodes(3), weights)[0] < plain / 2


# Multiplier and shift

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


# Quantities


def test_observed_quantity_per_channel():
    x = normal(500, 6) * tensor(0.01, 1, 5, 0.3, 1, 0) + tensor(3, -40, 0, 7, 0.5, 2)
    make = torch.Generator().manual_seed(0)
    whole = observe("x", x, UnsignedCodes(4), mse, make)
    channel = observe("x", x, UnsignedCodes(4), mse, make, channels=free)
    assert whole.scale.shape == () and whole.offset == 0
    error = (channel.decode(channel.encode(x)) - x).square().mean(0)
    assert (error[:5] < 0.04 * x.var(0)[:5]).all() and error[5] < 1e-3
    assert error.sum() < (whole.decode(whole.encode(x)) - x).square().mean(0).sum() / 10
    assert channel.codes.low <= channel.zero_point <= channel.codes.high


@pytest.mark.parametrize("samples, own", [(ENOUGH_FOR_CHANNELS - 1, False), (ENOUGH_FOR_CHANNELS, True)])
def test_too_few_samples_share_one_range(samples, own):
    x = torch.randn(samples, 1, 3, dtype=torch.float64) * torch.tensor([1.0, 2.0, 4.0])
    found = observe("x", x, UnsignedCodes(4), minmax, torch.Generator(), channels=free)
    assert (found.scale.shape == (3,)) == own and (found.offset.shape == (3,)) == own


def test_observed_quantity_weighs_channels_by_their_size():
    codes = UnsignedCodes(4)
    x = torch.cat([1e-3 * normal(600, 20) ** 9, torch.linspace(-100, 100, 600)[:, None]], dim=1)  # tails; one large
    found = observe("x", x, codes, mse, torch.Generator(), channels=free)

    def error(share):
        step = found.scale * share
        zero = torch.tensor(found.zero_point)
        return (codes.decode(codes.encode(x - found.offset, step, zero), step, zero) + found.offset - x).square().sum()

    assert error(1.0) < 1.05 * min(error(share) for share in torch.linspace(0.5, 1.5, 41).tolist())


def test_observed_quantity_of_a_large_tensor():
    x = normal(300, 1000)
    pair = [observe("x", x, UnsignedCodes(4), percentile, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert pair[0].scale != pair[2].scale  # a sample of it
    assert pair[0].scale == pair[1].scale
    assert pair[0].scale.item() == pytest.approx(pair[2].scale.item(), rel=0.1)
    largest = observe("x", x, UnsignedCodes(8), minmax, torch.Generator())
    assert largest.scale.item() == pytest.approx((x.max() - x.min()).item() / 255)  # the ends are always seen


def test_check_scale():
    assert check_scale("x", tensor(1.0)) == 1
    for bad in (0.0, 1e-40, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="x: the scale underflows or is not finite"):
            check_scale("x", tensor(1.0, bad))


# Weights


def test_weight_scales():
    weight, ones = normal(4, 30) * tensor(1, 10, 0, 1e-9)[:, None], torch.ones(30, dtype=torch.float64)
    codes = NarrowCodes(4, 4)
    channel = weight_scales(weight, codes, minmax, "channel", ones)
    assert channel[0] == pytest.approx(weight[0].abs().max().item() / 7)
    assert channel[2] == channel[1]  # no weights: any scale will do
    assert channel[3] == pytest.approx(channel[1].item() / 4096)  # small ones are kept within reach of the multiplier
    layer = weight_scales(weight, codes, minmax, "layer", ones)
    assert layer.tolist() == [channel[1].item()] * 4
    assert weight_scales(weight * 0, codes, mse, "channel", ones).tolist() == [1.0] * 4
    with pytest.raises(ValueError, match="granularity must be one of 'layer', 'group', 'channel', not 'row'"):
        weight_scales(weight, codes, mse, "row", ones)


def test_groups_of_output_channels_share_a_scale():
    weight, ones = normal(19, 30) * torch.arange(1, 20)[:, None], torch.ones(30, dtype=torch.float64)
    scale = weight_scales(weight, NarrowCodes(4, 4), minmax, "group", ones)
    largest = weight.abs().amax(1)
    wanted = [largest[start:start + 8].max().item() / 7 for start in (0, 8, 16) for _ in range(min(8, 19 - start))]
    assert scale.tolist() == pytest.approx(wanted)
