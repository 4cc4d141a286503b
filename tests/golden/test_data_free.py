"""Calibration images from the model alone: terms of the loss by hand, and what the images are good for."""

from dataclasses import replace
from math import e, log, pi, sqrt

import numpy as np
import pytest
import torch
from vitric.golden import VisionTransformer, data_free, digits, load_float, quantize
from vitric.golden.data_free import default_variation, gaussian_images, similarity_entropy, synthesize, total_variation
from vitric.golden.quantization import quantize_with_scales, reference
from vitric.golden.spec.vit import vit_config
from vitric.golden.train import accuracy

from tests.golden.quantization.quantize_kit import normal

TINY = load_float("tiny")


def entropy_of(similarities):
    """Integrate the density of Gaussian kernels of width 0.05 on a fine grid."""
    s = np.linspace(-2, 2, 40_001)
    density = np.mean([np.exp(-((s - c) / 0.05) ** 2 / 2) for c in similarities], axis=0) / (0.05 * sqrt(2 * pi))
    return -np.trapezoid(density * np.log(density + 1e-300), s)


def test_entropy_of_known_similarities():
    one = torch.ones(1, 5, 3, dtype=torch.float64)
    one[0, :, 0] *= -1  # every similarity is 1, of vectors that are not unit vectors
    assert float(similarity_entropy(one)) == pytest.approx(log(0.05 * sqrt(2 * pi * e)), abs=1e-3)
    orthogonal = torch.eye(4, dtype=torch.float64)[None] * torch.tensor([1.0, 2, 3, 4])[:, None]
    assert float(similarity_entropy(orthogonal)) == pytest.approx(log(0.05 * sqrt(2 * pi * e)), abs=1e-3)
    angles = torch.tensor([0.1, 0.6, 2.0, 3.0], dtype=torch.float64)
    x = torch.stack([angles.cos(), angles.sin()], dim=1)[None]
    pairs = [float((angles[i] - angles[j]).cos()) for i in range(4) for j in range(i)]
    assert float(similarity_entropy(x)) == pytest.approx(entropy_of(pairs), abs=1e-3)


def test_entropy_is_of_each_image():
    x = normal(3, 6, 4)
    assert torch.allclose(similarity_entropy(x), torch.cat([similarity_entropy(image[None]) for image in x]))
    gradient, = torch.autograd.grad(similarity_entropy(x.requires_grad_()).sum(), x)
    assert bool(gradient.isfinite().all()) and float(gradient.abs().min()) > 0


def test_total_variation_by_hand():
    x = torch.tensor([[[[0.0, 3], [0, 4]]], [[[1.0, 1], [1, 1]]]])
    right, down, falling, rising = sqrt(3**2 + 4**2), 1.0, 4.0, 3.0
    assert total_variation(x).tolist() == pytest.approx([right + down + falling + rising, 0], abs=1e-5)


@pytest.mark.parametrize("name,value", [("digits", 0.941), ("fashion", 0.62), ("deit_tiny", 0.31)])
def test_default_variation(name, value):
    assert default_variation(vit_config(name)) == pytest.approx(value, abs=1e-3)


@pytest.fixture(scope="module")
def images():
    return synthesize(load_float("digits"), 32, steps=120)


def test_images_descend_on_every_term(images):
    model, entropies = load_float("digits"), {}
    assert images.dtype == torch.uint8 and images.shape == (32, 1, 8, 8)
    for tag, pixels in (("synthetic", images), ("noise", gaussian_images(model.config, 32))):
        found = entropies[tag] = []

        def watch(name, x, found=found):
            if name.endswith("attn.context"):
                found.append(float(similarity_entropy(x[:, 1:]).mean()))
            return x

        with torch.no_grad():
            model(pixels, watch)
    assert len(entropies["noise"]) == 4
    assert all(a > b + 0.1 for a, b in zip(entropies["synthetic"], entropies["noise"], strict=True))
    labelled = replace(digits("train"), images=images, labels=torch.arange(32) % 10)
    assert accuracy(model, labelled) > 0.8
    differences = total_variation(model.normalize(images)) / (2 * (sqrt(8 * 7) + 7))
    missed = (differences - default_variation(model.config)).abs()
    assert float(missed.mean()) < 0.05 and float(missed.max()) < 0.2  # the descent differs a little from CPU to CPU


