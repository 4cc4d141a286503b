import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vitric.golden import digits, load_float
from vitric.golden.arith import split_signed
from vitric.golden.quantization import sensitivity
from vitric.golden.quantization.codes import CentredCodes, CodeMap, NarrowCodes, UnsignedCodes
from vitric.golden.quantization.linear import check_accumulator, draft_linear, lower_requantizer
from vitric.golden.quantization.methods import Method, method
from vitric.golden.quantization.observers import minmax, mse, percentile
from vitric.golden.quantization.quantity import Quantity, check_scale, observe
from vitric.golden.quantization.rotate import balance_heads, balancing, mixing
from vitric.golden.quantization.scales import FactorTooLarge, fit_multiplier
from vitric.golden.quantization.sensitivity import sensitivities
from vitric.golden.quantization.settings import Settings
from vitric.golden.quantization.weights import compensated, nearest, weight_scales
from vitric.golden.spec.requantize import RequantizeSpec
from vitric.golden.vit import collect

IMAGES = digits("train")[:16]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


# Code maps


def test_unsigned_codes_cover_the_range_and_zero():
    scale, zero = UnsignedCodes(4).fit(tensor(-1.0, 0.5, -3.0, 0.0), tensor(2.0, 3.0, -1.0, 0.0))
    assert scale.tolist() == pytest.approx([0.2, 0.2, 0.2, 1.0]) and zero.tolist() == [5, 0, 15, 0]
    codes = UnsignedCodes(4).encode(tensor(-9.0, -0.125, 0.124, 0.375, 9.0), tensor(0.25), torch.tensor(5))
    assert codes.tolist() == [0, 5, 5, 7, 15]  # halves up
    assert UnsignedCodes(4).decode(codes, tensor(0.25), torch.tensor(5)).tolist() == [-1.25, 0, 0, 0.5, 2.5]


def test_centred_codes():
    scale, zero = CentredCodes(3).fit(tensor(-7.0, -1.0), tensor(1.0, 3.5))
    assert scale.tolist() == [2.0, 1.0] and zero.tolist() == [4, 4]


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
    with pytest.raises(NotImplementedError):
        CodeMap(4).fit(tensor(0.0), tensor(1.0))


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


# Quantities


def test_observed_quantity_per_channel():
    x = normal(500, 6) * tensor(0.01, 1, 5, 0.3, 1, 0) + tensor(3, -40, 0, 7, 0.5, 2)
    make = torch.Generator().manual_seed(0)
    whole = observe("x", x, UnsignedCodes(4), mse, make)
    channel = observe("x", x, UnsignedCodes(4), mse, make, per_channel=True)
    assert whole.scale.shape == () and whole.offset == 0
    error = (channel.decode(channel.encode(x)) - x).square().mean(0)
    assert (error[:5] < 0.04 * x.var(0)[:5]).all() and error[5] < 1e-3
    assert error.sum() < (whole.decode(whole.encode(x)) - x).square().mean(0).sum() / 10
    assert channel.codes.low <= channel.zero_point <= channel.codes.high


def test_observed_quantity_weighs_channels_by_their_size():
    codes = UnsignedCodes(4)
    x = torch.cat([1e-3 * normal(600, 20) ** 9, torch.linspace(-100, 100, 600)[:, None]], dim=1)  # tails; one large
    found = observe("x", x, codes, mse, torch.Generator(), per_channel=True)

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
    with pytest.raises(ValueError, match="granularity must be one of 'layer', 'channel', not 'group'"):
        weight_scales(weight, codes, mse, "group", ones)


