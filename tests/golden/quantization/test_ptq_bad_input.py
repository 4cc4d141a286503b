"""Quantization of models and images that have something wrong with them: constant, extreme, no numbers, illegal."""

import copy

import pytest
import torch
from vitric.golden import digits, load_float
from vitric.golden.quantization import quantize, quantize_with_scales, reference
from vitric.golden.spec.arithmetic import Arithmetic
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.train import accuracy
from vitric.golden.vit import VisionTransformer

from tests.golden.quantization.test_ptq import sqnr

TRAIN, TEST = digits("train"), digits("test")
CALIBRATION, OTHERS = TRAIN[:64], TRAIN[100:228]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny():
    return load_float("tiny")


def changed(model, name, change):
    result = copy.deepcopy(model)
    with torch.no_grad():
        change(dict(result.named_parameters())[name])
    return result


@pytest.mark.parametrize("name", ["norm1.weight", "attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight"])
def test_constant_activations_and_dead_layers(tiny, name):
    model = changed(tiny, f"blocks.0.{name}", lambda p: p.zero_())
    result = quantize_with_scales(model, CALIBRATION)
    trace = {}
    result.model(OTHERS, trace, every_token=True)
    wanted = reference(result, OTHERS)
    assert sqnr(wanted["head"], result.decode(trace)["head"]) > 6
    assert sqnr(wanted["blocks.0.attn.proj"], result.decode(trace)["blocks.0.attn.proj"]) > 15


def test_constant_images_and_dead_channels(tiny):
    model = quantize(tiny, torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
    assert model(OTHERS).shape == (len(OTHERS), 10)
    model = changed(tiny, "blocks.0.mlp.fc1.weight", lambda p: p[3].zero_())
    assert accuracy(quantize(model, CALIBRATION), TEST) > 0.8
    model = changed(tiny, "blocks.0.mlp.fc1.weight", lambda p: p[3].mul_(1e-20))
    assert accuracy(quantize(model, CALIBRATION), TEST) > 0.8


@pytest.mark.parametrize("scale", [1e-12, 1e-35])
def test_scale_underflow(tiny, scale):
    model = changed(tiny, "blocks.0.attn.proj.weight", lambda p: p.mul_(scale))
    with pytest.raises(ValueError, match=r"blocks\.0\.attn\.proj.*underflows"):
        quantize(model, CALIBRATION)


@pytest.mark.parametrize("method", ["mse", "minmax"])
def test_extreme_affine(tiny, method):
    model = changed(tiny, "norm.weight", lambda p: p[2].mul_(1e6))
    model = changed(model, "blocks.0.norm1.bias", lambda p: p[5].fill_(30))
    model = changed(model, "blocks.0.norm2.weight", lambda p: p[3].fill_(1e-9))
    result = quantize_with_scales(model, CALIBRATION, method=method)
    trace = {}
    result.model(OTHERS, trace, every_token=True)
    wanted, real = reference(result, OTHERS), result.decode(trace)
    assert all(sqnr(wanted[name], real[name]) > 10 for name in ("blocks.0.norm1", "blocks.0.norm2", "norm", "head"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tiny, value):
    model = changed(tiny, "blocks.0.mlp.fc2.weight", lambda p: p[0, 0].fill_(value))
    with pytest.raises(ValueError, match=r"blocks\.0\.mlp\.fc2\.weight of the model holds values that are not finite"):
        quantize(model, CALIBRATION)


@pytest.mark.parametrize("images,error,match", [
    (TRAIN[:0], ValueError, "calibration: images must hold at least one image, not none"),
    (TRAIN[:4, :, :7], ValueError, r"calibration: images must have shape \[count, 1, 8, 8\]"),
    (TRAIN[0], ValueError, "calibration: images must have shape"),
    (TRAIN[:4].float(), TypeError, "calibration: images must hold integer pixels"),
    (TRAIN[:4].to(torch.int64) * 2, ValueError, "calibration: pixels of images must be between 0 and 255"),
    (None, TypeError, "calibration: images must be a torch tensor"),
])
def test_rejected_calibration(tiny, images, error, match):
    with pytest.raises(error, match=match):
        quantize(tiny, images)


@pytest.mark.parametrize("options,error,match", [
    *(({name: value}, ValueError, f"{name} must be between 2 and 8, not {value}") for value in (1, 9)
      for name in ("a_bits", "edge_bits", "softmax_bits")),
    *(({"w_bits": value}, ValueError, f"w_bits must be between 1 and 8, not {value}") for value in (0, 9)),
    ({"w_bits": 4.0}, TypeError, "w_bits must be an integer between 1 and 8"),
    ({"spec": Arithmetic(w_bits=3)}, ValueError, "edge_bits must be at most 6, because a signed code has at most two"),
    ({"spec": Arithmetic(a_bits=3)}, ValueError, "patch_embed: codes of a_bits 8 and w_bits 8 take 6 passes on ports "
     "of 3 and 4 bits, more than the 4 there are; use a_bits at most 6 or w_bits at most 4"),
    ({"spec": Arithmetic(acc_bits=12)}, ValueError, "patch_embed: acc_bits must be at least 13 for 16 terms of a_bits "
     "8 and w_bits 8, not 12"),
    ({"spec": Arithmetic(acc_bits=14), "softmax_bits": 8, "a_bits": 8}, ValueError,
     r"blocks.0.attn.scores: acc_bits must be at least 19 for 8 terms of a_bits 8 and w_bits 8, not 14"),
    ({"spec": "digits"}, TypeError, "spec must be an AcceleratorSpec, an Arithmetic or None, not str"),
    ({"method": "magic"}, ValueError, "method must be one of 'mse', 'best', .*, not 'magic'"),
    ({"granularity": "row"}, ValueError, "granularity must be one of 'layer', 'group', 'channel', not 'row'"),
    ({"seed": -1}, ValueError, "seed must be between 0"),
])
def test_rejected_options(tiny, options, error, match):
    with pytest.raises(error, match=match):
        quantize(tiny, CALIBRATION, **options)


def test_rejected_model():
    with pytest.raises(TypeError, match="model must be a VisionTransformer, not Linear"):
        quantize(torch.nn.Linear(2, 2), CALIBRATION)
    with pytest.raises(ValueError, match="calibration: images must have shape"):
        quantize(VisionTransformer(VIT_CONFIGS["fashion"]), CALIBRATION)
