
import pytest
import torch
from vitric.golden import load_float
from vitric.golden.quantization.lowering.attention import lower_scores
from vitric.golden.quantization.settings import Settings

from tests.golden.quantization.quantize_kit import normal, tensor


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
