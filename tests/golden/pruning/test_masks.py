"""Pruning: masks, the importance behind them, training that keeps them, and quantization that does too."""

import copy

import pytest
import torch
from vitric.golden import digits, load_float
from vitric.golden.data.images import ImageData
from vitric.golden.pruning.masks import (
    LAYERS,
    apply_masks,
    combine,
    head_importance,
    head_masks,
    heads_to_prune,
    n_m_masks,
    pruned_share,
)
from vitric.golden.pruning.prune import recover
from vitric.golden.pruning.size import live_heads
from vitric.golden.quantization import quantize_with_scales
from vitric.golden.quantization.codes.maps import NarrowCodes
from vitric.golden.quantization.lowering.regression import ridge
from vitric.golden.quantization.lowering.rotate import balance_heads
from vitric.golden.quantization.lowering.weights import compensated, nearest
from vitric.golden.recipe import recipe_for
from vitric.golden.vit import VisionTransformer

from tests.golden.quantization.quantize_kit import IMAGES, normal, tensor

TRAIN = digits("train")
FEW = ImageData("train", TRAIN.images[:96], TRAIN.labels[:96])


def pruned(config="tiny", n_m=(2, 4), heads=()):
    model = load_float(config)
    masks = combine(head_masks(model, list(heads)), n_m_masks(model, *n_m) if n_m else {})
    apply_masks(model, masks)
    return model, masks


@pytest.mark.parametrize("n,m", [(2, 4), (1, 4), (3, 4), (4, 8), (1, 2)])
def test_n_of_each_m_are_kept(n, m):
    model = load_float("tiny")
    masks = n_m_masks(model, n, m)
    assert set(masks) == {f"blocks.0.{layer}.weight" for layer in LAYERS}
    for name, mask in masks.items():
        weight = model.get_parameter(name).detach().abs()
        groups, kept = weight.unflatten(1, (-1, m)), mask.unflatten(1, (-1, m))
        assert (kept.sum(2) == n).all()
        smallest = groups.masked_fill(~kept, 9).amin(2)
        assert (smallest >= groups.masked_fill(kept, 0).amax(2)).all(), name
    apply_masks(model, masks)
    assert pruned_share(model) == pytest.approx(1 - n / m)


def test_importance_of_weights_counts_their_inputs():
    model = load_float("tiny")
    model.blocks[0].mlp.fc1.weight.data[:, :4] = tensor(1.0, -1.1, 1.2, 1.3).float()
    model.blocks[0].norm2.weight.data[:4] = tensor(5.0, 0.0, 2.0, 0.1).float()
    model.blocks[0].norm2.bias.data[:4] = 0
    plain = n_m_masks(model, 2, 4)["blocks.0.mlp.fc1.weight"]
    measured = n_m_masks(model, 2, 4, importance="activation", images=IMAGES)["blocks.0.mlp.fc1.weight"]
    assert plain[0, :4].tolist() == [False, False, True, True]
    assert measured[0, :4].tolist() == [True, False, True, False]


def test_importance_of_a_head_is_what_its_gate_does():
    """Against the numerical derivative of each image's loss with respect to a factor on the head's context."""
    model, step = load_float("tiny"), 1e-3
    wanted = torch.zeros(2, dtype=torch.float64)
    double = copy.deepcopy(model).double()
    for head in range(2):
        losses = []
        for sign in (-1, 1):
            def gate(name, x, head=head, sign=sign):
                if not name.endswith(".context"):
                    return x
                factor = torch.ones(x.shape[-1], dtype=torch.float64)
                factor[head * 8:head * 8 + 8] += sign * step
                return x * factor

            logits = double.forward_normalized(double.normalize(FEW.images).double(), gate)
            losses.append(torch.nn.functional.cross_entropy(logits, FEW.labels, reduction="none").detach())
        wanted[head] = ((losses[1] - losses[0]) / (2 * step)).abs().sum()
    found = head_importance(model, FEW)
    assert torch.allclose(found[0], wanted / wanted.norm(), atol=1e-3)
    assert model.head.weight.grad is None


def test_least_important_heads_go_but_never_the_last():
    importance = tensor(*[0.1, 0.2, 0.9, 0.3, 0.5, 0.4, 0.0, 0.05, 0.01]).reshape(3, 3)
    assert heads_to_prune(importance, 2 / 9) == [(2, 0), (2, 2)]
    assert heads_to_prune(importance, 3 / 9) == [(0, 0), (2, 0), (2, 2)]  # (2, 1) is all that block 2 has left
    assert len(heads_to_prune(importance, 6 / 9)) == 6 and heads_to_prune(importance, 0.0) == []
    for share in (-0.1, 0.8, 1.5):
        with pytest.raises(ValueError, match="heads must be a share between 0 and 0.667, .* not "):
            heads_to_prune(importance, share)


def test_a_masked_head_is_not_seen():
    model, masks = pruned("digits", None, [(1, 2), (3, 0)])
    assert [live_heads(block.attn) for block in model.blocks] == [3, 2, 3, 2]
    taps = {}
    logits = model(IMAGES, lambda name, x: taps.setdefault(name, x))
    assert (taps["blocks.1.attn.v"][:, 2] == 0).all() and (taps["blocks.1.attn.v"][:, 1] != 0).any()

    def disturb(name, x):
        return x + 7 * (torch.arange(48) >= 32) if name == "blocks.1.attn.context" else x

    assert torch.equal(model(IMAGES, disturb), logits)
    assert set(masks) == {f"blocks.{block}.attn.{name}" for block in (1, 3)
                          for name in ("qkv.weight", "qkv.bias", "proj.weight")}


