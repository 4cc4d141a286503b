"""Checkpoints of the families beyond ViT and DeiT: what differs is folded in, and the logits are the library's."""

import json
import re
from functools import partial

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ViTConfig,
    ViTModel,
)
from vitric.golden.pretrained import load_pretrained
from vitric.golden.quantization import quantize

from tests.golden.pretrained_kit import randomised

SMALL = {"img_size": 24, "patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 2, "num_classes": 5}
THEIRS = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 24, "patch_size": 8}
IMAGES = torch.randint(0, 256, (3, 3, 24, 24), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)

TIMM = {  # arguments of timm's class, what config.json says, what the config gets
    "deit3": ({"no_embed_class": True, "init_values": 1e-2}, {}, {}),
    "dinov2": ({"init_values": 1e-2, "num_classes": 0}, {"num_classes": 0}, {"num_classes": 64}),
    "dinov2 with registers": (
        {"init_values": 1e-2, "num_classes": 0, "reg_tokens": 4, "no_embed_class": True},
        {"architecture": "vit_small_patch14_reg4_dinov2", "num_classes": 0,
         "model_args": {"reg_tokens": 4, "no_embed_class": True, "init_values": 1e-2}},
        {"num_classes": 64, "reg_tokens": 4}),
    "registers with positions": ({"reg_tokens": 3}, {}, {"reg_tokens": 3}),
    "quick GELU": ({"act_layer": "quick_gelu"}, {"architecture": "vit_base_patch32_quickgelu"},
                   {"act_layer": "quick_gelu"}),
    "CLIP": ({"pre_norm": True, "act_layer": "quick_gelu"},
             {"architecture": "vit_base_patch32_clip_quickgelu_224", "model_args": {"pre_norm": True}},
             {"pre_norm": True, "act_layer": "quick_gelu", "layer_norm_eps": 1e-5}),
    "tanh GELU": ({"act_layer": "gelu_tanh", "qkv_bias": False}, {"model_args": {"act_layer": "gelu_tanh"}},
                  {"act_layer": "gelu_tanh", "qkv_bias": False}),
}


def check(path, theirs, wanted):
    """Load a checkpoint of a library's model and compare the logits on IMAGES; return what was loaded."""
    found = load_pretrained(path, heads=2)
    assert {name: getattr(found.model.config, name) for name in wanted} == wanted
    with torch.no_grad():
        expected, got = theirs(found.model.normalize(IMAGES)), found.model(IMAGES)
    assert expected.shape == got.shape and expected.abs().max() > 0.5
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)
    return found


@pytest.mark.parametrize("name", TIMM)
def test_timm(name, tmp_path):
    arguments, config, wanted = TIMM[name]
    norm = {"norm_layer": partial(torch.nn.LayerNorm, eps=1e-5)} if "pre_norm" in arguments else {}
    theirs = randomised(VisionTransformer(**SMALL | arguments | norm))
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = check(tmp_path / "model.safetensors", theirs, wanted)
    assert ("64 features of the class token as the result" in found.assumed) == (arguments.get("num_classes") == 0)
    integer = quantize(found.model, IMAGES, w_bits=8, a_bits=8)
    scale = float(integer.info["logit_scale"])
    error = integer(IMAGES) * scale - found.model(IMAGES)
    assert error.square().sum() < 0.02 * found.model(IMAGES).square().sum()


