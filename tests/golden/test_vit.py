"""The float ViT: config, timm's names and shapes, agreement with torch's own transformer layer, taps."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from vitric.golden.checkpoint import load_state_dict
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig, vit_config
from vitric.golden.vit import VisionTransformer, collect, in_float32

TINY = VIT_CONFIGS["tiny"]


def timm_shapes(embed, depth, *, image=224, patch=16, classes=1000, ratio=4):
    """Return the state dict of timm's deit_*_patch16_224, written out from its model definition."""
    shapes = {
        "cls_token": (1, 1, embed),
        "pos_embed": (1, (image // patch) ** 2 + 1, embed),
        "patch_embed.proj.weight": (embed, 3, patch, patch),
        "patch_embed.proj.bias": (embed,),
    }
    for block in range(depth):
        shapes |= {
            f"blocks.{block}.norm1.weight": (embed,),
            f"blocks.{block}.norm1.bias": (embed,),
            f"blocks.{block}.attn.qkv.weight": (3 * embed, embed),
            f"blocks.{block}.attn.qkv.bias": (3 * embed,),
            f"blocks.{block}.attn.proj.weight": (embed, embed),
            f"blocks.{block}.attn.proj.bias": (embed,),
            f"blocks.{block}.norm2.weight": (embed,),
            f"blocks.{block}.norm2.bias": (embed,),
            f"blocks.{block}.mlp.fc1.weight": (ratio * embed, embed),
            f"blocks.{block}.mlp.fc1.bias": (ratio * embed,),
            f"blocks.{block}.mlp.fc2.weight": (embed, ratio * embed),
            f"blocks.{block}.mlp.fc2.bias": (embed,),
        }
    return shapes | {
        "norm.weight": (embed,), "norm.bias": (embed,), "head.weight": (classes, embed), "head.bias": (classes,)
    }


# parameter counts as published by timm for deit_tiny/small/base_patch16_224
@pytest.mark.parametrize(
    ("name", "embed", "parameters"),
    [("deit_tiny", 192, 5_717_416), ("deit_small", 384, 22_050_664), ("deit_base", 768, 86_567_656)],
)
def test_deit_state_dict_is_timms(name, embed, parameters):
    config = vit_config(name)
    with torch.device("meta"):
        model = VisionTransformer(config)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes == timm_shapes(embed, 12)
    assert sum(math.prod(shape) for shape in shapes.values()) == parameters == config.num_parameters


def test_timm_state_dict_loads_unchanged():
    torch.manual_seed(1)
    state = {name: torch.randn(shape).to(torch.float16) for name, shape in timm_shapes(192, 12).items()}
    model = VisionTransformer(vit_config("deit_tiny"))
    load_state_dict(model, state)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32 and tensor.equal(state[name].float()), name


@pytest.mark.parametrize("name", ["tiny", "digits", "fashion"])
def test_parameter_count(name):
    config = vit_config(name)
    assert sum(p.numel() for p in VisionTransformer(config).parameters()) == config.num_parameters


def test_deit_tiny_macs_by_hand():
    config = vit_config("deit_tiny")
    assert (config.num_patches, config.num_tokens, config.patch_dim) == (196, 197, 768)
    assert (config.head_dim, config.hidden_dim) == (64, 768)
    assert {name: product.count * product.macs for name, product in config.products.items()} == {
        "patch_embed": 196 * 768 * 192,
        "attn.qkv": 12 * 197 * 192 * 576,
        "attn.scores": 12 * 3 * 197 * 197 * 64,
        "attn.context": 12 * 3 * 197 * 197 * 64,
        "attn.proj": 12 * 197 * 192 * 192,
        "mlp.fc1": 12 * 197 * 192 * 768,
        "mlp.fc2": 12 * 197 * 768 * 192,
        "head": 192 * 1000,
    }
    assert round(config.total_macs / 1e9, 2) == 1.25


def randomised(config):
    """Return a model whose parameters are all random, so that no bias or norm hides behind 0 and 1."""
    torch.manual_seed(3)
    model = VisionTransformer(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def test_agrees_with_torch_encoder():
    config = VitConfig(image_size=12, patch_size=4, in_chans=3, num_classes=7, embed_dim=24, depth=2, num_heads=3,
                       mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    model = randomised(config)
    images = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8)

    # patches cut by hand, row by row
    x = (images / 255 - torch.tensor(config.mean).view(3, 1, 1)) / torch.tensor(config.std).view(3, 1, 1)
    patches = [x[:, :, r:r + 4, c:c + 4].flatten(1) for r in (0, 4, 8) for c in (0, 4, 8)]
    weight = model.patch_embed.proj.weight.flatten(1)
    tokens = torch.stack([patch @ weight.T + model.patch_embed.proj.bias for patch in patches], dim=1)
    x = torch.cat([model.cls_token.expand(5, 1, 24), tokens], dim=1) + model.pos_embed
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(
            24, 3, 96, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )
        layer.load_state_dict({
            "self_attn.in_proj_weight": block.attn.qkv.weight, "self_attn.in_proj_bias": block.attn.qkv.bias,
            "self_attn.out_proj.weight": block.attn.proj.weight, "self_attn.out_proj.bias": block.attn.proj.bias,
            "linear1.weight": block.mlp.fc1.weight, "linear1.bias": block.mlp.fc1.bias,
            "linear2.weight": block.mlp.fc2.weight, "linear2.bias": block.mlp.fc2.bias,
            "norm1.weight": block.norm1.weight, "norm1.bias": block.norm1.bias,
            "norm2.weight": block.norm2.weight, "norm2.bias": block.norm2.bias,
        })
        x = layer(x)  # in training mode (without dropout), so that no fused kernel is taken
    expected = model.head(model.norm(x)[:, 0])
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4)


def test_gelu_is_the_exact_one():
    tensors = collect(randomised(TINY), torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8))
    x = tensors["blocks.0.mlp.fc1"].double()
    expected = x * (1 + torch.erf(x / math.sqrt(2))) / 2
    torch.testing.assert_close(tensors["blocks.0.mlp.gelu"].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("eps", [1e-6, 4e-4])
def test_epsilon_of_every_norm(eps):
    assert TINY.layer_norm_eps == 1e-6
    model = VisionTransformer(replace(TINY, layer_norm_eps=eps))
    x = torch.tensor([1.0, -1.0]).repeat(8) * math.sqrt(eps)  # variance eps: the output is 1 / sqrt(2)
    for norm in (model.blocks[0].norm1, model.blocks[0].norm2, model.norm):
        torch.testing.assert_close(norm(x), x.sign() / math.sqrt(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_types(dtype):
    """The model computes in the type of its weights; in_float32 makes a copy that computes in float32."""
    model, images = randomised(TINY), torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    wanted = model(images)
    assert in_float32(model) is model
    other = copy.deepcopy(model).to(dtype)
    assert other(images).dtype == dtype
    torch.testing.assert_close(other(images).float(), wanted, rtol=0.1, atol=0.1)
    converted = in_float32(other)
    assert converted(images).dtype == torch.float32 and other.head.weight.dtype == dtype and not converted.training
    assert converted.head.weight.equal(model.head.weight.to(dtype).float())


def test_qkv_bias_can_be_left_out():
    model = VisionTransformer(replace(TINY, qkv_bias=False))
    assert "blocks.0.attn.qkv.bias" not in model.state_dict()
    assert sum(p.numel() for p in model.parameters()) == model.config.num_parameters


def test_taps_see_every_tensor_in_order():
    model = randomised(TINY)
    images = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    tensors = collect(model, images)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "patch_embed": (2, 4, 16), "tokens": (2, 5, 16),
        "blocks.0.norm1": (2, 5, 16), "blocks.0.attn.q": (2, 2, 5, 8), "blocks.0.attn.k": (2, 2, 5, 8),
        "blocks.0.attn.v": (2, 2, 5, 8), "blocks.0.attn.scores": (2, 2, 5, 5),
        "blocks.0.attn.softmax": (2, 2, 5, 5), "blocks.0.attn.context": (2, 5, 16),
        "blocks.0.attn.proj": (2, 5, 16), "blocks.0.residual1": (2, 5, 16), "blocks.0.norm2": (2, 5, 16),
        "blocks.0.mlp.fc1": (2, 5, 32), "blocks.0.mlp.gelu": (2, 5, 32), "blocks.0.mlp.fc2": (2, 5, 16),
        "blocks.0.residual2": (2, 5, 16), "norm": (2, 16), "head": (2, 10),
    }
    assert tensors["head"].equal(model(images).detach())
    block = model.blocks[0]
    assert tensors["blocks.0.norm1"].equal(block.norm1(tensors["tokens"]).detach())
    scaled = tensors["blocks.0.attn.q"] @ tensors["blocks.0.attn.k"].mT / math.sqrt(8)
    torch.testing.assert_close(tensors["blocks.0.attn.scores"], scaled)
    torch.testing.assert_close(tensors["blocks.0.attn.softmax"].sum(-1), torch.ones(2, 2, 5))


@pytest.mark.parametrize("name", list(collect(VisionTransformer(TINY), torch.zeros(1, 1, 8, 8, dtype=torch.uint8))))
def test_what_a_tap_returns_is_used(name):
    model = randomised(TINY)
    images = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)

    def change(tapped, tensor):
        return tensor + torch.linspace(0, 1, tensor.numel()).reshape(tensor.shape) if tapped == name else tensor

    assert not torch.allclose(model(images, change), model(images))


def test_images_are_checked():
    with pytest.raises(ValueError, match=r"not \[1, 1, 9, 9\]"):
        VisionTransformer(TINY)(torch.zeros(1, 1, 9, 9, dtype=torch.uint8))
