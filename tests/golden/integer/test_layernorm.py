import math

import pytest
import torch
from vitric.golden.integer.layernorm import layernorm, moments, normalise, quantize_affine, row_scale
from vitric.golden.spec.layernorm import LayerNormSpec

SPEC = LayerNormSpec(lanes=8, max_length=1024)


def float_codes(x, gamma, beta, scale_out, zero_point, bits):
    """Correctly rounded float64 LayerNorm without epsilon; x is exact, so are its moments."""
    n = x.shape[-1]
    total, variance = x.sum(-1, keepdim=True), (n * (x * x).sum(-1) - x.sum(-1) ** 2)[..., None]
    y = torch.where(variance > 0, (n * x - total).double() / variance.double().clamp(min=1).sqrt(), 0.0)
    return (torch.floor((y * gamma + beta) / scale_out + 0.5) + zero_point).clamp(0, 2**bits - 1).to(torch.int64)


def rows(n, deviation, generator, count=100):
    room = max(0.0, 32767 - 4 * deviation)
    offset = (torch.rand(count, 1, generator=generator, dtype=torch.float64) * 2 - 1) * room
    x = torch.randn(count, n, generator=generator, dtype=torch.float64) * deviation + offset
    return x.round().clamp(-32768, 32767).to(torch.int64)


@pytest.mark.parametrize("deviation", [1, 2, 3, 10, 50, 333, 2000, 8000, 32767])
@pytest.mark.parametrize("n", [16, 48, 192, 768])
def test_accuracy_at_8_bits(n, deviation):
    generator = torch.Generator().manual_seed(n * 100000 + deviation)
    if deviation == 32767:
        x = torch.where(torch.rand(100, n, generator=generator) < 0.5, -32768, 32767)
    else:
        x = rows(n, deviation, generator)
    gamma = 0.3 + torch.rand(n, generator=generator, dtype=torch.float64)
    beta = torch.rand(n, generator=generator, dtype=torch.float64) - 0.5
    scale, zero_point = 1 / 32, 128
    codes = layernorm(x, *quantize_affine(gamma, beta, scale, zero_point, SPEC), SPEC)
    error = (codes - float_codes(x, gamma, beta, scale, zero_point, 8)).abs()
    assert int(error.max()) <= 1
    assert float((error == 0).double().mean()) >= 0.99


