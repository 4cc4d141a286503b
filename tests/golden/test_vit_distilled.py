"""The distillation token from the float model through quantization: tokens, heads, every tensor."""

import pytest
import torch
from vitric.golden.integer.storage import load_integer, save_integer
from vitric.golden.quantization import quantize_with_scales, reference, simulate
from vitric.golden.spec.vit import VitConfig
from vitric.golden.vit import VisionTransformer

CONFIG = VitConfig(image_size=8, patch_size=4, in_chans=1, num_classes=5, embed_dim=16, depth=2, num_heads=2,
                   mlp_ratio=2.0, distilled=True)
IMAGES = torch.randint(0, 256, (48, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = VisionTransformer(CONFIG)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


@pytest.fixture(scope="module")
def lowered(model):
    return quantize_with_scales(model, IMAGES[:24], w_bits=8, a_bits=8)


def decibels(wanted, got):
    return 10 * float(torch.log10(wanted.square().sum() / (wanted - got).square().sum()))


def test_float_model_by_hand(model):
    """Class token, distillation token, patches; logits are the mean of two heads (Touvron et al. 2021, section 4)."""
    assert CONFIG.num_tokens == 6 and model.pos_embed.shape == (1, 6, 16)
    with torch.no_grad():
        x = model.patch_embed(model.normalize(IMAGES))
        first = [token.expand(len(x), -1, -1) for token in (model.cls_token, model.dist_token)]
        x = torch.cat([*first, x], dim=1) + model.pos_embed
        for block in model.blocks:
            x = block(x)
        x = model.norm(x)
        torch.testing.assert_close(model(IMAGES), (model.head(x[:, 0]) + model.head_dist(x[:, 1])) / 2)


def test_every_tensor_stands_for_the_float_models(lowered):
    trace, others = {}, IMAGES[24:]
    lowered.model(others, trace, every_token=True)
    real, wanted, simulated = lowered.decode(trace), reference(lowered, others), simulate(lowered, others)
    assert wanted["norm"].shape == (24, 2, 16) and wanted["head"].shape == (24, 1, 5)
    for name in wanted:
        assert decibels(wanted[name], real[name]) > 20, name
        assert decibels(wanted[name], simulated[name]) > 20, name


def test_file_keeps_the_second_head(lowered, tmp_path):
    save_integer(lowered.model, tmp_path / "model.safetensors")
    loaded = load_integer(tmp_path / "model.safetensors")
    assert loaded.config.distilled and loaded.head.weight.shape == (5, 32)
    assert loaded(IMAGES).equal(lowered.model(IMAGES))
