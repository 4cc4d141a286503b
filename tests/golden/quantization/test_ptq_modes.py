"""Whatever mode or type the caller computes in, quantization and what trains beside it give the same integers."""

import copy

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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_types_are_those_weights_in_float32(dtype):
    model = load_float("tiny").to(dtype)
    lowered = quantize_with_scales(model, IMAGES)
    assert model.head.weight.dtype == dtype and lowered.source.head.weight.dtype == torch.float32
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