@pytest.mark.parametrize("codes", [NarrowCodes(4, 4), NarrowCodes(2, 4), NarrowCodes(8, 4)], ids=str)
def test_compensated_rounding_lowers_the_output_error(codes):
    x = normal(400, 24) @ normal(24, 24, seed=1)  # correlated inputs
    weight = normal(8, 24, seed=2)
    moments = x.T @ x / len(x)
    scale = weight_scales(weight, codes, mse, "channel", moments.diagonal())

    def error(rounding):
        integers = rounding(weight, scale, codes, moments)
        split_signed(integers, codes.plane_bits, codes.planes)  # legal
        return ((integers * scale[:, None] - weight) @ x.T).square().sum()

    assert error(compensated) < 0.6 * error(nearest)
    constant = compensated(weight, scale, codes, moments * 0)
    assert torch.equal(constant, nearest(weight, scale, codes, moments))
    diagonal = compensated(weight, scale, codes, torch.eye(24, dtype=torch.float64))
    assert torch.equal(diagonal, nearest(weight, scale, codes, moments))  # nothing to compensate with


# A linear layer


def quantity(codes, scale, zero_point=0, offset=0.0):
    return Quantity(codes=codes, scale=tensor(*scale) if isinstance(scale, tuple) else tensor(scale)[0],
                    zero_point=zero_point, offset=tensor(offset)[0])


@pytest.mark.parametrize("name", ["mse", "minmax"])
def test_linear_layer(name):
    settings = Settings(method=name, w_bits=8, a_bits=8)
    weight, bias, x = normal(5, 12), normal(5, seed=1), normal(300, 12, seed=2) + 1
    source = Quantity(codes=UnsignedCodes(8), scale=torch.linspace(0.02, 0.05, 12, dtype=torch.float64), zero_point=90,
                      offset=normal(12, seed=3))
    a = source.encode(x)
    target = x @ weight.T + bias
    draft = draft_linear("fc", weight, bias, a, source, target, torch.ones_like(target), settings, 8)
    assert (draft(a) - target).square().mean() < 1e-3 * target.var()
    real_weight, real_bias = draft.dequantized()
    assert torch.allclose(source.decode(a) @ real_weight.T + real_bias, draft(a))
    out = Quantity(codes=UnsignedCodes(8), scale=tensor(0.2)[0], zero_point=120, offset=normal(5, seed=4))
    layer = draft.lower(out)
    assert (out.decode(layer(a)) - draft(a)).abs().max() < 0.102  # half a step, and the multiplier's error
    if name == "mse":
        assert (draft(a) - target).mean(0).abs().max() < 1e-9  # the bias is corrected
    plain = Settings(method="minmax")
    dead = draft_linear("fc", weight * 0, bias, a, source, target, torch.ones_like(target), plain, 4)
    assert (out.decode(dead.lower(out)(a)) - bias).abs().max() < 0.102


def test_linear_layer_that_does_not_fit():
    settings = Settings()
    for low, high in ((-(1 << 23) - 1, 0), (0, 1 << 23)):
        with pytest.raises(ValueError, match=f"fc: an accumulator must fit signed 24 bits .*, not {low}..{high}"):
            check_accumulator("fc", low, high, settings)
    check_accumulator("fc", -(1 << 23), (1 << 23) - 1, settings)
    out = quantity(UnsignedCodes(4), 1.0)
    with pytest.raises(ValueError, match="fc: a bias must fit signed 32 bits in accumulator steps, not"):
        lower_requantizer("fc", tensor(1e-3), tensor(1e7), torch.zeros(1, dtype=torch.int64), out, settings)
    wide = torch.full((2, 300), 1.0, dtype=torch.float64)
    source = quantity(UnsignedCodes(8), 0.1)
    a = torch.randint(0, 256, (40, 300), generator=torch.Generator().manual_seed(0))
    target = source.decode(a) @ wide.T
    draft = draft_linear("fc", wide, None, a, source, target, torch.ones_like(target), Settings(w_bits=8), 8)
    with pytest.raises(ValueError, match="fc: an accumulator must fit"):
        draft.lower(quantity(UnsignedCodes(8), 50.0))


# Heads and sensitivities


