
import pytest
import torch
from vitric.golden import load_float
from vitric.golden.integer.requantizer import requantize_scores
from vitric.golden.integer.softmax import softmax
from vitric.golden.quantization.lowering.attention import lower_scores
from vitric.golden.quantization.settings import Settings

from tests.golden.quantization.quantize_kit import normal, tensor


@pytest.mark.parametrize("method", ["minmax", "p2_vit"])
def test_steep_heads_saturate_instead_of_failing(method):
    """Two heads of four channels: a step of the second one's scores is many octaves."""
    settings = Settings(method=method, w_bits=2, a_bits=2)
    spec = settings.softmax(load_float("tiny").config)
    size = tensor(*[1.0] * 4, *[4.0] * 4)
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


def test_scores_beyond_the_unit_still_tell_keys_apart():
    """Keys of 120 and 160 nats next to one of 0: in the unit's own step the upper two get the same."""
    settings = Settings(method="minmax", w_bits=8, a_bits=8)
    spec = settings.softmax(load_float("tiny").config)
    real = {"q": tensor(2.0, 2.0, 2.0, -0.001)[None, :, None], "v": normal(1, 4, 1),
            "k": tensor(-80.0, -60.0, 80.0, 60.0)[None, :, None]}
    ones = {part: torch.ones_like(x) for part, x in real.items()}
    scores = lower_scores("a", real, ones, 1, spec, settings)
    codes = {part: scores.quantities[part].encode(real[part]) for part in "qk"}
    zero, scaling = scores.quantities["q"].zero_point, scores.scaling
    products = (codes["q"] - zero) @ codes["k"].transpose(1, 2)
    x = requantize_scores(products[:, None], torch.zeros(1, 1, 4, dtype=torch.int64), scaling.multiplier,
                          scaling.pre_shift, scaling.shift, spec)
    p = softmax(x, spec, offset=8 << spec.frac_bits)[0, 0, :3]
    assert (p[:, 2] >= 250).all() and (p[:, [0, 1, 3]] <= 5).all()
