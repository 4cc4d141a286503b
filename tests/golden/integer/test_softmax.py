import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vitric.golden.integer.softmax import dequantize, row_norm, softmax, uniform_offset
from vitric.golden.spec.softmax import KINDS, SoftmaxSpec

SPEC = SoftmaxSpec(lanes=8, max_length=256)
UNIT = 1 << SPEC.frac_bits
OFFSET = uniform_offset(1 / 255, SPEC)


def float_norm(x, spec=SPEC):
    """log2(sum(2**x)) in octaves."""
    return torch.logsumexp(x.double() * math.log(2) / (1 << spec.frac_bits), -1) / math.log(2)


def norm_error(x, spec=SPEC):
    """Error of the row norm in octaves."""
    return row_norm(x, spec, offset=0).squeeze(-1) / (1 << spec.frac_bits) - float_norm(x, spec)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def gaussian_scores(rows, n, sigma, seed):
    """Logits with standard deviation ``sigma`` in nats, and the scores a requantizer would make of them."""
    logits = torch.randn(rows, n, generator=seeded(seed), dtype=torch.float64) * sigma
    return logits, torch.floor(logits * math.log2(math.e) * UNIT + 0.5).to(torch.int64)


@st.composite
def rows(draw, spec=SPEC):
    half = 1 << spec.score_bits - 1
    centre = draw(st.integers(-half, half - 1))
    spread = draw(st.sampled_from((0, 1, 30, 700, 4000, 2 * half)))
    low, high = max(-half, centre - spread), min(half - 1, centre + spread)
    return torch.tensor(draw(st.lists(st.integers(low, high), min_size=1, max_size=spec.max_length)))


# Specification

@pytest.mark.parametrize(("name", "value", "error"), [
    ("lanes", 0, ValueError), ("lanes", 65, ValueError), ("lanes", 1.5, TypeError),
    ("max_length", 1, ValueError), ("max_length", 4097, ValueError),
    ("frac_bits", 1, ValueError), ("frac_bits", 11, ValueError),
    ("score_bits", 8, ValueError), ("score_bits", 25, ValueError),
    ("out_bits", 1, ValueError), ("out_bits", 9, ValueError), ("kind", "twin", ValueError),
    ("columns", 0, ValueError), ("columns", 3, ValueError), ("columns", 8, ValueError),
])
def test_rejected_parameters(name, value, error):
    with pytest.raises(error, match=name):
        SoftmaxSpec(**{"lanes": 8, "max_length": 256, name: value})


def test_documented_figures():
    assert (SPEC.sum_frac, SPEC.sum_bits, SPEC.norm_bits, SPEC.block_index_bits) == (14, 30, 17, 5)
    assert (len(SPEC.exp2_table), SPEC.term_bits, len(SPEC.code_table)) == (1024, 18, 2048)
    assert (SPEC.latency, SPEC.interval, SPEC.row_interval(1), SPEC.row_interval(197)) == (25, 1, 14, 197)
    assert (SPEC.term_digits, SPEC.digit_sum_bits) == ((8, 8, 6), (16, 16, 14))
    assert (SPEC.max_rows, SPEC.row_time(197), SPEC.buffer_depth) == (3, 418, 1024)
    wide = SoftmaxSpec(lanes=8, max_length=256, columns=4)
    assert (wide.beats(197), wide.latency, wide.row_interval(197), wide.buffer_depth) == (50, 29, 50, 256)
    assert wide.canonical == SPEC.canonical
    with pytest.raises(ValueError, match="length"):
        SPEC.row_interval(257)


