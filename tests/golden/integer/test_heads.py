"""Pruning: masks, the importance behind them, training that keeps them, and quantization that does too."""


import torch
from vitric.golden import digits, quantize
from vitric.golden.integer.heads import without_dead_heads
from vitric.golden.quantization import quantize_with_scales

from tests.golden.pruning.test_masks import pruned
from tests.golden.quantization.quantize_kit import IMAGES


def test_dead_heads_leave_the_integer_model():
    model, _ = pruned("digits", None, [(0, 1), (2, 0), (2, 2)])
    model.blocks[0].attn.proj.weight.data[5] = 0  # an output that no head reaches
    whole = quantize_with_scales(model, IMAGES, method="percentile").model
    less = quantize(model, IMAGES, method="percentile")
    assert [block.attn.num_heads for block in less.blocks] == [2, 3, 1, 3]
    assert [len(block.attn.q.weight) for block in less.blocks] == [32, 48, 16, 48]
    assert [block.attn.num_heads for block in whole.blocks] == [3] * 4
    assert torch.equal(less(digits("test")[:40]), whole(digits("test")[:40]))
    again = without_dead_heads(less)
    assert [block.attn.num_heads for block in again.blocks] == [2, 3, 1, 3]
    model.blocks[1].attn.proj.weight.data[:] = 0
    one = quantize(model, IMAGES, method="percentile")
    assert one.blocks[1].attn.num_heads == 1 and one(IMAGES).shape == (len(IMAGES), 10)
