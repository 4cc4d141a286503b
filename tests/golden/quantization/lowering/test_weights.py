
import pytest
import torch
from vitric.golden.arith import split_signed
from vitric.golden.quantization.codes.maps import (
    NarrowCodes,
)
from vitric.golden.quantization.codes.observers import minmax, mse
from vitric.golden.quantization.lowering.weights import compensated, nearest, rows_of_masks, weight_scales

from tests.golden.quantization.quantize_kit import normal, tensor


def test_weight_scales():
    weight, ones = normal(4, 30) * tensor(1, 10, 0, 1e-9)[:, None], torch.ones(30, dtype=torch.float64)
    codes = NarrowCodes(4, 4)
    channel = weight_scales(weight, codes, minmax, "channel", ones)
    assert channel[0] == pytest.approx(weight[0].abs().max().item() / 7)
    assert channel[2] == channel[1]  # no weights: any scale will do
    assert channel[3] == pytest.approx(channel[1].item() / 4096)  # small ones are kept within reach of the multiplier
    layer = weight_scales(weight, codes, minmax, "layer", ones)
    assert layer.tolist() == [channel[1].item()] * 4
    assert weight_scales(weight * 0, codes, mse, "channel", ones).tolist() == [1.0] * 4
    with pytest.raises(ValueError, match="granularity must be one of 'layer', 'group', 'channel', not 'row'"):
        weight_scales(weight, codes, mse, "row", ones)


def test_groups_of_output_channels_share_a_scale():
    weight, ones = normal(19, 30) * torch.arange(1, 20)[:, None], torch.ones(30, dtype=torch.float64)
    scale = weight_scales(weight, NarrowCodes(4, 4), minmax, "group", ones)
    largest = weight.abs().amax(1)
    wanted = [largest[start:start + 8].max().item() / 7 for start in (0, 8, 16) for _ in range(min(8, 19 - start))]
    assert scale.tolist() == pytest.approx(wanted)


def test_columns_of_equal_importance_keep_their_order():
    """Their moments are sums of floats, which may differ in the last bits."""
    weight, scale, codes = normal(8, 24), torch.full((8,), 0.3, dtype=torch.float64), NarrowCodes(4, 4)
    x = normal(400, 24, seed=1)
    moments = x.T @ x / len(x)
    moments.diagonal().fill_(1.0)
    wanted = compensated(weight, scale, codes, moments)
    moments.diagonal().add_(normal(24, seed=2) * 1e-14)
    assert compensated(weight, scale, codes, moments).equal(wanted)


@pytest.mark.parametrize("codes", [NarrowCodes(4, 4), NarrowCodes(2, 4), NarrowCodes(8, 4)], ids=str)
def test_compensated_rounding_lowers_the_output_error(codes):
    x = normal(400, 24) @ normal(24, 24, seed=1)  # correlated inputs
    weight = normal(8, 24, seed=2)
    moments = x.T @ x / len(x)
    scale = weight_scales(weight, codes, mse, "channel", moments.diagonal())

    def error(rounding):
        integers = rounding(weight, scale, codes, moments)
        split_signed(integers, codes.plane_bits, codes.planes)  # legal
        return ((integers * scale[:, None] - weight) @ x.T).square().sum()

    assert error(compensated) < 0.6 * error(nearest)
    constant = compensated(weight, scale, codes, moments * 0)
    assert torch.equal(constant, nearest(weight, scale, codes, moments))
    diagonal = compensated(weight, scale, codes, torch.eye(24, dtype=torch.float64))
    assert torch.equal(diagonal, nearest(weight, scale, codes, moments))  # nothing to compensate with


def test_rows_with_the_same_zeros_are_found_together(monkeypatch):
    kept = tensor(*[1, 1, 0], *[0, 0, 0], *[0, 1, 1], *[1, 1, 0]).reshape(4, 3) != 0
    assert sorted(rows.tolist() for rows in rows_of_masks(kept)) == [[0, 3], [2]]
    assert rows_of_masks(kept[1:2]) == []
    weight, sizes = normal(500, 6), []  # one weight that happens to be 0 does not give every row a Hessian of its own
    weight[17, 2] = 0
    cholesky = torch.linalg.cholesky

    def counted(x, **options):
        sizes.append(x.shape)
        return cholesky(x, **options)

    monkeypatch.setattr(torch.linalg, "cholesky", counted)
    compensated(weight, weight.abs().amax(1) / 7, NarrowCodes(4, 4), torch.eye(6, dtype=torch.float64))
    assert sorted({tuple(shape) for shape in sizes}) == [(1, 5, 5), (6, 6)]


def test_an_error_reaches_the_columns_of_later_blocks():
    weight = normal(3, 150, seed=1)
    x = normal(400, 150) @ normal(150, 150, seed=2)
    scale, codes, moments = weight.abs().amax(1) / 7, NarrowCodes(4, 4), x.T @ x / 400
    damped = moments + 0.01 * moments.diagonal().mean() * torch.eye(150, dtype=torch.float64)
    order = moments.diagonal().argsort(descending=True, stable=True)
    left, wanted = weight[:, order].clone(), torch.zeros(3, 150, dtype=torch.int64)
    for column in range(150):  # optimal brain surgery on the columns that are left, one inverse each
        inverse = torch.linalg.inv(damped[order][:, order][column:, column:])
        wanted[:, column] = codes.encode(left[:, column], scale, torch.tensor(0))
        error = left[:, column] - wanted[:, column] * scale
        left[:, column:] -= error[:, None] * inverse[0] / inverse[0, 0]
    assert torch.equal(compensated(weight, scale, codes, moments), wanted[:, order.argsort()])
