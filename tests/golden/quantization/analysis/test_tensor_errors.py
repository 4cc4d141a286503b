from dataclasses import replace

import pytest
import torch
from vitric.golden import digits, load_float
from vitric.golden.quantization import quantize_with_scales
from vitric.golden.quantization.analysis.tensor_errors import tensor_errors

IMAGES = digits("train")[64:72]


@pytest.fixture(scope="module")
def lowered():
    return quantize_with_scales(load_float("tiny"), digits("train")[:64], w_bits=8, a_bits=8)


def test_errors_are_those_of_decoded_codes(lowered):
    errors = tensor_errors(lowered, IMAGES)
    model, trace = lowered.source.double(), {}
    logits = model.forward_normalized(model.normalize(IMAGES).double())
    lowered.model(IMAGES, trace)
    quantity = lowered.quantities["head"]
    wrong = trace["head"][:, 0] * float(quantity.scale) - logits
    assert errors["head"].snr_db == pytest.approx(
        10 * torch.log10(logits.square().sum() / wrong.square().sum()).item(), abs=1e-4)
    assert errors["head"].scale == (float(quantity.scale), float(quantity.scale)) and errors["head"].zero_point == 0
    assert set(errors) == set(trace) - {"input", "pos_embed"} and list(errors)[0] == "patch_embed"


def test_saturation_and_outliers_are_counted(lowered):
    name = "blocks.0.norm1"
    before = tensor_errors(lowered, IMAGES)[name]
    trace = {}
    lowered.model(IMAGES, trace, every_token=True)
    codes = trace[name]
    assert before.saturated == pytest.approx(((codes == 0) | (codes == 255)).double().mean().item())
    assert 1 <= before.outlier < 4
    source = load_float("tiny")
    with torch.no_grad():
        source.blocks[0].norm1.weight[3] *= 50
        source.blocks[0].norm1.bias[3] *= 50
    louder = tensor_errors(replace(lowered, source=source), IMAGES)[name]
    assert louder.outlier > 10 * before.outlier and louder.snr_db < before.snr_db - 10


def test_fewer_bits_lose_more(lowered):
    coarse = tensor_errors(quantize_with_scales(load_float("tiny"), digits("train")[:64], w_bits=4, a_bits=4), IMAGES)
    fine = tensor_errors(lowered, IMAGES)
    for name in ("blocks.0.norm1", "blocks.0.mlp.act", "head"):
        assert fine[name].snr_db > coarse[name].snr_db + 6
