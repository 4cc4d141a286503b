
import pytest
import torch
from vitric.golden.quantization.codes.channels import free
from vitric.golden.quantization.codes.maps import (
    UnsignedCodes,
)
from vitric.golden.quantization.codes.observers import minmax, mse, percentile
from vitric.golden.quantization.codes.quantity import ENOUGH_FOR_CHANNELS, check_scale, observe

from tests.golden.quantization.quantize_kit import normal, tensor


def test_observed_quantity_per_channel():
    x = normal(500, 6) * tensor(0.01, 1, 5, 0.3, 1, 0) + tensor(3, -40, 0, 7, 0.5, 2)
    make = torch.Generator().manual_seed(0)
    whole = observe("x", x, UnsignedCodes(4), mse, make)
    channel = observe("x", x, UnsignedCodes(4), mse, make, channels=free)
    assert whole.scale.shape == () and whole.offset == 0
    error = (channel.decode(channel.encode(x)) - x).square().mean(0)
    assert (error[:5] < 0.04 * x.var(0)[:5]).all() and error[5] < 1e-3
    assert error.sum() < (whole.decode(whole.encode(x)) - x).square().mean(0).sum() / 10
    assert channel.codes.low <= channel.zero_point <= channel.codes.high


@pytest.mark.parametrize("samples, own", [(ENOUGH_FOR_CHANNELS - 1, False), (ENOUGH_FOR_CHANNELS, True)])
def test_too_few_samples_share_one_range(samples, own):
    x = torch.randn(samples, 1, 3, dtype=torch.float64) * torch.tensor([1.0, 2.0, 4.0])
    found = observe("x", x, UnsignedCodes(4), minmax, torch.Generator(), channels=free)
    assert (found.scale.shape == (3,)) == own and (found.offset.shape == (3,)) == own


def test_observed_quantity_weighs_channels_by_their_size():
    codes = UnsignedCodes(4)
    x = torch.cat([1e-3 * normal(600, 20) ** 9, torch.linspace(-100, 100, 600)[:, None]], dim=1)  # tails; one large
    found = observe("x", x, codes, mse, torch.Generator(), channels=free)

    def error(share):
        step = found.scale * share
        zero = torch.tensor(found.zero_point)
        return (codes.decode(codes.encode(x - found.offset, step, zero), step, zero) + found.offset - x).square().sum()

    assert error(1.0) < 1.05 * min(error(share) for share in torch.linspace(0.5, 1.5, 41).tolist())


def test_observed_quantity_of_a_large_tensor():
    x = normal(300, 1000)
    pair = [observe("x", x, UnsignedCodes(4), percentile, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert pair[0].scale != pair[2].scale  # a sample of it
    assert pair[0].scale == pair[1].scale
    assert pair[0].scale.item() == pytest.approx(pair[2].scale.item(), rel=0.1)
    largest = observe("x", x, UnsignedCodes(8), minmax, torch.Generator())
    assert largest.scale.item() == pytest.approx((x.max() - x.min()).item() / 255)  # the ends are always seen


def test_check_scale():
    assert check_scale("x", tensor(1.0)) == 1
    for bad in (0.0, 1e-40, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="x: the scale underflows or is not finite"):
            check_scale("x", tensor(1.0, bad))
