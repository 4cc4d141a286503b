from contextlib import contextmanager
from fractions import Fraction
from math import floor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from vitric.golden import arith

seeded = settings(deadline=None, derandomize=True, max_examples=100)


def signed(bits):
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


def tensors(elements, size=8):
    return st.lists(elements, min_size=1, max_size=size).map(torch.tensor)


# Integer types and ranges


def test_only_integers():
    for bad in (torch.tensor([1.0]), torch.tensor([1], dtype=torch.int8), torch.tensor([True]), [1], 1):
        with pytest.raises(TypeError, match="x must be an int32 or int64 tensor, not"):
            arith.round_shift(bad, 1)
        with pytest.raises(TypeError, match="^code must be"):
            arith.split_unsigned(bad, 4, 1)
    arith.assert_integer(a=torch.tensor([1]), b=torch.tensor([1], dtype=torch.int32))
    with pytest.raises(TypeError, match="^b must be"):
        arith.assert_integer(a=torch.tensor([1]), b=torch.tensor([1.0]))


def test_lookup():
    table = torch.tensor([3, 1, 4, 1])
    assert arith.lookup(table, torch.tensor([[0, 3], [2, 1]])).tolist() == [[3, 1], [4, 1]]
    assert arith.lookup(table, torch.empty(0, dtype=torch.int64)).tolist() == []
    for index in (-1, 4):  # nothing wraps
        with pytest.raises(RuntimeError, match="out of bounds"):
            arith.lookup(table, torch.tensor([index]))


@pytest.mark.parametrize("low,high,bits,is_signed", [(-8, 7, 4, True), (0, 15, 4, False), (-1, 0, 1, True)])
def test_assert_fits(low, high, bits, is_signed):
    x = torch.tensor([low, high])
    assert arith.assert_fits("x", x, bits, signed=is_signed) is x
    assert arith.assert_fits("x", x[:0], bits, signed=is_signed).numel() == 0
    for outside in (low - 1, high + 1):
        with pytest.raises(OverflowError, match=f"x holds values .* outside the {low}..{high}"):
            arith.assert_fits("x", torch.tensor([outside, 0]), bits, signed=is_signed)


# Rounding and saturation


@seeded
@given(tensors(signed(48)), st.integers(0, 47))
def test_round_shift_is_half_up(x, shift):
    wanted = [floor(Fraction(value, 1 << shift) + Fraction(1, 2)) for value in x.tolist()]
    assert arith.round_shift(x, shift).tolist() == wanted