@pytest.mark.parametrize("size", [1, 2, 3, 6, 16, 20])
def test_mixing_is_orthonormal_and_flat(size):
    matrix = mixing(size)
    assert torch.allclose(matrix @ matrix.T, torch.eye(size, dtype=torch.float64), atol=1e-12)
    assert matrix.abs().max() <= math.sqrt(2 / size) + 1e-12
    if size & (size - 1) == 0:
        assert torch.allclose(matrix.abs(), torch.full_like(matrix, size**-0.5))


def test_balancing_equalises_and_lowers_the_error():
    first, second = ((x := normal(200, 8, seed=seed) @ normal(8, 8, seed=seed + 2)).T @ x / 200 for seed in (0, 1))
    forward, backward = balancing(first, second)
    assert torch.allclose(forward.T @ backward, torch.eye(8, dtype=torch.float64), atol=1e-9)
    after = forward @ first @ forward.T, backward @ second @ backward.T
    diagonals = [m.diagonal() for m in after]
    assert all(d.max() < 1.15 * d.min() for d in diagonals)
    assert (diagonals[0] * diagonals[1]).sum() < 0.9 * (first.diagonal() * second.diagonal()).sum()


def test_balanced_heads_compute_the_same():
    model = load_float("tiny")
    balanced = balance_heads(model, IMAGES)
    before, after = collect(model, IMAGES), collect(balanced, IMAGES)
    assert not torch.allclose(before["blocks.0.attn.q"], after["blocks.0.attn.q"], atol=0.1)
    for name in ("blocks.0.attn.scores", "blocks.0.attn.proj", "head"):
        assert torch.allclose(before[name], after[name], atol=1e-4)
    constant = copy.deepcopy(model)
    with torch.no_grad():
        constant.blocks[0].attn.qkv.weight.zero_()
    assert torch.allclose(balance_heads(constant, IMAGES)(IMAGES), constant(IMAGES), atol=1e-4)


def test_sensitivities_predict_the_error():
    model = load_float("tiny")
    weights = sensitivities(model, IMAGES, torch.Generator().manual_seed(0))
    taps = collect(model, IMAGES)
    assert {name: w.shape for name, w in weights.items()} == {name: x.shape for name, x in taps.items()}
    assert all((w > 0).all() and 0.5 < w.mean() < 2 for w in weights.values())
    tokens = weights["blocks.0.residual2"].mean((0, 2))
    assert tokens[0] > 10 * tokens[1]  # after the last block only the class token counts

    def error(mask):
        noise = 0.02 * normal(*mask.shape, seed=5).to(torch.float32) * mask

        def tap(name, x):
            return x + noise if name == "blocks.0.norm1" else x

        with torch.no_grad():
            return (model(IMAGES, tap) - taps["head"]).square().sum()

    mask = weights["blocks.0.norm1"] > weights["blocks.0.norm1"].median()
    assert error(mask) > 3 * error(~mask)


def test_sensitivities_are_squared_gradients(monkeypatch):
    monkeypatch.setattr(sensitivity, "_PROBES", 300)
    model = load_float("tiny")
    weights = sensitivities(model, IMAGES, torch.Generator().manual_seed(0))
    leaf = collect(model, IMAGES)["blocks.0.norm1"].clone().requires_grad_()
    logits = model(IMAGES, lambda name, x: leaf if name == "blocks.0.norm1" else x)
    gradients = [torch.autograd.grad(logit.sum(), leaf, retain_graph=True)[0] for logit in logits.unbind(1)]
    exact = torch.stack(gradients).to(torch.float64).square().sum(0)
    exact = (exact / exact.mean()).mean((1, 2))  # per image
    estimate = (weights["blocks.0.norm1"] - 0.2).mean((1, 2))
    assert ((estimate - exact).abs() < 0.3 * exact).all() and exact.max() > 4 * exact.min()


def test_methods():
    assert method("mse").rounding == "compensated"
    with pytest.raises(ValueError, match="method must be one of .*'percentile', not 'x'"):
        method("x")
    with pytest.raises(ValueError, match="rounding must be one of 'nearest', 'compensated', not 'up'"):
        Method(weights=mse, activations=mse, rounding="up")
