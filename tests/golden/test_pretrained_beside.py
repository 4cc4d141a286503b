"""Files beside a checkpoint: every field that changes the result is honoured, or refused by its name."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import ViTConfig, ViTForImageClassification
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
from vitric.golden.pretrained import load_pretrained
from vitric.golden.spec.vit import VitConfig
from vitric.golden.vit import VisionTransformer

CONFIG = VitConfig(image_size=16, patch_size=8, in_chans=3, num_classes=3, embed_dim=64, depth=1, num_heads=1,
                   mlp_ratio=1.0)


def timm(pretrained_cfg):
    return {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": pretrained_cfg}


@pytest.fixture
def load(tmp_path):
    """Return what loads a checkpoint of CONFIG with these contents of ``config.json`` and the preprocessor's file."""
    torch.manual_seed(1)
    save_file(VisionTransformer(CONFIG).state_dict(), tmp_path / "model.safetensors")

    def load(config=None, preprocessor=None):
        for name, values in (("config.json", config), ("preprocessor_config.json", preprocessor)):
            (tmp_path / name).unlink(missing_ok=True)
            if values is not None:
                (tmp_path / name).write_text(json.dumps(values))
        return load_pretrained(tmp_path / "model.safetensors")

    return load


@pytest.mark.parametrize("processor", [
    CLIPImageProcessorPil(size={"shortest_edge": 19}, crop_size={"height": 16, "width": 16}),
    ViTImageProcessorPil(size={"height": 16, "width": 16}),
    ViTImageProcessorPil(size={"height": 16, "width": 16}, resample=1, do_normalize=False),
    DeiTImageProcessorPil(size={"height": 21, "width": 21}, crop_size={"height": 16, "width": 16}),
    DeiTImageProcessorPil(size={"shortest_edge": 19}, crop_size={"height": 16, "width": 16},
                          image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]),
])
def test_images_are_those_of_the_processor(load, processor, tmp_path):
    """From the file to the normalised image, all of it: what their class makes, after it was saved and read here."""
    load()
    processor.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path / "model.safetensors")
    pixels = np.random.default_rng(1).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    got = found.model.normalize(found.transform(tmp_path / "a.png")[None])[0]
    wanted = torch.tensor(processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0])
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_every_size_of_a_preprocessor_is_taken_as_it_is(load):
    """With ``floor(16 / (16 / side))`` the first five would be one pixel off."""
    for side in (93, 99, 105, 117, 123, 256):
        found = load(None, {"size": side, "crop_size": 16, "do_center_crop": True})
        assert (found.transform.resize, found.transform.squash) == (side, True)
    found = load(None, {"image_processor_type": "DeiTFeatureExtractor", "crop_size": 16})
    transform = found.transform
    assert (transform.resize, transform.interpolation, transform.centre_down) == (256, "bicubic", True)
    found = load(None, {"size": 16})
    assert (found.transform.resize, found.transform.interpolation) == (16, "bilinear")


def test_timms_pretrained_cfg(load):
    found = load(timm({"input_size": [3, 16, 16], "crop_mode": "squash", "crop_pct": 0.95,
                                     "interpolation": "lanczos"}))
    assert (found.transform.resize, found.transform.squash, found.transform.interpolation) == (16, True, "lanczos")
    assert load(timm({"mean": [0.5] * 3, "std": [0.5] * 3})).transform.resize == 18  # timm's 0.875
    assert load({"architecture": "vit", "mean": [0.4], "std": [0.5]}).model.config.mean == (0.4,)  # an older file
    found = load(timm({"input_size": [3, 224, 224]}) | {"model_args": {"img_size": 16, "num_heads": 2}})
    assert found.model.config.num_heads == 2 and found.transform.image_size == 16


def test_epsilon_is_the_checkpoints(tmp_path):
    theirs = ViTForImageClassification(ViTConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=8,
        num_labels=64, layer_norm_eps=1e-3)).eval()
    theirs.save_pretrained(tmp_path)
    ours = load_pretrained(tmp_path / "model.safetensors").model
    assert ours.config.layer_norm_eps == 1e-3
    images = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        got, wanted = ours(images), theirs(pixel_values=ours.normalize(images)).logits
        far = load_pretrained(tmp_path / "model.safetensors").model
        for norm in (module for module in far.modules() if isinstance(module, torch.nn.LayerNorm)):
            norm.eps = 1e-6
        assert (far(images) - wanted).abs().max() > 0.01  # such weights tell the epsilons apart
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_epsilon_that_nobody_states(load, tmp_path):
    assert load().model.config.layer_norm_eps == 1e-6
    ViTForImageClassification(ViTConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64,
        image_size=16, patch_size=8)).save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    assert load_pretrained(tmp_path / "model.safetensors").model.config.layer_norm_eps == 1e-12