@pytest.mark.parametrize("n", [2, 3, 17, 192, 1000, 1024])
def test_never_more_than_one_code_off(n):
    """The largest |y|, gamma and beta there are, beta chosen such that the code does not saturate."""
    generator = torch.Generator().manual_seed(n)
    sizes = torch.tensor(sorted({int(1.3**k) for k in range(1, 42)} | {1, 2, 3, 65535}))
    x = torch.full((len(sizes), n), -32768)
    x[:, n // 2] += sizes
    x = torch.cat([x, -1 - x, rows(n, 300, generator, 40)])
    exact = (n * x - x.sum(-1, keepdim=True)).double() / moments(x)[1][:, None].double().sqrt()
    for outlier in exact[:, n // 2][::7].tolist():
        gamma = torch.rand(n, generator=generator, dtype=torch.float64) * 511 - 255
        gamma = gamma.clamp(-3900 / abs(outlier), 3900 / abs(outlier))
        beta = 128 - gamma * outlier
        codes = layernorm(x, *quantize_affine(gamma, beta, 1.0, 0, SPEC), SPEC)
        wanted = torch.floor(exact * gamma + beta + 0.5).clamp(0, 255)
        assert int((codes - wanted).abs().max()) <= 1


def test_power_of_two_factors():
    generator = torch.Generator().manual_seed(3)
    x, powers = rows(48, 500, generator), torch.arange(48) % 8
    gamma = (0.5 + torch.rand(48, generator=generator, dtype=torch.float64)) * 2.0**powers
    beta = torch.rand(48, generator=generator, dtype=torch.float64) * 2.0**powers
    scale, zero_point = 1 / 24, 100
    codes = layernorm(x, *quantize_affine(gamma, beta, scale, zero_point, SPEC, powers), SPEC)
    for power in range(8):  # every channel is that of a plain LayerNorm with a coarser step
        some = powers == power
        y = float_codes(x, gamma, beta, scale * 2**power, zero_point, 8)
        error = (codes - y)[:, some].abs()
        assert int(error.max()) <= 1 and float((error == 0).double().mean()) >= 0.99
    decoded = (codes - zero_point << powers) * scale
    float_y = torch.nn.functional.layer_norm(x.double(), (48,), gamma, beta, eps=0)
    assert ((decoded - float_y).abs() <= 0.51 * scale * 2.0**powers)[codes.remainder(255) > 0].all()
    for wrong in (torch.full((48,), 8), torch.full((48,), -1), torch.zeros(2, dtype=torch.int64)):
        with pytest.raises(ValueError, match="powers must be 48 integers between 0 and 7"):
            quantize_affine(gamma, beta, scale, zero_point, SPEC, wrong)


@pytest.mark.parametrize("out_bits", range(2, 9))
def test_accuracy_at_other_widths(out_bits):
    spec = LayerNormSpec(lanes=1, max_length=192, out_bits=out_bits)
    generator = torch.Generator().manual_seed(out_bits)
    x = rows(192, 700, generator)
    gamma = 0.5 + torch.rand(192, generator=generator, dtype=torch.float64)
    beta = torch.zeros(192, dtype=torch.float64)
    scale, zero_point = 8 / 2**out_bits, 2 ** (out_bits - 1)
    codes = layernorm(x, *quantize_affine(gamma, beta, scale, zero_point, spec), spec)
    error = (codes - float_codes(x, gamma, beta, scale, zero_point, out_bits)).abs()
    assert int(error.max()) <= 1
    assert float((error == 0).double().mean()) >= 0.99


def test_table_is_good_to_14_bits():
    worst = 0.0
    for mantissa in range(1 << 14, 1 << 16):
        base, slope = SPEC.rsqrt_table[(mantissa >> 8) - 64]
        r = (base << 8) - slope * (mantissa & 255) + 128 >> 8
        assert 0 < r < 1 << SPEC.rsqrt_bits
        for v in (mantissa, mantissa + 1 - 2**-20):
            worst = max(worst, abs(r / 2**17 * math.sqrt(v / 2**14) - 1))
    assert worst < 2**-14.4
    assert all(0 <= base < 1 << SPEC.rsqrt_bits for base, _ in SPEC.rsqrt_table)
    assert all(0 <= slope < 1 << SPEC.slope_bits for _, slope in SPEC.rsqrt_table)


def test_hand_vector():
    # Mean 0 and standard deviation 1: y is x, up to r = 1 - 2**-17 and rounding down.
    x = torch.tensor([[1, -1, 1, -1]])
    assert normalise(x, SPEC).tolist() == [[4095, -4096, 4095, -4096]]
    # gamma 2, beta 3 codes: codes 5 and 1.
    assert layernorm(x, torch.full((4,), 2 << 7), torch.full((4,), 3 << 8), SPEC).tolist() == [[5, 1, 5, 1]]
    # Mean 2.25 and variance 2.6875: (5 - 2.25) / 2.6875**0.5 = 1.67749, times 4096 is 6870.98.
    assert abs(int(normalise(torch.tensor([[1, 1, 2, 5]]), SPEC)[0, 3]) - 6871) <= 1


def test_codes_do_not_depend_on_the_buffer_size():
    x = rows(16, 500, torch.Generator().manual_seed(1))
    gamma, beta = torch.full((16,), 40 << 7), torch.full((16,), 128 << 8)
    small = LayerNormSpec(lanes=1, max_length=16)
    assert torch.equal(layernorm(x, gamma, beta, small), layernorm(x, gamma, beta, SPEC))


@pytest.mark.parametrize("value", [-32768, -1, 0, 1, 12345, 32767])
@pytest.mark.parametrize("n", [1, 2, 3, 48, 1024])
def test_constant_rows_give_beta(n, value):
    x = torch.full((2, n), value)
    beta = torch.arange(n) * 37 % 8000
    assert moments(x)[1].tolist() == [0, 0]
    codes = layernorm(x, torch.full((n,), -32768), beta, SPEC)
    assert codes.tolist() == [(beta + 128 >> 8).tolist()] * 2


@pytest.mark.parametrize("max_length", [2, 3, 4, 5, 16, 64, 1000, 1023, 1024, 2048, 4095, 4096])
@pytest.mark.parametrize("in_bits", [10, 16])
def test_y_never_overflows_at_single_outliers(max_length, in_bits):
    """|y| = sqrt(n - 1), the largest there is, for outliers of every size: the width of y is checked inside."""
    spec = LayerNormSpec(lanes=1, max_length=max_length, in_bits=in_bits)
    top = (1 << in_bits - 1) - 1
    powers = range(1, int(math.log(2 * top, 1.37)))
    sizes = sorted({1, 2, 3, top, 2 * top, 2 * top + 1} | {int(1.37**k) for k in powers})
    for n in {2, max_length // 2 + 1, max_length - 1, max_length} - {0, 1}:
        x = torch.full((len(sizes), n), -top - 1)
        x[:, n // 3] += torch.tensor(sizes)
        x = torch.cat([x, -1 - x])
        y = normalise(x, spec)[:, n // 3] / 2**spec.y_fraction
        exact = math.sqrt(n - 1)
        assert (y.abs() - exact).abs().max() < exact * 2**-12 + 2**-spec.y_fraction


def test_row_scale_covers_every_exponent():
    for n in (2, 3, 1000, 1024):
        variance = torch.tensor(sorted({max(n - 1, 1 << k) for k in range(SPEC.variance_bits)}))
        variance = variance[variance <= n * n * 32767.5**2]
        multiplier, shift = row_scale(variance, n, SPEC)
        value = multiplier.double() * 2.0 ** -(SPEC.y_fraction + shift)
        assert ((value * variance.double().sqrt() / n - 1).abs() < 2**-12).all()
        assert (multiplier < 1 << 18).all()
        assert set(shift.tolist()) <= {0, 6, 12, 18}


def test_extremes_are_exact_inside():
    x = torch.tensor([[-32768] * 512 + [32767] * 512])
    total, variance = moments(x)
    assert int(total) == -512
    assert int(variance) == 1024 * 512 * (32768**2 + 32767**2) - 512**2
    assert int(variance) < 1 << SPEC.variance_bits
    y = normalise(x, SPEC) / 2**SPEC.y_fraction
    assert torch.allclose(y.abs(), torch.ones_like(y), atol=2**-11)


def test_mean_constant_is_good_to_the_last_bit():
    for length in range(1, 1025):
        row = SPEC.row_constants(length)
        assert row.length == length
        assert row.inverse < 1 << SPEC.inverse_bits
        assert abs(row.inverse * length - (1 << SPEC.inverse_fraction)) * 2 <= length
        assert row.norm == length << 10 - row.exponent
        assert 1 << 10 <= row.norm < 1 << 11


def test_quantize_affine():
    gamma, beta = torch.tensor([0.5, -2.0, 0.0]), torch.tensor([0.25, 0.0, -1.0])
    gamma_q, beta_q = quantize_affine(gamma, beta, 0.125, 100, SPEC)
    assert gamma_q.tolist() == [4 * 128, -16 * 128, 0]
    assert beta_q.tolist() == [102 * 256, 100 * 256, 92 * 256]
    assert gamma_q.dtype == beta_q.dtype == torch.int64


@pytest.mark.parametrize(("gamma", "beta", "scale", "message"), [
    (300.0, 0.0, 1.0, r"gamma / scale_out must be between -256.0 and 255.99\d*, not 300.0 in channel 1"),
    (math.nan, 0.0, 1.0, "not nan in channel 1"),
    (1.0, -9000.0, 1.0, r"scale_out \+ zero_point must be between -4096.0 and 4095.99\d*, not -8998.0 in channel 1"),
    (1.0, 1.0, 0.0, "scale_out must be positive and finite, not 0.0"),
    (1.0, 1.0, math.inf, "scale_out must be positive"),
])
def test_quantize_affine_rejects(gamma, beta, scale, message):
    with pytest.raises(ValueError, match=message):
        quantize_affine(torch.tensor([0.0, gamma]), torch.tensor([0.0, beta]), scale, 2, SPEC)


def test_layernorm_rejects():
    x, ones = torch.zeros(2, 4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    with pytest.raises(TypeError, match="x must be an int32 or int64 tensor"):
        layernorm(x.float(), ones, ones, SPEC)
    with pytest.raises(TypeError, match="gamma must be"):
        layernorm(x, ones.float(), ones, SPEC)
    with pytest.raises(ValueError, match=r"beta must have shape \(4,\), not \(1,\)"):
        layernorm(x, ones, ones[:1], SPEC)
    with pytest.raises(ValueError, match="length must be between 1 and 2"):
        layernorm(x, ones, ones, LayerNormSpec(lanes=1, max_length=2))
    with pytest.raises(OverflowError, match="x holds values"):
        layernorm(x + 32768, ones, ones, SPEC)
    with pytest.raises(OverflowError, match="gamma holds values"):
        layernorm(x, ones << 15, ones, SPEC)
    with pytest.raises(OverflowError, match="beta holds values"):
        layernorm(x, ones, ones << 21, SPEC)


@pytest.mark.parametrize(("name", "value", "error"), [
    ("lanes", 0, ValueError), ("lanes", 33, ValueError), ("lanes", 1.5, TypeError), ("max_length", 1, ValueError),
    ("max_length", 4097, ValueError), ("in_bits", 9, ValueError), ("in_bits", 17, ValueError),
    ("out_bits", 1, ValueError), ("out_bits", 9, ValueError), ("gamma_fraction", 3, ValueError),
    ("gamma_fraction", 13, ValueError), ("row_products", "dsp", ValueError),
])
def test_spec_rejects(name, value, error):
    with pytest.raises(error, match=f"{name} must be"):
        LayerNormSpec(**{"lanes": 1, "max_length": 64, name: value})


def test_row_constants_rejects():
    for length in (0, 1025):
        with pytest.raises(ValueError, match="length must be between 1 and 1024"):
            SPEC.row_constants(length)


def test_derived_widths():
    assert (SPEC.y_integer, SPEC.y_fraction, SPEC.shift_step, SPEC.out_shift, SPEC.beta_shift) == (5, 12, 6, 19, 11)
    assert (SPEC.sum_bits, SPEC.square_sum_bits, SPEC.variance_bits, SPEC.mean_bits) == (26, 41, 50, 31)
    assert (SPEC.inverse_bits, SPEC.latency, SPEC.pause, SPEC.buffer_depth) == (42, 110, 8, 2048)
    # At 4096 the bound sqrt(4095) is too close to 64 for the error of the multiplier.
    assert [LayerNormSpec(lanes=1, max_length=n).y_integer for n in (2, 4, 5, 1024, 1025, 4095, 4096)] == \
        [5, 5, 5, 5, 6, 6, 7]
