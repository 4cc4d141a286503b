
import pytest
import torch
from vitric.golden.quantization.codes.maps import NarrowCodes, UnsignedCodes
from vitric.golden.quantization.codes.quantity import Quantity
from vitric.golden.quantization.lowering.linear import check_accumulator, draft_linear, lower_requantizer
from vitric.golden.quantization.lowering.output_search import Layer
from vitric.golden.quantization.settings import Settings

from tests.golden.quantization.quantize_kit import normal, tensor


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
        said = f"fc: an accumulator must fit the 24 signed bits of acc_bits .*, not {low}..{high}; "
        with pytest.raises(ValueError, match=said):
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
