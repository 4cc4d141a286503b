"""Whatever mode, type or order of sums the caller computes in: quantization, and training, give the same integers."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from vitric.golden import digits, load_float
from vitric.golden.data.images import ImageData
from vitric.golden.data_free import synthesize
from vitric.golden.integer.storage import model_digest
from vitric.golden.pruning.prune import Pruning, prune
from vitric.golden.qat import fine_tune
from vitric.golden.quantization import quantize, quantize_with_scales
from vitric.golden.quantization.analysis.layer_errors import measure_layer_errors
from vitric.golden.recipe import recipe_for

IMAGES, OTHERS = digits("train")[:32], digits("train")[100:116]
MODELS = ("digits", "best"), ("tiny", "hessian"), ("tiny", "repq_vit")  # every kind of search and rounding
FEW = ImageData("train", digits("train")[:64], digits("train").labels[:64])

pytestmark = pytest.mark.usefixtures("one_thread")


def made_in_inference_mode():
    with torch.inference_mode():
        return load_float("tiny"), IMAGES.clone()


@pytest.mark.parametrize("method", ["mse", "minmax"])
def test_inference_mode_gives_the_model_of_no_grad(method):
    with torch.no_grad():
        wanted = model_digest(quantize(load_float("tiny"), IMAGES, method=method))
    with torch.inference_mode():
        assert model_digest(quantize(load_float("tiny"), IMAGES, method=method)) == wanted
    model, images = made_in_inference_mode()
    assert model_digest(quantize(model, images, method=method)) == wanted


ORDERS = {}, {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default"}  # of the additions in a sum
QUANTIZE = f"""
from vitric.golden import digits, load_float, quantize
from vitric.golden.integer.storage import model_digest
for name, method in {MODELS}:
    print(model_digest(quantize(load_float(name), digits("train")[:64], method=method)))
"""
SUMS = "import torch; print((torch.ones(9, 99) / 3 @ torch.arange(99.0).reciprocal().clamp(max=1)).tolist())"


def printed(code, order):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, **order})
    return done.stdout


def test_the_last_bits_of_float_sums_do_not_matter():
    """On another CPU they are others: a library that adds in another order stands for it here."""
    assert len({printed(SUMS, order) for order in ORDERS}) > 1
    assert len({printed(QUANTIZE, order) for order in ORDERS}) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_types_are_those_weights_in_float32(dtype):
    model = load_float("tiny").to(dtype)
    lowered = quantize_with_scales(model, IMAGES)
    assert model.head.weight.dtype == dtype and lowered.source.head.weight.dtype == torch.float64
    assert model_digest(lowered.model) == model_digest(quantize_with_scales(copy.deepcopy(model).float(), IMAGES).model)


def results(model, images):
    """Return tensors and numbers of everything beside quantization that differentiates a model."""
    recipe = recipe_for("tiny", epochs=1)
    lowered = quantize_with_scales(model, images)
    errors = measure_layer_errors(model, images, OTHERS, widths=(4,))
    pruned = prune(model, Pruning(heads=0.5), FEW, recipe)
    return [synthesize(model, 4, steps=3), torch.tensor([list(found.values()) for found in errors.errors.values()]),
            pruned.state_dict()["blocks.0.attn.qkv.weight"],
            fine_tune(lowered, model, FEW, recipe).model.blocks[0].mlp.fc1.weight]


def test_training_works_in_inference_mode():
    wanted = results(load_float("tiny"), IMAGES)
    with torch.inference_mode():
        found = results(*made_in_inference_mode())
    assert all(one.equal(other) for one, other in zip(found, wanted, strict=True))
