import pytest
import torch
from vitric.golden.quantization.codes import rounding_error
from vitric.golden.quantization.codes.books import HIDDEN
from vitric.golden.quantization.codes.maps import BinaryCodes, CentredCodes, NarrowCodes, UnsignedCodes
from vitric.golden.quantization.codes.rounding_error import SortedSamples

from tests.golden.quantization.quantize_kit import normal, tensor

CODES = [UnsignedCodes(4), UnsignedCodes(8), CentredCodes(3), NarrowCodes(4, 4), NarrowCodes(2, 4), NarrowCodes(8, 4),
         NarrowCodes(6, 3), BinaryCodes(2, 4), HIDDEN["adaptive_log"](4, 4)[13]]


@pytest.mark.parametrize("elements", [1 << 22, 1000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("codes", CODES, ids=str)
def test_errors_are_those_of_rounding_each_sample(codes, weighted, elements, monkeypatch):
    monkeypatch.setattr(rounding_error, "_ELEMENTS", elements)  # candidates a few at a time, or all
    x = normal(3, 500) * tensor(1.0, 30.0, 0.1)[:, None] + tensor(0.0, 2.0, 0.3)[:, None]
    weight = normal(3, 500, seed=1).square() if weighted else None
    shares = torch.linspace(1.2, 0.1, 23, dtype=torch.float64)
    scale, zero = codes.fit(x.amin(1)[:, None] * shares, x.amax(1)[:, None] * shares.flip(0))
    each = scale[..., None], zero[..., None]
    rounded = codes.decode(codes.encode(x[:, None], *each), *each)
    wanted = ((rounded - x[:, None]).square() * (1.0 if weight is None else weight[:, None])).sum(2)
    assert torch.allclose(SortedSamples(x, weight).errors(codes, scale, zero), wanted, rtol=1e-9)


@pytest.mark.parametrize("codes", CODES, ids=str)
def test_legal_codes_are_those_that_come_out(codes):
    x = torch.linspace(-300, 300, 6001, dtype=torch.float64)
    found = codes.encode(x, tensor(1.0), torch.tensor(getattr(codes, "zero", 0)))
    assert found.unique().tolist() == codes.legal.tolist()


def test_one_weight_for_all_groups():
    x, weight = normal(2, 50), normal(1, 50, seed=1).square()
    candidates = torch.full((2, 1), 0.2, dtype=torch.float64), torch.full((2, 1), 7)
    errors = SortedSamples(x, weight).errors(UnsignedCodes(4), *candidates)
    assert errors.equal(SortedSamples(x, weight.repeat(2, 1)).errors(UnsignedCodes(4), *candidates))


def test_of_errors_that_differ_in_the_last_bits_alone_the_first_is_taken():
    samples = SortedSamples(normal(2, 1000))
    errors = tensor(5.0, 3.0, 3.0, 4.0) + tensor(0.0, 2e-13, 0.0, 0.0)
    assert samples.first_least(torch.stack([errors, errors.flip(0)])).tolist() == [1, 1]
    assert samples.first_least(tensor(5.0, 3.0001, 3.0, 4.0)[None].repeat(2, 1)).tolist() == [2, 2]
    assert samples.squares.tolist() == pytest.approx([1000, 1000], rel=0.2)
