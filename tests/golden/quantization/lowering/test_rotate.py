import copy
import math

import pytest
import torch
from vitric.golden import load_float
from vitric.golden.quantization.lowering.rotate import balance_heads, balancing, mixing
from vitric.golden.vit import collect

from tests.golden.quantization.quantize_kit import IMAGES, normal, tensor


@pytest.mark.parametrize("size", [1, 2, 3, 6, 16, 20])
def test_mixing_is_orthonormal_and_flat(size):
    matrix = mixing(size)
    assert torch.allclose(matrix @ matrix.T, torch.eye(size, dtype=torch.float64), atol=1e-12)
    assert matrix.abs().max() <= math.sqrt(2 / size) + 1e-12
    if size & (size - 1) == 0:
        assert torch.allclose(matrix.abs(), torch.full_like(matrix, size**-0.5))


def test_balancing_equalises_and_lowers_the_error():
    first, second = ((x := normal(200, 8, seed=seed) @ normal(8, 8, seed=seed + 2)).T @ x / 200 for seed in (0, 1))
    forward, backward = balancing(first, second)
    assert torch.allclose(forward.T @ backward, torch.eye(8, dtype=torch.float64), atol=1e-9)
    after = forward @ first @ forward.T, backward @ second @ backward.T
    diagonals = [m.diagonal() for m in after]
    assert all(d.max() < 1.15 * d.min() for d in diagonals)
    assert (diagonals[0] * diagonals[1]).sum() < 0.9 * (first.diagonal() * second.diagonal()).sum()


def test_balancing_does_not_depend_on_the_signs_of_eigenvectors(monkeypatch):
    """LAPACK leaves them open, and CPUs differ."""
    first, second = ((x := normal(200, 8, seed=seed) @ normal(8, 8, seed=seed + 2)).T @ x / 200 for seed in (0, 1))
    wanted = balancing(first, second)
    eigh = torch.linalg.eigh

    def flipped(matrix):
        values, vectors = eigh(matrix)
        return values, vectors * tensor(1, -1, -1, 1, 1, 1, -1, 1)

    monkeypatch.setattr(torch.linalg, "eigh", flipped)
    assert all(one.equal(other) for one, other in zip(balancing(first, second), wanted, strict=True))


def test_balanced_heads_compute_the_same():
    model = load_float("tiny")
    balanced = balance_heads(model, IMAGES)
    before, after = collect(model, IMAGES), collect(balanced, IMAGES)
    assert not torch.allclose(before["blocks.0.attn.q"], after["blocks.0.attn.q"], atol=0.1)
    for name in ("blocks.0.attn.scores", "blocks.0.attn.proj", "head"):
        assert torch.allclose(before[name], after[name], atol=1e-4)
    constant = copy.deepcopy(model)
    with torch.no_grad():
        constant.blocks[0].attn.qkv.weight.zero_()
    assert torch.allclose(balance_heads(constant, IMAGES)(IMAGES), constant(IMAGES), atol=1e-4)
