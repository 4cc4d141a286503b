"""The published approximations reproduce the errors that are known of them, so comparisons with them are fair."""

import math

import pytest
import torch
from vitric.golden.published.exponential import i_exp, shift_exp
from vitric.golden.published.gelu import i_gelu, shift_gelu
from vitric.golden.published.layernorm import (
    ai_layernorm,
    compress,
    i_layernorm,
    i_sqrt,
    i_vit_layernorm,
    i_vit_sqrt,
    ptf_layernorm,
)
from vitric.golden.published.softmax import i_softmax, itamax, log_int_softmax, shiftmax, sole_softmax


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("scale", "error", "bits"), [(0.01, 0.0042, 45), (0.1, 0.0038, 39), (0.2, 0.0453, 37)])
def test_i_exp_error_and_width(scale, error, bits):
    q = -torch.arange(int(30 / scale))
    e, unit = i_exp(q, scale)
    worst = (e * unit - torch.exp(q * scale)).abs().max().item()
    assert 0.9 * error < worst < error
    assert int(e.max()).bit_length() == bits


def test_shift_exp_by_hand():
    # scale 1/16: one is -16. q = -16 (one nat) becomes -16 - 8 + 1 = -23: one octave and 7/16, 1 - 7/32 of a half.
    e, unit = shift_exp(torch.tensor([0, -16]), 1 / 16, octaves=15)
    assert e.tolist() == [32 << 14, (32 - 7) << 13]
    assert (e * unit).tolist() == [1.0, 25 / 64]


@pytest.mark.parametrize(("function", "options", "error"), [
    (i_softmax, {}, 0.274), (shiftmax, {}, 0.446), (log_int_softmax, {}, 0.185), (sole_softmax, {}, 0.202),
    (sole_softmax, {"swapped": True}, 0.356), (itamax, {}, 0.357),
])
def test_row_errors_of_softmax(function, options, error):
    logits = normal(500, 197) * 1.5
    scale = math.log(2) / 256
    p = function(torch.floor(logits / scale + 0.5).to(torch.int64), scale, **options)
    assert (p - torch.softmax(logits, -1)).abs().sum(-1).mean().item() == pytest.approx(error, abs=0.002)


def test_itamax_by_hand():
    x = torch.tensor([[0, -1, -2] + [-3] * 14 + [1]])  # a second block with a new maximum
    total = 256 + 128 + 64 + 13 * 32  # first block: 16 values
    total = (total + 1 >> 1) + 256 + (256 >> 4)
    inverse = 255 * 256 // total
    expected = [inverse >> 1 - value for value in x[0].tolist()]
    assert (itamax(x, math.log(2)) * 256).tolist() == [expected]


def test_log_int_softmax_rounds_by_the_second_bit():
    p = log_int_softmax(torch.zeros(1, 11, dtype=torch.int64), 0.01)  # 11 = 0b1011: 3 octaves, next bit 0
    assert p.unique().tolist() == [2.0**-3]
    assert log_int_softmax(torch.zeros(1, 12, dtype=torch.int64), 0.01).unique().tolist() == [2.0**-4]
    assert log_int_softmax(torch.tensor([[0, -3000]]), 0.01).tolist() == [[1.0, 0.0]]


def test_i_gelu_error():
    scale = 1e-4  # of an accumulator: the published shift by 14 bits needs a fine unit
    x = torch.arange(-60000, 60001, 7)
    exact = torch.tensor([0.5 * v * math.erfc(-v / math.sqrt(2)) for v in (x * scale).tolist()])
    y, unit = i_gelu(x, scale)
    assert (y * unit - exact).abs().max().item() == pytest.approx(0.0182, abs=1e-4)


def test_shift_gelu_error():
    scale = 0.1
    x = torch.arange(-60, 61).unsqueeze(0)
    y, unit = shift_gelu(x, scale)
    exact = torch.tensor([0.5 * v * math.erfc(-v / math.sqrt(2)) for v in (x[0] * scale).tolist()])
    assert 0.0203 < (y[0] * unit - exact).abs().max().item() < 0.1


def test_square_roots():
    values = [0, 1, 2, 3, 4, 15, 16, 17, 99, 100, 10**12 - 1, 10**12, 2**50 - 1]
    assert i_sqrt(torch.tensor(values)).tolist() == [math.isqrt(value) for value in values]
    assert i_vit_sqrt(torch.tensor([10**2, 100**2, 10**6])).tolist() == [64, 108, 1000]  # not converged below 161


@pytest.mark.parametrize(("deviation", "i_bert", "i_vit"), [(1, 0.5, 4), (10, 0.08, 0.3), (1000, 0.001, 0.001)])
def test_layernorm_errors(deviation, i_bert, i_vit):
    q = torch.floor(normal(300, 192) * deviation + 0.5).to(torch.int64)
    exact = (q - q.double().mean(-1, keepdim=True)) / q.double().std(-1, keepdim=True, unbiased=False)
    for function, bound in ((i_layernorm, i_bert), (i_vit_layernorm, i_vit)):
        assert bound / 3 < (function(q) - exact).abs().max().item() < bound


def test_power_of_two_factors():
    generator = torch.Generator().manual_seed(1)
    q, factors = torch.randint(-200, 200, (300, 192), generator=generator), torch.arange(192) % 4
    x = (q << factors).double()
    exact = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, unbiased=False)
    assert torch.allclose(ptf_layernorm(q, factors), exact)
    truncated, rounded = ((ai_layernorm(q, factors, rounding=r) - exact).abs().mean().item() for r in (False, True))
    assert rounded < 0.005 < 0.03 < truncated < 0.05


@pytest.mark.parametrize(("rounding", "bias"), [(False, -0.083), (True, -0.004)])
def test_bias_of_compressed_squares(rounding, bias):
    x = torch.arange(256)
    y, flag = compress(x, rounding=rounding)
    squares = y * y << torch.where(flag, 8, 4)
    assert (squares.sum() / (x * x).sum()).item() - 1 == pytest.approx(bias, abs=6e-4)


@pytest.mark.parametrize("function", [
    lambda q, scale: i_exp(q, scale), lambda q, scale: shift_exp(q, scale, octaves=15), i_softmax, shiftmax,
    log_int_softmax, sole_softmax, itamax, i_gelu, shift_gelu,
])
def test_rejected_arguments(function):
    q = torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(TypeError, match="q must be"):
        function(q.double(), 0.1)
    for scale in (0, -1.0, math.inf, math.nan, "1"):
        with pytest.raises(ValueError, match="scale"):
            function(q, scale)