@pytest.mark.parametrize("name", ["deit3_small_patch16_224", "vit_small_patch14_reg4_dinov2", "vit_small_patch16_224"])
def test_state_dicts_of_timms_registry(name, tmp_path):
    theirs = randomised(timm.create_model(name, depth=1, img_size=28 if "14" in name else 32))
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    found = load_pretrained(tmp_path / "model.safetensors")
    images = torch.randint(0, 256, (2, 3, *theirs.patch_embed.img_size), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(found.model(images), theirs(found.model.normalize(images)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("config", "model", "wanted"), [
    (Dinov2Config(**THEIRS, layerscale_value=0.1), Dinov2Model, {"layer_norm_eps": 1e-6}),
    (Dinov2WithRegistersConfig(**THEIRS, num_register_tokens=3), Dinov2WithRegistersModel, {"reg_tokens": 3}),
    (ViTConfig(**THEIRS, intermediate_size=128, hidden_act="gelu_new"), ViTModel, {"act_layer": "gelu_tanh"}),
    (ViTConfig(**THEIRS, intermediate_size=128, hidden_act="quick_gelu"), ViTModel, {"act_layer": "quick_gelu"}),
], ids=["dinov2", "registers", "tanh", "quick"])
@pytest.mark.parametrize("form", ["save_pretrained", "torch"])
def test_hugging_face(config, model, wanted, form, tmp_path):
    theirs = randomised(model(config))
    if form == "save_pretrained":
        theirs.save_pretrained(tmp_path)
        path = tmp_path / "model.safetensors"
    else:
        path = tmp_path / "model.pt"
        torch.save(theirs.state_dict(), path)
        (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    found = check(path, lambda pixels: theirs(pixels).last_hidden_state[:, 0], wanted)
    assert found.assumed[-1] == "64 features of the class token as the result" + (
        ", not the pooler's" if model is ViTModel else "")


CLIP = {**THEIRS, "intermediate_size": 128, "projection_dim": 7}


@pytest.mark.parametrize("kind", ["projection", "features", "with texts"])
@pytest.mark.parametrize("beside", [True, False])
def test_clip(kind, beside, tmp_path):
    """What the image encoder of CLIP answers: its projected class token, or without a projection that itself."""
    config = CLIPVisionConfig(**CLIP, hidden_act="gelu" if not beside else "quick_gelu")
    if kind == "projection":
        theirs = randomised(CLIPVisionModelWithProjection(config))
        wanted = lambda pixels: theirs(pixels).image_embeds  # noqa: E731
    elif kind == "features":
        theirs = randomised(CLIPVisionModel(config))
        wanted = lambda pixels: theirs(pixels).pooler_output  # noqa: E731
    else:
        theirs = randomised(CLIPModel(CLIPConfig(
            vision_config=config.to_dict(), projection_dim=7,
            text_config={"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8})))
        wanted = lambda pixels: theirs.visual_projection(theirs.vision_model(pixels).pooler_output)  # noqa: E731
    theirs.save_pretrained(tmp_path)
    if not beside:
        (tmp_path / "config.json").unlink()
    found = check(tmp_path / "model.safetensors", wanted, {"pre_norm": True, "layer_norm_eps": 1e-5})
    assert ("the image encoder alone" in found.assumed) == (kind == "with texts")
    assert any("features" in one for one in found.assumed) == (kind == "features")
    integer = quantize(found.model, IMAGES, w_bits=8, a_bits=8)
    error = integer(IMAGES) * float(integer.info["logit_scale"]) - found.model(IMAGES)
    assert error.square().sum() < 0.02 * found.model(IMAGES).square().sum()


def test_epsilon_of_dinov2_that_nobody_states(tmp_path):
    torch.save(Dinov2Model(Dinov2Config(**THEIRS)).state_dict(), tmp_path / "model.pt")
    assert load_pretrained(tmp_path / "model.pt").model.config.layer_norm_eps == 1e-6


@pytest.mark.parametrize(("arguments", "message"), [
    ({"qk_norm": True}, r"norms of queries and keys \(.*\), which is not supported: tensor blocks.0.attn.[qk]_norm"),
    ({"global_pool": "avg"}, r"mean pooling before the final norm .*: tensor fc_norm"),
    ({"global_pool": "map"}, r"attention pooling .*: tensor attn_pool"),
    ({"global_pool": "avg", "class_token": False, "fc_norm": False}, "cls_token is missing"),
])
def test_what_is_not_supported_is_named(arguments, message, tmp_path):
    save_file(VisionTransformer(**SMALL | arguments).state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        load_pretrained(tmp_path / "model.safetensors", heads=2)


@pytest.mark.parametrize(("name", "what"), [
    ("eva02_base_patch16_clip_224", "a gated MLP"), ("beit_base_patch16_224", "a relative position bias"),
    ("swin_tiny_patch4_window7_224", "a relative position bias"), ("pit_ti_224", "a convolutional stem"),
    ("vit_tiny_r_s16_p8_224", "a convolutional stem"),
])
def test_other_architectures_of_timm_are_named(name, what, tmp_path):
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in timm.create_model(name).state_dict().items()}
    first = {key: torch.zeros(shape) for key, shape in shapes.items() if not re.search(r"(blocks|layers)\.[1-9]", key)}
    save_file(first, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=f"model.safetensors has {what} .*, which is not supported: tensor "):
        load_pretrained(tmp_path / "model.safetensors")


def test_a_head_on_class_token_and_patches(tmp_path):
    Dinov2ForImageClassification(Dinov2Config(**THEIRS)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="head.weight reads the class token and the mean of the patches"):
        load_pretrained(tmp_path / "model.safetensors")
