"""Weights to begin with: attention that looks at what is alike, and positions that resemble their neighbours."""

import pytest
import torch
from vitric.golden.mimetic import mimetic_
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig
from vitric.golden.vit import VisionTransformer

PHOTOS = VIT_CONFIGS["photos"]

pytestmark = pytest.mark.usefixtures("one_thread")


def made(config, seed=0):
    torch.manual_seed(seed)
    return mimetic_(VisionTransformer(config))


def test_products_of_weights_are_units_with_noise():
    embed, head = PHOTOS.embed_dim, PHOTOS.head_dim
    off = ~torch.eye(embed, dtype=torch.bool)
    for block in made(PHOTOS).blocks:
        q, k, v = block.attn.qkv.weight.detach().reshape(3, embed, embed)
        moves = (block.attn.proj.weight.detach() @ v).T  # what a token adds to another, by its channels
        assert -0.5 < moves.diagonal().mean() < -0.3  # 0.4 of identity, negative
        assert abs(moves[off].mean()) < 0.01 and 0.8 < moves[off].std() / (0.4 / embed**0.5) < 1.2
        for begin in range(0, embed, head):
            looks = q[begin:begin + head].T @ k[begin:begin + head]
            assert torch.linalg.matrix_rank(looks) == head
            assert looks.diagonal().mean() > 10 * looks[off].mean().abs()  # the largest of the unit's singular values


def test_a_patch_looks_at_itself_first_and_near_ones_next():
    positions = made(PHOTOS).pos_embed[0, 1:].detach()
    alike = positions @ positions.T
    assert (alike.argmax(dim=1) == torch.arange(64)).all()
    assert alike[27, 28] > alike[27, 31] and alike[27, 35] > alike[27, 59]
    assert alike[27, 28] == alike[27, 35] or torch.isclose(alike[27, 28], alike[27, 35])  # right of it, below it
    assert made(PHOTOS).cls_token.abs().max() < 1e-4  # left as it was


def test_seeds_and_other_sizes():
    first = made(PHOTOS).blocks[0].attn.qkv.weight
    assert first.equal(made(PHOTOS).blocks[0].attn.qkv.weight)
    assert not first.equal(made(PHOTOS, 1).blocks[0].attn.qkv.weight)
    odd = VitConfig(image_size=6, patch_size=3, in_chans=1, num_classes=2, embed_dim=3, depth=1, num_heads=1,
                    distilled=True, mlp_ratio=1.0)
    positions = made(odd).pos_embed
    assert positions.shape == (1, 6, 3) and not positions[0, 2:].any()  # fewer than four channels: none
