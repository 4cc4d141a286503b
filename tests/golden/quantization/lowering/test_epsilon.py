"""The integer LayerNorm has no epsilon: a float model's is left out where that does not matter, else refused."""

import copy

import pytest
import torch
from vitric.golden import digits, load_float, quantize
from vitric.golden.quantization.lowering.epsilon import check_epsilon

IMAGES = digits("train")[:16]


def test_a_large_epsilon_is_refused_by_its_name():
    model = copy.deepcopy(load_float("tiny"))
    model.blocks[0].norm2.eps = 1.0  # larger than the variance of the rows
    with pytest.raises(ValueError, match=r"layer_norm_eps must be at most 0\.0\d* .*, not 1: .*blocks\.0\.norm2"):
        quantize(model, IMAGES)


@pytest.mark.parametrize(("codes", "legal", "illegal"), [(60, 8e-6, 9e-6), (2, 3e-4, 4e-4)])
def test_limit_is_the_error_of_rounding(codes, legal, illegal):
    """60 codes per deviation are off by 60 * eps / (2 * 0.03**2): by the rounding's 1 / sqrt(12) at 8.7e-6."""
    x = 0.03 * torch.randn(50, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    check_epsilon("norm", legal, x, codes * torch.nn.functional.layer_norm(x, (64,), eps=legal))
    for eps in (illegal, 1e-3):
        with pytest.raises(ValueError, match=f"layer_norm_eps must be at most .*, not {eps:g}: .* has none") as caught:
            check_epsilon("norm", eps, x, codes * torch.nn.functional.layer_norm(x, (64,), eps=eps))
        named = float(str(caught.value).split()[5])
        check_epsilon("norm", named, x, codes * torch.nn.functional.layer_norm(x, (64,), eps=named))


def test_constant_rows_have_no_part_in_it():
    check_epsilon("norm", 1e-6, torch.full((3, 8), 5.0, dtype=torch.float64), torch.zeros(3, 8, dtype=torch.float64))
