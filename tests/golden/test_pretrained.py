"""Checkpoints of others: the same logits as `transformers`, timm's names, and every file that is none of them."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    ViTConfig,
    ViTForImageClassification,
)
from vitric.golden.checkpoint import MODELS, load_float, save_float
from vitric.golden.pretrained import STATISTICS, load_pretrained
from vitric.golden.spec.vit import VitConfig
from vitric.golden.vit import VisionTransformer

from tests.golden.pretrained_kit import randomised

SHAPE = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256,
         "image_size": 32, "patch_size": 8, "num_labels": 7}
DISTILLED = VitConfig(image_size=16, patch_size=4, in_chans=3, num_classes=6, embed_dim=64, depth=2, num_heads=1,
                      distilled=True, mean=STATISTICS["imagenet"][0], std=STATISTICS["imagenet"][1])


@pytest.fixture(scope="module")
def theirs():
    return {"vit": randomised(ViTForImageClassification(ViTConfig(**SHAPE))),
            "no_bias": randomised(ViTForImageClassification(ViTConfig(**SHAPE, qkv_bias=False))),
            "deit": randomised(DeiTForImageClassificationWithTeacher(DeiTConfig(**SHAPE)))}


@pytest.fixture
def distilled():
    torch.manual_seed(2)
    return randomised(VisionTransformer(DISTILLED))


@pytest.mark.parametrize("name", ["vit", "no_bias", "deit"])
@pytest.mark.parametrize("form", ["save_pretrained", "torch"])
def test_logits_are_those_of_transformers(theirs, name, form, tmp_path):
    model = theirs[name]
    if form == "save_pretrained":  # the names of the hub, and a config.json
        model.save_pretrained(tmp_path)
        result = load_pretrained(tmp_path / "model.safetensors")
    else:  # the names in memory
        torch.save({"model": model.state_dict(), "epoch": 3}, tmp_path / "model.pth")
        result = load_pretrained(tmp_path / "model.pth", heads=4)
    assert result.kind == "hugging face" and result.assumed == ("the pixels' statistics of ImageNet",)
    config = result.model.config
    assert (config.num_heads, config.depth, config.hidden_dim, config.num_classes) == (4, 2, 256, 7)
    assert config.distilled == (name == "deit") and config.qkv_bias == (name != "no_bias")
    images = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    with torch.no_grad():
        wanted = model(pixel_values=result.model.normalize(images)).logits
        got = result.model(images)
    assert wanted.abs().max() > 1
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-4)


def test_the_two_heads_of_deit_are_told_apart(theirs, tmp_path):
    theirs["deit"].save_pretrained(tmp_path)
    model = load_pretrained(tmp_path / "model.safetensors").model
    assert model.head.weight.equal(theirs["deit"].cls_classifier.weight)
    assert model.head_dist.weight.equal(theirs["deit"].distillation_classifier.weight)
    assert model.dist_token.equal(theirs["deit"].deit.embeddings.distillation_token)


def test_timm_names_and_shapes(distilled, tmp_path):
    path = tmp_path / "deit_tiny_distilled_patch16_224.safetensors"
    save_file(distilled.state_dict(), path)
    result = load_pretrained(path)
    assert result.kind == "timm" and result.model.config == DISTILLED and not result.model.training
    assert result.assumed == ("1 heads", "the pixels' statistics of ImageNet")
    assert result.transform.image_size == 16 and result.transform.resize is None
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert result.model(images).equal(distilled(images))
    assert load_pretrained(path, heads=2, statistics="half").model.config.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.model."])
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_prefixes_of_wrappers(distilled, tmp_path, name, prefix):
    """Of DistributedDataParallel, torch.compile and Lightning, in both kinds of file, with either kind of names."""
    state = {f"{prefix}{key}": value for key, value in distilled.state_dict().items()}
    (save_file if name.endswith("s") else torch.save)(state, tmp_path / name)
    assert load_pretrained(tmp_path / name).model.head_dist.weight.equal(distilled.head_dist.weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_weights_of_other_types_become_float32(distilled, tmp_path, dtype):
    save_file({key: value.to(dtype) for key, value in distilled.state_dict().items()}, tmp_path / "model.safetensors")
    result = load_pretrained(tmp_path / "model.safetensors")
    assert result.assumed[-1] == f"float32 for weights of {str(dtype)[6:]}"
    assert result.model.head.weight.equal(distilled.head.weight.to(dtype).to(torch.float32))


def test_names_of_timms_distilled_deit():
    names = VisionTransformer(DISTILLED).state_dict()
    assert {name: tuple(names[name].shape) for name in ("dist_token", "pos_embed", "head.weight", "head_dist.weight",
                                                        "head_dist.bias")} == {
        "dist_token": (1, 1, 64), "pos_embed": (1, 18, 64), "head.weight": (6, 64), "head_dist.weight": (6, 64),
        "head_dist.bias": (6,)}
    assert sum(tensor.numel() for tensor in names.values()) == DISTILLED.num_parameters
    base = VitConfig(image_size=224, patch_size=16, in_chans=3, num_classes=1000, embed_dim=192, depth=12, num_heads=3,
                     distilled=True)
    assert base.num_parameters == 5_910_800  # as timm states for deit_tiny_distilled_patch16_224


def test_files_beside_the_checkpoint(distilled, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(distilled.state_dict(), path)
    (tmp_path / "config.json").write_text(json.dumps({
        "architecture": "vit_small", "num_classes": 6, "model_args": {"num_heads": 2},
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "crop_pct": 0.875,
                           "interpolation": "bilinear"}}))
    result = load_pretrained(path)
    assert result.assumed == () and result.model.config.num_heads == 2
    assert result.model.config.mean == (0.1, 0.2, 0.3) and result.model.config.std == (0.4, 0.5, 0.6)
    assert (result.transform.resize, result.transform.interpolation) == (18, "bilinear")  # floor(16 / 0.875)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "deit", "num_attention_heads": 4}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_center_crop": True, "resample": 2,
        "size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}}))
    result = load_pretrained(path)
    assert result.model.config.num_heads == 4 and result.model.config.mean == (0.5, 0.5, 0.5)
    assert (result.transform.resize, result.transform.interpolation, result.transform.squash) == (20, "bilinear", False)


@pytest.mark.parametrize(("content", "message"), [
    ("[1]", "must hold a JSON object, not list"), ("{", "is not a JSON file"),
    ('{"model_type": "swin"}', r"model_type in .* must be one of 'vit', 'deit', 'dinov2', .* not 'swin'"),
    ('{"model_type": "vit", "hidden_act": "silu"}', "hidden_act in .* 'gelu_new', not 'silu'"),
    ('{"model_type": "vit", "hidden_size": 768}', "hidden_size is 768, the tensors have 64"),
    ('{"model_type": "vit", "num_hidden_layers": 12}', "num_hidden_layers is 12, the tensors have 2"),
])
def test_bad_config_beside(distilled, tmp_path, content, message):
    save_file(distilled.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_pretrained(tmp_path / "model.safetensors")


def test_our_own_files_keep_their_config(tmp_path):
    result = load_pretrained(MODELS / "digits.safetensors")
    assert result.kind == "vitric" and result.model.config == load_float("digits").config
    assert result.transform.in_chans == 1 and result.assumed == ()
    for own in ({"heads": 3}, {"statistics": "half"}):
        with pytest.raises(ValueError, match="heads, statistics and image_size are for checkpoints of others"):
            load_pretrained(MODELS / "digits.safetensors", **own)
    save_float(result.model, tmp_path / "own.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "own.safetensors").read_bytes()[:-5])
    with pytest.raises(ValueError, match="cut.safetensors is not a complete safetensors file"):
        load_pretrained(tmp_path / "cut.safetensors")
    labels = [str(number) for number in range(10)]
    save_float(result.model, tmp_path / "labels.safetensors", {"labels": labels})
    assert load_pretrained(tmp_path / "labels.safetensors").labels == tuple(labels) and result.labels is None
    for wrong in (labels[1:], list(range(10)), "0123456789"):
        save_float(result.model, tmp_path / "labels.safetensors", {"labels": wrong})
        with pytest.raises(ValueError, match="labels of checkpoint .*labels.safetensors must be 10 names, not "):
            load_pretrained(tmp_path / "labels.safetensors")


def broken(state, change):
    state = {name: tensor.clone() for name, tensor in state.items()}
    change(state)
    return state


@pytest.mark.parametrize(("change", "message"), [
    (lambda s: s.pop("blocks.1.attn.proj.weight"), r"missing blocks\.1\.attn\.proj\.weight \[64, 64\]"),
    (lambda s: s.update({"blocks.0.ls3.gamma": torch.ones(64)}), r"unknown blocks\.0\.ls3\.gamma"),
    (lambda s: s.update({"blocks.1.mlp.fc2.weight": torch.ones(64, 128)}),
     r"blocks\.1\.mlp\.fc2\.weight must be \[64, 256\], not \[64, 128\]"),
    (lambda s: s["head.weight"].fill_(float("nan")), r"head\.weight must hold finite floating-point numbers"),
    (lambda s: s.update({"norm.bias": torch.zeros(64, dtype=torch.int64)}), r"norm\.bias must hold finite floating"),
    (lambda s: s.pop("head_dist.weight"), r"missing head_dist\.weight \[6, 64\]"),
    (lambda s: s.pop("dist_token"), "square number of patches and 1 more tokens, not 18 tokens"),
    (lambda s: s.pop("cls_token"), "cls_token is missing"),
    (lambda s: s.update({"head.weight": torch.ones(6)}), r"head\.weight has shape \[6\]"),
    (lambda s: s.update({"patch_embed.proj.weight": torch.ones(0, 3, 4, 4)}), r"proj\.weight has shape \[0, 3, 4, 4\]"),
])
def test_tensors_that_do_not_fit_are_named(distilled, tmp_path, change, message):
    save_file(broken(distilled.state_dict(), change), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=f"model.safetensors.*{message}"):
        load_pretrained(tmp_path / "model.safetensors")


@pytest.mark.parametrize("names", [
    ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"),  # ResNet
    ("patch_embed.proj.weight", "network.0.attn.qkv.weight", "head.fc.weight"),
    (),
])
def test_another_architecture(tmp_path, names):
    save_file({name: torch.zeros(4, 3, 2, 2) for name in names}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="is not a ViT or DeiT .*cls_token is missing; pos_embed is missing") as caught:
        load_pretrained(tmp_path / "model.safetensors")
    assert f"It holds {len(names)} tensors" in str(caught.value)
    assert all(f"{name} [4, 3, 2, 2]" in str(caught.value) for name in names)


def test_heads_that_nobody_states(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(load_float("digits").state_dict(), path)
    with pytest.raises(ValueError, match="how many attention heads it has: give them .*a divisor of 48"):
        load_pretrained(path)
    assert load_pretrained(path, heads=3).model.config.num_heads == 3
    with pytest.raises(ValueError, match="heads must be between 1 and 48, not 0"):
        load_pretrained(path, heads=0)
    with pytest.raises(ValueError, match="multiple of num_heads, not 48 with 5 heads"):
        load_pretrained(path, heads=5)
    with pytest.raises(ValueError, match="statistics must be one of 'imagenet', 'half', 'clip', not 'zero'"):
        load_pretrained(path, heads=3, statistics="zero")


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.pth does not exist"):
        load_pretrained(tmp_path / "none.pth")
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"must be named \*\.safetensors, \*\.bin, \*\.pt, \*\.pth, not"):
        load_pretrained(path)
    path = tmp_path / "model.pth"
    path.write_bytes(b"no pickle")
    with pytest.raises(ValueError, match="cannot be read as tensors alone"):
        load_pretrained(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(ValueError, match="must hold a state dict"):
        load_pretrained(path)
    for tensor in (torch.eye(2).to_sparse(), torch.empty(2, device="meta")):
        torch.save({"weight": tensor}, path)
        with pytest.raises(ValueError, match="must hold a state dict, dense tensors by name"):
            load_pretrained(path)
    torch.save({1: torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="must hold a state dict"):
        load_pretrained(path)
    torch.save([torch.zeros(2)], path)
    with pytest.raises(ValueError, match="must hold a state dict"):
        load_pretrained(path)