def test_synthesis_is_deterministic_and_leaves_no_trace():
    weights = {name: tensor.clone() for name, tensor in TINY.state_dict().items()}
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = synthesize(TINY, 6, steps=5, seed=3)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert all(torch.equal(tensor, weights[name]) for name, tensor in TINY.state_dict().items())
    assert all(parameter.grad is None for parameter in TINY.parameters())
    with torch.no_grad():
        assert torch.equal(synthesize(TINY, 6, steps=5, seed=3), first)
    assert not torch.equal(synthesize(TINY, 6, steps=5, seed=4), first)
    assert not torch.equal(synthesize(TINY, 6, steps=5, seed=3, variation=0.2), first)


def test_synthesis_in_batches(monkeypatch):
    monkeypatch.setattr(data_free, "_BATCH", 7)
    steps = []
    images = synthesize(TINY, 20, steps=100, on_step=lambda *step: steps.append(step))
    assert steps == [(step + 1, 300) for step in range(300)]
    labelled = replace(digits("train"), images=images, labels=torch.arange(20) % 10)
    assert accuracy(TINY, labelled) > 0.8


def test_large_models_go_in_small_batches():
    tokens = vit_config("deit_tiny").num_tokens - 1
    assert data_free.batch_size(vit_config("deit_tiny")) == 11 and tokens == 196
    assert data_free.batch_size(vit_config("digits")) == 64


def test_synthetic_images_calibrate_better_than_noise(images):
    model, held, ratio = load_float("digits"), digits("train")[:200], {}
    for tag, pixels in (("synthetic", images), ("noise", gaussian_images(model.config, 32))):
        lowered = quantize_with_scales(model, pixels, method="mse_plain", w_bits=8, a_bits=8)
        wanted = reference(lowered, held)["head"][:, 0]
        error = lowered.quantities["head"].decode(lowered.model(held)) - wanted
        ratio[tag] = float(wanted.square().sum() / error.square().sum())
    assert ratio["synthetic"] > 1.2 * ratio["noise"]


def test_noise():
    config = replace(vit_config("digits"), mean=(0.4,), std=(0.1,))
    images = gaussian_images(config, 300, seed=1)
    assert images.dtype == torch.uint8 and images.shape == (300, 1, 8, 8)
    pixels = images.to(torch.float64) / 255
    assert float(pixels.mean()) == pytest.approx(0.4, abs=0.01) and float(pixels.std()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(images, gaussian_images(config, 300, seed=1))
    assert not torch.equal(images, gaussian_images(config, 300))
    model = quantize(TINY, gaussian_images(TINY.config, 64))
    assert accuracy(model, digits("test")) > 0.5


@pytest.mark.parametrize("options,message", [
    ({"count": 0}, "count must be between 1 and 100000, not 0"),
    ({"count": 4, "steps": 0}, "steps must be between 1 and 100000, not 0"),
    ({"count": 4, "seed": -1}, "seed must be between 0 and 2147483647, not -1"),
    ({"count": 4, "variation": 0.0}, "variation must be above 0 and at most 2, not 0.0"),
    ({"count": 4, "variation": float("nan")}, "variation must be above 0 and at most 2, not nan"),
])
def test_rejected_options(options, message):
    with pytest.raises(ValueError, match=message):
        synthesize(TINY, **options)


def test_rejected_models():
    with pytest.raises(TypeError, match="model must be a VisionTransformer, not str"):
        synthesize("tiny", 4)
    broken = VisionTransformer(TINY.config)
    broken.head.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"head\.bias of the model holds values that are not finite"):
        synthesize(broken, 4)
    single = VisionTransformer(replace(TINY.config, patch_size=8))
    with pytest.raises(ValueError, match="the model must have at least two patches, not 1"):
        synthesize(single, 4)
    with pytest.raises(ValueError, match="count must be between"):
        gaussian_images(TINY.config, 0)
