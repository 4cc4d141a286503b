"""Scales chosen for the error of a layer's output: against every candidate, and where weights alone would mislead."""

from dataclasses import replace

import pytest
import torch
from vitric.golden.quantization.codes.maps import NarrowCodes, UnsignedCodes
from vitric.golden.quantization.codes.observers import mse
from vitric.golden.quantization.codes.quantity import Quantity, observe
from vitric.golden.quantization.lowering import output_search
from vitric.golden.quantization.lowering.linear import draft_linear
from vitric.golden.quantization.lowering.output_search import Layer, search_input, search_weight_scales
from vitric.golden.quantization.methods import Method
from vitric.golden.quantization.settings import Settings

from tests.golden.quantization.quantize_kit import normal, tensor

CODES = NarrowCodes(3, 4)
EVERY = torch.arange(200)


def a_layer(outputs, inputs):
    """Return a layer, its inputs (200, K), and importances that differ by orders of magnitude."""
    weight, bias, x = normal(outputs, inputs) ** 3, normal(outputs, seed=1), normal(200, inputs, seed=2).abs()
    target = x @ weight.T + bias
    importance = torch.exp(2 * normal(200, outputs, seed=3))
    return Layer(name="fc", weight=weight, bias=bias, target=target, importance=importance, codes=CODES), x


def error_of(layer, x, scale):
    """Return the weighted squared error of each output for inputs ``x`` and weights rounded to steps of ``scale``."""
    weight = torch.floor(layer.weight / scale[:, None] + 0.5).clamp(-3, 3) * scale[:, None]
    return ((x @ weight.T + layer.bias - layer.target).square() * layer.importance).sum(0)


@pytest.mark.parametrize("granularity,size", [("channel", 1), ("group", 8), ("layer", 11)])
def test_weight_scales_are_the_best_candidates(granularity, size):
    layer, x = a_layer(11, 6)
    found = search_weight_scales(layer.rows(EVERY), x, granularity)
    for begin in range(0, 11, size):
        part = slice(begin, begin + size)
        widest = float(layer.weight[part].abs().max()) / 3
        shares = [1.1 - 0.85 * step / 31 for step in range(32)]
        errors = [float(error_of(layer, x, torch.full((11,), share * widest))[part].sum()) for share in shares]
        assert len(found[part].unique()) == 1
        assert float(error_of(layer, x, found)[part].sum()) == pytest.approx(min(errors), rel=1e-4)


def test_weight_scales_follow_inputs_and_importance():
    weight = tensor(9.0, 0.9, -0.6, 0.3)[None]
    x = normal(200, 4)
    x[:100, 0] = 0  # the large weight does not matter in the first half
    target = x @ weight.T
    scales = []
    for begin in (0, 100):
        importance = torch.zeros(200, 1, dtype=torch.float64)
        importance[begin:begin + 100] = 1
        layer = Layer(name="fc", weight=weight, bias=torch.zeros(1), target=target, importance=importance, codes=CODES)
        scales.append(float(search_weight_scales(layer.rows(EVERY), x, "channel")))
    assert scales[0] == pytest.approx(0.25 * 3) and scales[1] > 0.9 * 3


def test_layer_without_weights():
    layer, x = a_layer(5, 4)
    scale = search_weight_scales(replace(layer, weight=layer.weight * 0).rows(EVERY), x, "channel")
    assert bool((scale > 0).all()) and bool(scale.isfinite().all())


def test_input_range_follows_the_outputs():
    layer, x = a_layer(6, 4)
    x[:20] *= 12  # outliers that no output cares about
    importance = layer.importance.clone()
    importance[:20] = 0
    layer = replace(layer, importance=importance, target=x @ layer.weight.T + layer.bias, codes=NarrowCodes(8, 4))
    start = observe("x", x, UnsignedCodes(4), mse, torch.Generator())

    def error(quantity):
        y = quantity.decode(quantity.encode(x)) @ layer.weight.T + layer.bias
        return float(((y - layer.target).square() * layer.importance).sum())

    found = search_input(start, x, [layer], "channel", torch.Generator())
    assert error(found) < 0.5 * error(start) and float(found.scale) < 0.7 * float(start.scale)
    assert isinstance(found.zero_point, int) and 0 <= found.zero_point <= 15
    again = search_input(start, x, [layer], "channel", torch.Generator(), least=start.scale * 0.95)
    assert float(again.scale) >= 0.95 * float(start.scale)
    low = search_input(replace(start, zero_point=10), x, [layer], "channel", torch.Generator())
    assert low.zero_point < 10  # inputs are not negative: codes below zero are of no use
    both = search_input(start, x, [layer, replace(layer, importance=torch.ones_like(importance) * 1e6)], "channel",
                        torch.Generator())
    assert float(both.scale) > 1.2 * float(found.scale)  # the second layer cares about the outliers


def test_search_of_channel_scales_and_offsets():
    layer, x = a_layer(6, 4)
    start = Quantity(codes=UnsignedCodes(3), scale=tensor(0.9, 0.7, 0.8, 1.0), zero_point=2, offset=normal(4, seed=5))
    found = search_input(start, x, [layer], "channel", torch.Generator())
    assert torch.equal(found.offset, start.offset)
    assert torch.allclose(found.scale / start.scale, (found.scale / start.scale)[:1].expand(4))
    assert not torch.equal(found.scale, start.scale)


def test_many_samples_are_drawn_from(monkeypatch):
    monkeypatch.setattr(output_search, "_ROWS", 50)
    first, second = (output_search.choose_rows(200, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert len(first) == len(first.unique()) == 50 and not torch.equal(first, second)
    assert output_search.choose_rows(50, torch.Generator()).tolist() == list(range(50))


def test_draft_searches_weights():
    layer, x = a_layer(12, 8)
    source = Quantity(codes=UnsignedCodes(8), scale=tensor(0.02)[0], zero_point=0, offset=tensor(0.0)[0])
    errors = []
    for name in ("mse_plain", "hessian"):
        draft = draft_linear(layer, source.encode(x), source, Settings(method=name))
        errors.append(float(((draft(source.encode(x)) - layer.target).square() * layer.importance).sum()))
    assert errors[1] < 0.9 * errors[0]


def test_search_excludes_powers_of_two():
    with pytest.raises(ValueError, match="output_search chooses scales freely, so it cannot be combined"):
        Method(weights=mse, activations=mse, output_search=True, power_of_two=True)