def test_round_shift_hand_vector():
    x = torch.tensor([-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7])
    assert arith.round_shift(x, 2).tolist() == [-2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert arith.round_shift(x, 0).tolist() == x.tolist()
    assert arith.round_shift(torch.tensor([[7, 7, 7]]), torch.tensor([0, 1, 4])).tolist() == [[7, 4, 0]]
    with pytest.raises(ValueError, match="shift must not be negative, not -1"):
        arith.round_shift(x, torch.tensor([2, -1])[:, None])


@seeded
@given(tensors(signed(20)), signed(10), signed(10))
def test_saturate(x, first, second):
    low, high = sorted((first, second))
    assert arith.saturate(x, low, high).tolist() == [min(max(value, low), high) for value in x.tolist()]


# Requantization


@seeded
@given(tensors(signed(32)), signed(32), st.integers(0, (1 << 16) - 1), st.integers(0, 47), st.data())
def test_requantize_is_the_rounded_quotient(acc, bias, multiplier, shift, data):
    low, zero_point, high = sorted(data.draw(signed(17)) for _ in range(3))
    y = arith.requantize(
        acc, torch.tensor(bias), torch.tensor(multiplier), torch.tensor(shift),
        zero_point=zero_point, low=low, high=high)
    for value, code in zip(acc.tolist(), y.tolist(), strict=True):
        exact = Fraction((value + bias) * multiplier, 1 << shift)
        assert code == min(max(floor(exact + Fraction(1, 2)) + zero_point, low), high)


def test_requantize_hand_vector_and_broadcast():
    acc = torch.tensor([[100, -100], [3, 5]], dtype=torch.int32)
    y = arith.requantize(
        acc, torch.tensor([10, 0]), torch.tensor([3, 1]), torch.tensor([2, 1]), zero_point=4, low=0, high=80)
    # (110*3)/4 = 82.5 -> 83 + 4 -> 80;  -50 + 4 -> 0;  39/4 = 9.75 -> 10 + 4;  2.5 -> 3 + 4
    assert y.tolist() == [[80, 0], [14, 7]]
    assert y.dtype == torch.int64


def test_requantize_does_not_wrap_int32():
    top = torch.tensor([(1 << 31) - 1, -(1 << 31)], dtype=torch.int32)
    one = torch.tensor(1, dtype=torch.int32)
    y = arith.requantize(top, top, one * 0xFFFF, one * 0, zero_point=0, low=-(1 << 50), high=1 << 50)
    assert y.tolist() == [((1 << 32) - 2) * 0xFFFF, -(1 << 32) * 0xFFFF]


# Matrix products


@pytest.mark.parametrize("bits,terms", [(4, 8), (8, 64), (16, 100)])
def test_integer_matmul(bits, terms):
    generator = torch.Generator().manual_seed(bits)
    limit = 1 << bits - 1
    a = torch.randint(-limit, limit, (3, 5, terms), generator=generator)
    b = torch.randint(-limit, limit, (terms, 7), generator=generator, dtype=torch.int32)
    y = arith.integer_matmul(a, b, bound=limit * limit * terms)
    assert y.dtype == torch.int64
    assert torch.equal(y, a @ b.to(torch.int64))


@pytest.mark.parametrize("bound,inside", [((1 << 24) - 1, 1 << 23), (1 << 24, (1 << 24) + 1), ((1 << 53) - 1, 1 << 52)])
def test_integer_matmul_is_exact_at_its_bounds(bound, inside):
    a = torch.tensor([[inside, -1]])
    b = torch.tensor([[1], [1]])
    assert arith.integer_matmul(a, b, bound=bound).item() == inside - 1


class _Products(TorchDispatchMode):
    """Keeps the types that matrix products ran in."""

    def __init__(self):
        super().__init__()
        self.types = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm):
            self.types.append(args[0].dtype)
        return function(*args, **kwargs or {})


@contextmanager
def _setting(owner, value):
    before = owner.fp32_precision
    owner.fp32_precision = value
    try:
        yield
    finally:
        owner.fp32_precision = before


COARSE = {
    "all backends": lambda: _setting(torch.backends, "bf16"),
    "CPU": lambda: _setting(torch.backends.mkldnn, "bf16"),
    "products on the CPU": lambda: _setting(torch.backends.mkldnn.matmul, "tf32"),  # also "medium" and "high" precision
    "products on a GPU": lambda: _setting(torch.backends.cuda.matmul, "tf32"),  # also allow_tf32
}


@pytest.mark.parametrize("coarse", COARSE.values(), ids=COARSE.keys())
def test_integer_matmul_does_not_use_coarse_float32(coarse):
    """Which products a setting reaches is up to the processor, so the test looks at the type, not only at the sum."""
    a, ones = torch.tensor([[1000, 1001, 1002, 1003]]), torch.ones(4, 1, dtype=torch.int64)
    with coarse(), _Products() as products:
        assert arith.integer_matmul(a, ones, bound=1 << 13).item() == 4006
    with _Products() as usual:
        assert arith.integer_matmul(a, ones, bound=1 << 13).item() == 4006
    assert (products.types, usual.types) == ([torch.float64], [torch.float32])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_integer_matmul_under_autocast(dtype):
    a, ones = torch.tensor([[1000, 1001, 1002, 1003]]), torch.ones(4, 1, dtype=torch.int64)
    with torch.autocast("cpu", dtype=dtype):
        assert arith.integer_matmul(a, ones, bound=1 << 13).item() == 4006