def test_labels(load):
    assert load().labels is None and load({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}).labels is None
    assert load({"model_type": "vit", "id2label": {"0": "dog", "2": "eel", "1": "cat"}}).labels == ("dog", "cat", "eel")
    assert load({"architecture": "vit_small", "label_names": ["dog", "cat", "eel"]}).labels == ("dog", "cat", "eel")


@pytest.mark.parametrize(("config", "message"), [
    ({"image_size": [16, 64]}, r"image_size in .*config.json must be the side of a square, not \[16, 64\]"),
    ({"image_size": 32}, "belongs to another model: its image_size is 32, the tensors have 16"),
    ({"patch_size": [4, 4]}, "its patch_size is 4, the tensors have 8"),
    ({"num_channels": 1}, "its num_channels is 1, the tensors have 3"),
    ({"num_classes": 1000}, "its num_classes is 1000, the tensors have 3"),
    ({"id2label": {"0": "dog", "1": "cat"}}, "it has names for 2 classes, the tensors have 3"),
    ({"id2label": {"0": "dog", "2": "cat"}}, "id2label in .* must be a list of texts, or an object with one for each"),
    ({"num_attention_heads": "12"}, "num_attention_heads in .* must be an integer above 0, not '12'"),
    ({"layer_norm_eps": "small"}, "layer_norm_eps in .* must be a number, not 'small'"),
    ({"layer_norm_eps": 0}, "layer_norm_eps must be above 0 and at most 1, not 0"),
    ({"hidden_act": "silu"}, "hidden_act in .* must be one of 'gelu', 'quick_gelu', 'gelu_tanh', .* not 'silu'"),
    ({"global_pool": "avg"}, "global_pool in .*config.json must be one of 'token', not 'avg'"),
    ({"model_args": {"global_pool": "avg"}}, "global_pool in model_args of .* must be one of 'token', not 'avg'"),
    ({"model_args": {"act_layer": "silu"}}, "act_layer in model_args of .* must be one of 'gelu'"),
    ({"model_args": {"norm_layer": "rmsnorm"}}, "norm_layer in model_args of .* is not supported; supported are "),
    ({"model_args": [1]}, r"model_args in .* must be an object, not \[1\]"),
    (timm({"crop_mode": "border"}), "crop_mode in pretrained_cfg of .* 'center', 'squash', not 'border'"),
    (timm({"interpolation": "random"}), "interpolation in pretrained_cfg of .* not 'random'"),
    (timm({"input_size": [3, 16, 64]}), "input_size in pretrained_cfg of .* image size, 16, not 64"),
    (timm({"input_size": 16}), "input_size in pretrained_cfg of .* channels, height and width, not 16"),
    (timm({"crop_pct": 2}), "crop_pct must be above 0 and at most 1, not 2"),
    (timm({"mean": "high"}), "mean in pretrained_cfg of .* must be a list of numbers, not 'high'"),
])
def test_refused_fields_of_the_config(load, config, message):
    with pytest.raises(ValueError, match=message):
        load(config)


@pytest.mark.parametrize(("preprocessor", "message"), [
    ({"size": 224}, "size in .*preprocessor_config.json must be the model's image size, 16, not 224"),
    ({"size": {"height": 16, "width": 32}}, "size in .* must be the side of a square, not {'height': 16, 'width': 32}"),
    ({"size": {"shortest_edge": 20, "longest_edge": 40}}, "size in .* must be the side of a square, not {'shorte"),
    ({"size": {"shortest_edge": 16}}, "do_center_crop in .* must be True where size is a shortest_edge"),
    ({"size": 20, "crop_size": 18, "do_center_crop": True}, "crop_size in .* the model's image size, 16, not 18"),
    ({"size": 14, "crop_size": 16, "do_center_crop": True}, "crop_size in .* must be at most size, 14, not 16"),
    ({"size": 16, "resample": 17}, "resample in .* must be one of 0, "),
    ({"size": 16, "do_resize": False}, "do_resize in .* must be one of True, not False"),
    ({"size": 16, "do_rescale": False}, "do_rescale in .* must be one of True, not False"),
    ({"size": 16, "rescale_factor": 1 / 127.5}, "rescale_factor in .* must be 1/255, not 0.0078"),
    ({"size": 16, "do_flip_channel_order": True}, "do_flip_channel_order in .* must be one of False, not True"),
    ({"size": 16, "image_processor_type": "ConvNextImageProcessor"}, "image_processor_type in .* 'ViTImageProcessor'"),
])
def test_refused_fields_of_the_preprocessor(load, preprocessor, message):
    with pytest.raises(ValueError, match=message):
        load(None, preprocessor)


def test_without_normalisation_pixels_are_only_divided(load):
    half = [0.5] * 3
    config = load(None, {"size": 16, "do_normalize": False, "image_mean": half, "image_std": half}).model.config
    assert (config.mean, config.std) == ((0.0,), (1.0,))


def test_json_that_is_nested_deeply(load, tmp_path):
    load()
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="config.json is not a JSON file: its values are nested too deeply"):
        load_pretrained(tmp_path / "model.safetensors")
