"""The float model's tensors block by block, and how much their elements matter."""

import pytest
import torch
from vitric.golden import load_float
from vitric.golden.quantization.codes.maps import NarrowCodes
from vitric.golden.quantization.codes.observers import minmax
from vitric.golden.quantization.lowering import attention, calibration, sensitivity
from vitric.golden.quantization.lowering.calibration import TARGETS, Calibration
from vitric.golden.quantization.lowering.sensitivity import ELEMENTS, ROWS, Sensitivities
from vitric.golden.tensors import short_name, tensor
from vitric.golden.vit import collect

from tests.golden.quantization.quantize_kit import IMAGES, normal


@pytest.fixture(scope="module")
def digits():
    return load_float("digits")


def weights_of(model, images=IMAGES, progress=None):
    return Sensitivities(model, images, torch.Generator().manual_seed(0), progress)


@pytest.mark.parametrize("chunk", [None, 1])
def test_blocks_are_those_of_the_whole_model(digits, chunk, monkeypatch):
    if chunk:
        monkeypatch.setattr(calibration, "_CHUNK", chunk * digits.config.block_elements)
    found, taps = Calibration(digits, IMAGES), collect(digits, IMAGES)
    exact = {} if chunk else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(found.head, taps["head"], **exact)
    torch.testing.assert_close(found.patch_embed, taps["patch_embed"], **exact)
    for index in (2, 0, 3):  # in any order
        block = found.block(index)
        assert set(block) == {target.name for target in TARGETS.values()} == {
            "attn.q", "attn.k", "attn.v", "attn.context", "attn.proj", "mlp.fc1", "mlp.fc2"}
        for name, value in block.items():
            wanted = taps[tensor(f"blocks.{index}.{name}").tap]
            wanted = wanted.transpose(1, 2).flatten(2) if name in ("attn.q", "attn.k", "attn.v") else wanted
            torch.testing.assert_close(value, wanted, **exact)
    stream = ("patch_embed", "tokens", "proj", "fc2", "residual1", "residual2")
    largest = max(float(x.abs().max()) for name, x in taps.items() if name.split(".")[-1] in stream)
    assert found.largest == pytest.approx(max(largest, float(digits.pos_embed.detach().abs().max())), rel=1e-6)


def test_without_sensitivities_all_elements_count_the_same(digits):
    ones = Calibration(digits, IMAGES).importance("blocks.0.norm1", (16, 17, 48))
    assert ones.shape == (16, 17, 48) and ones.dtype == torch.float64 and bool((ones == 1).all())


def test_shapes_and_means(digits):
    weights, taps = weights_of(digits), collect(digits, IMAGES)
    found = Calibration(digits, IMAGES, weights)
    for name, x in taps.items():
        short = short_name(name)
        if short in ELEMENTS:
            shape = (16, 17, 48) if short in ("attn.q", "attn.k", "attn.v") else x.shape
        elif short in ROWS:
            shape = (*x.shape[:-1], 1)
        else:
            continue
        weight = found.importance(name, shape)
        assert weight.shape == shape and weight.dtype == torch.float64
        assert (weight > 0).all() and float(weight.mean()) == pytest.approx(1.2)
    weight = weights("blocks.3.mlp.fc2").mean((0, 2))
    assert weight[0] > 10 * weight[1]  # after the last block only the class token counts


def test_images_are_differentiated_a_few_at_a_time(digits, monkeypatch):
    whole, told = weights_of(digits), []
    monkeypatch.setattr(sensitivity, "_CHUNK", 5 * digits.config.depth * digits.config.block_elements)
    monkeypatch.setattr(sensitivity, "_DOUBLE", 0)
    parts = weights_of(digits, progress=told.append)
    assert told == [5, 10, 15, 16]
    for name in ("blocks.0.norm1", "blocks.2.attn.q", "blocks.3.mlp.fc1", "norm", "head"):
        torch.testing.assert_close(parts(name), whole(name), rtol=1e-3, atol=1e-5)


def test_heads_lie_side_by_side(digits, monkeypatch):
    """The weight of a query element is that of the element of the tapped tensor [B, H, T, D]."""
    monkeypatch.setattr(sensitivity, "_PROBES", 1)
    weights = weights_of(digits)("blocks.1.attn.q")
    signs = torch.randint(0, 2, (16, 10), generator=torch.Generator().manual_seed(0)) * 2 - 1
    taps = {}
    logits = digits(IMAGES, lambda name, x: taps.setdefault(name, x))
    gradient, = torch.autograd.grad((logits * signs).sum(), taps["blocks.1.attn.q"])
    wanted = gradient.to(torch.float64).square()
    wanted = wanted / wanted.mean() + 0.2
    torch.testing.assert_close(weights[:, :, 16:32], wanted[:, 1], rtol=1e-5, atol=1e-7)


def test_sensitivities_predict_the_error():
    model = load_float("tiny")
    weights, taps = weights_of(model)("blocks.0.norm1"), collect(model, IMAGES)

    def error(mask):
        noise = 0.02 * normal(*mask.shape, seed=5).to(torch.float32) * mask

        def tap(name, x):
            return x + noise if name == "blocks.0.norm1" else x

        with torch.no_grad():
            return (model(IMAGES, tap) - taps["head"]).square().sum()

    mask = weights > weights.median()
    assert error(mask) > 3 * error(~mask)


def test_sensitivities_are_squared_gradients(monkeypatch):
    monkeypatch.setattr(sensitivity, "_PROBES", 300)
    model = load_float("tiny")
    weights = weights_of(model)("blocks.0.norm1")
    leaf = collect(model, IMAGES)["blocks.0.norm1"].clone().requires_grad_()
    logits = model(IMAGES, lambda name, x: leaf if name == "blocks.0.norm1" else x)
    gradients = [torch.autograd.grad(logit.sum(), leaf, retain_graph=True)[0] for logit in logits.unbind(1)]
    exact = torch.stack(gradients).to(torch.float64).square().sum(0)
    exact = (exact / exact.mean()).mean((1, 2))  # per image
    estimate = (weights - 0.2).mean((1, 2))
    assert ((estimate - exact).abs() < 0.3 * exact).all() and exact.max() > 4 * exact.min()


@pytest.mark.parametrize("limit", [1 << 20, 4000])
def test_ranges_of_heads_come_from_samples_and_both_ends(limit, monkeypatch):
    """Of very many values some are enough; the extremes of each head are always among them."""
    monkeypatch.setattr(attention, "_SAMPLES", limit)
    x = normal(4, 5000, seed=3)
    x[2, 17], x[1, 4999] = 40.0, -50.0
    codes, weights = NarrowCodes(4, 4), torch.rand(4, 5000, dtype=torch.float64)
    got, _, kept = attention._sampled(x, codes, weights, torch.Generator().manual_seed(0))
    assert got.shape == kept.shape == ((4, 5000) if limit > x.numel() else (4, 1002))
    assert got.amax(1).equal(x.amax(1)) and got.amin(1).equal(x.amin(1))
    assert all(kept[2][got[2] == 40.0] == weights[2, 17])
    assert all(a.equal(b) for a, b in zip(minmax(got, codes), minmax(x, codes), strict=True))
