
import pytest
import torch
from vitric.golden.arith import split_signed
from vitric.golden.quantization.codes.maps import (
    BinaryCodes,
    CentredCodes,
    FittedCodes,
    NarrowCodes,
    UnsignedCodes,
)

from tests.golden.quantization.quantize_kit import tensor


def test_unsigned_codes_cover_the_range_and_zero():
    scale, zero = UnsignedCodes(4).fit(tensor(-1.0, 0.5, -3.0, 0.0), tensor(2.0, 3.0, -1.0, 0.0))
    assert scale.tolist() == pytest.approx([0.2, 0.2, 0.2, 1.0]) and zero.tolist() == [5, 0, 15, 0]
    codes = UnsignedCodes(4).encode(tensor(-9.0, -0.125, 0.124, 0.375, 9.0), tensor(0.25), torch.tensor(5))
    assert codes.tolist() == [0, 5, 5, 7, 15]  # halves up
    assert UnsignedCodes(4).decode(codes, tensor(0.25), torch.tensor(5)).tolist() == [-1.25, 0, 0, 0.5, 2.5]


@pytest.mark.parametrize("noise", [-1e-13, 0.0, 1e-13])
def test_zero_points_of_symmetric_ranges_are_those_of_exact_numbers(noise):
    """The half code between 7 and 8 is no matter of how a float sum is ordered."""
    _, zero = UnsignedCodes(4).fit(tensor(-1.0), tensor(1.0 + noise))
    assert zero.tolist() == [8]


def test_centred_codes():
    scale, zero = CentredCodes(3).fit(tensor(-7.0, -1.0), tensor(1.0, 3.5))
    assert scale.tolist() == [2.0, 1.0] and zero.tolist() == [4, 4]


def test_binary_codes_are_signs():
    codes = BinaryCodes(2, 4)
    assert codes.encode(tensor(-3.0, -1e-9, 0.0, 0.2, 9.0), tensor(0.5), torch.tensor(0)).tolist() == [-1, -1, 1, 1, 1]
    assert (codes.low, codes.high, codes.reach, NarrowCodes(2, 4).reach) == (-1, 1, 1.0, 0.5)


@pytest.mark.parametrize("bits,plane_bits", [(2, 4), (4, 4), (5, 4), (6, 4), (8, 4), (6, 3), (8, 8)])
def test_narrow_codes_are_the_nearest_legal_ones(bits, plane_bits):
    codes = NarrowCodes(bits, plane_bits)
    planes = codes.planes
    legal = []
    for value in range(codes.low, codes.high + 1):
        try:
            split_signed(torch.tensor([value]), plane_bits, planes)
        except OverflowError:
            continue
        legal.append(value)
    x = torch.linspace(codes.low - 2, codes.high + 2, 4001, dtype=torch.float64) + 1e-4
    distance = (x[:, None] - torch.tensor(legal)).abs()
    chosen = codes.encode(x, tensor(1.0), torch.tensor(0))
    assert set(chosen.tolist()) == set(legal)
    assert torch.allclose((x - chosen).abs(), distance.min(1).values)
    scale, zero = codes.fit(tensor(-2.0, 0.0), tensor(1.0, 0.0))
    assert scale.tolist() == pytest.approx([2.0 / codes.high, 1.0]) and zero.tolist() == [0, 0]


def test_rejected_codes():
    with pytest.raises(ValueError, match="bits must be between 2 and 16, not 1"):
        UnsignedCodes(1)
    with pytest.raises(TypeError, match="abstract method fit"):
        FittedCodes(4)
