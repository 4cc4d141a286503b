"""Optimizers: which weights each one steps, and that Muon's steps are orthogonal ones of AdamW's size."""

import torch
from vitric.golden.optimizer import optimizers_of
from vitric.golden.recipe import Recipe
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.vit import VisionTransformer

MODEL = VisionTransformer(VIT_CONFIGS["tiny"])


def names_of(parameters):
    known = {id(parameter): name for name, parameter in MODEL.named_parameters()}
    return {known[id(parameter)] for parameter in parameters}


def test_each_weight_is_stepped_once():
    (only,) = optimizers_of(MODEL, Recipe(epochs=1, weight_decay=0.3))
    decayed, others = only.param_groups
    muon, adamw = optimizers_of(MODEL, Recipe(epochs=1, weight_decay=0.3, optimizer="muon"))
    matrices = {f"blocks.0.{name}.weight" for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")}
    assert names_of(muon.param_groups[0]["params"]) == matrices and muon.param_groups[0]["weight_decay"] == 0.3
    assert names_of(adamw.param_groups[0]["params"]) == {"head.weight", "patch_embed.proj.weight"}
    assert names_of(decayed["params"]) == matrices | {"head.weight", "patch_embed.proj.weight"}
    assert decayed["weight_decay"] == adamw.param_groups[0]["weight_decay"] == 0.3
    for group in (others, adamw.param_groups[1]):
        assert group["weight_decay"] == 0 and {"cls_token", "pos_embed", "norm.bias"} <= names_of(group["params"])
    everything = {name for name, _ in MODEL.named_parameters()}
    assert names_of(decayed["params"] + others["params"]) == everything
    assert names_of(sum((group["params"] for one in (muon, adamw) for group in one.param_groups), [])) == everything


def test_a_step_turns_a_matrix_in_all_directions_alike():
    model = torch.nn.Module()
    model.blocks = torch.nn.Linear(256, 256, bias=False)  # so large that unscaled steps are a third
    before = model.blocks.weight.detach().clone()
    muon, _ = optimizers_of(model, Recipe(epochs=1, learning_rate=0.01, weight_decay=0.0, optimizer="muon"))
    torch.manual_seed(0)
    model.blocks.weight.grad = torch.randn(256, 256) * torch.logspace(-1, 1, 256)  # directions of very different size
    muon.step()
    values = torch.linalg.svdvals(model.blocks.weight.detach() - before)
    assert values.max() / values[128] < 2
    assert 0.5 < values.square().sum().sqrt() / (0.01 * 0.2 * 256) < 1.5  # root mean square 0.2 rates