@pytest.mark.parametrize("frac_bits", range(2, 11))
def test_tables(frac_bits):
    spec = SoftmaxSpec(lanes=1, max_length=2, frac_bits=frac_bits)
    unit = 1 << frac_bits
    assert max(spec.exp2_table) < 1 << spec.term_bits
    dropped = 1 << frac_bits - spec.term_fraction_bits
    for score in range(8 * unit):
        entry = spec.exp2_table[score // dropped] / 1024
        assert abs(math.log2(entry) - score / unit) < (dropped - 1) / 2 / unit + 0.00071  # half a unit of 2**-10
    for mantissa, log in enumerate(spec.log2_table):
        assert abs(log / unit - math.log2(1 + mantissa / unit)) < 0.44 / 2 / (1 << spec.log_index_bits) + 1.5 / unit
    for u, code in enumerate(spec.code_table):
        assert code - 0.5 <= 2 ** (u / unit) < code + 0.5 or code == 255
    assert [spec.code_table[octave * unit] for octave in range(8)] == [1, 2, 4, 8, 16, 32, 64, 128]


def test_code_table_is_far_from_ties():
    for frac_bits in range(2, 11):
        for u in range(8 << frac_bits):
            assert abs(2 ** (u / (1 << frac_bits)) % 1 - 0.5) > 1e-6


# Hand vectors

def test_two_equal_scores_are_halves():
    x = torch.tensor([-300, -300])
    assert softmax(x, SPEC, offset=8 * UNIT).tolist() == [128, 128]
    assert softmax(x, SoftmaxSpec(lanes=1, max_length=2, out_bits=4, kind="log2"), offset=0).tolist() == [1, 1]
    assert softmax(x, SoftmaxSpec(lanes=1, max_length=2, out_bits=4, kind="log_sqrt2"), offset=0).tolist() == [2, 2]


def test_octave_ladder():
    x = torch.tensor([0, -UNIT, -2 * UNIT, -3 * UNIT, -3 * UNIT])  # 1/2, 1/4, 1/8, 1/16, 1/16
    assert softmax(x, SPEC, offset=8 * UNIT).tolist() == [128, 64, 32, 16, 16]
    for kind, codes in (("log2", [1, 2, 3, 4, 4]), ("log_sqrt2", [2, 4, 6, 8, 8])):
        spec = SoftmaxSpec(lanes=1, max_length=8, out_bits=4, kind=kind)
        assert softmax(x, spec, offset=0).tolist() == codes
        assert dequantize(torch.tensor(codes), spec, offset=0).tolist() == [0.5, 0.25, 0.125, 0.0625, 0.0625]


def test_rounding_is_half_up_and_saturates():
    one = torch.tensor([0])  # the norm of a row of one octave-aligned score is that score exactly
    assert row_norm(one, SPEC, offset=0).item() == 1  # a mantissa of 0 takes the correction of its bin: 1/256 octave
    for u, code in ((-UNIT - 1, 0), (-UNIT, 1), (-1, 1), (0, 1), (150, 2), (149, 1), (8 * UNIT - 1, 255), (4000, 255)):
        assert softmax(one, SPEC, offset=u + 1).item() == code, u
    log2 = SoftmaxSpec(lanes=1, max_length=2, out_bits=4, kind="log2")
    for u, code in ((300, 0), (-127, 0), (-128, 1), (-383, 1), (-384, 2), (-14 * UNIT - 128, 15), (-7000, 15)):
        assert softmax(one, log2, offset=u + 1).item() == code, u
    assert dequantize(torch.tensor([15]), log2, offset=0).item() == 0
    assert dequantize(torch.tensor([14]), log2, offset=0).item() == 2 ** -14


@given(rows())
def test_codes_do_not_depend_on_the_longest_row(x):
    other = SoftmaxSpec(lanes=1, max_length=SPEC.arithmetic_length)
    assert torch.equal(softmax(x, other, offset=OFFSET), softmax(x, SPEC, offset=OFFSET))


# Against float

def float_codes(p, spec, offset):
    """Codes of an exact softmax: the floor of the error."""
    p = p * 2 ** (offset / UNIT)
    if spec.kind == "twin_uniform":
        values = torch.tensor(spec.code_values, dtype=torch.float64)
        return (p.unsqueeze(-1) - values).abs().argmin(-1)
    if spec.logarithmic:
        p = -torch.log2(p) * (2 if spec.kind == "log_sqrt2" else 1)
    return torch.floor(p + 0.5).clamp(0, spec.code_max).to(torch.int64)


@pytest.mark.parametrize(("kind", "out_bits", "step", "floor"), [
    ("uniform", 8, 1 / 255, 0.175), ("uniform", 8, 0.5 / 255, 0.095), ("log2", 4, 1, 0.175), ("log_sqrt2", 5, 1, 0.087),
    ("twin_uniform", 4, 2 ** -4 / 7, 0.349), ("twin_uniform", 8, 2 ** -3 / 127, 0.050),
])
def test_row_error_is_near_the_floor_of_the_code(kind, out_bits, step, floor):
    logits, x = gaussian_scores(400, 197, 1.5, seed=1)
    twin = {"twin_shift": round(math.log2(1 / step / (2 ** (out_bits - 1) - 1)))} if kind == "twin_uniform" else {}
    spec = SoftmaxSpec(lanes=8, max_length=256, out_bits=out_bits, kind=kind, **twin)
    offset = uniform_offset(step, spec)
    p = torch.softmax(logits, -1)

    def error(codes):
        return (dequantize(codes, spec, offset=offset) - p).abs().sum(-1).mean().item()

    assert error(float_codes(p, spec, offset)) == pytest.approx(floor, abs=0.002)
    assert error(softmax(x, spec, offset=offset)) < error(float_codes(p, spec, offset)) + 0.001


@given(rows())
def test_norm_error(x):  # bounds: docs/units/softmax.md
    assert -0.033 < norm_error(x).item() < 0.0101


def test_norm_error_of_the_worst_row():
    x = torch.full((1, 256), -14 * UNIT - 2)  # every term but one is just below the last bit of the sum
    x[0, 0] = 0
    assert -0.0225 < norm_error(x).item() < -0.015


@pytest.mark.parametrize("frac_bits", [2, 5, 10])
def test_other_score_units(frac_bits):
    spec = SoftmaxSpec(lanes=1, max_length=64, frac_bits=frac_bits)
    x = torch.randint(-20 << frac_bits, 12 << frac_bits, (500, 64), generator=seeded(frac_bits))
    assert norm_error(x, spec).abs().max() < 0.0075 + 1 / (1 << frac_bits)


def test_longest_row_fits_the_sum():
    spec = SoftmaxSpec(lanes=1, max_length=4096)
    x = torch.full((1, 4096), (8 << spec.frac_bits) - 1)  # the largest term, as often as possible
    assert norm_error(x, spec).abs().item() < 0.0095


# Properties

@given(rows(), st.sampled_from(KINDS), st.integers(2, 8))
def test_order_is_kept(x, kind, out_bits):
    twin = {"twin_shift": 3} if kind == "twin_uniform" else {}
    spec = SoftmaxSpec(lanes=1, max_length=256, out_bits=out_bits, kind=kind, **twin)
    codes = softmax(x, spec, offset=0 if spec.logarithmic else uniform_offset(1 / spec.code_values[-1], spec))
    sorted_codes = codes[x.argsort()]
    assert 0 <= int(codes.min()) and int(codes.max()) <= spec.code_max
    steps = sorted_codes.diff()
    assert (steps <= 0).all() if spec.logarithmic else (steps >= 0).all()


@given(rows(), st.integers(-6, 6))
def test_shift_by_blocks_changes_nothing(x, blocks):
    x = x.clamp(-1 << 14, 1 << 14)
    shifted = x + 8 * blocks * UNIT
    assert torch.equal(softmax(shifted, SPEC, offset=OFFSET), softmax(x, SPEC, offset=OFFSET))


@given(rows(), st.integers(-40, 40))
def test_shift_by_octaves_moves_the_norm_within_its_error(x, octaves):
    x = x.clamp(-1 << 14, 1 << 14)
    moved = row_norm(x + octaves * UNIT, SPEC, offset=0) - octaves * UNIT - row_norm(x, SPEC, offset=0)
    assert abs(moved.item()) < 0.0225 * UNIT + 3
    codes = softmax(x + octaves * UNIT, SPEC, offset=OFFSET) - softmax(x, SPEC, offset=OFFSET)
    assert codes.abs().max() <= 5


@given(rows(), st.randoms(use_true_random=False))
def test_codes_do_not_depend_on_the_order_of_scores(x, random):
    order = list(range(len(x)))
    random.shuffle(order)
    assert torch.equal(softmax(x[order], SPEC, offset=OFFSET), softmax(x, SPEC, offset=OFFSET)[order])


def test_each_term_is_cut_off_alone():
    spec = SoftmaxSpec(lanes=1, max_length=256, frac_bits=7)
    unit = 1 << spec.frac_bits
    for low, cut in ((-13 * unit - 1, 1), (-13 * unit, 2), (-6 * unit - 1, 254), (-15 * unit, 0)):
        # 2**14 for the largest score, ``cut`` for any other one, to 7 bits below the leading one
        for others in range(256):
            total = 16384 + others * cut
            lead = total.bit_length() - 1
            expected = (lead - 14) * unit + spec.log2_table[(total >> lead - 7) - unit]
            assert row_norm(torch.tensor([low] * others + [0]), spec, offset=0).item() == expected


def test_one_element_rows():
    x = torch.arange(-1 << 15, 1 << 15).unsqueeze(-1)
    codes = softmax(x, SPEC, offset=OFFSET)
    assert codes.unique().tolist() == [254, 255]
    assert softmax(x, SoftmaxSpec(lanes=1, max_length=2, kind="log2"), offset=0).max() == 0


def test_equal_rows():
    for n in range(1, 257):
        code = softmax(torch.full((n,), 77), SPEC, offset=OFFSET)
        assert len(code.unique()) == 1
        assert abs(code[0].item() - 255 / n) <= 0.5 + 0.008 * 255 / n


def test_extreme_scores():
    low, high = -1 << 15, (1 << 15) - 1
    assert softmax(torch.tensor([low, high, low]), SPEC, offset=OFFSET).tolist() in ([0, 254, 0], [0, 255, 0])
    for value in (low, high):
        assert softmax(torch.full((256,), value), SPEC, offset=8 * UNIT).tolist() == [1] * 256
    log2 = SoftmaxSpec(lanes=1, max_length=256, out_bits=5, kind="log2")
    assert softmax(torch.tensor([low, high]), log2, offset=0).tolist() == [31, 0]


def test_leading_axes():
    x = torch.randint(-2000, 2000, (2, 3, 17), generator=seeded(5), dtype=torch.int32)
    codes = softmax(x, SPEC, offset=OFFSET)
    assert codes.dtype == torch.int64 and codes.shape == x.shape
    assert all(torch.equal(codes[i, j], softmax(x[i, j], SPEC, offset=OFFSET)) for i in range(2) for j in range(3))


# Steps and rejected arguments

def test_uniform_offset():
    assert uniform_offset(1 / 256, SPEC) == 2048
    assert uniform_offset(1, SPEC) == 0
    assert uniform_offset(1 / 255, SPEC) == 2047
    assert uniform_offset(2.0 ** 32, SPEC) == -8192
    for step in (0, -1, 2.0 ** -32, 2.0 ** 33, math.inf, math.nan):
        with pytest.raises(ValueError, match="step"):
            uniform_offset(step, SPEC)


def test_rejected_arguments():
    x = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(TypeError, match="x must be"):
        softmax(x.float(), SPEC, offset=0)
    with pytest.raises(TypeError, match="codes"):
        dequantize(x.float(), SPEC, offset=0)
    with pytest.raises(ValueError, match="axis"):
        softmax(torch.tensor(3), SPEC, offset=0)
    for n in (0, 257):
        with pytest.raises(ValueError, match="length"):
            softmax(torch.zeros(n, dtype=torch.int64), SPEC, offset=0)
    for offset in (-8193, 8192):
        with pytest.raises(ValueError, match="offset"):
            softmax(x, SPEC, offset=offset)
    with pytest.raises(TypeError, match="offset"):
        softmax(x, SPEC, offset=0.5)
    with pytest.raises(OverflowError, match="x holds"):
        softmax(x + (1 << 15), SPEC, offset=0)
