
import pytest
import torch
from vitric.golden.quantization.codes.maps import (
    CentredCodes,
    NarrowCodes,
    UnsignedCodes,
)
from vitric.golden.quantization.codes.observers import best_percentile, minmax, mse, percentile

from tests.golden.quantization.quantize_kit import normal, tensor


def test_best_percentile_leaves_out_what_costs_less_than_it_saves():
    """An outlier of 20,002 samples: 0.001 % on each side would reach 0.8 of the way to it, 0.01 % leaves it out."""
    even = torch.linspace(0, 1, 20001, dtype=torch.float64)
    x = torch.cat([even, torch.tensor([3.0], dtype=torch.float64)]).repeat(2, 1)
    weight = torch.ones_like(x)
    weight[1, -1] = 1e6  # in the second group it counts more than all the others
    scale, zero = best_percentile(x, UnsignedCodes(4), weight)
    assert (scale * 15).tolist() == pytest.approx([1.0, 1 + 0.8 * 2], rel=2e-3) and zero.tolist() == [0, 0]


def test_minmax_and_percentile():
    x = torch.cat([torch.linspace(-1, 2, 2001, dtype=torch.float64), tensor(50.0, -80.0)])[None]
    assert minmax(x, UnsignedCodes(4))[0].item() == pytest.approx(130 / 15)
    assert percentile(x, UnsignedCodes(4))[0].item() == pytest.approx(3 / 15, rel=0.01)


@pytest.mark.parametrize("codes", [UnsignedCodes(4), UnsignedCodes(3), CentredCodes(4), NarrowCodes(4, 4)], ids=str)
def test_mse_is_near_the_best_range(codes):
    x = normal(2, 1000) * tensor(1.0, 3.0)[:, None] + tensor(0.0, 1.0)[:, None]

    def error(scale, zero):
        real = codes.decode(codes.encode(x, scale[:, None], zero[:, None]), scale[:, None], zero[:, None])
        return (real - x).square().mean(1)

    grid = torch.linspace(0.3, 1.0, 15, dtype=torch.float64)
    best = torch.stack([error(*codes.fit(x.amin(1) * low, x.amax(1) * high)) for low in grid for high in grid])
    found = error(*mse(x, codes))
    assert (found < 1.02 * best.min(0).values).all() and (found < 0.9 * error(*minmax(x, codes))).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_mse_shrinks_each_end_on_its_own(sign):
    body, tail = torch.linspace(0, 1, 990), torch.linspace(-2, 0, 10)
    x = sign * torch.cat([body, tail]).to(torch.float64)
    codes = UnsignedCodes(3)

    def error(scale, zero):
        return (codes.decode(codes.encode(x, scale, zero), scale, zero) - x).square().mean()

    grid = torch.linspace(0.0, 1.0, 41, dtype=torch.float64)
    best = min(error(*codes.fit(x.amin() * low, x.amax() * high)) for low in grid for high in grid)
    assert error(*(p[0] for p in mse(x[None], codes))) < 1.02 * best


def test_mse_follows_importance():
    x = torch.cat([torch.linspace(-1, 1, 500, dtype=torch.float64), tensor(20.0)])[None]
    weights = torch.ones_like(x)
    plain = mse(x, UnsignedCodes(3), weights)[0]
    weights[0, -1] = 0
    assert mse(x, UnsignedCodes(3), weights)[0] < plain / 2