def test_training_keeps_masks():
    model, masks = pruned(n_m=(2, 4), heads=[(0, 1)])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    recipe = recipe_for("tiny", epochs=2, learning_rate=3e-3)
    after = recover(model, masks, FEW, recipe)
    for name, mask in masks.items():
        assert (after.get_parameter(name)[~mask] == 0).all() and (model.get_parameter(name)[~mask] == 0).all()
        assert (after.get_parameter(name)[mask] != before[name][mask]).float().mean() > 0.9
    assert live_heads(after.blocks[0].attn) == 1 and not after.training
    again = recover(pruned(n_m=(2, 4), heads=[(0, 1)])[0], masks, FEW, recipe)
    assert all(torch.equal(a, b) for a, b in zip(after.parameters(), again.parameters(), strict=True))
    model.zero_grad()
    model(IMAGES).sum().backward()  # the hooks are gone
    assert (model.blocks[0].mlp.fc1.weight.grad[~masks["blocks.0.mlp.fc1.weight"]] != 0).any()


def test_rejected_masks():
    model = load_float("tiny")
    for n, m, message in ((2, 3, "m must divide the 16 inputs of blocks.0.attn.qkv, not 3"),
                          (4, 4, "n must be between 1 and 3, not 4"), (1, 17, "m must be between 2 and 16, not 17")):
        with pytest.raises(ValueError, match=message):
            n_m_masks(model, n, m)
    with pytest.raises(ValueError, match="importance must be one of 'magnitude', 'activation', not 'luck'"):
        n_m_masks(model, 2, 4, importance="luck")
    with pytest.raises(ValueError, match="images must be given"):
        n_m_masks(model, 2, 4, importance="activation")


# Quantization


def test_compensated_rounding_keeps_zeros_and_still_helps():
    inputs = normal(200, 24, seed=1) @ normal(24, 24, seed=2)
    moments = inputs.T @ inputs / 200
    weight = normal(16, 24, seed=3)
    weight[normal(16, 24, seed=4).abs() < 0.7] = 0
    scale, codes = weight.abs().amax(1) / 7, NarrowCodes(4, 4)

    def error(integers):
        return float(((integers * scale[:, None] - weight) @ inputs.T).square().mean())

    rounded = compensated(weight, scale, codes, moments)
    assert (rounded[weight == 0] == 0).all() and (weight == 0).float().mean() > 0.3
    assert error(rounded) < 0.9 * error(nearest(weight, scale, codes, moments))
    weight[3] = 0
    weight[7:9] = torch.where(weight[5] == 0, 0.0, weight[7:9])  # these share the mask of row 5
    for row in (3, 5, 8):  # a row is rounded as if the layer had no other inputs
        own = weight[row] != 0
        alone = compensated(weight[row:row + 1, own], scale[row:row + 1], codes, moments[own][:, own])
        assert (compensated(weight, scale, codes, moments)[row, own] == alone[0]).all()


def test_regression_keeps_zeros_and_is_the_best_of_the_others():
    inputs, weight = normal(300, 12, seed=1), normal(5, 12, seed=2)
    weight[:, ::3] = 0
    weight[2, 1] = 0
    rows = torch.full((300, 1), 1 / 300, dtype=torch.float64)
    target = inputs @ normal(5, 12, seed=3).T
    found = ridge(weight, inputs, rows, target - inputs @ weight.T)
    assert ((found == 0) == (weight == 0)).all()

    def loss(candidate):
        strength = 0.1 * float((inputs.T @ (rows * inputs)).diagonal().mean())
        error = inputs @ candidate.T - target
        return float((rows * error.square()).sum() + strength * (candidate - weight).square().sum())

    for seed in range(5):
        step = 1e-3 * normal(5, 12, seed=10 + seed) * (weight != 0)
        assert loss(found) < min(loss(found + step), loss(found - step))


@pytest.mark.parametrize("method", ["mse", "erq", "repq_vit"])
def test_pruned_weights_are_0_in_the_integer_model(method):
    model, _ = pruned(n_m=(2, 4), heads=[(0, 0)])
    drafts = quantize_with_scales(model, IMAGES, method=method).drafts
    parts = dict(zip("qkv", model.blocks[0].attn.qkv.weight.chunk(3), strict=True))
    weights = {f"attn.{part}": weight for part, weight in parts.items()} | {
        layer: model.blocks[0].get_submodule(layer).weight for layer in LAYERS[1:]}
    for name, weight in weights.items():
        codes = drafts[f"blocks.0.{name}"].weight
        assert (codes[weight == 0] == 0).all() and (codes != 0).any(), name


def test_heads_are_balanced_only_where_that_keeps_zeros():
    taps = {}
    for name, (model, _) in {"heads": pruned("digits", None, [(0, 1)]), "weights": pruned("digits")}.items():
        balanced = balance_heads(model, IMAGES)
        for ours, theirs in zip(balanced.blocks, model.blocks, strict=True):
            for layer in ("qkv", "proj"):
                new, old = (block.attn.get_submodule(layer).weight for block in (ours, theirs))
                assert (new[old == 0] == 0).all()
                assert torch.equal(new, old) == (name == "weights")
        assert torch.allclose(balanced(IMAGES), model(IMAGES), atol=1e-4)
        taps[name] = balanced
    assert live_heads(taps["heads"].blocks[0].attn) == 2


def test_untrained_models_are_not_pruned():
    torch.manual_seed(0)
    model = VisionTransformer(load_float("tiny").config)
    assert pruned_share(model) == 0 and live_heads(model.blocks[0].attn) == 2
