"""Images of another size than the checkpoint's: positions as timm resamples them, pictures prepared in proportion."""

import json

import pytest
import torch
from safetensors.torch import save_file
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from vitric.golden.checkpoint import MODELS
from vitric.golden.pretrained import load_pretrained

from tests.golden.pretrained_kit import randomised

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 1, "num_heads": 1, "num_classes": 5}


@pytest.fixture
def path(tmp_path):
    save_file(randomised(VisionTransformer(**SMALL)).state_dict(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("size", [16, 48, 32])
def test_logits_are_those_of_timm(path, size):
    theirs = randomised(VisionTransformer(**SMALL))
    resampled = resample_abs_pos_embed(theirs.pos_embed, [size // 8, size // 8])
    other = VisionTransformer(**SMALL | {"img_size": size})
    other.load_state_dict(theirs.state_dict() | {"pos_embed": resampled})
    found = load_pretrained(path, image_size=size)
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(
            found.model(images), other.eval()(found.model.normalize(images)), rtol=0, atol=1e-4)
    assert found.transform.image_size == found.model.config.image_size == size and not found.model.training


def test_pictures_are_prepared_in_proportion(path):
    (path.parent / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 18}, "crop_size": 16}))
    with pytest.raises(ValueError, match="crop_size in .* must be the model's image size, 32, not 16; with "
                                         r"image_size \(--image-size\) 16 the position embedding is resampled"):
        load_pretrained(path)
    assert load_pretrained(path, image_size=16).transform.resize == 18
    assert load_pretrained(path, image_size=64).transform.resize == 72
    (path.parent / "preprocessor_config.json").unlink()
    (path.parent / "config.json").write_text(json.dumps({
        "architecture": "vit", "pretrained_cfg": {"input_size": [3, 32, 32], "crop_pct": 0.5}}))
    assert load_pretrained(path, image_size=16).transform.resize == 32


@pytest.mark.parametrize(("size", "message"), [
    (20, "image_size must be a multiple of patch_size, 8, not 20"), (2048, "image_size must be between 1 and 1024"),
])
def test_rejected(path, size, message):
    with pytest.raises(ValueError, match=message):
        load_pretrained(path, image_size=size)


def test_our_own_files_keep_their_size():
    with pytest.raises(ValueError, match="image_size are for checkpoints of others"):
        load_pretrained(MODELS / "digits.safetensors", image_size=16)