def test_integer_matmul_after_both_kinds_of_setting():
    """torch refuses to name the precision then; the product does not ask for the name."""
    a = torch.tensor([[3]])
    with _setting(torch.backends.mkldnn.matmul, "ieee"), _setting(torch.backends, "tf32"):
        assert arith.integer_matmul(a, a, bound=9).item() == 9


def test_integer_matmul_rejects():
    a = torch.ones(2, 2, dtype=torch.int64)
    with pytest.raises(OverflowError, match="below 2\\*\\*53"):
        arith.integer_matmul(a, a, bound=1 << 53)
    with pytest.raises(TypeError, match="^b must be"):
        arith.integer_matmul(a, a.to(torch.float32), bound=2)


# Code planes


@seeded
@given(tensors(st.integers(0, 255)))
def test_unsigned_planes(code):
    planes = arith.split_unsigned(code, 4, 2)
    assert all(0 <= int(digit.min()) and int(digit.max()) <= 15 for digit in planes)
    assert torch.equal(planes[0], code % 16)
    assert torch.equal(arith.join_planes(planes, 4), code)


@pytest.mark.parametrize("bits,plane_bits,limit", [
    (4, 4, 7), (3, 4, 3), (8, 4, 119), (7, 4, 63), (6, 4, 31), (5, 4, 15), (6, 3, 27), (8, 6, 127), (3, 2, 3),
    (4, 2, 5),
])
def test_signed_code_range(bits, plane_bits, limit):
    assert arith.signed_code_range(bits, plane_bits) == limit
    planes = 1 if bits <= plane_bits else 2
    code = arith.nearest_signed_code(torch.arange(-limit, limit + 1), plane_bits, planes)
    assert int(code.abs().max()) <= limit
    digits = arith.split_signed(code, plane_bits, planes)
    assert torch.equal(arith.join_planes(digits, plane_bits), code)


def test_signed_planes_exhaustive_at_4_bits():
    legal = {h * 16 + l for h in range(-7, 8) for l in range(-7, 8)}
    assert len(legal) == 225
    for code in range(-119, 120):
        value = torch.tensor([code])
        nearest = int(arith.nearest_signed_code(value, 4, 2))
        assert nearest in legal
        assert abs(nearest - code) == min(abs(other - code) for other in legal)
        assert nearest >= code, "a code half way goes up"
        if code in legal:
            low, high = arith.split_signed(value, 4, 2)
            assert -7 <= int(low) <= 7 and -7 <= int(high) <= 7 and int(high) * 16 + int(low) == code
        else:
            with pytest.raises(OverflowError, match="outside -7..7"):
                arith.split_signed(value, 4, 2)


def test_split_signed_rejects():
    for planes in (0, 3):
        with pytest.raises(ValueError, match=f"planes of a signed code must be 1 or 2, not {planes}"):
            arith.split_signed(torch.tensor([1]), 4, planes)
    for code, planes in ((8, 1), (-8, 1), (120, 2), (128, 2), (-120, 2)):
        with pytest.raises(OverflowError):
            arith.split_signed(torch.tensor([code]), 4, planes)
    assert arith.nearest_signed_code(torch.tensor([-8, 8]), 4, 1).tolist() == [-8, 8]


@pytest.mark.parametrize(("total", "wanted"), [
    (1 << 17, 100), ((1 << 17) - 1, 8), (-(1 << 17), -8), (-(1 << 17) - 1, -100), (0, 0),
])
def test_sums_beyond_the_operand_are_infinite_from_the_first_one_on(total, wanted):
    """Operands of 18 bits; 2**17 / 2**14 would be 8 otherwise."""
    one = torch.tensor([1])
    acc = torch.tensor([[total - 5], [0]])
    y = arith.requantize(acc, 5 * one, one, 14 * one, zero_point=0, low=-100, high=100, operand_bits=18)
    assert y.tolist() == [[wanted], [0]] and acc.tolist() == [[total - 5], [0]]
