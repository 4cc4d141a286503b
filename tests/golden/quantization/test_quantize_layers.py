import copy
import math

import pytest
import torch
from vitric.golden import load_float
from vitric.golden.arith import split_signed
from vitric.golden.quantization.codes.maps import NarrowCodes, UnsignedCodes
from vitric.golden.quantization.codes.observers import mse
from vitric.golden.quantization.codes.quantity import Quantity
from vitric.golden.quantization.lowering.attention import lower_scores
from vitric.golden.quantization.lowering.linear import check_accumulator, draft_linear, lower_requantizer
from vitric.golden.quantization.lowering.output_search import Layer
from vitric.golden.quantization.lowering.rotate import balance_heads, balancing, mixing
from vitric.golden.quantization.lowering.weights import compensated, nearest, weight_scales
from vitric.golden.quantization.methods import Method, method
from vitric.golden.quantization.settings import Settings
from vitric.golden.vit import collect

from tests.golden.quantization.quantize_kit import IMAGES, normal, tensor


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


def layer_of(weight, bias, target, bits):
    return Layer(name="fc", weight=weight, bias=bias, target=target, importance=torch.ones_like(target),
                 codes=NarrowCodes(bits, 4))


@pytest.mark.parametrize("name", ["mse", "minmax"])
def test_linear_layer(name):
    settings = Settings(method=name, w_bits=8, a_bits=8)
    weight, bias, x = normal(5, 12), normal(5, seed=1), normal(300, 12, seed=2) + 1
    source = Quantity(codes=UnsignedCodes(8), scale=torch.linspace(0.02, 0.05, 12, dtype=torch.float64), zero_point=90,
                      offset=normal(12, seed=3))
    a = source.encode(x)
    target = x @ weight.T + bias
    draft = draft_linear(layer_of(weight, bias, target, 8), a, source, settings)
    assert (draft(a) - target).square().mean() < 1e-3 * target.var()
    real_weight, real_bias = draft.dequantized()
    assert torch.allclose(source.decode(a) @ real_weight.T + real_bias, draft(a))
    out = Quantity(codes=UnsignedCodes(8), scale=tensor(0.2)[0], zero_point=120, offset=normal(5, seed=4))
    layer = draft.lower(out)
    assert (out.decode(layer(a)) - draft(a)).abs().max() < 0.102  # half a step, and the multiplier's error
    if name == "mse":
        assert (draft(a) - target).mean(0).abs().max() < 1e-9  # the bias is corrected
    plain = Settings(method="minmax")
    dead = draft_linear(layer_of(weight * 0, bias, target, 4), a, source, plain)
    assert (out.decode(dead.lower(out)(a)) - bias).abs().max() < 0.102


def test_linear_layer_that_does_not_fit():
    settings = Settings()
    for low, high in ((-(1 << 23) - 1, 0), (0, 1 << 23)):
        with pytest.raises(ValueError, match=f"fc: an accumulator must fit signed 24 bits .*, not {low}..{high}"):
            check_accumulator("fc", low, high, settings)
    check_accumulator("fc", -(1 << 23), (1 << 23) - 1, settings)
    out = quantity(UnsignedCodes(4), 1.0)
    zero = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ValueError, match="fc: a bias must fit signed 32 bits in accumulator steps, not"):
        lower_requantizer("fc", tensor(1e-3), tensor(1e7), zero, (zero, zero), out, settings)


@pytest.mark.parametrize("name", ["mse", "mse_plain", "p2_vit"])
def test_scales_grow_until_the_accumulator_holds_a_long_channel(name):
    """The second of three channels would reach 300 * 255 * 119, more than signed 24 bits."""
    wide = torch.stack([normal(300, seed=2), torch.full((300,), 1.0, dtype=torch.float64), normal(300, seed=3)])
    source = quantity(UnsignedCodes(8), 0.125)
    a = torch.randint(0, 256, (40, 300), generator=torch.Generator().manual_seed(0))
    target = source.decode(a) @ wide.T
    settings = Settings(w_bits=8, method=name)
    draft = draft_linear(layer_of(wide, torch.zeros(3), target, 8), a, source, settings)
    reach = 255 * draft.weight.clamp(min=0).sum(1)
    assert (1 << 22) < int(reach[1]) < 1 << 23
    assert (draft(a) - target).square().mean(0)[1] < 1e-3 * target[:, 1].square().mean()
    draft.lower(quantity(UnsignedCodes(8), 50.0))
    alone = draft_linear(layer_of(wide[[0, 2]], torch.zeros(2), target[:, [0, 2]], 8), a, source, settings)
    assert draft.weight[[0, 2]].equal(alone.weight)  # the others keep their scales
    if name == "p2_vit":
        assert torch.log2(draft.unit).frac().abs().max() == 0


# Heads


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


@pytest.mark.parametrize("method", ["minmax", "p2_vit"])
def test_steep_heads_saturate_instead_of_failing(method):
    """Two heads of four channels: a step of the second one's scores is many octaves."""
    settings = Settings(method=method, w_bits=2, a_bits=2)
    spec = settings.softmax(load_float("tiny").config)
    size = tensor(*[1.0] * 4, *[40.0] * 4)
    gentle, steep = ({part: normal(3, 5, 8, seed=seed) * scale for seed, part in enumerate("qkv")}
                     for scale in (tensor(1.0), size))
    ones = {part: torch.ones_like(x) for part, x in gentle.items()}
    expected, found = (lower_scores("a", real, ones, 2, spec, settings) for real in (gentle, steep))
    for part in "qkv":
        assert torch.equal(found.quantities[part].scale[:4], expected.quantities[part].scale[:4])
    scaling = found.scaling
    assert scaling.multiplier[0] == expected.scaling.multiplier[0] and int(scaling.shift[1]) == 8
    assert int(scaling.multiplier[1]) == 65535 if method == "minmax" else 65535 // 4 < int(scaling.multiplier[1])
    factor = float(scaling.multiplier[1]) * 2.0**-8 / (1 << spec.frac_bits) / 1.4426950408889634 * 2  # head_dim**0.5
    steps = found.quantities["q"].scale[4:] * found.quantities["k"].scale[4:]
    assert steps.tolist() == pytest.approx([factor] * 4, rel=1e-4)  # what is multiplied with is what the codes mean
    if method == "p2_vit":
        assert torch.equal(torch.log2(steps), torch.log2(steps).round())


def test_methods():
    assert method("mse").rounding == "compensated"
    with pytest.raises(ValueError, match="method must be one of .*'percentile', .*, not 'x'"):
        method("x")
    with pytest.raises(ValueError, match="rounding must be one of 'nearest', 'compensated', not 'up'"):
        Method(weights=mse, activations=mse, rounding="up")
